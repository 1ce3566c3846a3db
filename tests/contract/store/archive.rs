//! Taking messages in: one row per key, and of two versions always the same one.

use std::sync::Arc;

use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{Attachment, MessageKey, Origin, Precision};
use chatferry::ports::{Archived, StoredMessage};
use proptest::strategy::{Just, Strategy, ValueTree};

use super::{RULE, StoreFixture, account, all, archive, at, captured, conversation, key, revised};

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
    store.requested(&conversation("c"), &key("c", 49), 0).await.unwrap();
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

pub async fn the_later_observation_stays(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let original = captured("c", 1);
    let text = async || all(&*store, "c").await.remove(0).message.text.into_inner();
    // The second edit arrives first.
    assert_eq!(archive(&*store, &[revised(&original, 2, 9, "second")]).await, (1, 0, 0));
    assert_eq!(archive(&*store, &[revised(&original, 1, 5, "first")]).await, (0, 0, 1));
    assert_eq!(archive(&*store, std::slice::from_ref(&original)).await, (0, 0, 1));
    assert_eq!(text().await, "second");
    // A new spool counts from 0 again: what it saw later stays all the same.
    assert_eq!(archive(&*store, &[revised(&original, 0, 12, "third")]).await, (0, 1, 0));
    assert_eq!(text().await, "third");
    // Of one moment the higher revision.
    assert_eq!(archive(&*store, &[revised(&original, 1, 12, "fourth")]).await, (0, 1, 0));
    assert_eq!(archive(&*store, &[revised(&original, 0, 12, "third")]).await, (0, 0, 1));
    assert_eq!(text().await, "fourth");
    // A later look at the same is no revision, whatever its number.
    assert_eq!(archive(&*store, &[revised(&original, 0, 13, "fourth")]).await, (0, 0, 1));
    assert_eq!(archive(&*store, &[revised(&original, 1, 12, "fifth")]).await, (0, 0, 1), "but it counts as seen");
    assert_eq!(store.conversation(&conversation("c")).await.unwrap().unwrap().messages, 1);
    // Also within one batch.
    let other = captured("c", 2);
    let batch = [revised(&other, 1, 3, "edited"), other.clone(), revised(&other, 2, 4, "twice")];
    assert_eq!(archive(&*store, &batch).await, (1, 1, 1));
}

/// Archivers with overlapping batches of one conversation: its row agrees with its messages.
pub async fn many_archivers_of_one_conversation_count_it_right(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            // Every second archiver brings what its neighbour brings too.
            let first = (n / 2) * 20;
            let batch: Vec<_> = (first..first + 20).map(|n| captured("c", n)).collect();
            let edited = revised(&captured("c", first), 1, 500 + n, "edited");
            let archived = store.archive(&batch, RULE, at(1000)).await.unwrap();
            store.archive(&[edited], RULE, at(1000)).await.unwrap();
            archived.inserted
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u64>(), 160);
    let stored = all(&*store, "c").await;
    let row = store.conversation(&conversation("c")).await.unwrap().unwrap();
    assert_eq!((stored.len(), row.messages), (160, 160));
    assert_eq!((row.last_message, row.last_sent_at), (Some(key("c", 159)), Some(at(159))));
    assert_eq!(row.due_at, Some(at(1090)));
}

/// To a database that computes, `$title` is the name of a field.
pub async fn texts_that_look_like_commands_stay_texts(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let mut hostile = captured("$title", 1);
    hostile.conversation.title = "$native_id".into();
    hostile.message.author = "$text".into();
    hostile.message.text = "$$ROOT '; DROP TABLE messages; --".into();
    archive(&*store, std::slice::from_ref(&hostile)).await;
    let edited = revised(&hostile, 1, 50, "{\"$gt\": \"\"}");
    archive(&*store, std::slice::from_ref(&edited)).await;
    let mut retitled = captured("$title", 2);
    retitled.conversation.title = "$$NOW".into();
    retitled.message.observed_at = at(60);
    archive(&*store, &[retitled]).await;
    let row = store.conversation(&conversation("$title")).await.unwrap().unwrap();
    assert_eq!((row.native_id.as_str(), row.title.expose(), row.messages), ("$title", "$$NOW", 2));
    assert_eq!(all(&*store, "$title").await[0].message, edited.message);
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
    // The same title seen later is later than what was seen between.
    archive(&*store, &[titled(1, 60, "Anna C.")]).await;
    archive(&*store, &[titled(4, 50, "Anna once")]).await;
    assert_eq!(title().await, "Anna C.");
}
