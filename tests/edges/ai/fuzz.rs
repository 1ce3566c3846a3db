//! Bodies that no service would send: none breaks the analyst, and each ends as a fault or an answer that fits.

use std::sync::Arc;

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::fault::Code;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{asked, service};
use crate::support::ai::{Act, FakeAi};

/// JSON of any shape, some of it in the places where answers stand.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let choice =
        |content: Value| json!({ "choices": [{ "message": { "content": content }, "finish_reason": "stop" }] });
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "\\PC{0,200}".prop_map(String::into_bytes),
        "\\PC{0,100}".prop_map(move |text| choice(json!(text)).to_string().into_bytes()),
        any::<i64>().prop_map(move |number| choice(json!(number)).to_string().into_bytes()),
        (1usize..3_000).prop_map(|depth| [b"[".repeat(depth), b"]".repeat(depth)].concat()),
    ]
}

/// An answer with one field that holds something else.
fn answer() -> impl Strategy<Value = (usize, Value)> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s).{0,60}".prop_map(Value::from),
        proptest::collection::vec("(?s).{0,20}", 0..20).prop_map(Value::from),
        proptest::collection::vec("m[0-9]{1,3}", 0..9).prop_map(|ids| json!([{ "risk": "scam", "messages": ids }])),
    ];
    (0usize..12, value)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn no_body_breaks_the_analyst() {
    let runtime = runtime();
    let (fakes, services): (Vec<_>, Vec<_>) = runtime.block_on(async {
        let fakes = [FakeAi::start(OpenAi).await, FakeAi::start(Anthropic).await];
        let services = fakes.each_ref().map(|fake| fake.settings());
        (fakes.into(), services.into())
    });
    proptest!(ProptestConfig::with_cases(60), |(body in body(), which in 0usize..2)| {
        runtime.block_on(async {
            // A service of its own, since the breaker would open soon.
            let service = service(services[which].clone());
            fakes[which].always(Act::Garbage(body));
            let (verdict, _) = asked(&service).await;
            let fault = verdict.expect_err("no such body is an answer");
            prop_assert!(matches!(fault.code(), Code::AiInvalid | Code::AiCutOff | Code::AiRefused), "{:?}", fault);
            Ok(())
        })?;
    });
}

#[test]
fn no_answer_breaks_the_analyst_and_what_is_taken_fits() {
    let runtime = runtime();
    let (fake, service) = runtime.block_on(async {
        let fake = FakeAi::start(OpenAi).await;
        let service = service(fake.settings());
        (fake, service)
    });
    proptest!(ProptestConfig::with_cases(150), |((field, value) in answer())| {
        runtime.block_on(async {
            fake.always(Act::Think(Arc::new(move |asked| {
                let mut answer = asked.good();
                let names: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
                let name = names.get(field).cloned().unwrap_or_else(|| "links".to_owned());
                answer[&name] = value.clone();
                answer.to_string()
            })));
            let (verdict, _) = asked(&service).await;
            match verdict {
                Ok(verdict) => {
                    prop_assert!(!verdict.summary.is_empty() && verdict.summary.expose().chars().count() <= 1_500);
                    prop_assert!(verdict.topics.len() <= 12 && verdict.links.is_empty());
                    let is_hidden = |c| matches!(c, '\u{202e}' | '\n' | '\u{0}');
                    prop_assert!(!verdict.summary.expose().contains(is_hidden), "hidden characters");
                }
                Err(fault) => prop_assert_eq!(fault.code(), Code::AiInvalid, "{:?}", fault),
            }
            Ok(())
        })?;
    });
}
