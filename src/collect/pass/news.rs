//! What the page told by itself, kept exactly as what a pass reads: same reader, same difference, same
//! transaction.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Pass, Seen};
use crate::collect::error::CollectError;
use crate::collect::history::{History, Reach};
use crate::collect::resolve::{Begin, Reader};
use crate::collect::verdict::{self, Drift};
use crate::domain::conversation::ConversationRef;
use crate::ports::page::ThreadReading;
use crate::selectors::moment::Frame;
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::NewsTold;

/// A page's clock is this machine's; what is further off than this is no time of a change.
const CLOCK_TRUST: SignedDuration = SignedDuration::from_secs(10);

/// What became of a window that the page told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is in the spool; no news if all was known.
    Kept(Seen),
    /// It does not join what is known, or does not look as it should: the conversation must be read.
    Apart,
}

impl Pass<'_> {
    /// Keeps a window of the open conversation that begins at a message which is known.
    ///
    /// Only such a window is sure to belong to this conversation: a page that is on its way to another
    /// one may name the one and show the other.
    ///
    /// # Errors
    /// Those of spool and store.
    pub async fn keep_window(
        &self,
        conversation: &ConversationRef,
        window: ThreadReading,
        appeared_at: Option<Timestamp>,
    ) -> Result<Told, CollectError> {
        let pack = &self.account.pack.pack;
        let ThreadReading { rows, matches, .. } = window;
        let cursor = self.spool.cursor(conversation.key).await?;
        let cursor = self.recall(cursor, conversation.key).await?;
        let now = self.clock.now();
        let appeared_at =
            appeared_at.filter(|at| at.duration_until(now).abs() < CLOCK_TRUST).map_or(now, |at| at.min(now));
        let zone = TimeZone::get(&pack.site.time_zone).unwrap_or(TimeZone::UTC);
        let frame = Frame::new(zone, now);
        let observed_at = cursor.observing(appeared_at);
        let reader = Reader { pack, frame: &frame, conversation, username: self.account.username(), observed_at };
        let resolved = reader.resolve(&rows, Begin::Anywhere);
        let joins = resolved.messages.first().is_some_and(|first| cursor.messages.contains_key(&first.key));
        // Whether a gap that another one noted is closed is for a reading to say, not for a window.
        let is_foreign = cursor.recalled.as_ref().is_some_and(|recalled| !recalled.gaps.is_empty());
        // A fallback reads as well as the first choice.
        let is_amiss = verdict::drifts(pack, &matches).iter().any(|drift| matches!(drift, Drift::Missing { .. }));
        if !joins || is_foreign || is_amiss {
            return Ok(Told::Apart);
        }
        let history = History { rows, matches, reach: Reach::Window };
        // A window changes nothing of what is known of the row.
        let read = match self.keep(&reader, &cursor, [0; 16], history).await {
            Err(CollectError::LayoutBroken { .. }) => return Ok(Told::Apart),
            read => read?,
        };
        let seen = read.seen();
        if seen.news > 0 {
            let messages = seen.news;
            NewsTold { account: &self.account.id, conversation: conversation.key, messages }.emit(self.counters);
        }
        Ok(Told::Kept(seen))
    }
}
