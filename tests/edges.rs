//! The edges to other people's services, against servers that speak their protocols over a socket and fail in
//! all the ways that these are known for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "edges/ai/mod.rs"]
mod ai;
#[path = "support/sheets.rs"]
mod google;

#[path = "edges/sheets/mod.rs"]
mod sheets;
