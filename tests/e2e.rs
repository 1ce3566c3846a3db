//! End to end: the real Chromium against the sample site, on the embedded bus and store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "e2e/certificates.rs"]
mod certificates;
#[path = "e2e/containment.rs"]
mod containment;
#[path = "e2e/daemon.rs"]
mod daemon;
#[path = "e2e/edits.rs"]
mod edits;
#[path = "e2e/equality.rs"]
mod equality;
#[path = "e2e/evidence.rs"]
mod evidence;
#[path = "e2e/fallbacks.rs"]
mod fallbacks;
#[path = "e2e/forms.rs"]
mod forms;
#[path = "e2e/holes.rs"]
mod holes;
#[path = "e2e/live.rs"]
mod live;
#[path = "e2e/news.rs"]
mod news;
#[path = "e2e/orders.rs"]
mod orders;
#[path = "e2e/packs.rs"]
mod packs;
#[path = "e2e/probing.rs"]
mod probing;
#[path = "e2e/read_only.rs"]
mod read_only;
#[path = "e2e/sessions.rs"]
mod sessions;
#[path = "e2e/sweeps.rs"]
mod sweeps;
#[path = "e2e/toolchain.rs"]
mod toolchain;
#[path = "e2e/trouble.rs"]
mod trouble;
#[path = "e2e/verdicts.rs"]
mod verdicts;
