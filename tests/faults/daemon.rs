//! Two daemons on one data directory (F37); SIGTERM in the middle of a pass (F35).

use std::time::Duration;

use chatferry::demo::{Site, SiteOptions};
use rustix::process::Signal;

use crate::healing::{assert_heals, logins, tiny_site};
use crate::support::Place;
use crate::support::processes::{Browsers, Watched, send, turn};

fn daemon_place(site: &Site) -> Place {
    Place::for_site(site)
        .with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
        .with("LOG_LEVEL", "debug")
        .with("LOG_FORMAT", "text")
}

#[tokio::test]
async fn a_second_daemon_on_the_same_data_directory_goes_away() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let place = daemon_place(&site);
    let browsers = Browsers::of(&place);
    let mut first = Watched::start(&place, &["run"]);
    first.until_log(&["account.state=live"]).await;
    for arguments in [&["run"][..], &["collect", "--once"]] {
        let second = place.run(arguments).await;
        assert_eq!(second.code(), Some(75), "{arguments:?}: {}", second.stderr);
        let said: Vec<&str> = second.stderr.lines().filter(|line| line.starts_with("chatferry: ")).collect();
        assert_eq!(said.len(), 1, "{}", second.stderr);
        assert!(said[0].contains("data-dir-locked"), "{}", said[0]);
        assert!(second.stderr.contains("what to do: Stop the other chatferry"), "{}", second.stderr);
        assert_eq!(second.stdout, "");
    }
    assert_eq!(logins(&site), 1, "the site saw a second login");
    send(first.pid(), Signal::TERM);
    let ended = first.end().await;
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.log.join("\n"));
    assert_heals(&site, &place, &browsers, 0).await;
    site.stop().await;
}

macro_rules! terminated_after {
    ($($name:ident = $words:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            terminated_and_heals(&$words).await;
        })*
    };
}

terminated_after! {
    sigterm_while_the_browser_starts = ["account.state=starting"];
    sigterm_during_the_login = ["login attempted"];
    sigterm_in_the_middle_of_a_pass = ["conversation read"];
    sigterm_after_a_pass = ["pass completed"];
}

async fn terminated_and_heals(words: &[&str]) {
    let _turn = turn().await;
    let site = Site::start(SiteOptions { delay: Duration::from_millis(30), ..tiny_site() }).await.unwrap();
    let place = daemon_place(&site);
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["run"]);
    program.until_log(words).await;
    send(program.pid(), Signal::TERM);
    let ended = program.end().await;
    // A task that did not end within the drain timeout makes it 1.
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log.join("\n"));
    assert_eq!(ended.count(&["signal=SIGTERM"]), 1, "{}", ended.log.join("\n"));
    browsers.assert_gone().await;
    assert_heals(&site, &place, &browsers, 0).await;
    site.stop().await;
}

#[tokio::test]
async fn sigterm_ends_a_single_pass_too() {
    let _turn = turn().await;
    let site = Site::start(SiteOptions { delay: Duration::from_millis(30), ..tiny_site() }).await.unwrap();
    let place = Place::for_site(&site).with("LOG_LEVEL", "debug");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["collect", "--once"]);
    program.until_log(&["conversation read"]).await;
    send(program.pid(), Signal::TERM);
    let ended = program.end().await;
    // Asked for one full pass, it could not give it.
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log.join("\n"));
    browsers.assert_gone().await;
    assert_heals(&site, &place, &browsers, 0).await;
    site.stop().await;
}
