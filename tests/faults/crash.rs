//! kill -9 of the program at each named point of a message's way (F1 to F10).

use std::time::Duration;

use chatferry::demo::{Site, SiteOptions};
use chatferry::lifecycle::CrashPoint;
use rustix::process::Signal;

use crate::healing::{assert_heals, tiny_site};
use crate::support::Place;
use crate::support::processes::{Browsers, Watched, send, turn, until};

/// One test per point, each with a name of its own; `point:n` dies at the nth time.
macro_rules! dies_at {
    ($($name:ident = $point:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            dies_and_heals($point).await;
        })*

        #[test]
        fn every_point_has_its_test() {
            let tested = [$($point),*];
            for point in CrashPoint::ALL {
                assert!(tested.contains(&point.as_str()), "{} is not tested", point.as_str());
            }
        }
    };
}

dies_at! {
    login_submitted = "login.submitted";
    login_done = "login.done";
    list_read = "list.read";
    thread_read = "thread.read";
    thread_read_for_the_second_time = "thread.read:2";
    thread_read_for_the_third_time = "thread.read:3";
    spool_committed = "spool.committed";
    spool_committed_for_the_third_time = "spool.committed:3";
    relay_published = "relay.published";
    relay_published_for_the_second_time = "relay.published:2";
    relay_published_with_messages_in_hand = "relay.published:4";
    relay_marked = "relay.marked";
    relay_marked_for_the_third_time = "relay.marked:3";
    delivery_taken = "delivery.taken";
    delivery_taken_for_the_third_time = "delivery.taken:3";
    archive_stored = "archive.stored";
    archive_stored_for_the_second_time = "archive.stored:2";
    scheduler_requested = "scheduler.requested";
    analyze_answered = "analyze.answered";
    analyze_answered_for_the_second_time = "analyze.answered:2";
    analyze_saved = "analyze.saved";
    analyze_saved_for_the_third_time = "analyze.saved:3";
    mirror_written = "mirror.written";
}

/// A point that is never reached fails the test: then nothing ends by SIGKILL.
async fn dies_and_heals(point: &str) {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with("CHATFERRY_CRASH_AT", point);
    let browsers = Browsers::of(&place);
    Watched::start(&place, &["collect", "--once"]).end().await.assert_killed();
    place.unset("CHATFERRY_CRASH_AT");
    assert_heals(&site, &place, &browsers, 1).await;
    site.stop().await;
}

#[tokio::test]
async fn the_browser_of_a_killed_daemon_dies_with_it() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with("CHATFERRY_CRASH_AT", "thread.read");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["collect", "--once"]);
    program.until_log(&["browser started"]).await;
    assert!(!browsers.running().is_empty());
    program.end().await.assert_killed();
    until(Duration::from_secs(20), "nothing of it runs on", || browsers.running().is_empty()).await;
    assert_eq!(browsers.profiles_left().len(), 1, "nobody is left who could have removed it");
    place.unset("CHATFERRY_CRASH_AT");
    assert_heals(&site, &place, &browsers, 1).await;
    site.stop().await;
}

#[tokio::test]
async fn the_browser_that_outlives_a_killed_daemon_is_swept_by_the_next_start() {
    let _turn = turn().await;
    // Slow enough that the daemon is in the middle of a pass when it is killed.
    let site = Site::start(SiteOptions { delay: Duration::from_millis(60), ..tiny_site() }).await.unwrap();
    let place = Place::for_site(&site).with("LOG_LEVEL", "debug");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["collect", "--once"]);
    program.until_log(&["conversation read"]).await;
    let watchdogs: Vec<_> =
        browsers.running().into_iter().filter(|process| process.command.contains("chatferry-watchdog")).collect();
    assert!(!watchdogs.is_empty());
    for watchdog in watchdogs {
        send(watchdog.pid, Signal::KILL);
    }
    send(program.pid(), Signal::KILL);
    program.end().await.assert_killed();
    let left = browsers.running();
    assert!(left.iter().any(|process| process.is_renderer()), "nothing is left to be swept: {left:#?}");
    assert_heals(&site, &place, &browsers, 1).await;
    site.stop().await;
}
