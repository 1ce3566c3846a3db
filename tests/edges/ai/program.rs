//! The program with an AI service: from the site to the stored answer, through a time without the service, and
//! what the doctor says of it. At trace, no key and no answer is in any log.

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::demo::Site;
use jiff::SignedDuration;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::ai::{Act, FakeAi, KEY, MODEL};
use crate::support::processes::{Browsers, Watched, send, turn};
use crate::support::{Place, assert_store_equals_site, tiny_site};

/// A place whose analyst is this service.
fn with_service(place: Place, fake: &FakeAi, provider: &str) -> Place {
    place
        .with("AI_PROVIDER", provider)
        .with("AI_API_URL", fake.url())
        .with("AI_API_KEY", KEY)
        .with("AI_MODEL", MODEL)
        .with("LOG_LEVEL", "trace")
}

async fn summaries(place: &Place) -> Vec<String> {
    let run = place.run(&["conversations", "list", "--json"]).await.expect_success();
    let list: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    list.iter().map(|conversation| conversation["summary"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn every_conversation_has_an_answer_of_the_service_and_a_second_run_asks_nothing() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let fake = FakeAi::start(OpenAi).await;
    let place = with_service(Place::for_site(&site), &fake, "openai");
    let _browsers = Browsers::of(&place);
    let run = place.collect_once().await;
    assert_store_equals_site(&site, &place.exported().await);
    let summaries = summaries(&place).await;
    assert_eq!(summaries.len(), 5);
    assert!(summaries.iter().all(|summary| summary.starts_with("A chat of ")), "{summaries:?}");
    assert_eq!(fake.refused(), Vec::<String>::new());
    let asked = fake.requests();
    assert!(asked >= 5, "{asked}");
    for secret in [KEY, "A chat of ", "BOUNDARY-"] {
        assert!(!run.stderr.contains(secret), "{secret} is in the log");
    }
    place.collect_once().await;
    assert_eq!(fake.requests(), asked, "the same messages were asked about again");
    let dry = place.run(&["--dry-run", "collect", "--once"]).await.expect_success();
    assert_eq!(fake.requests(), asked, "a dry run asks nobody: {}", dry.stderr);
    site.stop().await;
}

#[tokio::test]
async fn without_the_service_capture_goes_on_and_the_analyses_wait() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let fake = FakeAi::start(Anthropic).await;
    fake.always(Act::limited(&[("retry-after", "6")]));
    let place = with_service(Place::for_site(&site), &fake, "anthropic")
        .with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
        .with("CHATFERRY_PASS_INTERVAL", "1s")
        .with("CHATFERRY_ANALYSIS_QUIET", "0s")
        .with("LOG_FORMAT", "text");
    let _browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["run"]);
    program.until_log(&["consumer backs off", "ai-rate-limited"]).await;
    program.until_log(&["pass completed"]).await;
    let live = "canary-55aa: what was said meanwhile";
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, live).unwrap();
    program.until_log(&["batch archived", " inserted=1 "]).await;
    fake.always(Act::Answer);
    program.until_log(&["analysis stored"]).await;
    send(program.pid(), Signal::TERM);
    let ended = program.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    let log = ended.log.join("\n");
    assert!(!log.contains(KEY) && !log.contains("canary-55aa"), "{log}");
    assert_eq!(place.run(&["dead", "list"]).await.expect_success().stdout, "no dead letters\n");
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn what_no_repetition_helps_is_a_dead_letter_and_can_be_replayed_when_the_cause_is_mended() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::Cut { is_empty: true });
    let place = with_service(Place::for_site(&site), &fake, "openai");
    let _browsers = Browsers::of(&place);
    place.collect_once().await;
    assert_store_equals_site(&site, &place.exported().await);
    let run = place.run(&["dead", "list", "--json"]).await.expect_success();
    let letters: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert!(letters.len() >= 5 && letters.iter().all(|letter| letter["code"] == "ai-cut-off"), "{}", run.stdout);
    assert!(run.stdout.contains("cut off at 2000 tokens"), "{}", run.stdout);
    assert!(summaries(&place).await.iter().all(String::is_empty));
    fake.always(Act::Answer);
    place.run(&["dead", "replay", "--code", "ai-cut-off"]).await.expect_success();
    place.collect_once().await;
    assert!(summaries(&place).await.iter().all(|summary| summary.starts_with("A chat of ")));
    site.stop().await;
}

/// What the doctor says of the analyst.
async fn analyst(place: &Place) -> Value {
    let run = place.run(&["doctor", "--json"]).await;
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(KEY), "{}", run.stderr);
    let findings: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    findings.into_iter().find(|finding| finding["part"] == "analyst").unwrap()
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_with_the_service() {
    let _turn = turn().await;
    let fake = FakeAi::start(OpenAi).await;
    // The browser is not what is asked about here.
    let mut place = with_service(Place::new(), &fake, "openai").with("CHROMIUM_PATH", "/nowhere/chromium");
    let well = analyst(&place).await;
    assert_eq!(well["health"], "ok", "{well}");
    assert!(well["what"].as_str().unwrap().starts_with("fake-1 at 127.0.0.1 answers; prompt chat-1"), "{well}");
    for (act, code) in [
        (Act::used_up(), "ai-quota-exhausted"),
        (Act::failed(503), "ai-unreachable"),
        (Act::Skewed(SignedDuration::from_mins(-9)), "clock-off"),
    ] {
        fake.script([act]);
        let finding = analyst(&place).await;
        assert_eq!((&finding["health"], &finding["code"]), (&"fault".into(), &code.into()), "{finding}");
        assert!(finding["action"].is_string());
    }
    place.set("AI_MODEL", "nobody");
    assert_eq!(analyst(&place).await["code"], "ai-model-unknown");
    fake.takes_keys(&["another"]);
    assert_eq!(analyst(&place).await["code"], "ai-auth");
    drop(fake);
    assert_eq!(analyst(&place).await["code"], "ai-unreachable");
}

#[tokio::test]
async fn settings_that_contradict_each_other_end_the_start() {
    let fake = FakeAi::start(OpenAi).await;
    let mut place = with_service(Place::new(), &fake, "openai");
    place.unset("AI_MODEL");
    let run = place.run(&["doctor"]).await;
    assert_eq!(run.code(), Some(78), "{}", run.stderr);
    assert!(run.stderr.contains("AI_MODEL") && run.stderr.contains("is missing"), "{}", run.stderr);
    place.set("AI_MODEL", MODEL);
    place.set("AI_PROMPT_VERSION", "nobody-wrote-it");
    let run = place.run(&["doctor", "--json"]).await;
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert!(run.stdout.contains("there is no such file") && run.stdout.contains("config-invalid"), "{}", run.stdout);
    assert_eq!(fake.requests(), 0);
}
