//! Which of two versions of one message stays: the same answer in every store, whatever arrives first.

use crate::domain::event::MessageCaptured;

/// What decides between two versions of one message, in this order.
///
/// The time of observation stands before the revision: a revision is counted by one spool, and begins
/// anew when that spool is lost or when another machine takes the account over. Content and position
/// come last and only make the choice independent of the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    /// Microseconds since 1970 UTC.
    pub observed_at: i64,
    /// As counted by the spool that captured it.
    pub revision: u32,
    /// A hash of what a reader sees.
    pub content: [u8; 16],
    /// Where it stands.
    pub position: i64,
}

impl Version {
    /// That of a captured message.
    pub fn of(captured: &MessageCaptured) -> Self {
        Self {
            observed_at: captured.message.observed_at.as_microsecond(),
            revision: captured.revision,
            content: captured.message.content_digest(),
            position: captured.message.position,
        }
    }

    /// True if a reader would notice that this version took the place of `known`: a later look at an
    /// unchanged message only moves the time of observation, or begins the count of revisions anew.
    pub fn revises(&self, known: &Self) -> bool {
        self.content != known.content || self.position != known.position
    }
}
