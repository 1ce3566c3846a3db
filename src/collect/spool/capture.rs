//! What goes into the spool and comes out of it.

use std::collections::HashMap;

use crate::domain::conversation::ConversationRef;
use crate::domain::{AccountId, Envelope, Gap, GapReason, MessageKey};
use crate::ports::Outgoing;

/// What the spool remembers of one captured message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Hash of what a reader would notice.
    pub content: [u8; 16],
    /// How often the content changed.
    pub revision: u32,
    /// Where it stands.
    pub position: i64,
}

/// What is known of a conversation before it is read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Its history was once read back to its start, as far as the site shows it.
    pub complete: bool,
    /// Hash of its row in the list when it was last read.
    pub row_digest: Option<[u8; 16]>,
    /// What could not be seen of it.
    pub open_gap: Option<GapReason>,
    /// Its messages.
    pub messages: HashMap<MessageKey, Known>,
}

/// What one reading of a conversation found.
#[derive(Debug)]
pub struct Capture {
    /// The account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationRef,
    /// The epoch of the lease under which it was read.
    pub epoch: Option<u64>,
    /// True if nothing is missing between its start and its end.
    pub complete: bool,
    /// Hash of its row in the list; `None`: read it again next time, whatever the row shows.
    pub row_digest: Option<[u8; 16]>,
    /// New and changed messages as events, oldest first, with what to remember of each.
    pub events: Vec<(Envelope, MessageKey, Known)>,
    /// What can't be seen of it.
    pub open_gap: Option<GapReason>,
    /// News about gaps for the store; `closed_at` set: what can be seen again.
    pub gaps: Vec<Gap>,
}

/// A gap that the store should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingGap {
    /// Its place in the spool.
    pub seq: i64,
    /// The gap.
    pub gap: Gap,
    /// The epoch of the lease under which it was seen.
    pub epoch: Option<u64>,
}

/// An event that waits for its confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the spool.
    pub seq: i64,
    /// The event.
    pub outgoing: Outgoing,
}
