//! Chromium: one process for the accounts of a site, owned and reaped by us; in it a context of its own for
//! each account, and in that one page.
//!
//! | file | what it holds |
//! |---|---|
//! | [`launch`] | [`Chromium`], the [`crate::ports::page::Browser`]: its arguments, its pages |
//! | [`pool`] | which browsers run, and who sits in them |
//! | [`running`] | one of them: its connection and its keeper, who ends and reaps it |
//! | [`limits`] | when a browser has served long enough |
//! | [`process`] | the child process: its user, environment, group; ending it for certain |
//! | [`watchdog`] | the browser's end if we are killed hard |
//! | [`proc`] | what the kernel says of its processes |
//! | [`profile`] | where a profile lies and whose it is |
//! | [`context`] | an account's share of a browser: cookies, permissions, its page, nobody else's |
//! | [`session`] | what is logged in, written down and restored |
//! | [`containment`] | what the browser may reach: the pack's hosts and nothing else |
//! | [`tab`] | one DevTools page: every command raced against a crash and a deadline |
//! | [`page`] | [`crate::ports::page::SitePage`] in terms of the page agent |
//! | `evidence` | shape and picture of a page that can't be read, without its content |
//! | [`observing`] | what the page tells by itself: binding, script of every new document |
//! | `observer.js` | the part of the agent that tells |
//! | `agent.js` | everything that is ever done inside a page |
//!
//! chromiumoxide stays in this room. Nothing here hides that a program is at work: no stealth, no
//! solver, certificates respected.

pub mod containment;
pub mod context;
pub mod error;
mod evidence;
pub mod launch;
pub mod limits;
pub mod observing;
pub mod page;
pub mod pool;
pub mod proc;
pub mod process;
pub mod profile;
pub mod running;
pub mod session;
pub mod tab;
pub mod watchdog;

pub use error::BrowserError;
pub use launch::{Chromium, ChromiumSettings};
pub use limits::Limits;
