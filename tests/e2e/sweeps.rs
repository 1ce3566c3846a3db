//! What watching misses: a sweep finds it, a time in which nobody watched is noted and closed by the pass
//! after it, and an account that is no longer fed is stale within its time.

use std::time::Duration;

use chatferry::app::{App, Role};
use chatferry::config::{Flags, Sources};
use chatferry::demo::Site;
use chatferry::domain::{AccountState, Envelope, Event};
use chatferry::fault::Code;
use chatferry::ports::{Queue, Settlement};
use serde_json::Value;

use super::daemon::Daemon;
use super::live::place_of;
use crate::support::board::Board;
use crate::support::{Place, assert_store_equals_site, eventually, leave_for_a_browser, pause, tiny_site};

fn state(wanted: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["accounts"][0]["state"] == wanted
}

#[tokio::test]
async fn a_sweep_finds_what_the_page_did_not_tell() {
    let board = Board::serve(&["c1", "c2"]).await;
    let mut place = place_of(&board).with("CHATFERRY_RECONCILE_INTERVAL", "2s").with("CHATFERRY_PASS_INTERVAL", "24h");
    let daemon = Daemon::start_as_set(&mut place).await;
    daemon.stored(2).await;
    daemon.until("the account is live", state("live")).await;
    board.say("c1", "nobody was told");
    daemon.stored(3).await;
    let run = daemon.stop().await.expect_success();
    let stored = place.exported().await;
    let found = stored.iter().find(|message| message.text == "nobody was told").unwrap();
    assert_eq!(found.origin, "reconcile");
    let missed = run.logged("live missed messages");
    assert_eq!(missed.iter().map(|line| line["messages"].as_u64().unwrap()).sum::<u64>(), 1, "{}", run.stderr);
}

#[tokio::test]
async fn what_comes_while_nobody_watches_is_there_afterwards_and_the_gap_is_closed() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with("CHATFERRY_PASS_INTERVAL", "24h");
    let daemon = Daemon::start_as_set(&mut place).await;
    daemon.stored(site.truth().len()).await;
    daemon.until("the account is live", state("live")).await;
    let first = daemon.stop().await.expect_success();
    assert_eq!(first.logged("gap recorded").len(), 0, "what was never watched has no gap: {}", first.stderr);
    for conversation in site.truth().into_iter().map(|message| message.conversation_id).take(2) {
        site.say(&conversation, None, "while nobody watched").unwrap();
    }
    pause(Duration::from_secs(3)).await;
    let daemon = Daemon::start_as_set(&mut place).await;
    daemon.stored(site.truth().len()).await;
    daemon.until("the account is live", state("live")).await;
    daemon.until("the gap is closed", |status| status["counts"]["open_gaps"] == 0).await;
    let second = daemon.stop().await.expect_success();
    let gaps = second.logged("gap recorded");
    assert_eq!(gaps.iter().map(|gap| gap["gap.reason"].as_str().unwrap()).collect::<Vec<_>>(), ["not_watched"]);
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn news_that_the_page_shows_and_no_message_explains_is_stale() {
    let board = Board::serve(&["c1", "c2"]).await;
    let mut place = place_of(&board)
        .with("CHATFERRY_RECONCILE_INTERVAL", "24h")
        .with("CHATFERRY_PASS_INTERVAL", "24h")
        .with("CHATFERRY_STALE_AFTER", "2s");
    let daemon = Daemon::start_as_set(&mut place).await;
    daemon.stored(2).await;
    daemon.until("the account is live", state("live")).await;
    board.badge("c1", 1);
    board.order("draw");
    let status = daemon.until("the account is stale", state("stale")).await;
    assert_eq!(status["accounts"][0]["code"], "stale-news");
    daemon.until("the gap is shown", |status| status["counts"]["open_gaps"] == 1).await;
    board.say("c1", "late, but here");
    board.badge("c1", 2);
    board.order("draw");
    daemon.stored(3).await;
    daemon.until("the account is live again", state("live")).await;
    daemon.until("the gap is closed", |status| status["counts"]["open_gaps"] == 0).await;
    let run = daemon.stop().await.expect_success();
    assert_eq!((run.logged("stale suspected").len(), run.logged("account stale").len()), (1, 1), "{}", run.stderr);
}

