//! Faults: the program, its browser or its files are hurt at a chosen moment, and then the store must
//! equal the site: nothing lost, invented or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "faults/browser.rs"]
mod browser;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/crash.rs"]
mod crash;
#[path = "faults/daemon.rs"]
mod daemon;
#[path = "faults/damage.rs"]
mod damage;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/healing.rs"]
mod healing;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/outside.rs"]
mod outside;
#[path = "faults/pool.rs"]
mod pool;
#[path = "faults/relay.rs"]
mod relay;
#[path = "faults/serving.rs"]
mod serving;
