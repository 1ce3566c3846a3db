//! Selector packs: one TOML file per site that says where things stand in its pages.
//!
//! | file | what it holds |
//! |---|---|
//! | [`pack`] | the sections of a pack as types |
//! | [`scroll`] | how more rows are brought into a page |
//! | [`duration`] | durations as people write them |
//! | [`query`] | one thing to find: ordered alternatives, each a way to find it |
//! | [`moment`] | times as pages write them → timestamps |
//! | [`load`] | reading a pack, with file, line and the nearest name when it is wrong |
//! | [`lint`] | rules that types can't hold: hosts, formats, brackets |
//! | [`forbidden`] | words that belong to a control that writes |
//! | [`library`] | the packs that are built in and the operator's own folder |
//! | [`watch`] | what changes in that folder while the daemon runs |
//! | [`board`] | which version of each pack is in use, and why another one is not |
//! | [`versions`] | the versions that were in use, kept for going back |
//! | [`schema`] | the JSON Schema that editors complete from |
//! | [`mod@reference`] | every key with its meaning, generated from the same types |
//!
//! Architecture invariant: a pack can't name a control that writes to the site. The login form is the
//! only thing that is ever filled in.

pub mod board;
pub mod duration;
pub mod error;
pub mod forbidden;
pub mod library;
pub mod lint;
pub mod load;
pub mod moment;
pub mod pack;
pub mod query;
pub mod reference;
pub mod schema;
pub mod scroll;
pub mod versions;
pub mod watch;

pub use board::{Board, Standing};
pub use error::{PackError, PackProblem};
pub use library::{Library, PackSource};
pub use load::{LoadedPack, parse_pack};
pub use pack::Pack;
pub use query::{Alternative, Query};
pub use versions::{Versions, Why};
pub use watch::{Candidate, PackChange, PackFolder, Watcher};
