//! What can interrupt an account that is live: one place, one select.

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Collector;
use crate::collect::orders::Wish;
use crate::ports::live::{PageEvent, PageEvents};

/// Why a live account has something to do.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// The daemon stops, or the account is another's.
    Stop,
    /// The page told something; `None`: it has come to its end.
    Page(Option<PageEvent>),
    /// A person wants something.
    Ordered(Wish),
    /// There is a pack to try.
    Offered,
    /// The browser has served long enough.
    Retired,
    /// The time that was waited for has come.
    Due,
}

impl Collector {
    /// Waits for the first of everything that can happen to an account that is live.
    ///
    /// Cancel-safe, and so is every arm: what does not win is there the next time.
    pub(super) async fn interrupted(
        &self,
        events: &mut PageEvents,
        retiring: &CancellationToken,
        due: Instant,
    ) -> Interrupt {
        tokio::select! {
            biased;
            () = self.held.stop.cancelled() => Interrupt::Stop,
            event = events.next() => Interrupt::Page(event),
            wish = self.orders.wanted() => Interrupt::Ordered(wish),
            () = self.offered(false) => Interrupt::Offered,
            () = retiring.cancelled() => Interrupt::Retired,
            () = sleep_until(due) => Interrupt::Due,
        }
    }
}
