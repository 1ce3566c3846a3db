//! Every form in which servers take questions and give answers.

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::fault::Code;
use chatferry::ports::{Analyst, Memory};

use super::{asked, code, plain, service};
use crate::support::ai::{Act, FakeAi, Habits, Limits};

#[tokio::test]
async fn both_languages_are_spoken_as_the_vendors_want_it() {
    for provider in [OpenAi, Anthropic] {
        let fake = FakeAi::start(provider).await;
        let service = service(fake.settings());
        let verdict = asked(&service).await.0.unwrap();
        assert_eq!((fake.requests(), fake.refused()), (1, Vec::<String>::new()));
        assert!(verdict.needs_reply && verdict.summary.expose().starts_with("A chat of 3 lines"));
        assert_eq!(verdict.last_speaker, Some(chatferry::domain::Direction::In));
        assert_eq!(verdict.money.iter().map(|m| m.expose()).collect::<Vec<_>>(), ["20 €"]);
        assert_eq!(
            (service.model(), service.prompt_version(), service.memory()),
            ("fake-1", "chat-1", Memory::Rolling)
        );
        assert!(service.knows("chat-1") && !service.knows("chat-0"));
    }
}

#[tokio::test]
async fn no_sampling_parameter_is_sent_unless_it_was_set() {
    let fake = FakeAi::start(OpenAi).await;
    asked(&service(fake.settings())).await.0.unwrap();
    let mut settings = fake.settings();
    settings.temperature = Some(0.0);
    asked(&service(settings)).await.0.unwrap();
    let seen = fake.seen();
    assert!(seen[0].get("temperature").is_none() && seen[0].get("top_p").is_none());
    assert_eq!((&seen[1]["temperature"], &seen[1]["max_completion_tokens"]), (&0.0.into(), &2_000.into()));
}

#[tokio::test]
async fn the_form_that_a_server_takes_is_found_once_and_remembered() {
    for (provider, habits, first, then) in [
        (OpenAi, Habits { refuses_schema: true, ..Habits::default() }, 2, "json_object"),
        (OpenAi, Habits { refuses_schema: true, refuses_object: true, ..Habits::default() }, 3, ""),
        (OpenAi, Habits { refuses_object: true, ..Habits::default() }, 1, "json_schema"),
        (Anthropic, Habits { refuses_schema: true, ..Habits::default() }, 2, ""),
    ] {
        let fake = FakeAi::start(provider).await;
        fake.has_habits(habits);
        let service = service(fake.settings());
        asked(&service).await.0.unwrap();
        assert_eq!(fake.requests(), first, "{habits:?}");
        for _ in 0..3 {
            asked(&service).await.0.unwrap();
        }
        assert_eq!(fake.requests(), first + 3, "{habits:?}");
        let last = fake.seen().pop().unwrap();
        assert_eq!(last["response_format"]["type"].as_str().unwrap_or_default(), then);
        let system = last["messages"][0]["content"].as_str().filter(|_| provider == OpenAi);
        let system = system.or_else(|| last["system"].as_str()).unwrap();
        // Where no server holds the model to the schema, the model is told it.
        assert_eq!(system.contains("additionalProperties"), then != "json_schema");
    }
}

