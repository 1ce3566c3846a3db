//! News without any pass: the page tells, and the observer is there again after whatever happened to it.

use std::time::Duration;

use chatferry::demo::{Layout, Site, SiteOptions};

use chatferry::ports::live::{PageEvent, PageEvents};
use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};

use super::daemon::Daemon;
use crate::support::board::{Board, board_pack};
use crate::support::packs::demo_pack;
use crate::support::processes::{Browsers, send};
use crate::support::web_page::Window;
use crate::support::{Place, assert_store_equals_site, tiny_site};

/// Nothing but what the page tells: no pass and no sweep comes while the test runs.
fn watched(place: Place) -> Place {
    place.with("CHATFERRY_PASS_INTERVAL", "24h").with("CHATFERRY_RECONCILE_INTERVAL", "24h").with("LOG_LEVEL", "debug")
}

async fn started(site: &Site, place: &mut Place) -> Daemon {
    let daemon = Daemon::start_as_set(place).await;
    daemon.stored(site.truth().len()).await;
    is_live(&daemon).await;
    daemon
}

async fn is_live(daemon: &Daemon) {
    daemon.until("the account is live", |status| status["accounts"][0]["state"] == "live").await;
}

fn conversations(site: &Site) -> Vec<String> {
    let mut ids: Vec<String> = site.truth().into_iter().map(|message| message.conversation_id).collect();
    ids.dedup();
    ids
}

/// Messages in the open conversation, in others, and an edit: all of them without a pass.
async fn everything_arrives(site: &Site, mut place: Place, has_ids: bool) {
    let daemon = started(site, &mut place).await;
    let mut count = site.truth().len();
    for (n, conversation) in conversations(site).into_iter().take(3).enumerate() {
        // The first one of each opens the conversation, the others come into the open one.
        for m in 0..3 {
            site.say(&conversation, None, &format!("live {n}.{m}")).unwrap();
            count += 1;
            daemon.stored(count).await;
        }
    }
    if has_ids {
        // An edit adds nothing that could be counted; what is said after it is stored after it.
        let last = site.truth().into_iter().rfind(|message| message.text == "live 2.2").unwrap();
        site.edit(&last.native_id, "live, but edited").unwrap();
        site.say(&last.conversation_id, None, "live 2.3").unwrap();
        daemon.stored(count + 1).await;
    }
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pass completed").len(), 1, "{}", run.stderr);
    assert!(run.logged("news told").len() >= 3, "nothing was told of an open conversation:\n{}", run.stderr);
    let stored = place.exported().await;
    assert_store_equals_site(site, &stored);
    let live: Vec<_> = stored.iter().filter(|message| message.text.starts_with("live")).collect();
    assert_eq!(live.len(), if has_ids { 10 } else { 9 });
    assert!(live.iter().all(|message| message.origin == "live"));
}

#[tokio::test]
async fn messages_arrive_without_a_pass() {
    let site = Site::start(tiny_site()).await.unwrap();
    everything_arrives(&site, watched(Place::for_site(&site)), true).await;
    site.stop().await;
}

#[tokio::test]
async fn messages_arrive_in_the_other_layout_with_the_newest_first() {
    let options = SiteOptions { layout: Layout::B, newest_first_dom: true, ..tiny_site() };
    let site = Site::start(options).await.unwrap();
    let pack = demo_pack(&[("messages", "order", "\"newest_first\"")]);
    everything_arrives(&site, watched(Place::for_site(&site).with_pack(&pack)), true).await;
    site.stop().await;
}

#[tokio::test]
async fn messages_arrive_in_a_virtualised_page_without_ids() {
    let options =
        SiteOptions { conversations: 3, messages: 300, virtualised: true, native_ids: false, ..SiteOptions::default() };
    let site = Site::start(options).await.unwrap();
    let pack = demo_pack(&[("history", "virtualised", "true")]);
    everything_arrives(&site, watched(Place::for_site(&site).with_pack(&pack)), false).await;
    site.stop().await;
}

