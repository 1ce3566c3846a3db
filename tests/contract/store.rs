//! What every store does: one row per key whatever arrives how often in which order, and counters
//! that always agree with the rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{
    AccountId, AccountState, AccountStatus, Analysis, AnalysisId, Attachment, ConversationKey, Direction, Gap,
    GapReason, Message, MessageKey, Origin, Precision, Priority, Sentiment,
};
use chatferry::fault::Code;
use chatferry::ports::{Archived, ConversationFilter, DueRule, MessageRange, Store, StoredMessage};
use jiff::Timestamp;
use proptest::strategy::{Just, Strategy, ValueTree};

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
            the_higher_revision_stays
            a_new_position_is_a_revision_and_moves_the_last_message
            a_later_title_stays
            news_is_due_after_silence_but_not_later_than_the_longest_wait
            a_request_ends_being_due_unless_there_is_newer
            due_conversations_come_longest_first
            conversations_come_newest_first
            a_window_on_messages_is_exact
            the_first_analysis_of_an_id_stays
            the_latest_analysis_covers_most
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

const RULE: DueRule = DueRule { quiet: Duration::from_secs(90), max_wait: Duration::from_secs(300) };

/// Seconds after a fixed moment.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).unwrap()
}

fn account(label: &str) -> AccountId {
    format!("demo/{label}").parse().unwrap()
}

fn conversation(id: &str) -> ConversationKey {
    ConversationKey::new(&account("default"), id)
}

fn key(id: &str, n: i64) -> MessageKey {
    MessageKey::native(&conversation(id), &n.to_string())
}

