//! What a cycle costs, in requests, and what is in them.

use chatferry::fault::Code;
use chatferry::mirror::google::value::timestamp;
use serde_json::Value;

use super::rig::{Rig, TAB, quick, row, rows};
use crate::google::Mishap;
use crate::google::book::Tab;

/// What a cell of `_status` says, by the name before it.
fn told(status: &Tab, name: &str) -> Value {
    let line = (0..status.used()).find(|row| status.get(*row, 0) == name).unwrap_or_else(|| panic!("no {name}"));
    status.get(line, 1).clone()
}

#[tokio::test]
async fn nothing_new_is_no_request_and_one_changed_row_is_two() {
    let mut rig = Rig::new().await;
    rig.show(rows(20)).await;
    assert_eq!(
        rig.google.requests(),
        ["get", "batchUpdate", "values.batchGet", "values.batchGet", "values.batchUpdate"],
        "the first: tabs, their making, header and keys, where people typed, all rows and the status"
    );
    for _ in 0..4 {
        rig.later(60);
        rig.write().await.unwrap();
    }
    assert_eq!(rig.google.requests(), [] as [&str; 0]);
    rig.projection.rows[7] = row(8, 2);
    rig.write().await.unwrap();
    assert_eq!(rig.google.requests(), ["values.batchGet", "values.batchUpdate"]);
    rig.assert_right();
    rig.restarted().await;
    rig.projection.rows[7] = row(8, 3);
    rig.write().await.unwrap();
    let after_restart = rig.google.requests();
    let compared = ["get", "values.batchGet", "values.batchGet", "values.batchGet"];
    let written = ["get", "values.batchGet", "values.batchGet", "values.batchUpdate"];
    assert_eq!(after_restart, [compared, written].concat(), "all that is noted is read once");
    rig.assert_right();
}

#[tokio::test]
async fn the_status_says_when_it_was_written_before_ten_minutes_are_over() {
    let mut rig = Rig::new().await;
    rig.show(rows(2)).await;
    rig.google.requests();
    rig.later(299);
    rig.write().await.unwrap();
    assert_eq!(rig.google.requests(), [] as [&str; 0]);
    rig.later(1);
    rig.write().await.unwrap();
    assert_eq!(rig.google.requests(), ["values.batchGet", "values.batchUpdate"]);
    rig.projection.status.dead_letters = 3;
    rig.write().await.unwrap();
    assert_eq!(rig.google.requests(), ["values.batchGet", "values.batchUpdate"]);
    let state = rig.google.state();
    let status = state.book.tab("_status").unwrap();
    assert_eq!(timestamp(&told(status, "last write")), Some(rig.projection.status.written_at));
    assert_eq!(timestamp(&told(status, "last capture")), rig.projection.status.last_capture_at);
    assert_eq!((told(status, "dead letters"), told(status, "open gaps")), (3.into(), 0.into()));
    assert_eq!((told(status, "demo/default"), told(status, "daemon version")), ("live".into(), "0.1.0".into()));
    assert_eq!(told(status, "conversations"), 2);
}

#[tokio::test]
async fn ten_thousand_conversations_take_at_most_thirty_requests() {
    let mut rig = Rig::new().await;
    rig.show(rows(10_000)).await;
    let requests = rig.google.requests();
    assert!(requests.len() <= 30, "{} requests: {requests:?}", requests.len());
    assert!(rig.google.state().bodies.iter().all(|body| body.len() < 2_000_000));
    let writes = requests.iter().filter(|request| **request == "values.batchUpdate").count();
    assert!(writes > 1, "it did not fit into one: {requests:?}");
    rig.projection.rows[9_999] = row(10_000, 2);
    rig.write().await.unwrap();
    assert_eq!(rig.google.requests(), ["values.batchGet", "values.batchUpdate"]);
    rig.assert_right();
}

#[tokio::test]
async fn a_failure_in_the_middle_loses_only_what_was_not_certain() {
    let mut rig = Rig::new().await;
    let long = |mut row: chatferry::ports::MirrorRow| {
        row.conversation.title = "x".repeat(20_000).as_str().into();
        row
    };
    rig.projection.rows = (1..=300).map(|id| long(row(id, 1))).collect();
    // Three reads of a minute: the tabs, the keys, where people typed; then rows are written, and Google has enough.
    rig.google.state().quota = 3;
    let fault = rig.write().await.unwrap_err();
    assert_eq!(fault.code(), Code::SheetRateLimited);
    let written = rig.google.requests();
    assert!(written.contains(&"values.batchUpdate"), "{written:?}");
    rig.google.state().quota = usize::MAX;
    rig.google.state().bodies.clear();
    rig.write().await.unwrap();
    rig.assert_right();
    let bytes: usize = rig.google.state().bodies.iter().map(String::len).sum();
    assert!(bytes < 5_500_000, "{bytes}: what was certain was written again");
}

#[tokio::test]
async fn the_grid_grows_ahead_of_need_and_a_full_spreadsheet_waits_for_a_human() {
    let mut rig = Rig::new().await;
    rig.show(rows(450)).await;
    assert_eq!(rig.google.state().book.tab(TAB).unwrap().rows, 950);
    rig.show(rows(1_000)).await;
    assert_eq!(rig.google.state().book.tab(TAB).unwrap().rows, 1_450);
    rig.google.state().book.most_cells = 60_000;
    rig.projection.rows = rows(1_600);
    let fault = rig.write().await.unwrap_err();
    assert_eq!((fault.code(), fault.class().as_str()), (Code::SheetFull, "permanent"));
    rig.google.state().book.most_cells = 10_000_000;
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn a_tab_that_somebody_made_smaller_grows_again() {
    let mut rig = Rig::new().await;
    rig.show(rows(10)).await;
    {
        let mut state = rig.google.state();
        let tab = state.book.edit(TAB);
        tab.rows = 11;
        tab.columns = 14;
    }
    rig.show(rows(20)).await;
    assert_eq!(rig.google.state().book.tab(TAB).unwrap().rows, 511);
}

#[tokio::test]
async fn what_people_wrote_stays_a_text_and_long_texts_are_cut() {
    let mut rig = Rig::new().await;
    let mut one = row(1, 1);
    one.conversation.title = "=HYPERLINK(\"http://evil.example\")".into();
    one.analysis.as_mut().unwrap().verdict.summary = "😀".repeat(40_000).as_str().into();
    rig.show(vec![one]).await;
    let state = rig.google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!(*tab.get(1, tab.column("person")), "=HYPERLINK(\"http://evil.example\")");
    let summary = tab.get(1, tab.column("summary")).as_str().unwrap();
    assert!(summary.encode_utf16().count() <= 49_000 && summary.ends_with("… [shortened]"));
    for body in &state.bodies {
        assert!(!body.contains(":null") && !body.contains("null,") && !body.contains("null]"), "{body:.300}");
    }
}

#[tokio::test]
async fn our_own_quota_keeps_below_googles() {
    let mut rig = Rig::new().await;
    rig.show(rows(1)).await;
    let limits = chatferry::mirror::google::Limits { burst: 2, every: std::time::Duration::from_secs(3600), ..quick() };
    rig.sheet = super::rig::opened(&rig.google, limits).await;
    rig.projection.rows = rows(2);
    rig.google.requests();
    let written = tokio::time::timeout(std::time::Duration::from_millis(300), rig.write()).await;
    assert!(written.is_err(), "the third read of the hour does not go out");
    assert_eq!(rig.google.requests().len(), 2);
    rig.google.mishaps(&[Mishap::Reset]);
}
