//! `chatferry mirror` as a person calls it, on a store of some conversations and a sheet that people broke.

use std::sync::Arc;
use std::time::Duration;

use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{AccountId, ConversationKey, Direction, Message, MessageKey, Origin, Precision};
use chatferry::ports::{DueRule, Leases, Store};
use chatferry::sqlite::Database;
use chatferry::store::{self, SqliteStore};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::Value;

use super::rig::{TAB, keys, others};
use crate::google::book::Tab;
use crate::google::{Google, SHEET_ID, shown};
use crate::support::processes::{Watched, send};
use crate::support::{Place, Run, eventually};

/// What every title and every text begins with.
pub const CANARY: &str = "canary-chat-text";

/// A place whose mirror is this sheet, with a store of so many conversations.
pub async fn place(google: &Google, conversations: u32) -> Place {
    let place = Place::new()
        .with("LOG_LEVEL", "trace")
        .with("GOOGLE_SHEET_ID", format!("https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit?gid=0#gid=0"))
        .with("GOOGLE_SHEETS_API_URL", google.address().trim_end_matches('/'))
        .with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0");
    let key = google.key_file(place.folder());
    let place = place.with("GOOGLE_CREDENTIALS_PATH", key.display().to_string());
    let (database, store) = store_of(&place);
    let captured: Vec<MessageCaptured> = (1..=conversations).map(|id| captured(id, 1)).collect();
    let rule = DueRule { quiet: Duration::from_secs(3600), max_wait: Duration::from_secs(3600) };
    store.archive(&captured, rule, Timestamp::now()).await.unwrap();
    drop(store);
    database.close().await;
    place
}

