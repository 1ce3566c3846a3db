//! The consumers as a whole: the runner against a bus that follows a script (paused time, every
//! settlement seen), the handlers against the embedded bus and store.

mod analyze;
mod archive;
mod budget;
mod economy;
mod mirror;
pub(super) mod remembering;
mod rig;
mod runner;
mod scripted;
mod trouble;

use std::time::Duration;

use crate::fault::{Class, Code, Fault, Scope};

/// Any fault.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("injected")]
pub(super) struct Injected(Class, Scope);

impl Fault for Injected {
    fn class(&self) -> Class {
        self.0
    }
    fn scope(&self) -> Scope {
        self.1
    }
    fn code(&self) -> Code {
        Code::DatabaseFailed
    }
}

pub(super) const EVENT_RETRY: Injected = Injected(Class::RETRY, Scope::Event);
const STORE_AWAY: Injected = Injected(Class::RETRY, Scope::Process);

/// Waits until `condition` holds; fails the test with `what` if it does not within half a minute.
async fn until(what: &str, condition: impl AsyncFnMut() -> bool) {
    within(Duration::from_secs(30), what, condition).await;
}

/// The same with another deadline: paused time passes as fast as the longest wait.
async fn within(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let reached = tokio::time::timeout(deadline, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(reached.await.is_ok(), "not reached: {what}");
}
