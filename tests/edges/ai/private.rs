//! What a service elsewhere gets to see of private data, and what is stored of it.

use std::sync::Arc;

use chatferry::config::AiProvider::OpenAi;
use chatferry::ports::Analyst;

use super::{chat, service};
use crate::support::ai::{Act, FakeAi};

const SECRETS: [&str; 4] =
    ["mia.k@mail.example", "+49 170 5551234", "4111 1111 1111 1111", "ghp_0123456789abcdefABCDEF0123456789abcd"];

fn chatty() -> chatferry::ports::AnalystRequest {
    let texts = SECRETS.map(|secret| format!("take {secret}, and once more: {secret}"));
    let mut request = chat("private", &texts.each_ref().map(String::as_str));
    request.title = chatferry::domain::Text::from(SECRETS[0]);
    request
}

/// A model that repeats every text that it was told.
fn repeats() -> Act {
    Act::Think(Arc::new(|asked| {
        let mut answer = asked.good();
        let texts: Vec<&str> = asked.messages.iter().map(|m| m["text"].as_str().unwrap()).collect();
        answer["summary"] = texts.join(" / ").into();
        answer["topics"] = serde_json::json!(["[EMAIL_1]", "[PHONE_9]"]);
        answer.to_string()
    }))
}

#[tokio::test]
async fn masked_data_stays_here_and_comes_back_into_what_is_stored() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(repeats());
    let mut settings = fake.settings();
    settings.mask = true;
    let verdict = service(settings).analyse(&chatty()).await.verdict.unwrap();
    let sent = fake.seen()[0].to_string();
    for secret in SECRETS {
        assert!(!sent.contains(secret), "{secret} was sent");
        assert_eq!(verdict.summary.expose().matches(secret).count(), 2, "{secret}");
    }
    assert_eq!(verdict.topics.iter().map(|t| t.expose()).collect::<Vec<_>>(), [SECRETS[0], "[PHONE_9]"]);
}

#[tokio::test]
async fn no_link_and_no_markup_comes_in_as_a_secret() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::Think(Arc::new(|asked| {
        let mut answer = asked.good();
        answer["summary"] = "It is [SECRET_1], she says.".into();
        answer.to_string()
    })));
    let mut settings = fake.settings();
    settings.mask = true;
    let service = service(settings);
    let filler = "x".repeat(64);
    for (text, stored) in [
        (format!("-----BEGIN X PRIVATE KEY-----<script>{filler}</script>-----END X PRIVATE KEY-----"), "[SECRET_1]"),
        (
            format!("-----BEGIN X PRIVATE KEY-----\nhttps://evil.example/{filler}\n-----END X PRIVATE KEY-----"),
            "[SECRET_1]",
        ),
        ("https://user:pa55@evil.example/x".to_owned(), "[SECRET_1]"),
        (SECRETS[3].to_owned(), SECRETS[3]),
    ] {
        let verdict = service.analyse(&chat("secret", &[&text])).await.verdict.unwrap();
        assert_eq!(verdict.summary.expose(), format!("It is {stored}, she says."), "{text}");
    }
}

#[tokio::test]
async fn a_model_on_this_machine_sees_what_was_said() {
    let fake = FakeAi::start(OpenAi).await;
    assert!(!fake.settings().mask, "the fake is on this machine");
    service(fake.settings()).analyse(&chatty()).await.verdict.unwrap();
    let sent = fake.seen()[0].to_string();
    assert!(SECRETS.iter().all(|secret| sent.contains(secret)));
}

#[tokio::test]
async fn what_an_earlier_answer_holds_is_masked_too() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(repeats());
    let mut settings = fake.settings();
    settings.mask = true;
    let service = service(settings);
    let mut request = chatty();
    request.previous = Some(service.analyse(&request).await.verdict.unwrap());
    service.analyse(&request).await.verdict.unwrap();
    let sent = fake.seen()[1].to_string();
    assert!(sent.contains("previous") && SECRETS.iter().all(|secret| !sent.contains(secret)));
}
