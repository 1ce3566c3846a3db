//! The wall clock is set while the daemon runs: a day ahead and a day back (F34). Monotonic time goes on as it
//! did, as on a machine whose clock a person or NTP sets.

use std::fs;
use std::path::{Path, PathBuf};

use chatferry::demo::Site;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::healing::{assert_heals, tiny_site};
use crate::serving::Serving;
use crate::support::Place;
use crate::support::processes::{Browsers, all, turn};

/// A few more than the intervals from which on a silence can be unusual.
const HABIT: usize = 24;

/// The library of the Debian package faketime for programs with threads.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("libfaketime is missing: apt-get install faketime")
}

/// Sets the clock of whoever looks at the file so far from the true one. Whole or not at all: half a number
/// would be another time.
fn set(clock: &Path, offset: &str) {
    let new = clock.with_extension("new");
    fs::write(&new, format!("{offset}\n")).unwrap();
    fs::rename(&new, clock).unwrap();
}

/// Waits until the daemon takes it to be so many hours later than it is.
async fn is_ahead(daemon: &Serving, hours: i64) {
    let what = format!("the daemon's clock is {hours} h ahead");
    let is_met = |status: &Value| {
        let now: Timestamp = status["now"].as_str().expect("the status says when it was made").parse().unwrap();
        let ahead = Timestamp::now().duration_until(now) - SignedDuration::from_hours(hours);
        ahead.abs() < SignedDuration::from_mins(10)
    };
    daemon.until(&what, is_met).await;
}

async fn jumps(first: &str, hours: i64) {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site);
    let clock = place.folder().join("clock");
    set(&clock, "+0");
    let mut place = place
        .with("LD_PRELOAD", faketime().display().to_string())
        .with("FAKETIME_TIMESTAMP_FILE", clock.display().to_string())
        .with("FAKETIME_NO_CACHE", "1")
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .with("DONT_FAKE_MONOTONIC", "1")
        .with("CHATFERRY_STALE_AFTER", "30s")
        .with("CHATFERRY_ANALYSIS_QUIET", "1s")
        .with("CHATFERRY_LOGIN_BUDGET", "2/30m")
        .with("LOG_LEVEL", "debug");
    let browsers = Browsers::of(&place);
    let daemon = Serving::start(&mut place).await;
    daemon.caught_up(&site).await;
    daemon.state("live", None).await;
    is_ahead(&daemon, 0).await;
    let faked: Vec<i32> = all()
        .into_iter()
        .filter(|process| process.environment().contains(&format!("FAKETIME_TIMESTAMP_FILE={}", clock.display())))
        .map(|process| process.pid)
        .collect();
    assert_eq!(faked, [daemon.pid()], "the browser keeps the true time, as the site does");

    let conversation = site.truth()[0].conversation_id.clone();
    // What a silence is measured by: as many messages as make a habit.
    for n in 0..HABIT {
        site.say(&conversation, None, &format!("before the jumps {n}")).unwrap();
        daemon.caught_up(&site).await;
    }
    for (n, (offset, expected)) in [(first, hours), ("+0", 0)].into_iter().enumerate() {
        set(&clock, offset);
        is_ahead(&daemon, expected).await;
        // Renewed after the jump; out of date for so long, at most.
        let is_believed = |status: &Value| {
            let account = &status["accounts"][0];
            account["state"] == "live" && account["out_of_date"] == false
        };
        daemon.until("the state is believed", is_believed).await;
        for m in 0..3 {
            site.say(&conversation, None, &format!("after jump {n}.{m}")).unwrap();
            daemon.caught_up(&site).await;
        }
        let last = site.truth().into_iter().rfind(|message| message.text == format!("after jump {n}.1")).unwrap();
        site.edit(&last.native_id, &format!("after jump {n}.1, edited")).unwrap();
        site.say(&conversation, None, &format!("after jump {n}.3")).unwrap();
        daemon.caught_up(&site).await;
    }
    let ended = daemon.stop().await;
    let log = || ended.log.join("\n");
    for word in ["stale", "parked", "gap recorded", "taken elsewhere"] {
        assert_eq!(ended.count(&[word]), 0, "{word}:\n{}", log());
    }
    assert_eq!(ended.count(&["browser started"]), 1, "it goes on as it was\n{}", log());
    for name in ["LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"] {
        place.unset(name);
    }
    assert_heals(&site, &place, &browsers, 0).await;
    site.stop().await;
}

#[tokio::test]
async fn a_day_ahead_and_back_loses_nothing() {
    jumps("+1d", 24).await;
}

#[tokio::test]
async fn a_day_back_and_ahead_loses_nothing() {
    jumps("-1d", -24).await;
}