/// Message `n` of conversation `id`: at position 10·n, sent and observed at second n.
fn captured(id: &str, n: i64) -> MessageCaptured {
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

fn revised(of: &MessageCaptured, revision: u32, observed: i64, text: &str) -> MessageCaptured {
    let mut version = of.clone();
    version.revision = revision;
    version.message.observed_at = at(observed);
    version.message.text = text.into();
    version
}

async fn archive(store: &dyn Store, batch: &[MessageCaptured]) -> (u64, u64, u64) {
    let Archived { inserted, revised, duplicates } = store.archive(batch, RULE, at(1000)).await.unwrap();
    (inserted, revised, duplicates)
}

async fn all(store: &dyn Store, id: &str) -> Vec<StoredMessage> {
    store.messages(&conversation(id), MessageRange::default()).await.unwrap()
}

pub async fn a_message_reads_back_as_it_was_and_survives_a_restart(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let mut bare = captured("c", 2);
    bare.message.native_id = None;
    bare.message.sent_at = None;
    bare.message.sent_at_precision = Precision::Unknown;
    bare.message.attachments =
        vec![Attachment { url: "https://x.test/a?b=\"c\"".into() }, Attachment { url: "".into() }];
    bare.message.position = -7;
    bare.origin = Origin::Live;
    let batch = [captured("c", 1), bare];
    assert_eq!(archive(&*store, &batch).await, (2, 0, 0));
    let store = fixture.open().await;
    let stored =
        |captured: &MessageCaptured| StoredMessage { message: captured.message.clone(), origin: captured.origin };
    assert_eq!(all(&*store, "c").await, [stored(&batch[1]), stored(&batch[0])]);
    let conversation = store.conversation(&conversation("c")).await.unwrap().unwrap();
    assert_eq!(conversation.account, account("default"));
    assert_eq!((conversation.native_id.as_str(), conversation.title.expose()), ("c", "Anna 🙂"));
    assert_eq!((conversation.messages, conversation.last_message), (2, Some(key("c", 1))));
    assert_eq!((conversation.last_sent_at, conversation.updated_at), (Some(at(1)), at(1000)));
    assert_eq!(store.conversation(&self::conversation("unknown")).await.unwrap(), None);
    assert!(all(&*store, "unknown").await.is_empty());
}

pub async fn archiving_twice_changes_nothing(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let batch: Vec<MessageCaptured> = (0..50).map(|n| captured("c", n)).collect();
    assert_eq!(archive(&*store, &batch).await, (50, 0, 0));
    store.requested(&conversation("c"), &key("c", 49)).await.unwrap();
    let before = (all(&*store, "c").await, store.conversation(&conversation("c")).await.unwrap());
    let again = [batch.clone(), batch].concat();
    assert_eq!(
        store.archive(&again, RULE, at(5000)).await.unwrap(),
        Archived { duplicates: 100, ..Archived::default() }
    );
    assert_eq!((all(&*store, "c").await, store.conversation(&conversation("c")).await.unwrap()), before);
    assert_eq!(archive(&*store, &[]).await, (0, 0, 0));
}

/// F17. Edits, moves, retitlings and repetitions in any order and any batches give one result.
pub async fn the_order_of_arrival_does_not_matter(fixture: &impl StoreFixture) {
    let mut events = Vec::new();
    for n in 0..12 {
        let original = captured("c", n);
        events.push(original.clone());
        events.push(original.clone());
        if n % 3 == 0 {
            events.push(revised(&original, 1, 100 + n, "edited"));
            events.push(revised(&original, 2, 90 + n, "edited again"));
        }
        if n % 4 == 1 {
            let mut moved = original.clone();
            moved.message.position = 500 - n * 10;
            moved.message.observed_at = at(200 + n);
            moved.conversation.title = format!("Title {n}").into();
            events.push(moved);
        }
        if n % 5 == 2 {
            // Two readings of one moment that differ: any winner is right, but always the same.
            events.push(revised(&original, 0, n, "seen so"));
            events.push(revised(&original, 0, n, "seen otherwise"));
        }
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let shuffles = Just(events).prop_shuffle();
    let mut expected = None;
    for round in 0..12 {
        let store = fixture.open().await;
        // Every round is a conversation of its own, so that one store serves them all.
        let id = format!("c{round}");
        let rename = |mut event: MessageCaptured| {
            event.conversation.key = conversation(&id);
            event.message.key = MessageKey::native(&conversation(&id), event.message.native_id.as_deref().unwrap());
            event
        };
        let shuffled: Vec<MessageCaptured> =
            shuffles.new_tree(&mut runner).unwrap().current().into_iter().map(rename).collect();
        for batch in shuffled.chunks(1 + round * 3) {
            archive(&*store, batch).await;
        }
        let digest: Vec<_> = all(&*store, &id)
            .await
            .into_iter()
            .map(|s| (s.message.native_id, s.message.position, s.message.observed_at, s.message.text.into_inner()))
            .collect();
        let conversation = store.conversation(&conversation(&id)).await.unwrap().unwrap();
        let newest = conversation.last_message == all(&*store, &id).await.last().map(|last| last.message.key);
        assert!(newest, "round {round}: the last message is the last by position");
        assert_eq!(conversation.messages, 12);
        let summary = (digest, conversation.title.into_inner(), conversation.last_sent_at, conversation.due_at);
        assert_eq!(&summary, expected.get_or_insert_with(|| summary.clone()), "round {round}");
    }
}

/// F20.
pub async fn thirty_two_at_once_make_one_row(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..32 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let versions = [captured("c", 1), revised(&captured("c", 1), 1, n, "edited")];
            store.archive(&versions, RULE, at(1000)).await.unwrap()
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().map(|outcome| outcome.inserted).sum::<u64>(), 1);
    assert!(outcomes.iter().all(|o| o.inserted + o.revised + o.duplicates == 2));
    let stored = all(&*store, "c").await;
    assert_eq!((stored.len(), stored[0].message.text.expose(), stored[0].message.observed_at), (1, "edited", at(31)));
    assert_eq!(store.counts(None).await.unwrap().messages, 1);
}

pub async fn the_higher_revision_stays(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let original = captured("c", 1);
    let text = async || all(&*store, "c").await.remove(0).message.text.into_inner();
    // The second edit arrives first, and was even observed earlier.
    assert_eq!(archive(&*store, &[revised(&original, 2, 5, "second")]).await, (1, 0, 0));
    assert_eq!(archive(&*store, &[revised(&original, 1, 9, "first")]).await, (0, 0, 1));
    assert_eq!(archive(&*store, std::slice::from_ref(&original)).await, (0, 0, 1));
    assert_eq!(text().await, "second");
    // Of equal revisions the later observation.
    assert_eq!(archive(&*store, &[revised(&original, 2, 4, "older")]).await, (0, 0, 1));
    assert_eq!(text().await, "second");
    assert_eq!(archive(&*store, &[revised(&original, 2, 6, "newer")]).await, (0, 1, 0));
    assert_eq!(text().await, "newer");
    assert_eq!(archive(&*store, &[revised(&original, 3, 7, "third")]).await, (0, 1, 0));
    assert_eq!(text().await, "third");
    // A later look at the same is no revision.
    assert_eq!(archive(&*store, &[revised(&original, 3, 8, "third")]).await, (0, 0, 1));
    assert_eq!(store.conversation(&conversation("c")).await.unwrap().unwrap().messages, 1);
    // Also within one batch.
    let other = captured("c", 2);
    let batch = [revised(&other, 1, 3, "edited"), other.clone(), revised(&other, 2, 4, "twice")];
    assert_eq!(archive(&*store, &batch).await, (1, 1, 1));
}

pub async fn a_new_position_is_a_revision_and_moves_the_last_message(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    archive(&*store, &[captured("c", 1), captured("c", 2)]).await;
    let last = async || store.conversation(&conversation("c")).await.unwrap().unwrap();
    assert_eq!((last().await.last_message, last().await.last_sent_at), (Some(key("c", 2)), Some(at(2))));
    let mut moved = captured("c", 2);
    moved.message.position = -5;
    moved.message.observed_at = at(1);
    assert_eq!(archive(&*store, std::slice::from_ref(&moved)).await, (0, 0, 1), "an earlier look moves nothing");
    moved.message.observed_at = at(50);
    assert_eq!(archive(&*store, &[moved]).await, (0, 1, 0));
    assert_eq!((last().await.last_message, last().await.last_sent_at), (Some(key("c", 1)), Some(at(1))));
    assert_eq!(all(&*store, "c").await[0].message.key, key("c", 2));
    // Equal positions are ordered by key.
    let mut beside = captured("c", 3);
    beside.message.position = 10;
    archive(&*store, &[beside]).await;
    assert_eq!(last().await.last_message, Some(key("c", 1).max(key("c", 3))));
}

pub async fn a_later_title_stays(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let titled = |n: i64, observed: i64, title: &str| {
        let mut event = captured("c", n);
        event.conversation.title = title.into();
        event.message.observed_at = at(observed);
        event
    };
    let title = async || store.conversation(&conversation("c")).await.unwrap().unwrap().title.into_inner();
    archive(&*store, &[titled(1, 10, "Anna")]).await;
    archive(&*store, &[titled(2, 30, "Anna B.")]).await;
    archive(&*store, &[titled(3, 20, "Old name")]).await;
    assert_eq!(title().await, "Anna B.");
    // A repetition may bring a new title too.
    archive(&*store, &[titled(3, 40, "Anna C.")]).await;
    assert_eq!(title().await, "Anna C.");
}

pub async fn news_is_due_after_silence_but_not_later_than_the_longest_wait(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let due_at = async || store.conversation(&conversation("c")).await.unwrap().unwrap().due_at;
    assert_eq!(store.next_due().await.unwrap(), None);
    // One message a minute: quiet (90 s) never comes, the longest wait (300 s) does.
    for (n, expected) in [(0, 90), (60, 150), (120, 210), (180, 270), (240, 300), (299, 300)] {
        store.archive(&[captured("c", n)], RULE, at(n)).await.unwrap();
        assert_eq!(due_at().await, Some(at(expected)), "after {n} s");
    }
    // Neither a repetition nor an edit is news.
    store.archive(&[captured("c", 0), revised(&captured("c", 60), 1, 900, "edit")], RULE, at(900)).await.unwrap();
    assert_eq!(due_at().await, Some(at(300)));
    assert_eq!(store.next_due().await.unwrap(), Some(at(300)));
    assert!(store.due(at(299), 10).await.unwrap().is_empty());
    let due = store.due(at(300), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].conversation, due[0].up_to, due[0].due_at), (conversation("c"), key("c", 299), at(300)));
    assert_eq!(due[0].account, account("default"));
    // Asking does not end it; and it survives a restart.
    let store = fixture.open().await;
    assert_eq!(store.due(at(300), 10).await.unwrap(), due);
    // After the request the counting begins anew.
    store.requested(&conversation("c"), &key("c", 299)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    store.archive(&[captured("c", 400)], RULE, at(400)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(490)));
    // A rule without patience, and one beyond all times.
    let (now, never) = (Duration::ZERO, Duration::MAX);
    store.archive(&[captured("d", 1)], DueRule { quiet: now, max_wait: never }, at(5)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(5)));
    store.archive(&[captured("e", 1)], DueRule { quiet: never, max_wait: never }, at(5)).await.unwrap();
    assert_eq!(store.due(at(1_000_000), 10).await.unwrap().len(), 2);
}

