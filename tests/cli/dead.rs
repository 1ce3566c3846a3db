//! Dead letters on the embedded bus, as a person deals with them: looked at, sent back, dropped; beside a
//! daemon and without one.

use std::time::{Duration, Instant};

use chatferry::bus::{self, EmbeddedBus};
use chatferry::domain::{EventId, EventType};
use chatferry::ports::{Bus, Outgoing};
use chatferry::sqlite::Database;
use chatferry::store;
use rustix::process::Signal;
use serde_json::Value;

use crate::refusal::refused;
use crate::support::processes::{Watched, send};
use crate::support::{Place, Run};

/// What stands in the bodies: chat text, for all that a reader of the list may know.
const GARBAGE: &str = "garbage-canary";

fn place() -> Place {
    Place::new().with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
}

fn id(number: u8) -> EventId {
    EventId::of(EventType::MessageCaptured, &[b"dead", &[number]])
}

/// Puts events that nobody can read into the queue of the archive.
async fn publish_garbage(place: &Place, numbers: std::ops::Range<u8>) {
    std::fs::create_dir_all(place.data_dir()).unwrap();
    let migrations = [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
    let database = Database::open(&place.data_dir().join("chatferry.db"), &migrations).unwrap();
    let bus = EmbeddedBus::open(database.clone()).await.unwrap();
    let events: Vec<Outgoing> = numbers
        .map(|number| Outgoing {
            id: id(number),
            kind: EventType::MessageCaptured,
            site: "demo".parse().unwrap(),
            body: format!("{GARBAGE} {number}").into_bytes(),
        })
        .collect();
    assert!(bus.publish(&events).await.unwrap().iter().all(Result::is_ok));
    drop(bus);
    database.close().await;
}

/// A daemon that has buried so many dead letters.
async fn buried_by(place: &Place, count: usize) -> Watched {
    let mut daemon = Watched::start(place, &["run"]);
    for _ in 0..count {
        daemon.until_log(&["delivery is a dead letter"]).await;
    }
    daemon
}

async fn stop(daemon: Watched) {
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}: {}", ended.status, ended.log.join("\n"));
}

/// The usual way to a dead letter: an event that nobody can read, and a daemon that meets it.
async fn bury(place: &Place, count: u8) {
    publish_garbage(place, 0..count).await;
    stop(buried_by(place, count.into()).await).await;
}

async fn listed(place: &Place) -> Vec<Value> {
    let run = place.run(&["dead", "list", "--json"]).await.expect_success();
    serde_json::from_str(&run.stdout).unwrap()
}

async fn document(place: &Place, arguments: &[&str]) -> Value {
    let run = place.run(arguments).await.expect_success();
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap()
}

