//! What is asked, by what was asked before.

use super::*;
use crate::domain::{
    AnalysisId, ConversationKey, Direction, MessageKey, Precision, Priority, Reading, Sentiment, Text, Usage,
};

fn conversation() -> ConversationKey {
    ConversationKey::from_bytes([7; 16])
}

fn message(number: u32, text: &str) -> Message {
    let at = "2026-11-01T10:00:00Z".parse().unwrap();
    Message {
        key: MessageKey::native(&conversation(), &number.to_string()),
        native_id: None,
        author: Text::from("Anna"),
        direction: Direction::In,
        text: Text::from(text),
        sent_at: Some(at),
        sent_at_precision: Precision::Minute,
        observed_at: at,
        attachments: Vec::new(),
        position: i64::from(number),
    }
}

fn messages(count: u32) -> Vec<Message> {
    (0..count).map(|number| message(number, &"words ".repeat(20))).collect()
}

fn verdict(length: usize) -> Verdict {
    Verdict {
        summary: Text::new("s".repeat(length)),
        topics: Vec::new(),
        language: None,
        sentiment: Sentiment::Neutral,
        priority: Priority::High,
        last_speaker: Some(Direction::In),
        needs_reply: true,
        needs_reply_reason: Some("question".to_owned()),
        links: Vec::new(),
        money: Vec::new(),
        risk_flags: Vec::new(),
        open_questions: Vec::new(),
        follow_up: None,
    }
}

/// An answer about these messages, the last `unread` of which were not read.
fn answer(messages: &[Message], updates: u32, unread: u64) -> Analysis {
    let up_to = messages.last().unwrap().key;
    Analysis {
        id: AnalysisId::new(&conversation(), &up_to, "1", "m"),
        account: "demo/default".parse().unwrap(),
        conversation: conversation(),
        up_to,
        messages: messages.len() as u64,
        updates,
        reading: Reading { content: Some(content(messages)), question: None, unread },
        usage: Usage::default(),
        verdict: verdict(600),
        model: "m".to_owned(),
        prompt_version: "1".to_owned(),
        created_at: "2026-11-02T10:00:00Z".parse().unwrap(),
    }
}

/// What is asked with: the last answer or not, first message, left out, updates.
fn asked(plan: Plan) -> (bool, usize, usize, u32) {
    let Plan::Ask { goes_on, from, left_out, updates } = plan else { panic!("{plan:?}") };
    (goes_on, from, left_out, updates)
}

#[test]
fn a_first_reading_takes_the_newest_and_says_what_it_leaves_out() {
    assert_eq!(asked(plan(&messages(40), None)), (false, 0, 0, 0));
    assert_eq!(asked(plan(&messages(2000), None)), (false, 1900, 1900, 0));
    let long: Vec<Message> = (0..50).map(|number| message(number, &"x".repeat(5000))).collect();
    assert_eq!(
        asked(plan(&long, None)),
        (false, 43, 43, 0),
        "by size too, and a long one counts up to where it is cut"
    );
    assert_eq!(asked(plan(&long[..1], None)), (false, 0, 0, 0));
}

#[test]
fn a_short_conversation_is_read_whole_and_a_longer_one_goes_on_from_the_last_answer() {
    let all = messages(80);
    assert_eq!(asked(plan(&all[..14], Some(&answer(&all[..10], 3, 0)))), (false, 0, 0, 0));
    assert_eq!(asked(plan(&all[..60], Some(&answer(&all[..52], 3, 0)))), (true, 52, 0, 4));
    assert_eq!(asked(plan(&all[..60], Some(&answer(&all[..2], 3, 0)))), (false, 0, 0, 0), "whole is cheaper");
    assert_eq!(plan(&all, Some(&answer(&all, 3, 0))), Plan::Answered);
    let many = messages(2000);
    assert_eq!(asked(plan(&many, Some(&answer(&many[..900], 3, 0)))), (true, 1940, 1040, 4));
}

#[test]
fn what_changed_since_is_read_anew() {
    let all = messages(200);
    let answer = answer(&all[..150], 3, 0);
    let mut edited = all.clone();
    edited[20].text = Text::from("something else");
    assert_eq!(asked(plan(&edited, Some(&answer))), (false, 100, 100, 0));
    assert_eq!(asked(plan(&edited[..150], Some(&answer))), (false, 50, 50, 0), "also when nothing is new");
    let mut older = vec![message(9999, "found later")];
    older.extend(all.clone());
    assert_eq!(asked(plan(&older, Some(&answer))), (false, 101, 101, 0));
    let mut moved = all.clone();
    moved.swap(3, 4);
    assert!(!asked(plan(&moved, Some(&answer))).0);
    assert!(!asked(plan(&all[..100], Some(&answer))).0, "what it was made from is gone");
    // Neither another name nor another look changes what was said.
    let mut seen_again = all.clone();
    for message in &mut seen_again {
        message.author = Text::from("Anna B.");
        message.sent_at = None;
        message.observed_at = "2026-11-05T10:00:00Z".parse().unwrap();
    }
    assert!(asked(plan(&seen_again, Some(&answer))).0);
}

#[test]
fn nothing_that_calls_for_it_is_carried_forward_and_read_with_what_does() {
    let mut all = messages(60);
    all[52].text = Text::from("ok");
    all[53].direction = Direction::Out;
    all[54].text = Text::from("👍");
    let first = answer(&all[..52], 7, 0);
    assert_eq!(plan(&all[..55], Some(&first)), Plan::Carry { unread: 3 });
    let carried = answer(&all[..54], 7, 2);
    assert_eq!(plan(&all[..55], Some(&carried)), Plan::Carry { unread: 3 });
    assert_eq!(asked(plan(&all[..56], Some(&carried))), (true, 52, 0, 8), "from where the analyst read last");
}

#[test]
fn every_fifty_updates_the_messages_themselves_are_read_at_no_greater_cost() {
    let all = messages(2000);
    let (updated, due) = (answer(&all[..1992], 49, 0), answer(&all[..1992], 50, 0));
    assert_eq!(asked(plan(&all, Some(&updated))), (true, 1992, 0, 50));
    let (goes_on, from, left_out, updates) = asked(plan(&all, Some(&due)));
    assert_eq!((goes_on, from == left_out, updates), (false, true, 0));
    let (update, rebuilt) = (weight(&due.verdict) + size(&all[1992..]), size(&all[from..]));
    assert!(from < 1990, "more than the news: {from}");
    assert!((INSTRUCTIONS + rebuilt) * 10 <= (INSTRUCTIONS + update) * 11, "{rebuilt} for {update}");
}
