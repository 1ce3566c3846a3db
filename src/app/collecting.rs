//! What the collectors of all accounts share, so that one can be made whenever a lease is had; and the browser.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use url::Url;

use crate::browser::{Chromium, ChromiumSettings, Limits};
use crate::collect::collector::Offers;
use crate::collect::session::AccountSession;
use crate::collect::{Account, Collector, CollectorSettings, Desk, Held, Memory, Packs, Spool, Vault};
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::ports::page::Browser;
use crate::ports::{Clock, Store};
use crate::selectors::{Board, PackError};
use crate::telemetry::{Counters, ProgressSink};

/// What collectors of all accounts share.
pub(super) struct Collecting {
    pub browser: Arc<dyn Browser>,
    pub spool: Arc<Spool>,
    pub vault: Arc<Vault>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub lifecycle: Lifecycle,
    pub counters: Arc<Counters>,
    pub settings: CollectorSettings,
    pub board: Arc<Board>,
    pub offers: watch::Receiver<Offers>,
    pub desk: Arc<Desk>,
    /// Where failures are taken down.
    pub failures: PathBuf,
}

impl Collecting {
    /// The collector of an account in hand.
    pub fn collector(&self, account: Arc<Account>, held: Held, progress: ProgressSink) -> Collector {
        Collector {
            orders: self.desk.mailbox(&account.id),
            failures: self.failures.clone(),
            memory: Memory::default(),
            session: AccountSession::new(self.vault.clone(), account.id.clone()),
            account,
            held,
            browser: self.browser.clone(),
            spool: self.spool.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            lifecycle: self.lifecycle.clone(),
            counters: self.counters.clone(),
            progress,
            settings: self.settings,
            status: Mutex::new(None),
            packs: Packs::new(self.board.clone(), self.offers.clone()),
        }
    }
}

impl Collecting {
    /// Collects an account for as long as it is held, errand by errand and with one pack after the other: `account`
    /// holds it with the one in use, for the next time it is held.
    pub async fn keep(&self, account: &Mutex<Arc<Account>>, held: Held) {
        let lock = || account.lock().unwrap_or_else(PoisonError::into_inner);
        let mailbox = self.desk.mailbox(&lock().id);
        while !held.stop.is_cancelled() {
            // A pause ends an errand, and the next one begins by waiting.
            let errand = Held { stop: mailbox.begin(&held.stop), ..held.clone() };
            let with_pack = lock().clone();
            let collector = self.collector(with_pack, errand, ProgressSink::default());
            collector.run().await;
            if let Some(next) = collector.promoted() {
                *lock() = next;
            }
        }
    }
}

/// Chromium as the settings want it.
pub fn chromium(config: &Config, data_dir: &Path, counters: Arc<Counters>) -> Chromium {
    Chromium::new(
        ChromiumSettings {
            executable: config.browser.chromium.clone(),
            headful: !config.browser.headless,
            no_sandbox: config.browser.no_sandbox,
            data_dir: data_dir.to_owned(),
            limits: Limits {
                accounts: config.browser.accounts,
                age: config.browser.max_age,
                memory: config.browser.max_memory,
                processes: config.browser.max_processes,
                ..Limits::default()
            },
        },
        counters,
    )
}

/// The address of a pack; the lint has seen it, so this fails for no pack that was loaded.
///
/// # Errors
/// [`PackError::Invalid`].
pub fn base_url_of(text: &str, pack: &str) -> Result<Url, PackError> {
    Url::parse(text).map_err(|error| PackError::Invalid {
        name: pack.to_owned(),
        problems: vec![crate::selectors::PackProblem {
            key: "site.base_url".to_owned(),
            line: None,
            sentence: error.to_string(),
        }],
    })
}
