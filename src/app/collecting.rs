//! What the collectors of all accounts share, so that one can be made whenever a lease is had.

use std::sync::{Arc, Mutex};

use crate::collect::{Account, Collector, CollectorSettings, Held, Spool};
use crate::lifecycle::Lifecycle;
use crate::ports::page::Browser;
use crate::ports::{Clock, Store};
use crate::telemetry::{Counters, ProgressSink};

/// What collectors of all accounts share.
pub(super) struct Collecting {
    pub browser: Arc<dyn Browser>,
    pub spool: Arc<Spool>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub lifecycle: Lifecycle,
    pub counters: Arc<Counters>,
    pub settings: CollectorSettings,
}

impl Collecting {
    /// The collector of an account in hand.
    pub fn collector(&self, account: Arc<Account>, held: Held, progress: ProgressSink) -> Collector {
        Collector {
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
        }
    }
}
