//! What goes into the spool and comes out of it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::conversation::ConversationRef;
use crate::domain::{AccountId, Envelope, Gap, GapReason, MessageKey};
use crate::ports::{Outgoing, StoredMessage};

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
    /// The epoch of the lease under which it was last read; under another one somebody else may have read it.
    pub epoch: Option<u64>,
    /// The time that the last reading went by, ours or what the store holds of another's.
    pub observed_at: Option<Timestamp>,
    /// What was learnt from the store because of that; it is ours once a reading is committed with it.
    pub recalled: Option<Recalled>,
}

/// What the store holds of a conversation, where that differs from what this spool remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// Messages that the spool did not know, or knew otherwise.
    pub messages: Vec<(MessageKey, Known)>,
    /// Those that it did not know. What is older than one of them may have been seen by nobody.
    pub strange: HashSet<MessageKey>,
    /// Gaps that are open in the store.
    pub gaps: Vec<GapReason>,
}

impl Cursor {
    /// True if a reading that begins with this message joins what this process once read to its start.
    pub fn joins(&self, first: &MessageKey) -> bool {
        let is_strange = self.recalled.as_ref().is_some_and(|recalled| recalled.strange.contains(first));
        self.complete && self.messages.contains_key(first) && !is_strange
    }

    /// What a reading that happens `now` goes by. Of two versions of a message the store keeps the one that
    /// was observed later: after a clock was set back, or on a machine whose clock is behind, an edit would
    /// look older than what it replaces.
    pub fn observing(&self, now: Timestamp) -> Timestamp {
        let next = self.observed_at.and_then(|last| last.checked_add(SignedDuration::from_micros(1)).ok());
        next.map_or(now, |next| next.max(now))
    }

    /// The same with what the store holds by now: positions that another process gave must be gone on
    /// with, its edits be known, and its gaps be closed by whoever sees what is in them.
    #[must_use]
    pub fn recall(mut self, stored: &[StoredMessage], gaps: Vec<GapReason>) -> Self {
        let mut recalled = Recalled { gaps, ..Recalled::default() };
        for message in stored.iter().map(|stored| &stored.message) {
            self.observed_at = self.observed_at.max(Some(message.observed_at));
            let before = self.messages.get(&message.key).copied();
            let known = Known {
                content: message.content_digest(),
                revision: before.map_or(0, |before| before.revision),
                position: message.position,
            };
            if before.is_none() {
                recalled.strange.insert(message.key);
            }
            if before != Some(known) {
                recalled.messages.push((message.key, known));
                self.messages.insert(message.key, known);
            }
        }
        self.recalled = Some(recalled);
        self
    }
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
    /// The time that the reading went by: [`Cursor::observing`].
    pub observed_at: Timestamp,
    /// True if nothing is missing between its start and its end.
    pub complete: bool,
    /// Hash of its row in the list; `None`: read it again next time, whatever the row shows.
    pub row_digest: Option<[u8; 16]>,
    /// New and changed messages as events, oldest first, with what to remember of each.
    pub events: Vec<(Envelope, MessageKey, Known)>,
    /// What was recalled before it was read; `None` if nothing needed to be.
    pub recalled: Option<Vec<(MessageKey, Known)>>,
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
