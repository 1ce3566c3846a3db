//! Packs while the daemon runs: which one an account starts with, and the task that looks for edits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::collect::Account;
use crate::collect::collector::Offers;
use crate::config::AccountConfig;
use crate::domain::{AccountId, SiteId};
use crate::fault::AnyFault;
use crate::ports::Clock;
use crate::selectors::versions::Refused;
use crate::selectors::{Board, Candidate, Library, LoadedPack, PackChange, PackError, PackFolder, Watcher, Why};
use crate::telemetry::occurrences::{PackFolderAway, PackRefused, PackStoodIn, PacksUnkept, PassFailed};
use crate::telemetry::{Counters, Occurrence};

/// An editor's save is several events; the folder is looked at when none came for this long.
const SETTLE: Duration = Duration::from_millis(300);
/// But after this at the latest: a folder that never rests is looked at too.
const SETTLE_AT_MOST: Duration = Duration::from_secs(3);
/// Time between two looks that nobody asked for, where the folder is watched: a watch can miss.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The same, where it is not.
const LOOK_UNWATCHED: Duration = Duration::from_secs(5);

impl App {
    /// As [`App::accounts`], for a daemon: a pack in the folder that can't be used, or that was refused, does not
    /// take the place of the last one that was in use.
    pub fn accounts_to_keep(&self) -> (Vec<Arc<Account>>, Vec<(AccountId, AnyFault)>) {
        let (mut accounts, mut faults) = (Vec::new(), Vec::new());
        for config in self.config.accounts.iter().filter(|account| !account.paused) {
            match self.account_to_keep(config) {
                Ok(account) => accounts.push(Arc::new(account)),
                Err(fault) => {
                    PassFailed { account: &config.id, fault: &fault }.emit(&self.counters);
                    faults.push((config.id.clone(), fault));
                }
            }
        }
        (accounts, faults)
    }

    fn account_to_keep(&self, config: &AccountConfig) -> Result<Account, AnyFault> {
        let site = config.id.site();
        let (pack, why) = match self.library.load(site) {
            Ok(pack) => match self.refused_before(&pack) {
                Some((earlier, reason)) => (self.stand_in(earlier, &reason), Why::StoodIn),
                None => (pack, Why::Start),
            },
            Err(error) => match self.last_good(site) {
                Some(earlier) => (self.stand_in(earlier, &error.to_string()), Why::StoodIn),
                None => return Err(error.into()),
            },
        };
        if let Err(error) = self.board.activate(&pack, self.clock.now(), why) {
            PacksUnkept { fault: &error.into() }.emit(&self.counters);
        }
        self.account_with(config, pack)
    }

    fn stand_in(&self, earlier: LoadedPack, reason: &str) -> LoadedPack {
        PackStoodIn { site: &earlier.site, active: &earlier.hash, reason }.emit(&self.counters);
        earlier
    }

    /// The version of a site's pack that was in use last, if it can still be read.
    fn last_good(&self, site: &SiteId) -> Option<LoadedPack> {
        let versions = self.board.versions(site);
        versions.load(versions.index().ok()?.active.as_deref()?).ok()
    }

    /// The version to use in the place of one that was tried and refused, and why it was.
    fn refused_before(&self, pack: &LoadedPack) -> Option<(LoadedPack, String)> {
        let refused = self.board.versions(&pack.site).index().ok()?.refused?;
        let earlier = self.last_good(&pack.site).filter(|earlier| earlier.hash != pack.hash)?;
        (refused.hash == pack.hash).then(|| (earlier, refused.reasons.join("; ")))
    }

    /// Looks for edited packs until the stop.
    pub fn watch_packs(&self) {
        let news = Arc::new(Notify::new());
        let tell = news.clone();
        let folder = self.config.selectors_dir.clone();
        let watch = PackWatch {
            looker: Some(Looker {
                watcher: Watcher::new(folder.clone(), Arc::new(move || tell.notify_one())),
                folder: PackFolder::new(folder.clone()),
            }),
            path: folder,
            news,
            stop: self.lifecycle.soft.clone(),
            board: self.board.clone(),
            offers: self.offers.clone(),
            clock: self.clock.clone(),
            counters: self.counters.clone(),
            told: None,
        };
        self.lifecycle.spawn("packs", watch.run());
    }
}

/// Waits until the folder rests, or long enough.
async fn settle(news: &Notify) {
    let rest = async { while tokio::time::timeout(SETTLE, news.notified()).await.is_ok() {} };
    let _ = tokio::time::timeout(SETTLE_AT_MOST, rest).await;
}

