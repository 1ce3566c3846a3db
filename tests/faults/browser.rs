//! The browser dies, or a renderer of it: the same run goes on by itself (F27, F28).

use std::time::Duration;

use chatferry::demo::{Site, SiteOptions};
use rustix::process::Signal;

use crate::healing::{assert_whole, tiny_site};
use crate::support::Place;
use crate::support::processes::{Browsers, Watched, send, turn, until, zombies_of};

macro_rules! browser_dies_at {
    ($($name:ident = $point:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            browser_dies_and_the_run_goes_on($point).await;
        })*
    };
}

browser_dies_at! {
    at_login_submitted = "login.submitted";
    at_login_done = "login.done";
    at_list_read = "list.read";
    at_thread_read = "thread.read";
    at_thread_read_for_the_third_time = "thread.read:3";
}

async fn browser_dies_and_the_run_goes_on(point: &str) {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site).with("CHATFERRY_KILL_BROWSER_AT", point);
    let browsers = Browsers::of(&place);
    let run = place.collect_once().await;
    assert!(run.stderr.contains("browser-gone"), "the browser did not die:\n{}", run.stderr);
    assert_whole(&site, &place, &browsers, 1).await;
    site.stop().await;
}

#[tokio::test]
async fn a_renderer_dies_in_the_middle_of_a_pass() {
    let _turn = turn().await;
    // Slow enough that the pass is not over before the renderer is.
    let site = Site::start(SiteOptions { delay: Duration::from_millis(60), ..tiny_site() }).await.unwrap();
    let place = Place::for_site(&site).with("LOG_LEVEL", "debug");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["collect", "--once"]);
    program.until_log(&["conversation read"]).await;
    let renderers: Vec<_> = browsers.running().into_iter().filter(|process| process.is_renderer()).collect();
    assert!(!renderers.is_empty());
    for renderer in renderers {
        send(renderer.pid, Signal::KILL);
    }
    let ended = program.end().await;
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.log.join("\n"));
    // A command that is not raced against the crash ends after 30 s in `page-timeout` instead.
    assert_eq!(ended.count(&["pass failed", "page-crashed"]), 1, "{}", ended.log.join("\n"));
    assert_eq!(ended.count(&["page-timeout"]), 0, "{}", ended.log.join("\n"));
    assert_whole(&site, &place, &browsers, 1).await;
    site.stop().await;
}

#[tokio::test]
async fn the_daemon_reaps_every_browser_that_dies_under_it() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site)
        .with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
        .with("CHATFERRY_PASS_INTERVAL", "1s")
        .with("CHATFERRY_ANALYSIS_QUIET", "0s")
        .with("LOG_FORMAT", "text");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["run"]);
    let daemon = program.pid();
    for _ in 0..3 {
        // Not the state: an account that flips is held back.
        program.until_log(&["pass completed"]).await;
        let before = browsers.running();
        assert!(before.len() > 3, "{before:#?}");
        for process in &before {
            send(process.pid, Signal::KILL);
        }
        program.until_log(&["browser-gone"]).await;
        program.until_log(&["browser started"]).await;
        let zombies = || zombies_of(daemon.cast_unsigned());
        until(Duration::from_secs(20), "the dead browser is reaped", || zombies().is_empty()).await;
        let still = |pid: i32| browsers.running().iter().any(|process| process.pid == pid);
        assert!(!before.iter().any(|process| still(process.pid)), "two browsers on one profile");
    }
    program.until_log(&["pass completed"]).await;
    send(daemon, Signal::TERM);
    let ended = program.end().await;
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.log.join("\n"));
    place.collect_once().await;
    // The session was kept before the first of them died.
    assert_whole(&site, &place, &browsers, 0).await;
    site.stop().await;
}
