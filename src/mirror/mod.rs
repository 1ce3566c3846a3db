//! The one-way projection that viewers open: one row per conversation, and a tab that says whether
//! the rest can be trusted.
//!
//! [`rows`] turns a projection into typed cells and knows no file format; [`workbook`] writes them to
//! `summaries.xlsx` and `summaries.csv` on this machine. Nothing here ever reads the mirror back as
//! truth: it can be deleted at any time and comes again from the store.

pub mod error;
pub mod rows;
pub mod workbook;

pub use error::MirrorError;
pub use workbook::Workbook;
