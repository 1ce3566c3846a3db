//! Chromium: one process per account, owned and reaped by us, and the page in it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`launch`] | [`Chromium`], the [`crate::ports::page::Browser`]: start, connect, check the sandbox |
//! | [`process`] | the child process: its user, environment, group; ending it and what it left behind |
//! | [`profile`] | where a profile lies and whose it is |
//! | [`containment`] | what the browser may reach: the pack's hosts and nothing else |
//! | [`tab`] | one DevTools page: every command raced against a crash and a deadline |
//! | [`page`] | [`crate::ports::page::SitePage`] in terms of the page agent |
//! | [`observing`] | what the page tells by itself: binding, script of every new document |
//! | `observer.js` | the part of the agent that tells |
//! | `agent.js` | everything that is ever done inside a page |
//!
//! chromiumoxide stays in this room. Nothing here hides that a program is at work: no stealth, no
//! solver, certificates respected.

pub mod containment;
pub mod error;
pub mod launch;
pub mod observing;
pub mod page;
pub mod process;
pub mod profile;
pub mod tab;

pub use error::BrowserError;
pub use launch::{Chromium, ChromiumSettings};
