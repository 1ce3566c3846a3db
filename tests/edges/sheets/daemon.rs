//! The daemon with a sheet: it writes what is stored, keeps silent about it, and goes on by itself when Google does.

use std::time::Duration;

use chatferry::ports::{DueRule, Leases, Store};
use jiff::Timestamp;
use rustix::process::Signal;

use super::commands::{CANARY, assert_silent, captured, key, place, store_of};
use super::rig::{TAB, keys};
use crate::google::{EMAIL, Google, Mishap, SHEET_ID};
use crate::support::eventually;
use crate::support::processes::{Watched, send};

/// Whether so many conversations stand in the sheet, each once.
fn holds(google: &Google, conversations: usize) -> bool {
    let state = google.state();
    let Some(tab) = state.book.tab(TAB) else { return false };
    let keys = keys(tab);
    keys.len() == conversations && keys.values().all(|rows| rows.len() == 1)
}

async fn until_it_holds(google: &Google, conversations: usize) {
    eventually("the conversations stand in the sheet", || async { holds(google, conversations).then_some(()) }).await;
}

#[tokio::test]
async fn it_writes_what_is_stored_and_no_line_of_its_log_holds_a_token_or_a_chat() {
    let google = Google::start().await;
    let place = place(&google, 12).await;
    // A refusal that quotes the request, and a lost answer.
    google.state().skip = 4;
    google.mishaps(&[Mishap::Status(503, Some(0)), Mishap::Lost]);
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["mirror written"]).await;
    until_it_holds(&google, 12).await;
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    assert!(ended.log.len() > 4, "{:?}", ended.log);
    assert_silent(&google, &ended.log.join("\n"));
    let state = google.state();
    assert_eq!(state.misunderstood, [] as [String; 0]);
    assert!(state.bodies.iter().any(|body| body.contains(CANARY)), "the same search finds it where it belongs");
    assert!(!place.data_dir().join("summaries.csv").exists(), "no copy on this machine unless it is asked for");
}

#[tokio::test]
async fn the_workbook_is_written_beside_the_sheet_if_that_is_asked_for() {
    let google = Google::start().await;
    let place = place(&google, 2).await.with("CHATFERRY_WORKBOOK", "on");
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["mirror written"]).await;
    assert!(holds(&google, 2) && place.data_dir().join("summaries.xlsx").exists());
    send(daemon.pid(), Signal::TERM);
    assert!(daemon.end().await.status.success());
}

#[tokio::test]
async fn a_sheet_that_is_not_shared_stops_nothing_and_says_what_to_do() {
    let google = Google::start().await;
    google.state().writers.clear();
    let place = place(&google, 2).await;
    let mut daemon = Watched::start(&place, &["run"]);
    let line = daemon.until_log(&["mirror failed", "sheet-not-shared"]).await;
    assert!(line.contains(EMAIL) && line.contains("editor"), "{line}");
    let http = daemon.log.iter().find(|line| line.contains("listening")).cloned().unwrap_or_default();
    let address =
        http.split("127.0.0.1:").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let status = get(&address.expect("it listens"), "/api/v1/status").await;
    let document: serde_json::Value = serde_json::from_str(&status).unwrap();
    let causes = format!("{} {} {}", document["headline"], document["subline"], document["also"]);
    assert!(causes.contains("mirror is parked") && causes.contains(EMAIL), "{causes}");
    assert_eq!(document["sheet"], format!("https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit"));
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
}

async fn get(port: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn what_waits_while_google_has_enough_is_written_when_it_allows_it() {
    let google = Google::start().await;
    google.state().quota = 0;
    let place = place(&google, 5).await;
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["mirror failed", "sheet-rate-limited"]).await;
    google.state().quota = usize::MAX;
    until_it_holds(&google, 5).await;
    send(daemon.pid(), Signal::TERM);
    assert!(daemon.end().await.status.success());
}

#[tokio::test]
async fn only_the_process_that_holds_the_lease_writes() {
    let google = Google::start().await;
    let place = place(&google, 3).await.with("CHATFERRY_LEASE_TTL", "2s");
    let (database, store) = store_of(&place);
    let leased_as = format!("google-sheets/{SHEET_ID}").parse().unwrap();
    let lease = store.acquire(&leased_as, "somebody else", Duration::from_secs(600)).await.unwrap().unwrap();
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["account held elsewhere", "somebody else"]).await;
    let rule = DueRule { quiet: Duration::from_secs(3600), max_wait: Duration::from_secs(3600) };
    store.archive(&[captured(4, 1)], rule, Timestamp::now()).await.unwrap();
    assert_eq!(google.requests(), [] as [&str; 0]);
    store.release(&lease).await.unwrap();
    until_it_holds(&google, 4).await;
    assert_eq!(keys(google.state().book.tab(TAB).unwrap())[&key(4).to_string()].len(), 1);
    send(daemon.pid(), Signal::TERM);
    assert!(daemon.end().await.status.success());
    assert!(store.holder(&leased_as).await.unwrap().is_none(), "the lease is given back");
    drop(store);
    database.close().await;
}
