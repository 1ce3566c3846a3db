//! What every store does: one row per key whatever arrives how often in which order, and counters
//! that always agree with the rows.

mod archive;
mod reading;
mod records;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{AccountId, ConversationKey, Direction, Message, MessageKey, Origin, Precision};
use chatferry::ports::{Archived, DueRule, MessageRange, Store, StoredMessage};
use jiff::Timestamp;

pub use self::archive::*;
pub use self::reading::*;
pub use self::records::*;

/// How to reach an adapter's store.
#[async_trait]
pub trait StoreFixture: Send + Sync {
    /// Opens the store, empty at first. Called again: the same store, as a restarted daemon finds it;
    /// everything from before is dead.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Gives every check of the suite to an adapter, as a test of its own.
macro_rules! store_contract {
    ($fixture:expr) => {
        store_contract!(@each $fixture;
            a_message_reads_back_as_it_was_and_survives_a_restart
            archiving_twice_changes_nothing
            the_order_of_arrival_does_not_matter
            thirty_two_at_once_make_one_row
            the_later_observation_stays
            many_archivers_of_one_conversation_count_it_right
            texts_that_look_like_commands_stay_texts
            a_new_position_is_a_revision_and_moves_the_last_message
            a_later_title_stays
            news_is_due_after_silence_but_not_later_than_the_longest_wait
            a_request_ends_being_due_unless_there_is_newer
            an_edit_is_news_and_is_not_lost_between_question_and_request
            due_conversations_come_longest_first
            conversations_come_newest_first
            a_window_on_messages_is_exact
            the_first_analysis_of_an_id_stays
            the_latest_analysis_covers_most
            an_analysis_is_found_by_analyst_and_by_question
            an_older_account_state_never_replaces_a_newer
            a_gap_is_open_once_and_closes
            what_was_mirrored_is_replaced
        );
    };
    (@each $fixture:expr; $($check:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            crate::store::$check(&$fixture).await;
        }
    )*};
}

pub(crate) const RULE: DueRule = DueRule { quiet: Duration::from_secs(90), max_wait: Duration::from_secs(300) };

/// Seconds after a fixed moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).unwrap()
}

pub(crate) fn account(label: &str) -> AccountId {
    format!("demo/{label}").parse().unwrap()
}

pub(crate) fn conversation(id: &str) -> ConversationKey {
    ConversationKey::new(&account("default"), id)
}

pub(crate) fn key(id: &str, n: i64) -> MessageKey {
    MessageKey::native(&conversation(id), &n.to_string())
}

/// Message `n` of conversation `id`: at position 10·n, sent and observed at second n.
pub(crate) fn captured(id: &str, n: i64) -> MessageCaptured {
    MessageCaptured {
        account: account("default"),
        conversation: ConversationRef { key: conversation(id), id: id.to_owned(), title: "Anna 🙂".into() },
        message: Message {
            key: key(id, n),
            native_id: Some(n.to_string()),
            author: "Anna".into(),
            direction: if n % 2 == 0 { Direction::In } else { Direction::Out },
            text: format!("message {n}\nشكرا 'quoted' \u{0}").into(),
            sent_at: Some(at(n)),
            sent_at_precision: Precision::Minute,
            observed_at: at(n),
            attachments: Vec::new(),
            position: n * 10,
        },
        origin: Origin::Backfill,
        revision: 0,
    }
}

pub(crate) fn revised(of: &MessageCaptured, revision: u32, observed: i64, text: &str) -> MessageCaptured {
    let mut version = of.clone();
    version.revision = revision;
    version.message.observed_at = at(observed);
    version.message.text = text.into();
    version
}

pub(crate) async fn archive(store: &dyn Store, batch: &[MessageCaptured]) -> (u64, u64, u64) {
    let Archived { inserted, revised, duplicates } = store.archive(batch, RULE, at(1000)).await.unwrap();
    (inserted, revised, duplicates)
}

pub(crate) async fn all(store: &dyn Store, id: &str) -> Vec<StoredMessage> {
    store.messages(&conversation(id), MessageRange::default()).await.unwrap()
}