#[tokio::test]
async fn the_limit_of_an_answer_is_kept_whatever_its_name_is_there() {
    let (completion, plain) = ("max_completion_tokens", "max_tokens");
    for (limits, first, names) in [
        (Limits::Both, 1, vec![completion, plain]),
        (Limits::IgnoresCompletion, 1, vec![completion, plain]),
        (Limits::RefusesPlain, 2, vec![completion]),
        (Limits::RefusesCompletion, 2, vec![plain]),
    ] {
        let fake = FakeAi::start(OpenAi).await;
        fake.has_habits(Habits { limits, ..Habits::default() });
        let mut settings = fake.settings();
        settings.max_output_tokens = 20;
        let short = service(settings);
        assert_eq!(code(asked(&short).await), Code::AiCutOff, "{limits:?}");
        assert_eq!((fake.requests(), fake.tokens().1), (first, 20), "{limits:?}");
        for _ in 0..3 {
            assert_eq!(code(asked(&short).await), Code::AiCutOff, "{limits:?}");
        }
        assert_eq!((fake.requests(), fake.tokens().1), (first + 3, 80), "{limits:?}");
        let last = fake.seen().pop().unwrap();
        let sent: Vec<&str> = [completion, plain].into_iter().filter(|name| last.get(name).is_some()).collect();
        assert_eq!(sent, names, "{limits:?}");
        assert_eq!(last["response_format"]["type"], "json_schema", "the form was not what it refused");
        // With room enough the answer is whole, and the doctor's one token comes back.
        let roomy = service(fake.settings());
        asked(&roomy).await.0.unwrap();
        roomy.probe().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_refuses_a_name_and_a_form_is_understood() {
    let fake = FakeAi::start(OpenAi).await;
    fake.has_habits(Habits { refuses_schema: true, limits: Limits::RefusesCompletion, ..Habits::default() });
    let service = service(fake.settings());
    asked(&service).await.0.unwrap();
    let first = fake.requests();
    asked(&service).await.0.unwrap();
    assert_eq!((first, fake.requests()), (4, 5));
    // A chat about the names changes nothing of what is sent.
    let fake = FakeAi::start(OpenAi).await;
    let quote = "{\"error\": {\"message\": \"can't read: what is max_tokens?\"}}";
    let refused = || Act::Status(400, Vec::new(), quote.to_owned());
    fake.script([refused(), refused(), refused()]);
    let asked = super::service(fake.settings()).analyse(&super::chat("names", &["what is max_tokens?"])).await;
    assert_eq!((asked.verdict.unwrap_err().code(), fake.requests()), (Code::AiRejected, 3));
}

#[tokio::test]
async fn a_question_that_is_refused_in_every_form_teaches_nothing() {
    let fake = FakeAi::start(OpenAi).await;
    let refused = || Act::Status(400, Vec::new(), "{\"error\": \"no\"}".to_owned());
    fake.script([refused(), refused(), refused()]);
    let service = service(fake.settings());
    assert_eq!(code(asked(&service).await), Code::AiRejected);
    assert_eq!(fake.requests(), 3);
    asked(&service).await.0.unwrap();
    assert_eq!(fake.seen().pop().unwrap()["response_format"]["type"], "json_schema");
    // Where the words blame something else, no other form is tried.
    let long = "{\"error\": {\"code\": \"context_length_exceeded\"}}";
    fake.script([Act::Status(400, Vec::new(), long.to_owned())]);
    assert_eq!((code(asked(&service).await), fake.requests()), (Code::AiRejected, 5));
}

#[tokio::test]
async fn answers_are_found_whatever_stands_around_them() {
    for provider in [OpenAi, Anthropic] {
        let fake = FakeAi::start(provider).await;
        let service = service(fake.settings());
        let plain = asked(&service).await.0.unwrap();
        for act in [Act::Fenced, Act::Thinking, Act::Prose, Act::NoUsage, Act::Typed("application/problem+json")] {
            fake.script([act]);
            assert_eq!(asked(&service).await.0.unwrap(), plain);
        }
        assert_eq!(fake.requests(), 6);
    }
}

#[tokio::test]
async fn the_complaint_says_what_is_wrong_and_the_second_answer_counts() {
    let fake = FakeAi::start(Anthropic).await;
    fake.script([Act::Think(std::sync::Arc::new(|asked| {
        let mut answer = asked.good();
        answer["risk_flags"] = serde_json::json!([{ "risk": "scam", "messages": ["m77"] }]);
        answer.to_string()
    }))]);
    let reply = service(fake.settings()).analyse(&plain()).await;
    reply.verdict.unwrap();
    let seen = fake.seen();
    let turns = seen[1]["messages"].as_array().unwrap();
    assert_eq!((seen.len(), turns.len()), (2, 3));
    assert!(turns[1]["content"].as_str().unwrap().contains("m77"));
    assert!(
        turns[2]["content"].as_str().unwrap().contains("risk_flags names a message that is not in the conversation")
    );
    let (input, output) = fake.tokens();
    assert_eq!((reply.usage.calls, reply.usage.input_tokens, reply.usage.output_tokens), (2, input, output));
}

#[tokio::test]
async fn prompts_are_files_and_have_versions() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine-2.md"), "Other words. JSON, the private mark {canary}: {boundary}")
        .unwrap();
    std::fs::write(folder.path().join("a-1.md"), "JSON {canary} {boundary}").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no prompt").unwrap();
    let fake = FakeAi::start(OpenAi).await;
    let mut settings = fake.settings();
    settings.prompts_dir = folder.path().to_owned();
    settings.prompt_version = Some("mine-2".to_owned());
    let service = service(settings);
    assert!(service.prompt_version() == "mine-2" && service.knows("chat-1"));
    assert_eq!(service.prompt_versions(), ["a-1", "chat-1", "mine-2"]);
    let mut request = plain();
    request.prompt_version = "mine-2".to_owned();
    service.analyse(&request).await.verdict.unwrap();
    assert!(fake.seen()[0]["messages"][0]["content"].as_str().unwrap().starts_with("Other words."));
    request.prompt_version = "mine-3".to_owned();
    let fault = service.analyse(&request).await.verdict.unwrap_err();
    assert_eq!((fault.code(), fake.requests()), (Code::EventInvalid, 1));
}