pub async fn a_request_ends_being_due_unless_there_is_newer(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    store.archive(&[captured("c", 1), captured("d", 1)], RULE, at(0)).await.unwrap();
    let due = store.due(at(90), 10).await.unwrap();
    assert_eq!(due.len(), 2);
    // A newer message comes between the question and the request.
    store.archive(&[captured("c", 2)], RULE, at(91)).await.unwrap();
    for one in &due {
        store.requested(&one.conversation, &one.up_to).await.unwrap();
        store.requested(&one.conversation, &one.up_to).await.unwrap();
    }
    let still = store.due(at(1000), 10).await.unwrap();
    assert_eq!(
        still.iter().map(|due| (due.conversation, due.up_to)).collect::<Vec<_>>(),
        [(conversation("c"), key("c", 2))]
    );
    store.requested(&conversation("c"), &key("c", 77)).await.unwrap();
    store.requested(&conversation("unknown"), &key("c", 2)).await.unwrap();
    assert_eq!(store.due(at(1000), 10).await.unwrap().len(), 1);
    store.requested(&conversation("c"), &key("c", 2)).await.unwrap();
    assert!(store.due(at(1000), 10).await.unwrap().is_empty());
}

pub async fn due_conversations_come_longest_first(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    for (id, now) in [("c", 20), ("a", 10), ("b", 30)] {
        store.archive(&[captured(id, 1)], RULE, at(now)).await.unwrap();
    }
    let due = store.due(at(110), 10).await.unwrap();
    assert_eq!(due.iter().map(|due| due.conversation).collect::<Vec<_>>(), ["a", "c"].map(conversation));
    assert_eq!(store.due(at(1000), 2).await.unwrap().len(), 2);
}