struct Looker {
    watcher: Watcher,
    folder: PackFolder,
}

struct PackWatch {
    /// With the thread that looks, while it does.
    looker: Option<Looker>,
    path: PathBuf,
    news: Arc<Notify>,
    stop: CancellationToken,
    board: Arc<Board>,
    offers: watch::Sender<Offers>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    /// What was last told about the folder.
    told: Option<Result<bool, String>>,
}

impl PackWatch {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let is_watched = self.look().await;
            let every = if is_watched { LOOK_EVERY } else { LOOK_UNWATCHED };
            // Cancel-safe: no arm holds anything but the permit that it took.
            tokio::select! {
                () = self.stop.cancelled() => (),
                () = self.news.notified() => settle(&self.news).await,
                () = tokio::time::sleep(every) => (),
            }
        }
    }

    /// One look at the folder, on a thread of its own: it may lie on a disk that hangs. True if it is watched.
    async fn look(&mut self) -> bool {
        let Some(mut looker) = self.looker.take() else { return false };
        let looking = tokio::task::spawn_blocking(move || {
            // Watched first: what changes during the look is then told, and looked at again.
            let attached = looker.watcher.attach();
            let changes = looker.folder.look();
            (looker, attached, changes)
        });
        let Ok((looker, attached, changes)) = looking.await else { return false };
        self.looker = Some(looker);
        let is_watched = attached == Ok(true);
        match changes {
            Ok(changes) => {
                self.tell_folder(attached);
                for change in changes {
                    self.take(change);
                }
            }
            Err(error) => self.tell_folder(Err(AnyFault::from(error).chain())),
        }
        is_watched
    }

    fn tell_folder(&mut self, now: Result<bool, String>) {
        let before = self.told.replace(now.clone());
        if before.as_ref() == Some(&now) {
            return;
        }
        let path = self.path.display();
        let (reason, is_back) = match now {
            Ok(true) => (format!("{path}: edits count at once"), true),
            // Not having one is no fault: the built-in packs are used.
            Ok(false) if before.is_none() => return,
            Ok(false) => (format!("{path} is gone; the packs in use stay in use"), false),
            Err(reason) => (format!("{path} can't be watched: {reason}"), false),
        };
        PackFolderAway { reason: &reason, is_back }.emit(&self.counters);
    }

    fn take(&self, change: PackChange) {
        let PackChange { site, candidate } = change;
        let active = self.board.versions(&site).index().ok().and_then(|index| index.active);
        let offered = match candidate {
            Candidate::Valid(pack) => Some(pack),
            // Without a file the site has the pack that is part of the program, if there is one.
            Candidate::Removed => Library::built_in(&site).map(Arc::new),
            Candidate::Invalid { hash, sentence } => {
                let reasons = [sentence];
                let active = active.as_deref();
                PackRefused { site: &site, account: None, hash: &hash, active, reasons: &reasons }.emit(&self.counters);
                let refused = Refused { hash, at: self.clock.now(), account: None, reasons: reasons.into() };
                self.keep(self.board.refuse(&site, refused));
                None
            }
        };
        if let Some(pack) = &offered
            && active.as_ref() == Some(&pack.hash)
        {
            self.keep(self.board.forget_refused(&site));
        }
        self.offers.send_modify(|offers| {
            match offered {
                Some(pack) => offers.insert(site, pack),
                None => offers.remove(&site),
            };
        });
    }

    fn keep(&self, kept: Result<(), PackError>) {
        if let Err(error) = kept {
            PacksUnkept { fault: &error.into() }.emit(&self.counters);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    /// How long it takes to settle while so many events come, one each 100 ms.
    async fn settled_after(events: u32) -> Duration {
        let news = Arc::new(Notify::new());
        let teller = news.clone();
        let telling = tokio::spawn(async move {
            for _ in 0..events {
                sleep(Duration::from_millis(100)).await;
                teller.notify_one();
            }
        });
        let begun = Instant::now();
        settle(&news).await;
        telling.abort();
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_events_of_one_save_are_one_look_and_a_folder_without_rest_is_looked_at_too() {
        // Paused time: no clock of the machine is in this.
        assert_eq!(settled_after(0).await.as_millis() / 10, 30);
        assert_eq!(settled_after(5).await.as_millis() / 10, 80);
        assert_eq!(settled_after(1000).await.as_millis() / 10, 300);
    }
}
