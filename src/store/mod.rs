//! The record of everything that was seen: the embedded store.
//!
//! Every adapter behaves as [`crate::ports::store`] says and passes the suite in
//! `tests/contract/store`.

mod error;
pub mod sqlite;

pub use error::StoreError;
pub use sqlite::SqliteStore;