pub async fn conversations_come_newest_first(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let mut timeless = captured("timeless", 9);
    timeless.message.sent_at = None;
    let other = account("other");
    let mut elsewhere = captured("x", 7);
    elsewhere.account = other.clone();
    let mut batch = vec![captured("a", 5), captured("b", 8), captured("c", 5), timeless, elsewhere];
    batch.extend((0..3).map(|n| captured("b", n)));
    archive(&*store, &batch).await;
    let keys = async |filter: ConversationFilter| -> Vec<ConversationKey> {
        store.conversations(&filter).await.unwrap().iter().map(|one| one.key).collect()
    };
    let mut tie = [conversation("a"), conversation("c")];
    tie.sort();
    let [first, second] = tie;
    let everything = [conversation("b"), conversation("x"), first, second, conversation("timeless")];
    assert_eq!(keys(ConversationFilter::default()).await, everything);
    assert_eq!(keys(ConversationFilter { limit: Some(2), account: None }).await, everything[..2]);
    assert_eq!(keys(ConversationFilter { limit: Some(0), account: None }).await, []);
    assert_eq!(keys(ConversationFilter { account: Some(other.clone()), limit: None }).await, [conversation("x")]);
    let of_default = keys(ConversationFilter { account: Some(account("default")), limit: Some(3) }).await;
    assert_eq!(of_default, [conversation("b"), first, second]);
    let counts = store.counts(None).await.unwrap();
    assert_eq!((counts.conversations, counts.messages), (5, 8));
    let counts = store.counts(Some(&other)).await.unwrap();
    assert_eq!((counts.conversations, counts.messages), (1, 1));
    assert_eq!(store.counts(Some(&account("nobody"))).await.unwrap(), chatferry::ports::Counts::default());
}

