//! Stored history again: which conversations are asked for, what is told of them, and what is refused.

use std::path::Path;

use chatferry::bus;
use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{AccountId, ConversationKey, Direction, Message, MessageKey, Origin, Precision};
use chatferry::ports::{DueRule, Store};
use chatferry::sqlite::Database;
use chatferry::store::{self, SqliteStore};
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::Value;

use crate::refusal::refused;
use crate::support::Place;
use crate::support::processes::{Watched, send};

/// Long after any test: what is not asked for is not analysed by itself.
const NEVER: DueRule =
    DueRule { quiet: std::time::Duration::from_secs(86_400), max_wait: std::time::Duration::from_secs(86_400) };

fn place() -> Place {
    Place::new().with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
}

fn key(thread: u32) -> ConversationKey {
    let account: AccountId = "demo/default".parse().unwrap();
    ConversationKey::new(&account, &thread.to_string())
}

/// Message `number` of a conversation whose messages were sent so many days ago.
fn captured(thread: u32, number: u32, days: i64) -> MessageCaptured {
    let sent_at = Timestamp::now() - SignedDuration::from_hours(24 * days);
    MessageCaptured {
        account: "demo/default".parse().unwrap(),
        conversation: ConversationRef {
            key: key(thread),
            id: thread.to_string(),
            title: format!("Person {thread}").into(),
        },
        message: Message {
            key: MessageKey::native(&key(thread), &number.to_string()),
            native_id: Some(number.to_string()),
            author: "Anna".into(),
            direction: Direction::In,
            text: format!("Shall we meet for lunch on day {number}?").into(),
            sent_at: Some(sent_at),
            sent_at_precision: Precision::Minute,
            observed_at: sent_at,
            attachments: Vec::new(),
            position: i64::from(number) * 10,
        },
        origin: Origin::Backfill,
        revision: 0,
    }
}

/// A database as a daemon leaves it: three conversations of 1, 10 and 100 days ago, none analysed.
async fn history(data_dir: &Path) {
    std::fs::create_dir_all(data_dir).unwrap();
    let migrations = [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
    let database = Database::open(&data_dir.join("chatferry.db"), &migrations).unwrap();
    let store = SqliteStore::open(database.clone());
    let messages: Vec<_> = [(1, 1), (2, 10), (3, 100)]
        .into_iter()
        .flat_map(|(thread, days)| (1..=4).map(move |n| captured(thread, n, days)))
        .collect();
    store.archive(&messages, NEVER, Timestamp::now()).await.unwrap();
    for thread in 1..=3 {
        store.requested(&key(thread), &MessageKey::native(&key(thread), "4"), 0).await.unwrap();
    }
    drop(store);
    database.close().await;
}

async fn document(place: &Place, arguments: &[&str]) -> Value {
    let run = place.run(arguments).await.expect_success();
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap()
}

/// What became of each conversation.
fn states(document: &Value) -> Vec<(String, String)> {
    let analyses = document["analyses"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    analyses.iter().map(|one| (text(&one["conversation"]), text(&one["state"]))).collect()
}

#[tokio::test]
async fn what_there_is_is_asked_for_once_and_by_age() {
    let place = place();
    history(&place.data_dir()).await;
    let would = document(&place, &["--dry-run", "analyze", "--since", "30d", "--json"]).await;
    assert_eq!((&would["asked"], &would["dry_run"]), (&2.into(), &true.into()));

    let first = document(&place, &["analyze", "--since", "30d", "--json"]).await;
    assert_eq!((&first["asked"], &first["made"], &first["waiting"]), (&2.into(), &2.into(), &0.into()));
    assert_eq!((&first["prompt_version"], &first["model"]), (&"extractive-1".into(), &"extractive".into()));
    let made = |thread: u32, state: &str| (key(thread).to_string(), state.to_owned());
    assert_eq!(states(&first), [made(1, "made"), made(2, "made")]);
    assert!(first["analyses"].as_array().unwrap().iter().all(|one| one["messages"] == 4), "{first}");

    let all = document(&place, &["analyze", "--json", "--prompt-version", "extractive-1"]).await;
    assert_eq!(states(&all), [made(1, "was there"), made(2, "was there"), made(3, "made")]);
    assert_eq!((&all["made"], &all["usage"]["calls"]), (&1.into(), &0.into()));

    let one = place.run(&["analyze", "--conversation", &key(3).to_string()]).await.expect_success().stdout;
    for words in [&key(3).to_string(), "Person 3", "was there", "0 of 1 made (version extractive-1, extractive)"] {
        assert!(one.contains(words), "{words:?} is not in:\n{one}");
    }
    let none = place.run(&["analyze", "--since", "2100-01-01"]).await.expect_success().stdout;
    assert!(none.starts_with("0 of 0 made"), "{none}");
    assert!(place.data_dir().join("summaries.csv").exists(), "shown in the mirror too");
}

#[tokio::test]
async fn what_there_is_not_is_named() {
    let place = place();
    let run = refused(&place, &["analyze"], 78, "data-dir-unusable").await;
    assert!(run.stderr.contains("nothing has been collected"), "{}", run.stderr);
    assert!(!place.data_dir().exists(), "looking made the data directory");
    history(&place.data_dir()).await;
    let run = refused(&place, &["analyze", "--prompt-version", "2027-1"], 1, "prompt-unknown").await;
    for words in ["extractive knows no version \"2027-1\"", "Name a version that there is: extractive-1."] {
        assert!(run.stderr.contains(words), "{words:?} is not in:\n{}", run.stderr);
    }
    let run = place.run(&["analyze", "--conversation", &key(9).to_string()]).await;
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("there is no conversation {}", key(9))), "{}", run.stderr);
    let run = place.run(&["analyze", "--since", "yesterday"]).await;
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("expected a day such as 2026-11-01"), "{}", run.stderr);
}

#[tokio::test]
async fn beside_a_daemon_on_the_embedded_queues_it_is_refused() {
    let place = place();
    history(&place.data_dir()).await;
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["http listening"]).await;
    refused(&place, &["analyze"], 75, "data-dir-locked").await;
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}: {}", ended.status, ended.log.join("\n"));
    assert_eq!(document(&place, &["analyze", "--json"]).await["made"], 3);
}
