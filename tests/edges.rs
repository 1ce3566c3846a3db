//! The edges to the world beyond the machine, against fakes that speak the real protocols over a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "support/sheets.rs"]
mod google;

#[path = "edges/sheets/mod.rs"]
mod sheets;