pub async fn a_window_on_messages_is_exact(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let mut batch: Vec<MessageCaptured> = (0..10).rev().map(|n| captured("c", n)).collect();
    batch[4].message.position = 60; // Message 5 stands beside message 6.
    batch.push(captured("d", 1));
    archive(&*store, &batch).await;
    let window = async |after: Option<i64>, up_to: Option<MessageKey>, limit: Option<u32>| -> Vec<MessageKey> {
        let range = MessageRange { after, up_to, limit };
        let found = store.messages(&conversation("c"), range).await.unwrap();
        found.iter().map(|stored| stored.message.key).collect()
    };
    let mut order: Vec<MessageKey> = (0..10).map(|n| key("c", n)).collect();
    order[5..7].sort();
    assert_eq!(window(None, None, None).await, order);
    assert_eq!(window(Some(20), None, None).await, order[3..]);
    assert_eq!(window(Some(20), Some(order[7]), None).await, order[3..=7]);
    assert_eq!(window(None, Some(order[5]), None).await, order[..=5], "of equal positions only up to the key");
    assert_eq!(window(Some(20), Some(order[7]), Some(2)).await, order[3..5]);
    assert_eq!(window(None, None, Some(3)).await, order[..3]);
    assert_eq!(window(Some(60), Some(order[5]), None).await, []);
    assert_eq!(window(Some(i64::MAX), None, None).await, []);
    assert_eq!(window(Some(i64::MIN), None, None).await, order);
    assert_eq!(window(None, Some(key("d", 1)), None).await, [], "a message of another conversation bounds nothing");
}

fn analysis(id: &str, up_to: i64, model: &str, messages: u64, created: i64) -> Analysis {
    Analysis {
        id: AnalysisId::new(&conversation(id), &key(id, up_to), "1", model),
        account: account("default"),
        conversation: conversation(id),
        up_to: key(id, up_to),
        messages,
        summary: "They talk about \"lunch\" 🥗.".into(),
        topics: vec!["lunch".into(), "Mittag".into()],
        language: Some("de".to_owned()),
        sentiment: Sentiment::Mixed,
        priority: Priority::High,
        last_speaker: Some(Direction::In),
        needs_reply: true,
        needs_reply_reason: None,
        links: vec!["https://x.test".into()],
        money: vec!["12 €".into()],
        risk_flags: vec!["asks_for_money".to_owned()],
        model: model.to_owned(),
        prompt_version: "1".to_owned(),
        created_at: at(created),
    }
}

pub async fn the_first_analysis_of_an_id_stays(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let first = analysis("c", 3, "m", 4, 10);
    assert!(store.save_analysis(&first).await.unwrap());
    let mut second = first.clone();
    second.summary = "Another answer.".into();
    assert!(!store.save_analysis(&second).await.unwrap());
    let store = fixture.open().await;
    assert_eq!(store.analysis(&first.id).await.unwrap(), Some(first));
    assert_eq!(store.analysis(&analysis("c", 4, "m", 4, 10).id).await.unwrap(), None);
    // Many at once: one of them is the first.
    let answers = (0..16).map(|n| (Arc::clone(&store), analysis("d", 1, "m", n, 10)));
    let saved = futures::future::join_all(answers.map(async |(store, one)| store.save_analysis(&one).await.unwrap()));
    assert_eq!(saved.await.into_iter().filter(|first| *first).count(), 1);
}

pub async fn the_latest_analysis_covers_most(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    archive(&*store, &(0..4).map(|n| captured("c", n)).collect::<Vec<_>>()).await;
    archive(&*store, &[captured("d", 1)]).await;
    assert!(store.latest_analyses().await.unwrap().is_empty());
    for one in [
        analysis("c", 2, "m", 3, 99),
        analysis("c", 3, "m", 4, 10),
        analysis("c", 3, "n", 4, 11),
        analysis("e", 1, "m", 1, 1),
    ] {
        assert!(store.save_analysis(&one).await.unwrap());
    }
    let latest = store.latest_analyses().await.unwrap();
    assert_eq!(latest.len(), 2);
    assert_eq!(latest[&conversation("c")], analysis("c", 3, "n", 4, 11));
    // Counted once per conversation, and only up to the newest message.
    let counts = store.counts(None).await.unwrap();
    assert_eq!((counts.analysed_conversations, counts.analysed_messages), (1, 4));
    archive(&*store, &[captured("c", 4)]).await;
    let counts = store.counts(Some(&account("default"))).await.unwrap();
    assert_eq!((counts.analysed_conversations, counts.analysed_messages), (0, 0));
    assert_eq!((counts.conversations, counts.messages), (2, 6));
}

