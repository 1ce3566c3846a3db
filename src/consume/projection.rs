//! What the mirror should show, read from the store.

use crate::fault::AnyFault;
use crate::ports::{Bus, Clock, ConversationFilter, MirrorRow, MirrorStatus, Projection, Store};

/// Reads everything that the mirror should show now.
///
/// The reads are not one snapshot: a change between them is followed by its own event, and by a
/// projection that shows it.
///
/// # Errors
/// As the store's and the bus's.
pub async fn load(store: &dyn Store, bus: &dyn Bus, clock: &dyn Clock) -> Result<Projection, AnyFault> {
    let conversations = store.conversations(&ConversationFilter::default()).await?;
    let mut analyses = store.latest_analyses().await?;
    let last_capture_at = conversations.iter().map(|conversation| conversation.updated_at).max();
    let rows = conversations
        .into_iter()
        .map(|conversation| MirrorRow { analysis: analyses.remove(&conversation.key), conversation })
        .collect();
    let status = MirrorStatus {
        accounts: store.accounts().await?,
        last_capture_at,
        written_at: clock.now(),
        open_gaps: store.open_gaps().await?.len() as u64,
        dead_letters: bus.dead_letters().await?,
        analyses_wait: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Projection { rows, status })
}
