//! End to end: the real Chromium against the sample site, on the embedded bus and store.

mod support;

#[path = "e2e/equality.rs"]
mod equality;
