//! The one-way projection that viewers open: one row per conversation, and a tab that says whether
//! the rest can be trusted.
//!
//! [`rows`] turns a projection into typed cells and knows no file format; [`workbook`] writes them to
//! `summaries.xlsx` and `summaries.csv` on this machine, [`google`] to a Google sheet. Nothing here ever
//! reads the mirror back as truth: it can be deleted at any time and comes again from the store.

pub mod both;
pub mod difference;
pub mod error;
pub mod google;
pub mod rows;
pub mod workbook;

pub use both::Both;
pub use difference::Difference;
pub use error::MirrorError;
pub use google::GoogleSheet;
pub use workbook::Workbook;
