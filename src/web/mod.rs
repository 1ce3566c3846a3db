//! The HTTP face: health for machines, a status page for people.
//!
//! | path | answers |
//! |---|---|
//! | `/livez` | the event loop turns; asks nobody |
//! | `/readyz` | what is captured now can be committed |
//! | `/startupz` | the store has answered once |
//! | `/health` | ok, degraded or down, part by part |
//! | `/metrics` | numbers for Prometheus, from the closed list of the catalogue |
//! | `/api/v1/status` | all that the page shows, as JSON |
//! | `/` | the page |
//!
//! A second listener, if one is set, gives monitors the four paths that show no chat: [`Door::Monitoring`]. Before the
//! daemon has found its servers, all listeners say only that: [`Face`].
//!
//! Beside it, for the command line of this machine: [`control`].
//!
//! The page is complete without script; with it, `/assets/app.js` patches it from `/api/v1/status`.
//! Everything shown is decided here in Rust, so that the two can't disagree.
//!
//! It must never change anything (only GET and HEAD are answered), never wait longer than
//! two seconds for a dependency, and never write chat text anywhere but into the page and its
//! JSON.

mod assets;
pub mod control;
mod error;
mod face;
mod guard;
mod headline;
mod health;
mod metrics;
mod packs;
mod page;
mod router;
mod rows;
mod serve;
mod spending;
mod status;
mod survey;
#[cfg(test)]
mod tests;
mod when;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::BudgetLimits;
use crate::fault::AnyFault;
use crate::lifecycle::data_dir::Databases;
use crate::ports::{Backlog, Budgets, Bus, Clock, MirrorState, Store};
use crate::selectors::Board;
use crate::telemetry::Counters;

pub use error::WebError;
pub use face::{Door, Face};
pub use serve::{answer, bind, serve};
pub use survey::PartName;

/// Says whether the data directory takes a write, and how much room there is. May block: it is called on a thread of its own.
pub type WritableCheck = Arc<dyn Fn() -> Result<Databases, AnyFault> + Send + Sync>;

/// What the pages are made from.
#[derive(Clone)]
pub struct WebState {
    /// The record of everything that was seen.
    pub store: Arc<dyn Store>,
    /// What analyses cost.
    pub budgets: Arc<dyn Budgets>,
    /// What they may cost.
    pub limits: BudgetLimits,
    /// The way to the consumers.
    pub bus: Arc<dyn Bus>,
    /// The local outbox.
    pub spool: Arc<dyn Backlog>,
    /// What happened so far.
    pub counters: Arc<Counters>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Whether the data directory takes a write.
    pub writable: WritableCheck,
    /// When the daemon started.
    pub started: Timestamp,
    /// The version of the daemon.
    pub version: &'static str,
    /// Where a person finds the workbook.
    pub workbook: Option<PathBuf>,
    /// Where a person finds the sheet.
    pub sheet: Option<String>,
    /// Which packs are in use.
    pub packs: Arc<Board>,
    /// What is known about the mirror, as far as this process writes it.
    pub mirror: watch::Receiver<MirrorState>,
}
