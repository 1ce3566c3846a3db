//! Sessions survive restarts: one login for many lives, sealed on the disk, and told where they do not.

use std::fs;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chatferry::browser::profile::profile_of;
use chatferry::demo::{Site, SiteOptions};

use crate::support::web_page::WebPage;
use crate::support::{Place, assert_store_equals_site, tiny_site};

fn logins(site: &Site) -> usize {
    site.request_log().iter().filter(|request| request.method == "POST" && request.path == "/login").count()
}

fn kept(place: &Place) -> Vec<u8> {
    fs::read(place.data_dir().join("sessions/default@demo")).unwrap()
}

#[tokio::test]
async fn three_lives_need_one_login() {
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site);
    // As a version before left it.
    let old = profile_of(&place.data_dir(), &"demo/default".parse().unwrap());
    fs::create_dir_all(&old).unwrap();
    let first = place.collect_once().await;
    assert_eq!(first.logged("session would not survive a restart"), [0; 0]);
    let sealed = kept(&place);
    assert!(sealed.starts_with(b"chatferry session 1\n"));
    for _ in 0..2 {
        let run = place.collect_once().await;
        assert_eq!(run.logged("login attempted"), [0; 0], "{}", run.stderr);
    }
    assert_eq!(logins(&site), 1);
    assert_store_equals_site(&site, &place.exported().await);
    assert!(!old.exists());
    site.stop().await;
}

#[tokio::test]
async fn a_key_that_was_lost_costs_one_login_and_a_rotated_one_none() {
    let site = Site::start(tiny_site()).await.unwrap();
    let (one, two, three) = ("1".repeat(32), "2".repeat(32), "3".repeat(32));
    let mut place = Place::for_site(&site).with("CHATFERRY_SESSION_KEY", &one);
    place.collect_once().await;
    let before = kept(&place);
    place.set("CHATFERRY_SESSION_KEY", format!("{two}\n{one}"));
    place.collect_once().await;
    place.set("CHATFERRY_SESSION_KEY", &two);
    place.collect_once().await;
    assert_eq!(logins(&site), 1, "a rotation cost a login");
    assert_ne!(kept(&place)[..50], before[..50]);
    assert!(!place.data_dir().join("session.key").exists());
    place.set("CHATFERRY_SESSION_KEY", &three);
    let run = place.collect_once().await;
    let told = run.logged("kept session can't be used");
    assert_eq!(told.len(), 1, "{}", run.stderr);
    assert_eq!(told[0]["error.code"], "session-unreadable");
    assert_eq!(logins(&site), 2);
    place.collect_once().await;
    assert_eq!(logins(&site), 2, "what replaced it is kept");
    site.stop().await;
}

#[tokio::test]
async fn a_session_that_the_site_has_ended_is_tried_once_and_forgotten() {
    let site = Site::start(tiny_site()).await.unwrap();
    let bind = site.addr();
    let place = Place::for_site(&site);
    place.collect_once().await;
    assert_eq!(logins(&site), 1);
    let before = kept(&place);
    site.stop().await;
    // Another seed has another key for its cookies; and other chats, of which only the login matters here.
    let site = Site::start(SiteOptions { bind, seed: 99, ..tiny_site() }).await.unwrap();
    place.collect_once().await;
    assert_eq!(logins(&site), 1);
    assert_ne!(kept(&place), before);
    place.collect_once().await;
    assert_eq!(logins(&site), 1);
    site.stop().await;
}

/// A site whose login is in the page's own hands: `IS_IN` says whether it is there, `COME_IN` makes it so.
async fn own_ways(is_in: &str, come_in: &str) -> WebPage {
    let html = r#"<!doctype html><meta charset="utf-8"><title>Own ways</title><body><script>
        const login = `<form id="login"><input id="user"><input id="password" type="password">
            <button type="button" id="go">go</button></form>`;
        const chat = `<ul id="list"><li data-id="c1"><b>Mia</b></li></ul>
            <div id="thread" data-id="c1"><p class="start">The beginning</p>
            <div class="m" id="m1"><p>hello</p></div></div>`;
        const show = () => {
          document.body.innerHTML = IS_IN ? chat : login;
          const go = document.getElementById("go");
          if (go) go.onclick = () => { COME_IN; show(); };
        };
        show();
        </script>"#;
    let html = html.replace("IS_IN", is_in).replace("COME_IN", come_in);
    WebPage::serve_router(Router::new().route("/", get(async || Html(html)))).await
}

const OWN_WAYS: &str = r##"
version = 1

[site]
name = "Own ways"
base_url = "http://127.0.0.1:1"
time_zone = "Asia/Tokyo"
verified = true

[login]
steps = [
  { fill = { with = "username", into = "#user" } },
  { fill = { with = "password", into = "#password" } },
  { click = "#go" },
]

[login.outcomes]
logged_in = "#list"

[pages]
login = "#login"
list.positive = "#list"
thread.positive = "#thread"
timeout = "10s"

[conversations]
row = "#list li"
id = { attr = "data-id" }
title = "b"
open.address = "/#{id}"
opened.at = { css = "#thread", attr = "data-id" }

[messages]
row = ".m"
native_id = { attr = "id" }
text = "p"
direction.own = ".own"

[history]
container = "#thread"
toward = "up"
end = ".start"
"##;

fn place_of(site: &WebPage) -> Place {
    Place::new()
        .with_pack(OWN_WAYS)
        .with("DEMO_USERNAME", "owner")
        .with("DEMO_PASSWORD", "secret")
        .with("DEMO_BASE_URL", &site.base_url)
}

#[tokio::test]
async fn a_login_in_the_storage_of_the_page_survives_too() {
    for storage in ["localStorage", "sessionStorage"] {
        let site = own_ways(&format!("{storage}.getItem('in')"), &format!("{storage}.setItem('in', 'yes')")).await;
        let place = place_of(&site);
        let first = place.collect_once().await;
        assert_eq!(first.logged("login attempted").len(), 1);
        assert_eq!(first.logged("session would not survive a restart"), [0; 0], "{storage}: {}", first.stderr);
        let second = place.collect_once().await;
        assert_eq!(second.logged("login attempted"), [0; 0], "{storage}: {}", second.stderr);
    }
}

#[tokio::test]
async fn a_login_that_can_not_be_kept_is_told_and_the_account_goes_on() {
    let site = own_ways("window.name === 'in'", "window.name = 'in'").await;
    let place = place_of(&site);
    let run = place.collect_once().await;
    let told = run.logged("session would not survive a restart");
    assert_eq!(told.len(), 1, "{}", run.stderr);
    assert_eq!(told[0]["error.code"], "session-not-saved");
    assert_eq!(run.count("new_messages"), 1);
    let live = run.logged("account changed");
    let live = live.iter().find(|line| line["account.state"] == "live").unwrap();
    assert!(live["reason"].as_str().unwrap().contains("session-not-saved"), "{live}");
    let again = place.collect_once().await;
    assert_eq!(again.logged("login attempted").len(), 1);
}