/// The embedded store of a place.
pub fn store_of(place: &Place) -> (Database, Arc<SqliteStore>) {
    std::fs::create_dir_all(place.data_dir()).unwrap();
    let migrations = [chatferry::bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
    let database = Database::open(&place.data_dir().join("chatferry.db"), &migrations).unwrap();
    (database.clone(), Arc::new(SqliteStore::open(database)))
}

pub fn key(id: u32) -> ConversationKey {
    ConversationKey::new(&account(), &id.to_string())
}

fn account() -> AccountId {
    "demo/default".parse().unwrap()
}

/// Message `n` of conversation `id`.
pub fn captured(id: u32, n: i64) -> MessageCaptured {
    let at = Timestamp::from_second(1_793_000_000 + i64::from(id) * 60 + n).unwrap();
    MessageCaptured {
        account: account(),
        conversation: ConversationRef {
            key: key(id),
            id: id.to_string(),
            title: format!("{CANARY} title {id}").into(),
        },
        message: Message {
            key: MessageKey::native(&key(id), &n.to_string()),
            native_id: Some(n.to_string()),
            author: "Anna".into(),
            direction: Direction::In,
            text: format!("{CANARY} message {n}").into(),
            sent_at: Some(at),
            sent_at_precision: Precision::Minute,
            observed_at: at,
            attachments: Vec::new(),
            position: n * 10,
        },
        origin: Origin::Backfill,
        revision: 0,
    }
}

/// Nothing that was said or kept secret stands in what a run put out.
#[track_caller]
pub fn assert_silent(google: &Google, text: &str) {
    let mut canaries = Google::key_canaries();
    canaries.extend([CANARY, "ya29.", "eyJhbGciOi", "PRIVATE KEY"].map(str::to_owned));
    canaries.extend(google.state().good.clone());
    for canary in canaries {
        assert!(!text.contains(&canary), "{canary} is told:\n{text}");
    }
}

async fn mirror(google: &Google, place: &Place, arguments: &[&str], code: i32) -> Run {
    let run = place.run(&[&["mirror"], arguments].concat()).await;
    assert_eq!(run.code(), Some(code), "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
    assert_silent(google, &format!("{}{}", run.stdout, run.stderr));
    assert_eq!(google.state().misunderstood, [] as [String; 0]);
    run
}

async fn differences(google: &Google, place: &Place, code: i32) -> Vec<Value> {
    let run = mirror(google, place, &["verify", "--json"], code).await;
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    document["mirrors"][0]["differences"].as_array().unwrap().clone()
}

#[tokio::test]
async fn verify_finds_what_was_broken_by_hand_and_rebuild_mends_it() {
    let google = Google::start().await;
    let place = place(&google, 8).await;
    let before = differences(&google, &place, 1).await;
    assert_eq!(before[0]["kind"], "absent");
    mirror(&google, &place, &["rebuild"], 0).await;
    assert_eq!(differences(&google, &place, 0).await, [] as [Value; 0]);

    let at = |tab: &Tab, id: u32| keys(tab)[&key(id).to_string()][0];
    let (theirs, rows) = {
        let mut state = google.state();
        let tab = state.book.edit(TAB);
        let rows: Vec<usize> = (1..=8).map(|id| at(tab, id)).collect();
        tab.set(rows[0] - 1, 6, "my own summary".into());
        tab.set(rows[0] - 1, 5, 99.into());
        tab.set(rows[1] - 1, 0, "".into());
        tab.set(rows[2] - 1, 0, key(77).to_string().into());
        let copy: Vec<_> = (0..14).map(|column| tab.get(rows[3] - 1, column).clone()).collect();
        copy.into_iter().enumerate().for_each(|(column, value)| tab.set(10, column, value));
        tab.set(10, 16, "beside the copy".into());
        tab.set(rows[2] - 1, 15, "a note".into());
        tab.set(14, 0, "Total".into());
        tab.set(14, 16, "=SUM(F2:F9)".into());
        (others(tab), rows)
    };
    let found = differences(&google, &place, 1).await;
    let kinds: Vec<(&str, Option<&str>)> =
        found.iter().map(|one| (one["kind"].as_str().unwrap(), one["key"].as_str())).collect();
    let keys_of = [1, 2, 3, 4, 77].map(|id| key(id).to_string());
    for expected in [
        ("differs", Some(keys_of[0].as_str())),
        ("keyless", None),
        ("missing", Some(keys_of[1].as_str())),
        ("orphan", Some(keys_of[4].as_str())),
        ("missing", Some(keys_of[2].as_str())),
        ("doubled", Some(keys_of[3].as_str())),
    ] {
        assert!(kinds.contains(&expected), "{expected:?} is not in {kinds:?}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
    let differs = found.iter().find(|one| one["kind"] == "differs").unwrap();
    assert_eq!((&differs["row"], &differs["columns"]), (&rows[0].into(), &serde_json::json!(["messages", "summary"])));
    let told = mirror(&google, &place, &["verify"], 1).await.stdout;
    assert!(told.starts_with("sheet: 6 differences") && !told.contains("my own summary"), "{told}");

    let dry = place.run(&["--dry-run", "mirror", "rebuild"]).await;
    assert_eq!(differences(&google, &place, 1).await.len(), 6, "a dry run changes nothing: {}", dry.stdout);
    mirror(&google, &place, &["rebuild"], 0).await;
    assert_eq!(differences(&google, &place, 0).await, [] as [Value; 0]);
    let state = google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!(others(tab), theirs);
    assert_eq!(shown(tab.get(14, 0)), "Total", "a line of somebody else's stays");
    assert_eq!(keys(tab).len(), 8);
}

#[tokio::test]
async fn status_tells_where_the_sheet_is_what_waits_and_what_is_wrong() {
    let google = Google::start().await;
    let place = place(&google, 3).await;
    let read = |run: &Run| serde_json::from_str::<Value>(&run.stdout).unwrap();
    let status = read(&mirror(&google, &place, &["status", "--json"], 0).await);
    assert_eq!((&status["waiting"], &status["conversations"]), (&3.into(), &3.into()));
    assert_eq!(status["mirrors"][0]["at"], format!("https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit"));
    assert_eq!(google.state().book.changes.len(), 0, "looking makes no tabs");
    mirror(&google, &place, &["rebuild"], 0).await;
    let status = read(&mirror(&google, &place, &["status", "--json"], 0).await);
    assert_eq!(status["waiting"], 0);
    assert!(status["mirrors"][0]["last_write"].is_string(), "{status}");
    google.state().readers.clear();
    let status = read(&mirror(&google, &place, &["status", "--json"], 1).await);
    assert_eq!(status["mirrors"][0]["fault"]["code"], "sheet-not-shared");
    let text = mirror(&google, &place, &["status"], 1).await.stdout;
    assert!(text.contains(crate::google::EMAIL) && text.contains("what to do:"), "{text}");
    google.state().readers.push(crate::google::EMAIL.to_owned());
    google.state().book.edit(TAB).set(0, 6, "about".into());
    let text = mirror(&google, &place, &["status"], 1).await.stdout;
    assert!(text.contains("\"summary\" is missing") && text.contains("[sheet-columns]"), "{text}");
}

#[tokio::test]
async fn a_sheet_that_another_process_writes_is_left_to_it() {
    let google = Google::start().await;
    let place = place(&google, 3).await;
    mirror(&google, &place, &["rebuild"], 0).await;
    let (database, store) = store_of(&place);
    let leased_as = format!("google-sheets/{SHEET_ID}").parse().unwrap();
    store.acquire(&leased_as, "somebody else", Duration::from_secs(600)).await.unwrap().unwrap();
    mirror(&google, &place, &["rebuild"], 0).await;
    {
        let mut state = google.state();
        let tab = state.book.edit(TAB);
        tab.delete_row(1);
        tab.set(8, 0, key(77).to_string().into());
    }
    let writes = google.state().bodies.len();
    let run = mirror(&google, &place, &["rebuild"], 75).await;
    assert!(run.stderr.contains("somebody else") && run.stderr.contains("sheet-held"), "{}", run.stderr);
    assert_eq!(google.state().bodies.len(), writes);
    let noted = store.mirrored(SHEET_ID).await.unwrap();
    assert!(noted.values().all(|shows| *shows == [0; 16]), "the holder will find that all is to be written");
    let keys: std::collections::BTreeSet<_> = noted.keys().map(ToString::to_string).collect();
    let expected = [1, 2, 3, 77].map(|id| key(id).to_string());
    assert_eq!(keys, expected.into(), "and what belongs to nobody is to be emptied");
    let lease = store.holder(&leased_as).await.unwrap().unwrap();
    store.release(&lease).await.unwrap();
    let daemon = Watched::start(&place, &["run"]);
    eventually("the holder mends it", || async {
        let found = keys_of(&google);
        (found == [1, 2, 3].map(|id| key(id).to_string()).into()).then_some(())
    })
    .await;
    send(daemon.pid(), Signal::TERM);
    assert!(daemon.end().await.status.success());
    drop(store);
    database.close().await;
}

fn keys_of(google: &Google) -> std::collections::BTreeSet<String> {
    keys(google.state().book.tab(TAB).unwrap()).into_keys().collect()
}

#[tokio::test]
async fn without_a_sheet_it_is_the_workbook_that_is_compared_and_mended() {
    let google = Google::start().await;
    let mut place = place(&google, 4).await;
    for name in ["GOOGLE_SHEET_ID", "GOOGLE_CREDENTIALS_PATH", "GOOGLE_SHEETS_API_URL"] {
        place.unset(name);
    }
    assert_eq!(differences(&google, &place, 1).await.len(), 2, "neither file is there");
    mirror(&google, &place, &["rebuild"], 0).await;
    assert_eq!(differences(&google, &place, 0).await.len(), 0);
    let csv = place.data_dir().join("summaries.csv");
    let text = std::fs::read_to_string(&csv).unwrap();
    std::fs::write(&csv, text.replace(&key(2).to_string(), &key(9).to_string())).unwrap();
    let kinds: Vec<Value> = differences(&google, &place, 1).await.iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["orphan", "missing"]);
    mirror(&google, &place, &["rebuild"], 0).await;
    assert!(google.requests().is_empty());
}
