//! What the doctor finds out with one token.

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::fault::Code;
use chatferry::ports::Analyst;
use jiff::SignedDuration;
use tokio::net::TcpListener;

use super::service;
use crate::support::ai::{Act, FakeAi};

#[tokio::test]
async fn one_token_is_asked_for_and_what_comes_of_it_is_enough() {
    for provider in [OpenAi, Anthropic] {
        for act in [Act::Answer, Act::Cut { is_empty: true }, Act::Skewed(SignedDuration::from_mins(4))] {
            let fake = FakeAi::start(provider).await;
            fake.always(act);
            service(fake.settings()).probe().await.unwrap();
            let seen = fake.seen();
            let limit = seen[0].get("max_completion_tokens").or_else(|| seen[0].get("max_tokens"));
            assert_eq!((seen.len(), limit), (1, Some(&1.into())));
        }
        // Models that think say that one token is too little: that is an answer.
        let fake = FakeAi::start(provider).await;
        let body = "{\"error\": {\"message\": \"Could not finish the message because max_tokens or model output limit was reached.\"}}";
        fake.always(Act::Status(400, Vec::new(), body.to_owned()));
        service(fake.settings()).probe().await.unwrap();
    }
}

#[tokio::test]
async fn each_cause_has_its_name() {
    for provider in [OpenAi, Anthropic] {
        let fake = FakeAi::start(provider).await;
        for (act, code) in [
            (Act::used_up(), Code::AiQuotaExhausted),
            (Act::Skewed(SignedDuration::from_mins(7)), Code::ClockOff),
            (Act::Skewed(SignedDuration::from_mins(-7)), Code::ClockOff),
            (Act::failed(503), Code::AiUnreachable),
            (Act::limited(&[]), Code::AiRateLimited),
        ] {
            fake.script([act]);
            let fault = service(fake.settings()).probe().await.unwrap_err();
            assert_eq!(fault.code(), code, "{fault:?}");
            assert!(fault.action().ends_with('.'));
        }
        let mut wrong_model = fake.settings();
        wrong_model.model = "nobody".to_owned();
        assert_eq!(service(wrong_model).probe().await.unwrap_err().code(), Code::AiModelUnknown);
        let mut unreachable = fake.settings();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        unreachable.url = format!("http://{free}/v1").parse().unwrap();
        assert_eq!(service(unreachable).probe().await.unwrap_err().code(), Code::AiUnreachable);
        fake.takes_keys(&["another"]);
        assert_eq!(service(fake.settings()).probe().await.unwrap_err().code(), Code::AiAuth);
    }
}
