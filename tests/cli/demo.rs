//! The live demo: each start is a new site, so what an earlier one said is gone; but not under a demo
//! that still runs.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::Place;
use crate::support::processes::{Watched, of_profile, send, turn, until};

const SERVE: [&str; 5] = ["demo", "--serve", "--conversations", "20", "--messages"];

fn folder(place: &Place) -> PathBuf {
    place.data_dir().join("demo-seed-1-20x2000-live")
}

/// Starts the live demo and waits until it is live: after the first pass, and again after the report.
async fn serving(place: &Place) -> Watched {
    let arguments: Vec<&str> = SERVE.into_iter().chain(["2000"]).collect();
    let mut program = Watched::start(place, &arguments);
    for _ in 0..2 {
        program.until_log(&["account.state=live"]).await;
    }
    program
}

#[tokio::test]
async fn a_live_demo_begins_anew_but_not_under_one_that_runs() {
    let _turn = turn().await;
    let place = Place::new().with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0").with("LOG_FORMAT", "text");
    fs::create_dir_all(folder(&place).join("left")).unwrap();
    fs::write(folder(&place).join("left/over"), "by an earlier demo").unwrap();
    let first = serving(&place).await;
    assert!(!folder(&place).join("left").exists(), "it did not begin anew");
    let database = folder(&place).join("chatferry.db");
    assert!(database.exists());

    let arguments: Vec<&str> = SERVE.into_iter().chain(["2000"]).collect();
    let second = place.run(&arguments).await;
    assert_eq!(second.code(), Some(75), "{}", second.stderr);
    assert!(second.stderr.contains("data-dir-locked"), "{}", second.stderr);
    assert!(database.exists(), "the second demo emptied the folder of the first");

    send(first.pid(), Signal::TERM);
    let ended = first.end().await;
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.log.join("\n"));
    let folder = folder(&place);
    until(Duration::from_secs(5), "its browser is gone", || of_profile(&folder).is_empty()).await;

    // The same site again, from nothing: everything is new.
    let mut third = serving(&place).await;
    let line = third.log.iter().find(|line| line.contains("pass complete: ")).cloned().unwrap();
    assert!(line.contains("pass complete: 2000 new messages"), "{line}");
    send(third.pid(), Signal::TERM);
    assert!(third.line(|_| false).await.is_none());
}
