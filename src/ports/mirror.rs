//! The one-way projection that viewers open.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ids::digest;
use crate::domain::{AccountStatus, Analysis, Conversation, ConversationKey, Text, Verdict};
use crate::fault::{AnyFault, Class, Code};

/// One row: a conversation and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorRow {
    /// The conversation.
    pub conversation: Conversation,
    /// Its latest analysis.
    pub analysis: Option<Analysis>,
}

/// What the `_status` tab shows: whether the sheet can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorStatus {
    /// Every account's state.
    pub accounts: Vec<AccountStatus>,
    /// When a message last reached the store.
    pub last_capture_at: Option<Timestamp>,
    /// When this projection was made.
    pub written_at: Timestamp,
    /// Intervals that could not be seen.
    pub open_gaps: u64,
    /// Events that wait for a human.
    pub dead_letters: u64,
    /// What keeps summaries from following the messages, if anything does: a budget that is used up, in a
    /// sentence.
    pub analyses_wait: Option<String>,
    /// The version of the daemon.
    pub version: String,
}

/// Everything the mirror should show.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// One row per conversation, the newest message first.
    pub rows: Vec<MirrorRow>,
    /// The state of the system.
    pub status: MirrorStatus,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorOutcome {
    /// Rows that the mirror now holds.
    pub rows: u64,
    /// The sum of their message counts.
    pub messages: u64,
    /// Where a person finds it: a path or an address without a secret.
    pub location: String,
}

/// What each row showed when it was last written for certain, by conversation: [`MirrorRow::fingerprint`].
pub type Shown = HashMap<ConversationKey, [u8; 16]>;

/// The target of a mirror that is a workbook on this machine.
pub const WORKBOOK: &str = "workbook";

/// What is known about the mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorState {
    /// What the last successful write did.
    pub outcome: Option<MirrorOutcome>,
    /// When that was.
    pub written_at: Option<Timestamp>,
    /// Why the last attempt failed, if it did: what the mirror shows may be out of date.
    pub fault: Option<MirrorFault>,
}

/// Why the mirror is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorFault {
    /// The stable name.
    pub code: Code,
    /// What is wrong.
    pub sentence: String,
    /// What a human should do.
    pub action: String,
    /// No repetition helps: it waits for a human.
    pub is_parked: bool,
    /// When it began.
    pub since: Timestamp,
}

impl MirrorFault {
    /// The fault that began at `since`.
    pub fn new(fault: &AnyFault, since: Timestamp) -> Self {
        let is_parked = fault.class() == Class::Permanent;
        Self { code: fault.code(), sentence: fault.chain(), action: fault.action(), is_parked, since }
    }
}

/// A mirror.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// Makes the mirror show the projection: all of it, or what was there before. A mirror that is
    /// written row by row leaves out the rows that show what `shown` says already, and may have written
    /// some of the others when it fails.
    ///
    /// # Errors
    /// Retryable if the target is locked, full or away; permanent if it is not ours to write.
    async fn write(&self, projection: &Projection, shown: &Shown) -> Result<MirrorOutcome, AnyFault>;

    /// Under which name the store notes what this mirror shows: [`WORKBOOK`] or the sheet's id. What one target shows
    /// says nothing about another.
    fn target(&self) -> &str;
}

impl Projection {
    /// The fingerprint of each row.
    pub fn fingerprints(&self) -> Shown {
        self.rows.iter().map(|row| (row.conversation.key, row.fingerprint())).collect()
    }
}

impl MirrorRow {
    /// The person or group: the conversation's title.
    pub const fn person(&self) -> &Text {
        &self.conversation.title
    }

    /// A hash of everything that a mirror may show of this row: equal as long as the row looks the same.
    pub fn fingerprint(&self) -> [u8; 16] {
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
            due_at: _,
        } = &self.conversation;
        let mut fields: Vec<Vec<u8>> = vec![
            key.as_bytes().to_vec(),
            account.to_string().into_bytes(),
            native_id.clone().into_bytes(),
            title.expose().as_bytes().to_vec(),
            messages.to_le_bytes().to_vec(),
            last_message.map(|key| key.to_string()).unwrap_or_default().into_bytes(),
            last_sent_at.map(|at| at.to_string()).unwrap_or_default().into_bytes(),
            updated_at.to_string().into_bytes(),
        ];
        if let Some(analysis) = &self.analysis {
            // An analysis may be replaced under its id, by one that covers more messages.
            let Analysis { id, messages, verdict, model, prompt_version, created_at, .. } = analysis;
            let Verdict { summary, topics, sentiment, priority, needs_reply, risk_flags, .. } = verdict;
            fields.extend([
                id.to_string().into_bytes(),
                messages.to_le_bytes().to_vec(),
                summary.expose().as_bytes().to_vec(),
                sentiment.as_str().as_bytes().to_vec(),
                priority.as_str().as_bytes().to_vec(),
                vec![u8::from(*needs_reply)],
                model.clone().into_bytes(),
                prompt_version.clone().into_bytes(),
                created_at.to_string().into_bytes(),
                (topics.len() as u64).to_le_bytes().to_vec(),
            ]);
            fields.extend(topics.iter().map(|topic| topic.expose().as_bytes().to_vec()));
            fields.extend(risk_flags.iter().map(|flag| flag.risk.as_str().as_bytes().to_vec()));
        }
        // The number at the end is that of the rows' looks: a new column makes every row another one.
        digest("mirror-row-2", &fields.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}
