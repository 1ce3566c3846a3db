//! What the spool still holds, seen from outside: the numbers that say whether capture and publishing
//! keep step.
//!
//! Its own port, so that the status page can ask without knowing the collector.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::fault::AnyFault;

/// The durable local outbox, as a reader sees it.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Events that are spooled and not yet confirmed by the bus.
    ///
    /// # Errors
    /// If the spool can't be read.
    async fn pending(&self) -> Result<u64, AnyFault>;

    /// When the oldest of these events was made; none while there is none.
    ///
    /// # Errors
    /// If the spool can't be read.
    async fn oldest(&self) -> Result<Option<Timestamp>, AnyFault>;

    /// Messages captured since the spool was made, whether confirmed or not.
    ///
    /// # Errors
    /// If the spool can't be read.
    async fn captured(&self) -> Result<u64, AnyFault>;
}
