//! Trying every query of a pack on the pages of the live site: the login form, the list, a conversation.
//! Keeps nothing.

use std::time::Duration;

use super::collector::Collector;
use super::history::pause;
use crate::fault::AnyFault;
use crate::ports::page::{ProbeRow, SitePage, Until};
use crate::resilience::Pace;
use crate::selectors::pack::Proof;

impl Collector {
    /// Logs in, opens the first conversation, and tries every query on each page on the way; of each
    /// query the page where it matched most is reported.
    ///
    /// # Errors
    /// What kept it from getting there, with what was seen until then lost.
    pub async fn probe(&self) -> Result<Vec<ProbeRow>, AnyFault> {
        self.refuse_resting(true).await?;
        let page = self.open().await?;
        let outcome = self.probe_pages(page.as_ref()).await;
        self.leave(page).await;
        outcome
    }

    async fn probe_pages(&self, page: &dyn SitePage) -> Result<Vec<ProbeRow>, AnyFault> {
        let pack = &self.account.pack.pack;
        let mut best = Vec::new();
        page.open(&pack.conversations.address).await?;
        if page.wait(Until::List, pack.pages.timeout).await?.login {
            merge(&mut best, page.probe().await?);
        }
        self.ensure_login(page).await?;
        page.wait(Until::List, pack.pages.timeout).await?;
        merge(&mut best, page.probe().await?);
        if self.open_first(page).await? {
            merge(&mut best, page.probe().await?);
        }
        Ok(best)
    }

    /// Opens the first conversation of the list that is shown; false if there is none.
    pub(super) async fn open_first(&self, page: &dyn SitePage) -> Result<bool, AnyFault> {
        let pack = &self.account.pack.pack;
        let first = page.list().await?.rows.into_iter().find_map(|row| Some((row.id?, row.title?)));
        let Some((id, title)) = first else { return Ok(false) };
        pause(&mut Pace::new(Duration::ZERO), &self.held.stop).await?;
        page.open_conversation(&id).await?;
        let proof = match pack.conversations.opened.equals {
            Proof::Id => id.as_str(),
            Proof::Title => title.expose(),
        };
        page.wait(Until::Thread(proof), pack.pages.timeout).await?;
        Ok(true)
    }
}

/// Keeps of each query the result with the most matches.
fn merge(best: &mut Vec<ProbeRow>, fresh: Vec<ProbeRow>) {
    for row in fresh {
        match best.iter_mut().find(|known| known.key == row.key) {
            Some(known) if known.counts.iter().sum::<u64>() < row.counts.iter().sum::<u64>() => *known = row,
            Some(_) => {}
            None => best.push(row),
        }
    }
}
