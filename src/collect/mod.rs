//! One account's life: log in, read the list, read every conversation, keep what is new in the spool,
//! and send it on.
//!
//! | file | what it holds |
//! |---|---|
//! | [`collector`] | the task that owns an account: states, passes, what follows from a fault |
//! | [`tenure`] | one process per account: leases taken, renewed, given back |
//! | [`account`] | what a collector knows of its account |
//! | [`session`] | what is logged in, kept sealed over restarts |
//! | [`login`] | the declared steps and their outcomes; the login budget |
//! | [`pass`] | one reading of the whole account; judging it and keeping it in files of their own |
//! | [`list`], [`history`] | the conversation list to its end; one conversation to its start |
//! | [`windows`] | joins the windows of a virtualised page; pure |
//! | [`resolve`] | rows → messages with keys; what is new; pure |
//! | [`positions`] | where messages stand; pure |
//! | [`verdict`] | ok, empty, not rendered, logged out or broken; pure |
//! | [`staleness`] | whether an account that looks well is still fed; pure |
//! | [`spool`] | the durable outbox and what is known |
//! | [`relay`] | spool → bus, with confirms |
//! | [`orders`] | what a person may order, and the mailbox of each account |
//! | [`flaps`] | keeps an account that flips from telling everybody each time; pure |
//! | [`bundle`] | what a failure leaves behind for a person |
//! | [`probe`] | every query of a pack tried on the live pages |
//! | [`trial`] | whether an edited pack may take the place of the one in use; pure |
//! | [`reading`] | what a pack reads of a page as it stands, with verdicts: for fixtures |
//! | [`record`] | scrubbed copies of the live pages |
//!
//! Architecture invariant: live reading, backfill and reconcile are one path. A cursor is a cache; the
//! truth is the store.

pub mod account;
pub mod bundle;
pub mod collector;
pub mod error;
pub mod flaps;
pub mod history;
pub mod list;
pub mod login;
pub mod orders;
pub mod pass;
pub mod positions;
pub mod probe;
pub mod reading;
pub mod record;
pub mod relay;
pub mod resolve;
pub mod session;
pub mod spool;
pub mod staleness;
pub mod tenure;
pub mod trial;
pub mod verdict;
pub mod windows;

pub use account::Account;
pub use collector::{Collector, CollectorSettings, Memory, Packs, PassSummary, outlives_a_start};
pub use error::CollectError;
pub use orders::{Desk, Mailbox};
pub use relay::Relay;
pub use session::Vault;
pub use spool::Spool;
pub use tenure::{Held, Tenure};
