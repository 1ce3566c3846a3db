//! What the service manager hears (systemd's `Type=notify`): that the daemon is ready, that it stops, and as long
//! as it gets on, that it lives. Without a manager that listens all of this does nothing.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;

/// How often the manager hears that we live, within the time that it allows.
const BEATS: u32 = 3;

/// Longer than one try to reach the servers takes, where the one does not answer and the other is not asked yet.
const TRY: Duration = Duration::from_secs(180);

/// Everything that the roles need has begun.
pub fn ready() {
    say(&[NotifyState::Ready, NotifyState::Status("collecting")]);
}

/// A stop has begun: what is in hand is finished.
pub fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("finishing what is in hand")]);
}

/// A server is not there yet and is waited for: the next try begins within `wait`. The manager would take the daemon for
/// one that hangs, and end it, if it were not asked for the time.
pub fn waiting(for_what: &str, wait: Duration) {
    let more = u32::try_from((wait + TRY).as_micros()).unwrap_or(u32::MAX);
    say(&[NotifyState::ExtendTimeoutUsec(more), NotifyState::Status(for_what)]);
}

fn say(states: &[NotifyState<'_>]) {
    // No manager, or one that has gone: there is nobody to tell.
    let _ = sd_notify::notify(states);
}

/// Tells the manager that we live, as long as `gets_on` says so in time; ends at once if no manager asked for it.
/// It belongs beside the tasks of a life, since it must go on while they are drained.
pub async fn feed_watchdog<F: Future<Output = bool>>(gets_on: impl Fn() -> F) {
    let Some(allowed) = sd_notify::watchdog_enabled() else { return };
    feed(allowed, gets_on, || say(&[NotifyState::Watchdog])).await;
}

async fn feed<F: Future<Output = bool>>(allowed: Duration, gets_on: impl Fn() -> F, beat: impl Fn()) {
    let every = allowed / BEATS;
    loop {
        // Cancel-safe: a question that is not answered in time is dropped, and asked again.
        match tokio::time::timeout(every, gets_on()).await {
            Ok(true) => beat(),
            Ok(false) => tracing::warn!("the daemon does not get on; the service manager is not told that it lives"),
            Err(_) => {
                tracing::warn!("the daemon does not answer itself; the service manager is not told that it lives")
            }
        }
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_progress_feeds_the_watchdog() {
        let (gets_on, hangs, beats) = (AtomicBool::new(true), AtomicBool::new(false), AtomicU32::new(0));
        let ask = || async {
            if hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            gets_on.load(Ordering::SeqCst)
        };
        let allowed = Duration::from_secs(60);
        let during = async |minutes: u64| {
            let before = beats.load(Ordering::SeqCst);
            let feeding = feed(allowed, ask, || {
                beats.fetch_add(1, Ordering::SeqCst);
            });
            let _ = tokio::time::timeout(Duration::from_secs(60 * minutes), feeding).await;
            beats.load(Ordering::SeqCst) - before
        };
        assert!(during(10).await >= 10, "in time, several times");
        gets_on.store(false, Ordering::SeqCst);
        assert_eq!(during(10).await, 0);
        gets_on.store(true, Ordering::SeqCst);
        hangs.store(true, Ordering::SeqCst);
        assert_eq!(during(10).await, 0);
    }
}