/// One sentence on stderr and this exit code.
async fn said(place: &Place, arguments: &[&str], exit: i32, sentence: &str) -> Run {
    let run = place.run(arguments).await;
    assert_eq!(run.code(), Some(exit), "{arguments:?}: {}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(sentence), "{sentence:?} is not in:\n{}", run.stderr);
    run
}

#[tokio::test]
async fn nothing_collected_and_nothing_dead_are_two_things() {
    let place = place();
    for arguments in [&["dead", "list"][..], &["--dry-run", "dead", "replay", "--code", "event-invalid"]] {
        let run = refused(&place, arguments, 78, "data-dir-unusable").await;
        assert!(run.stderr.contains("nothing has been collected into the data directory"), "{}", run.stderr);
        assert!(!place.data_dir().exists(), "looking made the data directory");
    }
    publish_garbage(&place, 0..0).await;
    assert_eq!(place.run(&["dead", "list"]).await.expect_success().stdout, "no dead letters\n");
    assert!(listed(&place).await.is_empty());
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_shown_and_its_text_only_when_asked_for() {
    let place = place();
    bury(&place, 2).await;
    let list = listed(&place).await;
    assert_eq!(list.len(), 2);
    for letter in &list {
        assert_eq!((&letter["code"], &letter["queue"]), (&"event-invalid".into(), &"chatferry.archive".into()));
        assert_eq!((&letter["failures"], &letter["type"]), (&1.into(), &"chatferry.message.captured.v1".into()));
        assert!(letter["first_failed_at"].as_str() <= letter["failed_at"].as_str(), "{letter}");
        assert!(!letter["reason"].as_str().unwrap().is_empty());
    }
    let table = place.run(&["dead", "list", "--code", "event-invalid"]).await.expect_success().stdout;
    assert!(table.contains(&id(0).to_string()) && table.contains(&id(1).to_string()), "{table}");
    let shown = place.run(&["dead", "show", &id(0).to_string()]).await.expect_success().stdout;
    for words in ["event-invalid", "chatferry.archive", "what to do     Look at the dead letter", "--body shows"] {
        assert!(shown.contains(words), "{words:?} is not in:\n{shown}");
    }
    assert!(!format!("{list:?}{table}{shown}").contains(GARBAGE), "text was shown unasked");
    let with_body = place.run(&["dead", "show", "--body", &id(0).to_string()]).await.expect_success().stdout;
    assert!(with_body.contains(&format!("{GARBAGE} 0")), "{with_body}");
    let with_body = document(&place, &["dead", "show", "--body", "--json", &id(1).to_string()]).await;
    assert_eq!(with_body["event"], format!("{GARBAGE} 1"));

    assert_eq!(place.run(&["dead", "list", "--code", "queue-full"]).await.expect_success().stdout, "no dead letters\n");
    said(&place, &["dead", "list", "--code", "event-invlid"], 1, "there is no code event-invlid").await;
    said(&place, &["dead", "show", &id(9).to_string()], 1, &format!("there is no dead letter {}", id(9))).await;
    said(&place, &["dead", "show", "nonsense"], 2, "32 hex digits").await;
}

#[tokio::test]
async fn a_replay_goes_back_into_the_queue_and_may_be_repeated() {
    let place = place();
    bury(&place, 4).await;
    let one = id(1).to_string();
    for arguments in [&["dead", "replay"][..], &["dead", "drop"]] {
        said(&place, arguments, 2, "Usage").await;
    }
    said(&place, &["dead", "replay", "--rate", "0", &one], 2, "0 is not in 1..=100000").await;
    for arguments in
        [&["--dry-run", "dead", "replay", "--code", "event-invalid"][..], &["--dry-run", "dead", "drop", &one]]
    {
        let run = place.run(arguments).await.expect_success();
        assert!(run.stdout.contains("would be "), "{}", run.stdout);
        assert_eq!(listed(&place).await.len(), 4, "{arguments:?} changed something");
    }

    let first = document(&place, &["dead", "replay", "--json", &one, &id(9).to_string()]).await;
    assert_eq!((&first["replayed"], &first["not_there"][0]), (&1.into(), &id(9).to_string().into()));
    assert_eq!(listed(&place).await.len(), 3);
    let again = document(&place, &["dead", "replay", "--json", &one]).await;
    assert_eq!((&again["replayed"], &again["not_there"][0]), (&0.into(), &one.clone().into()));

    // Three are left, two a second: the third one can't come before a second is over.
    let begun = Instant::now();
    let rest = document(&place, &["dead", "replay", "--json", "--rate", "2", "--code", "event-invalid"]).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "faster than two a second");
    assert_eq!(rest["replayed"], 3);
    assert!(listed(&place).await.is_empty());

    // They are as bad as before: each is met again, and once.
    stop(buried_by(&place, 4).await).await;
    let letters = listed(&place).await;
    assert_eq!(letters.len(), 4);
    assert!(letters.iter().all(|letter| letter["failures"] == 1), "something was held against them: {letters:?}");
}

#[tokio::test]
async fn what_is_dropped_is_gone_and_nothing_else_is() {
    let place = place();
    bury(&place, 2).await;
    let one = id(1).to_string();
    assert_eq!(place.run(&["dead", "drop", &one]).await.expect_success().stdout, "1 dropped\n");
    let again = place.run(&["dead", "drop", &one]).await.expect_success();
    assert_eq!(again.stdout, format!("0 dropped\nnot among the dead letters (any more): {one}\n"));
    assert!(again.logged("dead letters dropped").is_empty(), "{}", again.stderr);
    let left = listed(&place).await;
    assert_eq!((left.len(), &left[0]["id"]), (1, &id(0).to_string().into()));
    let replayed = place.run(&["dead", "replay", &one]).await.expect_success();
    assert!(replayed.stdout.starts_with("0 replayed\n"), "dropped is dropped: {}", replayed.stdout);
}

#[tokio::test]
async fn beside_a_daemon_one_may_look_and_not_touch() {
    let place = place();
    publish_garbage(&place, 0..1).await;
    let daemon = buried_by(&place, 1).await;
    let one = id(0).to_string();
    for arguments in [&["dead", "replay", &one][..], &["dead", "drop", &one]] {
        refused(&place, arguments, 75, "data-dir-locked").await;
    }
    let would = place.run(&["--dry-run", "dead", "replay", &one]).await.expect_success();
    assert_eq!(would.stdout, "1 would be replayed\n");
    assert_eq!(listed(&place).await.len(), 1);
    place.run(&["dead", "show", &one]).await.expect_success();
    stop(daemon).await;
    assert_eq!(place.run(&["dead", "replay", &one]).await.expect_success().stdout, "1 replayed\n");
}