pub async fn an_older_account_state_never_replaces_a_newer(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let status = |label: &str, state, since| AccountStatus {
        account: account(label),
        state,
        since: at(since),
        code: Some(Code::Challenge),
        sentence: "The site asks for a code.".to_owned(),
        action: None,
        expires_at: at(since + 60),
        last_pass_at: Some(at(1)),
    };
    let parked = status("b", AccountState::Parked, 20);
    for one in [&status("b", AccountState::Live, 10), &parked, &status("b", AccountState::Starting, 5)] {
        store.save_account(one).await.unwrap();
    }
    let live = status("a", AccountState::Live, 1);
    store.save_account(&live).await.unwrap();
    let store = fixture.open().await;
    assert_eq!(store.accounts().await.unwrap(), [live.clone(), parked.clone()]);
    // The same state may be told again with a later expiry.
    let renewed = AccountStatus { expires_at: at(900), ..parked };
    store.save_account(&renewed).await.unwrap();
    assert_eq!(store.accounts().await.unwrap(), [live, renewed]);
}

pub async fn a_gap_is_open_once_and_closes(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let gap = |id: &str, reason, seen_from: Option<i64>, since| Gap {
        account: account("default"),
        conversation: conversation(id),
        reason,
        seen_from: seen_from.map(at),
        since: at(since),
        closed_at: None,
    };
    let closed = |mut gap: Gap, when| {
        gap.closed_at = Some(at(when));
        gap
    };
    let (limit, stuck) = (GapReason::HistoryLimit, GapReason::HistoryStuck);
    for one in [
        gap("c", limit, Some(50), 10),
        gap("c", limit, Some(40), 20),
        gap("c", stuck, None, 5),
        gap("d", limit, None, 30),
    ] {
        store.record_gap(&one).await.unwrap();
        store.record_gap(&one).await.unwrap();
    }
    // Noticed first at 10, seen down to 40 by now.
    let expected = [gap("c", stuck, None, 5), gap("c", limit, Some(40), 10), gap("d", limit, None, 30)];
    let store = fixture.open().await;
    assert_eq!(store.open_gaps().await.unwrap(), expected);
    assert_eq!(store.counts(None).await.unwrap().open_gaps, 3);
    for _ in 0..2 {
        store.record_gap(&closed(gap("c", limit, None, 10), 60)).await.unwrap();
        assert_eq!(store.open_gaps().await.unwrap(), [expected[0].clone(), expected[2].clone()]);
    }
    // What was noticed before the closing is told again: it stays closed. A new gap opens.
    store.record_gap(&gap("c", limit, Some(40), 20)).await.unwrap();
    assert_eq!(store.counts(Some(&account("default"))).await.unwrap().open_gaps, 2);
    store.record_gap(&gap("c", limit, Some(70), 80)).await.unwrap();
    store.record_gap(&closed(gap("c", limit, None, 10), 60)).await.unwrap();
    assert_eq!(store.open_gaps().await.unwrap()[2], gap("c", limit, Some(70), 80));
    // Closing what was never open does nothing.
    store.record_gap(&closed(gap("e", stuck, None, 1), 2)).await.unwrap();
    assert_eq!(store.open_gaps().await.unwrap().len(), 3);
}

pub async fn what_was_mirrored_is_replaced(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    assert!(store.mirrored().await.unwrap().is_empty());
    let rows: HashMap<ConversationKey, [u8; 16]> = (0..100).map(|n| (conversation(&n.to_string()), [n; 16])).collect();
    store.save_mirrored(&rows).await.unwrap();
    let store = fixture.open().await;
    assert_eq!(store.mirrored().await.unwrap(), rows);
    let fewer: HashMap<ConversationKey, [u8; 16]> =
        [(conversation("7"), [9; 16]), (conversation("new"), [1; 16])].into();
    store.save_mirrored(&fewer).await.unwrap();
    store.save_mirrored(&fewer).await.unwrap();
    assert_eq!(store.mirrored().await.unwrap(), fewer);
}
