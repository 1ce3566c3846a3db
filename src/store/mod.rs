//! The record of everything that was seen: the embedded store and MongoDB.
//!
//! Every adapter behaves as [`crate::ports::store`] says and passes the suite in
//! `tests/contract/store`.

mod error;
pub mod mongo;
pub mod sqlite;
mod version;

pub use error::StoreError;
pub use mongo::{MongoSettings, MongoStore};
pub use sqlite::SqliteStore;