#[tokio::test]
async fn a_killed_renderer_and_a_killed_browser_are_watched_again() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = watched(Place::for_site(&site));
    let browsers = Browsers::of(&place);
    let daemon = started(&site, &mut place).await;
    let conversation = site.truth()[0].conversation_id.clone();
    let mut count = site.truth().len();
    for only_renderers in [true, false] {
        for process in browsers.running().into_iter().filter(|process| !only_renderers || process.is_renderer()) {
            send(process.pid, Signal::KILL);
        }
        daemon.until("the loss is noticed", |status| status["accounts"][0]["state"] != "live").await;
        is_live(&daemon).await;
        for n in 0..3 {
            site.say(&conversation, None, &format!("after {only_renderers} {n}")).unwrap();
            count += 1;
            daemon.stored(count).await;
        }
    }
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pass completed").len(), 3, "one by each browser\n{}", run.stderr);
    assert_store_equals_site(&site, &place.exported().await);
    // Each time in which nobody watched is noted, and over.
    let lapses = run.logged("gap recorded");
    assert_eq!(lapses.iter().filter(|gap| gap["gap.reason"] == "not_watched").count(), 2, "{}", run.stderr);
    site.stop().await;
}

/// Waits for a window of the open conversation that ends with this text.
async fn told(events: &mut PageEvents, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let event = timeout_at(deadline, events.next()).await.unwrap_or_else(|_| panic!("{text} is not told"));
        if let PageEvent::Thread { tail, .. } = event.expect("the page has come to its end")
            && tail.rows.last().is_some_and(|row| row.text.as_ref().is_some_and(|last| last.expose() == text))
        {
            assert_eq!(tail.opened.as_deref(), Some("c1"));
            return;
        }
    }
}

#[tokio::test]
async fn the_observer_is_there_again_after_a_reload_and_after_a_way_back() {
    let board = Board::serve(&["c1", "c2"]).await;
    let window = Window::open(&board_pack(), &board.page.base_url).await;
    window.page.open("/?watched#c1").await.unwrap();
    let mut events = window.page.observe().await.unwrap();
    told(&mut events, "first").await;
    for (n, order) in ["draw", "reload", "draw", "away", "draw", "away", "reload", "draw"].into_iter().enumerate() {
        let text = format!("{n} {order}");
        board.say("c1", &text);
        board.order(order);
        told(&mut events, &text).await;
    }
    window.page.unobserve().await.unwrap();
    board.say("c1", "unheard");
    board.order("reload");
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(300), events.next()).await {
        if let PageEvent::Thread { tail, .. } = event {
            assert_ne!(tail.rows.last().unwrap().text.as_ref().unwrap().expose(), "unheard");
        }
    }
    window.close().await;
}

#[tokio::test]
async fn what_happens_below_a_shadow_root_is_told_too() {
    let board = Board::serve(&["c1"]).await;
    let window = Window::open(&board_pack(), &board.page.base_url).await;
    window.page.open("/?shadow#c1").await.unwrap();
    let mut events = window.page.observe().await.unwrap();
    told(&mut events, "first").await;
    for n in 0..3 {
        board.say("c1", &n.to_string());
        board.order("draw");
        told(&mut events, &n.to_string()).await;
    }
    window.close().await;
}

#[tokio::test]
async fn the_page_sees_neither_binding_nor_observer() {
    let board = Board::serve(&["c1"]).await;
    let window = Window::open(&board_pack(), &board.page.base_url).await;
    let mut events = window.page.observe().await.unwrap();
    // The page writes into its list how many names of ours it finds among its own.
    board.order("look");
    let deadline = Instant::now() + Duration::from_secs(60);
    let found = loop {
        let event = timeout_at(deadline, events.next()).await.expect("nothing is told").unwrap();
        let PageEvent::List(rows) = event else { continue };
        if let Some(row) = rows.into_iter().find(|row| row.id.as_deref() == Some("found")) {
            break row.digest.expose().to_owned();
        }
    };
    assert_eq!(found, "0", "the page can see us");
    window.close().await;
}

#[tokio::test]
async fn a_new_conversation_is_read_when_the_list_shows_it() {
    let board = Board::serve(&["c1", "c2"]).await;
    let mut place = watched(place_of(&board));
    let daemon = Daemon::start_as_set(&mut place).await;
    daemon.stored(2).await;
    is_live(&daemon).await;
    board.say("c3", "in a new one");
    board.order("draw");
    daemon.stored(3).await;
    board.say("c3", "and one more");
    board.order("draw");
    daemon.stored(4).await;
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pass completed").len(), 1, "{}", run.stderr);
}

/// A place whose account belongs to a board.
pub fn place_of(board: &Board) -> Place {
    Place::new()
        .with("DEMO_USERNAME", "nobody")
        .with("DEMO_PASSWORD", "nothing")
        .with("DEMO_BASE_URL", &board.page.base_url)
        .with_pack(&board_pack())
}
