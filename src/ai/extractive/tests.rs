//! The whole analyst: a person's view of its answers, and hostile input.

use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::domain::{ConversationKey, Direction, Message, MessageKey, Precision, Priority, Sentiment};

static POSITION: AtomicI64 = AtomicI64::new(0);

fn message(direction: Direction, author: &str, text: &str) -> Message {
    let position = POSITION.fetch_add(1, Ordering::Relaxed);
    Message {
        key: MessageKey::native(&ConversationKey::from_bytes([7; 16]), &position.to_string()),
        native_id: None,
        author: Text::from(author),
        direction,
        text: Text::from(text),
        sent_at: None,
        sent_at_precision: Precision::Unknown,
        observed_at: "2026-11-02T10:00:00Z".parse().unwrap(),
        attachments: Vec::new(),
        position,
    }
}

/// Something that the other side said.
pub(in crate::ai) fn said(author: &str, text: &str) -> Message {
    message(Direction::In, author, text)
}

/// Something that the owner said.
pub(in crate::ai) fn me(text: &str) -> Message {
    message(Direction::Out, "Owner", text)
}

/// A conversation with Mia.
pub(in crate::ai) fn request(messages: Vec<Message>) -> AnalystRequest {
    asked("Mia", messages)
}

/// A conversation under this title.
fn asked(title: &str, messages: Vec<Message>) -> AnalystRequest {
    let prompt_version = PROMPT_VERSION.to_owned();
    AnalystRequest { title: Text::from(title), prompt_version, previous: None, messages }
}

#[tokio::test]
async fn a_conversation_is_told_as_a_person_would_need_it() {
    let analyst = Extractive::new();
    assert_eq!((analyst.model(), analyst.prompt_version()), ("extractive", "extractive-1"));
    let verdict = analyst
        .analyse(&request(vec![
            said("Mia", "Hi! How was your weekend?"),
            me("Good, thanks! I was hiking in the Harz with my brother."),
            said(
                "Mia",
                "Nice. I have booked the cabin in Norway for the first week of July, it is € 840 for all of us.",
            ),
            me("Great! Does the cabin have a sauna?"),
            said("Mia", "Yes, a sauna and a boat. Photos: https://cabins.example/norway/17."),
            me("Perfect, I am in. Who pays the deposit?"),
            said("Mia", "I paid the deposit for the cabin. Can you send me your 120 € share by tomorrow?"),
        ]))
        .await
        .verdict
        .unwrap();
    assert_eq!(
        verdict.summary.expose(),
        "Mia: I have booked the cabin in Norway for the first week of July, it is € 840 for all of us. I paid the \
         deposit for the cabin. Can you send me your 120 € share by tomorrow?"
    );
    let topics: Vec<&str> = verdict.topics.iter().map(Text::expose).collect();
    assert!(["cabin", "Norway", "sauna", "deposit"].iter().all(|topic| topics.contains(topic)), "{topics:?}");
    assert_eq!(verdict.language.as_deref(), Some("en"));
    assert_eq!(verdict.last_speaker, Some(Direction::In));
    assert_eq!((verdict.needs_reply, verdict.needs_reply_reason.as_deref()), (true, Some("question")));
    assert_eq!(verdict.priority, Priority::High);
    assert_eq!(verdict.links, [Text::from("https://cabins.example/norway/17")]);
    assert_eq!(verdict.money, [Text::from("€ 840"), Text::from("120 €")]);
    assert!(verdict.risk_flags.is_empty());
}

#[test]
fn an_empty_request_and_an_empty_message_have_an_answer() {
    for messages in [vec![], vec![said("", "")]] {
        let verdict = verdict(&asked("", messages));
        assert_eq!(verdict.summary.expose(), "No text in this conversation.");
        assert_eq!(
            (verdict.needs_reply, verdict.priority, verdict.sentiment),
            (false, Priority::Low, Sentiment::Unknown)
        );
        assert!(verdict.topics.is_empty() && verdict.language.is_none());
    }
}

#[test]
fn twenty_thousand_messages_and_a_page_of_noise_are_within_bounds() {
    let line = |n: usize| {
        format!(
            "The harbour office number {} opens at {} and the boat {} leaves, see www.b.example/{n}",
            n % 7,
            n % 24,
            n % 13
        )
    };
    let long = (0..20_000).map(|n| if n % 3 == 0 { me(&line(n)) } else { said("Mia", &line(n)) }).collect();
    let verdict = verdict(&request(long));
    assert!(verdict.summary.expose().chars().count() <= 400);
    assert_eq!(verdict.links.len(), 20);
    assert_eq!(verdict.links[19].expose(), "www.b.example/19999");
    check(&request(vec![said("Mia", &"𝔸\u{202e}<img src=x onerror=alert(1)>".repeat(700))]));
    check(&request(vec![said("Mia", &"a".repeat(20_000))]));
    check(&request(vec![said("Mia", &"?.!\n".repeat(5_000))]));
}

/// What every answer must keep to, whatever came in.
fn check(request: &AnalystRequest) {
    let verdict = verdict(request);
    let texts: Vec<&str> = [&verdict.summary]
        .into_iter()
        .chain(&verdict.topics)
        .chain(&verdict.links)
        .chain(&verdict.money)
        .map(Text::expose)
        .collect();
    for text in &texts {
        assert!(!text.chars().any(char::is_control), "control character");
        assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}']), "invisible character");
    }
    for text in &texts[..=verdict.topics.len()] {
        let after_www =
            text.to_lowercase().split_once("www.").is_some_and(|(_, rest)| rest.starts_with(char::is_alphanumeric));
        assert!(!text.contains("://") && !after_www, "a link outside of links");
    }
    assert!((1..=400).contains(&verdict.summary.expose().chars().count()));
    assert!(verdict.topics.len() <= 5 && verdict.links.len() <= 20 && verdict.money.len() <= 20);
    assert!(verdict.topics.iter().all(|topic| topic.expose().chars().any(char::is_alphabetic)));
    assert_eq!(verdict.needs_reply, verdict.needs_reply_reason.is_some());
    assert_eq!(verdict.priority == Priority::Low, !verdict.needs_reply);
    assert_eq!(verdict, super::verdict(request), "the same question, another answer");
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "(?s).{0,60}",
        "[a-z ?!.,€$0-9\n]{0,120}",
        "[\u{200b}-\u{206f}\u{590}-\u{6ff}a-z ]{0,60}",
        "(https?://|www\\.)[a-z./?=()]{0,20}( [a-z]{1,8}){0,5}",
        "[😀-😏👍❤️\u{200d}]{0,12}",
        Just("Ｈｔｔｐ：／／ｅｖｉｌ．ｅｘａｍｐｌｅ <script>alert(1)</script>".to_owned()),
        Just("can you send me $1,200 by tomorrow? call me".to_owned()),
        Just("ok".to_owned()),
        Just(String::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn hostile_input_breaks_nothing(lines in proptest::collection::vec((any::<bool>(), "\\PC{0,12}", hostile()), 0..12), title in "(?s).{0,20}") {
        let messages = lines.iter().map(|(own, author, text)| if *own { me(text) } else { said(author, text) }).collect();
        check(&asked(&title, messages));
    }
}
