//! Keeping what was read: news, edits and gaps go into the spool, in one transaction per conversation.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::doubt::{self, Doubt};
use super::{Pass, Read};
use crate::collect::error::CollectError;
use crate::collect::history::{History, Reach};
use crate::collect::resolve::{Begin, Reader, difference};
use crate::collect::spool::{Capture, Cursor};
use crate::domain::conversation::ConversationRef;
use crate::domain::event::MessageCaptured;
use crate::domain::{ConversationKey, Envelope, Event, Gap, GapReason, Message, MessageKey, Origin};
use crate::lifecycle::{CrashPoint, crash_point};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{ConversationRead, GapRecorded, LiveMissed, RowsLeftOut};

impl Pass<'_> {
    /// Puts what is new into the spool, in one transaction.
    pub(super) async fn keep(
        &self,
        reader: &Reader<'_>,
        cursor: &Cursor,
        row_digest: [u8; 16],
        history: History,
    ) -> Result<Read, CollectError> {
        let conversation = reader.conversation;
        let begin = match history.reach {
            Reach::Start => Begin::AtStart,
            Reach::Known | Reach::Window => Begin::Anywhere,
            Reach::Short(_) => Begin::AtLimit,
        };
        let resolved = reader.resolve(&history.rows, begin);
        refuse_doubtful(doubt::of_rows(&resolved))?;
        let messages = resolved.messages.len();
        let seen_from = resolved.messages.first().and_then(|message| message.sent_at);
        let newest = resolved.messages.iter().filter_map(|message| message.sent_at).max();
        // A reading that ends early is whole all the same if it joins what was once read to its start.
        let meets_known = resolved.messages.first().is_some_and(|first| cursor.joins(&first.key));
        let gap = match history.reach {
            Reach::Short(reason) if !meets_known => Some(reason),
            Reach::Window => cursor.open_gap,
            Reach::Start | Reach::Known | Reach::Short(_) => None,
        };
        let is_window = history.reach == Reach::Window;
        let is_apart = gap.is_some()
            && !cursor.messages.is_empty()
            && !resolved.messages.iter().any(|message| cursor.messages.contains_key(&message.key));
        let unreadable = resolved.unreadable;
        let keys: Vec<MessageKey> = resolved.messages.iter().map(|message| message.key).collect();
        let changed = difference(resolved.messages, cursor);
        refuse_doubtful(doubt::of_news(&conversation.key, &keys, &changed, cursor))?;
        let mut missed = 0;
        let events = changed
            .fresh
            .into_iter()
            .map(|(message, known)| {
                let key = message.key;
                let origin = self.origin(is_window || cursor.complete, &message);
                missed += u64::from(origin == Origin::Reconcile);
                let captured = MessageCaptured {
                    account: self.account.id.clone(),
                    conversation: conversation.clone(),
                    message,
                    origin,
                    revision: known.revision,
                };
                (Envelope::new(Event::MessageCaptured(Box::new(captured)), reader.observed_at), key, known)
            })
            .collect();
        let complete = if is_window { cursor.complete } else { gap.is_none() };
        let gaps = self.gap_news(conversation.key, cursor, gap, seen_from);
        let capture = Capture {
            account: self.account.id.clone(),
            conversation: conversation.clone(),
            epoch: self.epoch,
            observed_at: reader.observed_at,
            complete,
            // A conversation with a hole is read again, whatever its row shows.
            row_digest: if is_window { cursor.row_digest } else { gap.is_none().then_some(row_digest) },
            events,
            recalled: cursor.recalled.as_ref().map(|recalled| recalled.messages.clone()),
            open_gap: gap,
            gaps,
        };
        let is_news = !capture.events.is_empty()
            || cursor.row_digest != capture.row_digest
            || cursor.open_gap != gap
            || complete != cursor.complete
            || cursor.recalled.is_some();
        if is_news {
            self.spool.commit(capture).await?;
        }
        crash_point(CrashPoint::SpoolCommitted);
        let (account, key) = (&self.account.id, conversation.key);
        ConversationRead { account, conversation: key, messages: messages as u64, new: changed.new }
            .emit(self.counters);
        if let Some(reason) = gap.filter(|_| gap != cursor.open_gap) {
            GapRecorded { account, conversation: Some(key), reason }.emit(self.counters);
        }
        if missed > 0 {
            LiveMissed { account, conversation: key, messages: missed }.emit(self.counters);
        }
        // A row that is just being built is told of again when it is there.
        if unreadable > 0 && !is_window {
            RowsLeftOut { account, conversation: key, rows: unreadable }.emit(self.counters);
        }
        Ok(Read { messages, new: changed.new, revised: changed.revised, newest, gap, is_apart })
    }

    /// How a message came to be found. A sweep finds what watching missed, but for what came while it ran.
    fn origin(&self, was_complete: bool, message: &Message) -> Origin {
        match self.plan.sweep_since {
            _ if !was_complete => Origin::Backfill,
            Some(since) if message.sent_at.is_none_or(|sent_at| sent_at < since) => Origin::Reconcile,
            Some(_) | None => Origin::Live,
        }
    }

    /// What the store must hear of gaps: that one closed, that another opened.
    fn gap_news(
        &self,
        conversation: ConversationKey,
        cursor: &Cursor,
        now: Option<GapReason>,
        seen_from: Option<Timestamp>,
    ) -> Vec<Gap> {
        // Those that another process left open are closed by us, who see what is in them.
        let mut over: BTreeSet<GapReason> = cursor.recalled.iter().flat_map(|it| it.gaps.iter().copied()).collect();
        over.extend(cursor.open_gap);
        over.retain(|reason| now != Some(*reason));
        let at = self.clock.now();
        let gap = |reason, closed_at| Gap {
            account: self.account.id.clone(),
            conversation: Some(conversation),
            reason,
            seen_from,
            since: at,
            closed_at,
        };
        let opened = now.filter(|_| cursor.open_gap != now).map(|reason| gap(reason, None));
        over.into_iter().map(|reason| gap(reason, Some(at))).chain(opened).collect()
    }

    pub(super) async fn record_unreadable(
        &self,
        conversation: &ConversationRef,
        cursor: &Cursor,
    ) -> Result<(), CollectError> {
        let reason = GapReason::ConversationUnreadable;
        let capture = Capture {
            account: self.account.id.clone(),
            conversation: conversation.clone(),
            epoch: self.epoch,
            observed_at: cursor.observing(self.clock.now()),
            complete: cursor.complete,
            // Forgotten, so that the next pass tries again.
            row_digest: None,
            events: Vec::new(),
            // Not read, so what was recalled is recalled again.
            recalled: None,
            open_gap: Some(reason),
            gaps: self.gap_news(conversation.key, cursor, Some(reason), None),
        };
        self.spool.commit(capture).await?;
        GapRecorded { account: &self.account.id, conversation: Some(conversation.key), reason }.emit(self.counters);
        Ok(())
    }
}

/// A reading in doubt is not kept.
fn refuse_doubtful(doubt: Option<Doubt>) -> Result<(), CollectError> {
    doubt.map_or(Ok(()), |(field, problem)| Err(CollectError::LayoutBroken { field: field.to_owned(), problem }))
}
