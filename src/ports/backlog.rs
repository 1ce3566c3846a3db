//! What waits in front of the bus.

use async_trait::async_trait;

use crate::fault::AnyFault;

/// The spool, seen by those who only count.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// How many events and gaps the next stage has not confirmed yet.
    ///
    /// # Errors
    /// Retryable if nobody can tell now.
    async fn pending(&self) -> Result<u64, AnyFault>;

    /// How many messages were captured so far.
    ///
    /// # Errors
    /// Retryable if nobody can tell now.
    async fn captured(&self) -> Result<u64, AnyFault>;
}
