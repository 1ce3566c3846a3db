//! What the mirror should show, read from the store, and a hash per row to tell whether it does.

use std::collections::HashMap;

use crate::domain::{Conversation, ConversationKey};
use crate::fault::AnyFault;
use crate::ports::{Bus, Clock, ConversationFilter, MirrorRow, MirrorStatus, Projection, Store};

/// The content of each row as the viewer sees it, by conversation.
pub type RowHashes = HashMap<ConversationKey, [u8; 16]>;

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

/// A hash per row, equal as long as the row would look the same.
pub fn hashes(projection: &Projection) -> RowHashes {
    projection.rows.iter().map(|row| (row.conversation.key, hash(row))).collect()
}

fn hash(row: &MirrorRow) -> [u8; 16] {
    // Every field by name: a new one must be looked at here before this compiles.
    let Conversation {
        key,
        account,
        native_id,
        title,
        messages,
        last_message,
        last_sent_at,
        updated_at,
        due_at: _, // not shown
    } = &row.conversation;
    let mut hasher = blake3::Hasher::new();
    let mut add = |field: &[u8]| {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    };
    add(key.as_bytes());
    add(account.to_string().as_bytes());
    add(native_id.as_bytes());
    add(title.expose().as_bytes());
    add(&messages.to_le_bytes());
    add(last_message.map(|key| key.to_string()).unwrap_or_default().as_bytes());
    add(last_sent_at.map(|at| at.to_string()).unwrap_or_default().as_bytes());
    add(updated_at.to_string().as_bytes());
    // Under one id an analysis only changes for one that was made later.
    add(row.analysis.as_ref().map(|analysis| analysis.id.to_string()).unwrap_or_default().as_bytes());
    add(row.analysis.as_ref().map(|analysis| analysis.created_at.to_string()).unwrap_or_default().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes
}
