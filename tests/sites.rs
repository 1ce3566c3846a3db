//! Chat applications that nobody here wrote, started on loopback, seeded, and read with the packs from
//! `selectors/examples`. `scripts/test` installs them; with CHATFERRY_SITES=off it leaves these tests out, and
//! says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sites/daemon.rs"]
mod daemon;
#[path = "sites/history.rs"]
mod history;
#[path = "sites/lounge.rs"]
mod lounge;
// The name by which `scripts/test` leaves them out.
#[path = "sites/thelounge.rs"]
mod real_sites;
mod support;
