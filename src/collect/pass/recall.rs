//! What others have found: an account that changes hands is read on from where the store stands, not
//! from where this process's own spool stopped, perhaps weeks ago.
//!
//! Without it two processes would count positions each from its own beginning, and the messages of the
//! one would stand in the middle of those of the other; an edit that was taken back while another one
//! held the account would go unseen, and a gap that another one noted would never close.

use super::Pass;
use crate::collect::error::CollectError;
use crate::collect::spool::Cursor;
use crate::domain::ConversationKey;
use crate::ports::MessageRange;

impl Pass<'_> {
    /// The cursor as it was, if the conversation was last read under this very lease; else with what the
    /// store holds by now. A dry run has no lease, and asks nobody.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn recall(&self, cursor: Cursor, key: ConversationKey) -> Result<Cursor, CollectError> {
        if self.epoch.is_none() || cursor.epoch == self.epoch {
            return Ok(cursor);
        }
        let stored = self.store.messages(&key, MessageRange::default()).await?;
        let gaps = self.store.open_gaps().await?;
        let gaps = gaps.into_iter().filter(|gap| gap.conversation == Some(key)).map(|gap| gap.reason).collect();
        Ok(cursor.recall(&stored, gaps))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::Timestamp;

    use super::*;
    use crate::collect::resolve::difference;
    use crate::collect::spool::{Capture, Spool};
    use crate::domain::conversation::ConversationRef;
    use crate::domain::event::MessageCaptured;
    use crate::domain::{
        AccountId, Direction, Envelope, Event, GapReason, Message, MessageKey, Origin, Precision, Text,
    };
    use crate::ports::StoredMessage;

    /// What the store keeps: of two versions the one that was observed later.
    #[derive(Default)]
    struct Kept(HashMap<MessageKey, Message>);

    impl Kept {
        fn stored(&self) -> Vec<StoredMessage> {
            self.0.values().map(|message| StoredMessage { message: message.clone(), origin: Origin::Live }).collect()
        }

        fn take(&mut self, message: &Message) {
            let stored = self.0.entry(message.key).or_insert_with(|| message.clone());
            if message.observed_at > stored.observed_at {
                *stored = message.clone();
            }
        }

        fn texts(&self) -> Vec<String> {
            let mut messages: Vec<&Message> = self.0.values().collect();
            messages.sort_by_key(|message| (message.position, message.key));
            messages.iter().map(|message| message.text.expose().to_owned()).collect()
        }
    }

    fn conversation() -> ConversationRef {
        let account: AccountId = "demo/default".parse().unwrap();
        ConversationRef { key: ConversationKey::new(&account, "7"), id: "7".to_owned(), title: "Mia".into() }
    }

    fn message(id: &str, text: &str, observed_at: Timestamp) -> Message {
        Message {
            key: MessageKey::native(&conversation().key, id),
            native_id: Some(id.to_owned()),
            author: "Mia".into(),
            direction: Direction::In,
            text: Text::from(text),
            sent_at: None,
            sent_at_precision: Precision::Unknown,
            observed_at,
            attachments: Vec::new(),
            position: 0,
        }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// One process with a spool of its own reads what the page shows, under a lease; how much it published.
    async fn read(spool: &Spool, kept: &mut Kept, epoch: u64, page: &[&str]) -> usize {
        read_at(spool, kept, epoch, second(epoch.cast_signed()), page).await
    }

    /// The same at a time by its clock.
    async fn read_at(spool: &Spool, kept: &mut Kept, epoch: u64, now: Timestamp, page: &[&str]) -> usize {
        let conversation = conversation();
        let before = spool.cursor(conversation.key).await.unwrap();
        let cursor = if before.epoch == Some(epoch) { before } else { before.recall(&kept.stored(), Vec::new()) };
        let observed_at = cursor.observing(now);
        // The first letter is the id, so that a text can be edited.
        let messages = page.iter().map(|text| message(&text[..1], text, observed_at)).collect();
        let mut events = Vec::new();
        for (message, known) in difference(messages, &cursor).fresh {
            kept.take(&message);
            let key = message.key;
            let captured = MessageCaptured {
                account: "demo/default".parse().unwrap(),
                conversation: conversation.clone(),
                message,
                origin: Origin::Live,
                revision: known.revision,
            };
            events.push((Envelope::new(Event::MessageCaptured(Box::new(captured)), observed_at), key, known));
        }
        let published = events.len();
        let capture = Capture {
            account: "demo/default".parse().unwrap(),
            conversation,
            epoch: Some(epoch),
            observed_at,
            complete: true,
            row_digest: None,
            events,
            recalled: cursor.recalled.map(|recalled| recalled.messages),
            open_gap: None,
            gaps: Vec::new(),
        };
        spool.commit(capture).await.unwrap();
        published
    }

    #[tokio::test]
    async fn two_spools_that_take_turns_agree_about_order_and_edits() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(|folder| Spool::open(folder.path(), false).unwrap());
        let mut kept = Kept::default();
        // The first reading ends early; the next one finds what is older, below.
        read(&one, &mut kept, 1, &["c", "d"]).await;
        read(&one, &mut kept, 1, &["a", "b", "c", "d"]).await;
        // Another one takes over; the site no longer shows the oldest, and somebody edits.
        assert_eq!(read(&two, &mut kept, 2, &["b", "c", "d, edited", "e"]).await, 2, "only what is new");
        assert_eq!(kept.texts(), ["a", "b", "c", "d, edited", "e"]);
        // And back: the edit is taken back, and there is news.
        read(&one, &mut kept, 3, &["b", "c", "d", "e", "f"]).await;
        assert_eq!(kept.texts(), ["a", "b", "c", "d", "e", "f"]);
        read(&one, &mut kept, 3, &["b", "c", "d", "e", "f", "g"]).await;
        assert_eq!(kept.texts(), ["a", "b", "c", "d", "e", "f", "g"]);
    }

    #[tokio::test]
    async fn an_edit_is_kept_although_the_clock_went_back() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(|folder| Spool::open(folder.path(), false).unwrap());
        let mut kept = Kept::default();
        read_at(&one, &mut kept, 1, second(5_000), &["a"]).await;
        read_at(&one, &mut kept, 1, second(1_000), &["a, edited"]).await;
        assert_eq!(kept.texts(), ["a, edited"], "the clock was set");
        read_at(&two, &mut kept, 2, second(0), &["a, edited again"]).await;
        assert_eq!(kept.texts(), ["a, edited again"], "another machine is behind");
        read_at(&two, &mut kept, 2, second(9_000), &["a"]).await;
        assert_eq!(kept.0.values().map(|message| message.observed_at).collect::<Vec<_>>(), [second(9_000)]);
    }

    #[test]
    fn what_another_one_saw_does_not_vouch_for_what_is_older() {
        let own = message("a", "a", second(1));
        let known = difference(vec![own.clone()], &Cursor::default()).fresh[0].1;
        let cursor = Cursor { complete: true, messages: HashMap::from([(own.key, known)]), ..Cursor::default() };
        let theirs = message("z", "z", second(2));
        let stored = [StoredMessage { message: theirs.clone(), origin: Origin::Live }];
        let cursor = cursor.recall(&stored, vec![GapReason::HistoryLimit]);
        assert!(cursor.messages.contains_key(&theirs.key) && !cursor.joins(&theirs.key));
        assert!(cursor.joins(&own.key));
        assert_eq!(cursor.recalled.unwrap().gaps, [GapReason::HistoryLimit]);
    }
}