/// The whole pipeline in this process, so that the test sees what is on the bus.
async fn app_of(place: &Place, site: &Site, more: &[(&str, &str)]) -> App {
    let mut environment: std::collections::BTreeMap<String, std::ffi::OsString> = std::collections::BTreeMap::new();
    for name in ["PATH", "CHROMIUM_PATH"] {
        environment.extend(std::env::var_os(name).map(|value| (name.to_owned(), value)));
    }
    environment.insert("DEMO_USERNAME".to_owned(), Site::username().into());
    environment.insert("DEMO_PASSWORD".to_owned(), Site::password().into());
    environment.insert("DEMO_BASE_URL".to_owned(), site.base_url().into());
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    let flags = Flags { data_dir: Some(place.data_dir()), ..Flags::default() };
    let config = chatferry::app::load_config(Sources { flags, environment, ..Sources::default() }).unwrap();
    App::open(config).await.unwrap()
}

#[tokio::test]
async fn a_site_that_answers_and_no_longer_feeds_is_stale_within_the_set_time() {
    let _leave = leave_for_a_browser().await;
    let mut site = Site::start(tiny_site()).await.unwrap();
    let place = Place::new();
    let settings = [
        ("CHATFERRY_STALE_AFTER", "4s"),
        ("CHATFERRY_RECONCILE_INTERVAL", "24h"),
        ("CHATFERRY_PASS_INTERVAL", "24h"),
        ("CHATFERRY_LOGIN_BUDGET", "50/30m"),
    ];
    let app = app_of(&place, &site, &settings).await;
    let mut bus = app.bus.subscribe(Queue::Mirror, 1000).await.unwrap();
    app.start_pipeline(&[Role::Archive], Duration::from_secs(1)).unwrap();
    let account = app.accounts(None).0.remove(0);
    app.keep_collecting(account);
    let stored = |app: &App| {
        let store = app.store.clone();
        async move { store.counts(None).await.unwrap() }
    };
    let count = site.truth().len() as u64;
    eventually("everything is stored", async || (stored(&app).await.messages >= count).then_some(())).await;
    // Often enough that a habit is known.
    site.trickle(Duration::from_millis(200));
    eventually("a habit is known", async || (stored(&app).await.messages >= count + 60).then_some(())).await;
    site.cut_feed();
    // One change of state after the other, until the account is what is waited for.
    let mut until = async |wanted: AccountState| loop {
        let next = tokio::time::timeout(Duration::from_secs(90), bus.next(1000)).await;
        let deliveries = next.unwrap_or_else(|_| panic!("no event says {}", wanted.as_str())).unwrap();
        let mut found = None;
        for delivery in &deliveries {
            if let Ok(Envelope { event: Event::AccountChanged(changed), .. }) = Envelope::parse(&delivery.body)
                && changed.state == wanted
            {
                found = Some(changed.code);
            }
        }
        let done = deliveries.iter().map(|delivery| (delivery.tag, Settlement::Done)).collect();
        bus.settle(done).await.unwrap();
        if let Some(code) = found {
            return code;
        }
    };
    assert_eq!(until(AccountState::Stale).await, Some(Code::StaleQuiet));
    let counts = app.counters.snapshot();
    assert_eq!((counts.stale_suspected, counts.stale_found), (1, 1));
    let status = app.store.accounts().await.unwrap().remove(0);
    assert_eq!((status.state, status.code), (AccountState::Stale, Some(Code::StaleQuiet)));
    eventually("the gap is open", async || (stored(&app).await.open_gaps == 1).then_some(())).await;

    site.feed_again();
    assert_eq!(until(AccountState::Live).await, None);
    let is_whole = || async {
        let counts = stored(&app).await;
        (counts.messages >= site.truth().len() as u64 && counts.open_gaps == 0).then_some(())
    };
    eventually("what was held back is stored and the gap closed", is_whole).await;
    assert!(app.close().await.is_clean());
    site.stop().await;
}
