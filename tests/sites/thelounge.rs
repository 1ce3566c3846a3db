//! The Lounge: a page of an application that nobody here wrote, read with the pack from `selectors/examples`.

use std::collections::BTreeMap;

use crate::daemon::Daemon;
use crate::history::{Said, past};
use crate::lounge::Lounge;
use crate::support::{Exported, Place};

/// Conversation → what was said in it, in order.
type Talk = BTreeMap<String, Vec<Said>>;

fn by_conversation(said: impl IntoIterator<Item = Said>) -> Talk {
    let mut talk = Talk::new();
    for said in said {
        talk.entry(said.conversation.clone()).or_default().push(said);
    }
    talk
}

fn stored(exported: &[Exported]) -> Talk {
    by_conversation(exported.iter().map(|message| {
        assert_eq!(message.conversation_title, message.conversation_id);
        assert_eq!(message.native_id, None, "a counter is no id");
        Said {
            conversation: message.conversation_id.clone(),
            author: message.author.clone(),
            direction: message.direction.clone(),
            text: message.text.clone(),
            sent_at: message.sent_at.as_deref().unwrap().parse().unwrap(),
        }
    }))
}

#[track_caller]
fn assert_equal(truth: &Talk, stored: &Talk) {
    assert_eq!(truth.keys().collect::<Vec<_>>(), stored.keys().collect::<Vec<_>>(), "the conversations");
    for (conversation, said) in truth {
        let found = &stored[conversation];
        let different = said.iter().zip(found).find(|(a, b)| a != b);
        assert_eq!(different, None, "in {conversation}");
        assert_eq!(said.len(), found.len(), "in {conversation}");
    }
}

async fn assert_nothing_new(place: &Place) {
    let before = place.exported().await;
    let run = place.collect_once().await;
    let counts = ["new_messages", "changed_messages", "gaps"].map(|name| run.count(name));
    assert_eq!(counts, [0; 3], "{}", run.stderr);
    assert_eq!(place.exported().await, before);
}

#[tokio::test]
async fn every_message_equals_the_truth_whatever_the_zone_and_a_restart_adds_none() {
    // In one channel nothing was ever said: only who came and went stands there.
    let mut lounge = Lounge::start(&past(), &["#quiet"]).await;
    let truth = by_conversation(past());
    let places = [lounge.place("UTC"), lounge.place("Asia/Tokyo")];
    for place in &places {
        let run = place.collect_once().await;
        assert_eq!(run.count("new_messages"), past().len() as u64);
        assert_eq!(run.count("conversations"), 6, "the quiet channel is one too");
        assert_eq!(run.count("gaps"), 0, "{}", run.stderr);
        assert_equal(&truth, &stored(&place.exported().await));
    }
    assert_nothing_new(&places[0]).await;
    // In the page every message now has another number.
    lounge.restart().await;
    assert_nothing_new(&places[0]).await;
    assert_nothing_new(&places[1]).await;
}

#[tokio::test]
async fn live_messages_arrive_also_from_somebody_never_seen() {
    let lounge = Lounge::start(&past(), &[]).await;
    let mut place = lounge.place("UTC");
    let daemon = Daemon::start(&mut place).await;
    let mut count = past().len();
    daemon.stored(count).await;
    let mut truth = past();
    let mut latest = Vec::new();
    for (conversation, author, text) in [
        ("bob", "bob", "live, with 😀 and <b>"),
        ("#team", "carol", "live in a channel"),
        ("#team", "carol", "live in a channel"),
        ("zoe", "zoe", "you do not know me"),
        ("bob", "bob", "and once more"),
    ] {
        let (said, until) = lounge.say(conversation, author, text).await;
        truth.push(said);
        latest.push(until);
        count += 1;
        daemon.stored(count).await;
    }
    daemon.stop().await;
    let mut stored = stored(&place.exported().await);
    let truth = by_conversation(truth);
    // Live messages bear the application's clock: between the two of ours, in full seconds.
    for (conversation, said) in &truth {
        for (wanted, found) in said.iter().zip(stored.get_mut(conversation).unwrap()) {
            if wanted.sent_at.as_second() > past().iter().map(|said| said.sent_at.as_second()).max().unwrap() {
                assert!(
                    (wanted.sent_at.as_second()..=latest.last().unwrap().as_second())
                        .contains(&found.sent_at.as_second())
                );
                found.sent_at = wanted.sent_at;
            }
        }
    }
    assert_equal(&truth, &stored);
}
