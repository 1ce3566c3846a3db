//! What is due, and what a reading gives: order, limits, windows.

use std::time::Duration;

use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{ConversationKey, MessageKey};
use chatferry::ports::{ConversationFilter, Counts, DueRule, MessageRange};

use super::{RULE, StoreFixture, account, archive, at, captured, conversation, key, revised};

pub async fn news_is_due_after_silence_but_not_later_than_the_longest_wait(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let due_at = async || store.conversation(&conversation("c")).await.unwrap().unwrap().due_at;
    assert_eq!(store.next_due().await.unwrap(), None);
    // One message a minute: quiet (90 s) never comes, the longest wait (300 s) does.
    for (n, expected) in [(0, 90), (60, 150), (120, 210), (180, 270), (240, 300), (299, 300)] {
        store.archive(&[captured("c", n)], RULE, at(n)).await.unwrap();
        assert_eq!(due_at().await, Some(at(expected)), "after {n} s");
    }
    // A repetition is no news.
    store.archive(&[captured("c", 0)], RULE, at(900)).await.unwrap();
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
    store.requested(&conversation("c"), &key("c", 299), 0).await.unwrap();
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
        store.requested(&one.conversation, &one.up_to, one.edits).await.unwrap();
        store.requested(&one.conversation, &one.up_to, one.edits).await.unwrap();
    }
    let still = store.due(at(1000), 10).await.unwrap();
    assert_eq!(
        still.iter().map(|due| (due.conversation, due.up_to)).collect::<Vec<_>>(),
        [(conversation("c"), key("c", 2))]
    );
    store.requested(&conversation("c"), &key("c", 77), 0).await.unwrap();
    store.requested(&conversation("unknown"), &key("c", 2), 0).await.unwrap();
    assert_eq!(store.due(at(1000), 10).await.unwrap().len(), 1);
    store.requested(&conversation("c"), &key("c", 2), 0).await.unwrap();
    assert!(store.due(at(1000), 10).await.unwrap().is_empty());
}

pub async fn an_edit_is_news_and_is_not_lost_between_question_and_request(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let due = async || store.due(at(100_000), 10).await.unwrap();
    store.archive(&[captured("c", 1), captured("c", 2)], RULE, at(0)).await.unwrap();
    let first = due().await.remove(0);
    assert_eq!(first.edits, 0);
    store.requested(&conversation("c"), &first.up_to, first.edits).await.unwrap();
    assert!(due().await.is_empty());
    // Seen again, and elsewhere: neither says anything else.
    let mut moved = revised(&captured("c", 1), 1, 50, "message 1\nشكرا 'quoted' \u{0}");
    moved.message.position = 11;
    store
        .archive(&[moved.clone(), revised(&captured("c", 2), 0, 51, "message 2\nشكرا 'quoted' \u{0}")], RULE, at(60))
        .await
        .unwrap();
    assert!(due().await.is_empty());
    store.archive(&[revised(&moved, 2, 60, "edited")], RULE, at(100)).await.unwrap();
    let second = due().await.remove(0);
    assert_eq!((second.up_to, second.edits, second.due_at), (key("c", 2), 1, at(190)));
    // Another one comes between the question and the request.
    store.archive(&[revised(&moved, 3, 70, "edited again")], RULE, at(120)).await.unwrap();
    store.requested(&conversation("c"), &second.up_to, second.edits).await.unwrap();
    let third = due().await.remove(0);
    assert_eq!((third.edits, third.due_at), (2, at(210)));
    store.requested(&conversation("c"), &third.up_to, third.edits).await.unwrap();
    assert!(due().await.is_empty());
    // What is known of it already is told again.
    store.archive(&[revised(&moved, 3, 70, "edited again"), moved], RULE, at(130)).await.unwrap();
    assert!(due().await.is_empty());
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
    assert_eq!(store.counts(Some(&account("nobody"))).await.unwrap(), Counts::default());
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
