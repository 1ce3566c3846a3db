//! Each way in which a service fails, and what follows for the event in hand: whether it is tried again in
//! the call, waits in its queue, or becomes a dead letter.

use std::time::Duration;

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::fault::{Class, Code, Scope};
use chatferry::ports::Analyst;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{asked, code, fault, service};
use crate::support::ai::{Act, FakeAi};

/// What becomes of the event in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// It waits with all others.
    WaitsWithAll,
    /// It waits; its neighbours are asked.
    WaitsAlone,
    /// It becomes a dead letter.
    Dies,
}

/// The act for ever, the requests that it costs, and how it ends.
async fn ends(act: Act, requests: usize, expected: Code, event: Event) {
    for provider in [OpenAi, Anthropic] {
        let fake = FakeAi::start(provider).await;
        fake.always(act.clone());
        let fault = fault(asked(&service(fake.settings())).await);
        assert_eq!((fault.code(), fake.requests()), (expected, requests), "{provider:?}: {fault:?}");
        let becomes = match (fault.class(), fault.scope()) {
            (Class::Retryable { .. }, Scope::Process) => Event::WaitsWithAll,
            (Class::Retryable { .. }, Scope::Event) => Event::WaitsAlone,
            (Class::Permanent, Scope::Event) => Event::Dies,
            _ => panic!("{fault:?}"),
        };
        assert_eq!(becomes, event, "{provider:?}: {fault:?}");
        assert!(fake.refused().is_empty(), "{:?}", fake.refused());
    }
}

#[tokio::test]
async fn a_used_up_account_is_asked_once_and_the_event_waits() {
    ends(Act::used_up(), 1, Code::AiQuotaExhausted, Event::WaitsWithAll).await;
    ends(Act::Status(402, Vec::new(), "{}".to_owned()), 1, Code::AiQuotaExhausted, Event::WaitsWithAll).await;
}

#[tokio::test]
async fn a_rate_limit_is_tried_again_and_the_event_waits() {
    ends(Act::limited(&[]), 3, Code::AiRateLimited, Event::WaitsWithAll).await;
}

#[tokio::test]
async fn a_call_that_fails_is_tried_again_and_then_only_its_event_waits() {
    for status in [408, 409, 500, 502, 503, 529] {
        ends(Act::failed(status), 3, Code::AiUnreachable, Event::WaitsAlone).await;
    }
    ends(
        Act::Status(307, vec![("location", "/elsewhere".to_owned())], String::new()),
        1,
        Code::AiUnreachable,
        Event::WaitsWithAll,
    )
    .await;
}

#[tokio::test]
async fn a_question_that_is_refused_waits_alone() {
    for status in [413, 418] {
        ends(Act::Status(status, Vec::new(), "{}".to_owned()), 1, Code::AiRejected, Event::WaitsAlone).await;
    }
}

#[tokio::test]
async fn a_chat_that_is_quoted_by_a_refusal_decides_nothing() {
    for words in ["insufficient_quota", "invalid_api_key", "model_not_found", "content_filter", "Your credit balance"] {
        let request = super::chat("quoted", &[&format!("Look: {words} is what it said")]);
        for quote in [
            serde_json::json!({ "error": { "message": format!("can't read: Look: {words} is what it said"), "code": null } }),
            serde_json::json!({ "error": format!("Look: {words} is what it said") }),
            serde_json::json!({ "detail": [{ "loc": ["body", "messages"], "input": words, "msg": words }] }),
        ] {
            let fake = FakeAi::start(OpenAi).await;
            fake.always(Act::Status(400, Vec::new(), quote.to_string()));
            let fault = service(fake.settings()).analyse(&request).await.verdict.unwrap_err();
            assert_eq!((fault.code(), fault.scope()), (Code::AiRejected, Scope::Event), "{quote}: {fault:?}");
            assert!(fault.class().is_retryable(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_error_behind_a_status_of_200_is_an_error() {
    let act = |body: &str| Act::Garbage(body.as_bytes().to_vec());
    ends(act("{\"error\": {\"code\": 429, \"message\": \"slow down\"}}"), 3, Code::AiRateLimited, Event::WaitsWithAll)
        .await;
    ends(act("{\"error\": {\"code\": 402, \"message\": \"pay\"}}"), 1, Code::AiQuotaExhausted, Event::WaitsWithAll)
        .await;
    ends(act("{\"error\": \"the model has crashed\"}"), 3, Code::AiUnreachable, Event::WaitsAlone).await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_only() {
    ends(Act::Reset, 2, Code::AiUnreachable, Event::WaitsAlone).await;
    ends(Act::ResetInTheMiddle, 2, Code::AiUnreachable, Event::WaitsAlone).await;
}

#[tokio::test]
async fn a_refusal_a_filter_and_a_cut_are_final() {
    ends(Act::Refusal, 1, Code::AiRefused, Event::Dies).await;
    ends(Act::Filtered, 1, Code::AiRefused, Event::Dies).await;
    ends(Act::Cut { is_empty: true }, 1, Code::AiCutOff, Event::Dies).await;
    ends(Act::Cut { is_empty: false }, 1, Code::AiCutOff, Event::Dies).await;
}

#[tokio::test]
async fn an_answer_that_can_not_be_used_is_complained_of_once() {
    ends(Act::Say("x".repeat(200_000)), 2, Code::AiInvalid, Event::Dies).await;
    for text in ["", "I don't know.", "{}", "[1, 2]", "null", "{\"summary\": \"x\"}"] {
        ends(Act::Say(text.to_owned()), 2, Code::AiInvalid, Event::Dies).await;
    }
}

#[tokio::test]
async fn what_is_no_answer_of_a_service_is_tried_again_now_and_later() {
    let page = b"<html>Log in to the hotel's network</html>".to_vec();
    for act in [
        Act::Garbage(page),
        Act::Garbage(vec![0xff; 100]),
        Act::Garbage(b"{\"choices\": []}".to_vec()),
        Act::Garbage(Vec::new()),
        Act::Typed("text/html"),
        Act::Huge(2 * 1024 * 1024),
    ] {
        let fake = FakeAi::start(OpenAi).await;
        fake.always(act);
        let fault = fault(asked(&service(fake.settings())).await);
        assert_eq!((fault.code(), fault.scope(), fake.requests()), (Code::AiInvalid, Scope::Event, 2), "{fault:?}");
        assert!(fault.class().is_retryable());
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_after_the_timeout() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::Hang);
    let mut settings = fake.settings();
    settings.timeout = Duration::from_millis(300);
    let fault = fault(asked(&service(settings)).await);
    assert_eq!((fault.code(), fake.requests()), (Code::AiUnreachable, 2), "{fault:?}");
    assert!(fault.chain().contains("no answer in time"), "{}", fault.chain());
    assert!(fault.class().is_retryable() && fault.scope() == Scope::Event, "{fault:?}");
}

#[tokio::test]
async fn a_slow_answer_within_the_timeout_is_an_answer() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::Slow(Duration::from_millis(300)));
    asked(&service(fake.settings())).await.0.unwrap();
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn nobody_there_is_told_apart_and_nothing_is_counted_as_read() {
    let fake = FakeAi::start(OpenAi).await;
    let mut settings = fake.settings();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.url = format!("http://{free}/v1").parse().unwrap();
    let (verdict, usage) = asked(&service(settings)).await;
    let fault = verdict.unwrap_err();
    assert_eq!((fault.code(), fault.scope()), (Code::AiUnreachable, Scope::Process), "{fault:?}");
    assert!(fault.chain().contains("127.0.0.1") && fault.chain().contains("no connection"), "{}", fault.chain());
    assert_eq!((usage.calls, usage.input_tokens), (3, 0));
}

#[tokio::test]
async fn a_trouble_that_passes_is_not_noticed() {
    for acts in [
        vec![Act::failed(503), Act::failed(529)],
        vec![Act::limited(&[("retry-after-ms", "50")]), Act::limited(&[("retry-after", "0")])],
        vec![Act::Reset],
        vec![Act::ResetInTheMiddle, Act::failed(500)],
        vec![Act::Garbage(b"{".to_vec())],
        vec![Act::Say("not yet".to_owned())],
        vec![Act::failed(500), Act::Say("not yet".to_owned()), Act::failed(500)],
    ] {
        let fake = FakeAi::start(OpenAi).await;
        let count = acts.len();
        fake.script(acts);
        asked(&service(fake.settings())).await.0.unwrap();
        assert_eq!(fake.requests(), count + 1);
    }
}

#[tokio::test]
async fn a_short_wish_is_waited_out_and_a_long_one_is_handed_on() {
    let fake = FakeAi::start(OpenAi).await;
    fake.script([Act::limited(&[("retry-after", "1")])]);
    let begun = Instant::now();
    asked(&service(fake.settings())).await.0.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    let in_a_minute =
        (jiff::Timestamp::now() + Duration::from_secs(60)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for headers in [[("retry-after", "60")], [("retry-after", in_a_minute.as_str())], [("retry-after-ms", "60000")]] {
        let fake = FakeAi::start(OpenAi).await;
        fake.always(Act::limited(&headers));
        let fault = fault(asked(&service(fake.settings())).await);
        assert_eq!(fake.requests(), 1);
        let Class::Retryable { after: Some(after) } = fault.class() else { panic!("{fault:?}") };
        assert!(after > Duration::from_secs(50) && after <= Duration::from_secs(61), "{after:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_model_are_told_apart_and_wait() {
    for provider in [OpenAi, Anthropic] {
        let fake = FakeAi::start(provider).await;
        fake.takes_keys(&["another"]);
        let wrong_key = fault(asked(&service(fake.settings())).await);
        assert_eq!((wrong_key.code(), wrong_key.scope(), fake.requests()), (Code::AiAuth, Scope::Process, 1));
        let fake = FakeAi::start(provider).await;
        let mut settings = fake.settings();
        settings.model = "nobody".to_owned();
        let wrong_model = fault(asked(&service(settings)).await);
        assert_eq!((wrong_model.code(), fake.requests()), (Code::AiModelUnknown, 1));
        assert!(wrong_model.class().is_retryable() && wrong_model.chain().contains("nobody"), "{wrong_model:?}");
    }
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_left_alone_and_the_cause_stays_told() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::failed(503));
    let service = service(fake.settings());
    for _ in 0..4 {
        assert_eq!(code(asked(&service).await), Code::AiUnreachable);
    }
    let requests = fake.requests();
    assert!((10..=12).contains(&requests), "{requests}");
    fake.always(Act::Answer);
    let fault = fault(asked(&service).await);
    assert_eq!((fault.code(), fault.scope(), fake.requests()), (Code::AiUnreachable, Scope::Process, requests));
    let Class::Retryable { after: Some(after) } = fault.class() else { panic!("{fault:?}") };
    assert!(after <= Duration::from_secs(30), "{after:?}");
}

#[tokio::test]
async fn our_own_limits_are_kept() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::Slow(Duration::from_millis(50)));
    let mut settings = fake.settings();
    settings.concurrency = 2;
    let slow = service(settings);
    let all = futures::future::join_all((0..8).map(|_| asked(&slow))).await;
    assert!(all.iter().all(|(verdict, _)| verdict.is_ok()));
    assert_eq!(fake.most_at_once(), 2);

    let fake = FakeAi::start(OpenAi).await;
    let mut settings = fake.settings();
    (settings.concurrency, settings.requests_per_minute) = (1, 2);
    let rare = service(settings);
    asked(&rare).await.0.unwrap();
    let fault = fault(asked(&rare).await);
    assert_eq!((fault.code(), fault.scope(), fake.requests()), (Code::AiRateLimited, Scope::Process, 1));
    let Class::Retryable { after: Some(after) } = fault.class() else { panic!("{fault:?}") };
    assert!(after > Duration::from_secs(20) && after <= Duration::from_secs(31), "{after:?}");
}
