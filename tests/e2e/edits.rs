//! Packs that are edited while the daemon runs: taken if they match the live page, refused by name if not.

use std::fs;

use chatferry::demo::{Layout, Site, SiteOptions};
use chatferry::selectors::load::version_of;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::support::packs::{DEMO, demo_pack};
use crate::support::{Place, assert_store_equals_site, tiny_site};

/// Saves a pack as editors do: a new file, renamed over the old one.
fn edit(place: &Place, text: &str) {
    let folder = place.folder().join("packs");
    fs::write(folder.join("demo.toml~"), text).unwrap();
    fs::rename(folder.join("demo.toml~"), folder.join("demo.toml")).unwrap();
}

fn pack(status: &Value) -> &Value {
    &status["packs"][0]
}

/// Waits until this text is refused, and gives the row of its site.
async fn refused(daemon: &Daemon, text: &str) -> Value {
    let version = version_of(text);
    let status = daemon.until("the edit is refused", |status| pack(status)["refused"] == version).await;
    pack(&status).clone()
}

/// Waits until this text is in use and nothing is refused, and gives the row of its site.
async fn in_use(daemon: &Daemon, text: &str) -> Value {
    let version = version_of(text);
    let is_met = |status: &Value| pack(status)["active"] == version && pack(status)["refused"].is_null();
    pack(&daemon.until("the edit is in use", is_met).await).clone()
}

#[tokio::test]
async fn a_pack_that_breaks_rules_is_refused_with_its_line_and_stays_so_over_a_restart() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with_pack(DEMO);
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    let before = in_use(&daemon, DEMO).await;
    let bad = DEMO.replace("[conversations.opened]\nat", "[conversations.opened]\nequal = \"id\"\nat");
    let line = bad.lines().position(|line| line.starts_with("equal =")).unwrap() + 1;
    edit(&place, &bad);
    let row = refused(&daemon, &bad).await;
    let sentence = row["sentence"].as_str().unwrap();
    assert!(sentence.contains(&format!("line {line}: ")) && sentence.contains("“equal”"), "{row}");
    assert_eq!(
        (&row["active"], &row["generation"], &row["code"]),
        (&before["active"], &before["generation"], &"pack-refused".into())
    );
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, "beside a bad pack").unwrap();
    daemon.stored(seeded + 1).await;
    let check = place.run(&["selectors", "check", "demo"]).await;
    assert_eq!(check.code(), Some(1));
    assert!(check.stdout.contains(&format!("line {line}: ")), "{}", check.stdout);
    let run = daemon.stop().await.expect_success();
    let told = run.logged("pack refused");
    assert_eq!(told.len(), 1, "{}", run.stderr);
    assert!(told[0]["reason"].as_str().unwrap().contains(&format!("line {line}: ")), "{told:?}");
    // The broken file is still there.
    let daemon = Daemon::start(&mut place).await;
    site.say(&conversation, None, "after the restart").unwrap();
    daemon.stored(seeded + 2).await;
    let row = refused(&daemon, &bad).await;
    assert_eq!((&row["active"], &row["generation"]), (&before["active"], &before["generation"]));
    edit(&place, DEMO);
    in_use(&daemon, DEMO).await;
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("an earlier version stands in for a pack").len(), 1, "{}", run.stderr);
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn a_pack_that_does_not_match_the_page_is_refused_with_the_query() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with_pack(DEMO);
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    let before = in_use(&daemon, DEMO).await;
    let conversation = site.truth()[0].conversation_id.clone();
    let bad = [
        ("messages.row", demo_pack(&[("messages", "row", "\".no-such-row\"")])),
        ("conversations.row", demo_pack(&[("conversations", "row", "\".no-such-row\"")])),
        // Titles are no ids: every conversation would be another one.
        ("conversations.id", demo_pack(&[("conversations", "id", "\".conversation-title\"")])),
        // Times in place of ids: every message would be stored again.
        (
            "messages.native_id",
            demo_pack(&[("messages", "native_id", "{ css = \".message-time\", attr = \"datetime\" }")]),
        ),
        ("pages.login", demo_pack(&[("pages", "login", "\"#conversations\"")])),
        ("messages.text", demo_pack(&[("messages", "text", "\".message-text:nonsense\"")])),
    ];
    for (number, (query, text)) in bad.iter().enumerate() {
        edit(&place, text);
        let row = refused(&daemon, text).await;
        assert!(row["sentence"].as_str().unwrap().contains(&format!(": {query} ")), "{query}: {row}");
        assert_eq!((&row["active"], &row["generation"]), (&before["active"], &before["generation"]), "{query}");
        site.say(&conversation, None, &format!("beside {query}")).unwrap();
        daemon.stored(seeded + number + 1).await;
    }
    let check = place.run(&["selectors", "check", "demo"]).await;
    assert_eq!(check.code(), Some(1));
    assert!(check.stdout.contains("refused demo") && check.stdout.contains("messages.text"), "{}", check.stdout);
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pack refused").len(), bad.len(), "{}", run.stderr);
    assert_eq!((run.logged("pack promoted"), run.logged("pass failed")), (vec![], vec![]), "{}", run.stderr);
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn a_pack_that_matches_is_taken_and_can_be_taken_back() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with_pack(DEMO);
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    let conversation = site.truth()[0].conversation_id.clone();
    let first = in_use(&daemon, DEMO).await;
    let other = demo_pack(&[("messages", "text", "[\".bubble-body\", \".message-text\"]")]);
    site.say(&conversation, None, "just before").unwrap();
    edit(&place, &other);
    site.say(&conversation, None, "just after").unwrap();
    let second = in_use(&daemon, &other).await;
    let generation = |row: &Value| row["generation"].as_u64().unwrap();
    assert_eq!(generation(&second), generation(&first) + 1);
    daemon.stored(seeded + 2).await;
    // The site in another time zone: the same page, in a browser of its own.
    let zone = demo_pack(&[("site", "time_zone", "\"Asia/Tokyo\"")]);
    edit(&place, &zone);
    assert_eq!(generation(&in_use(&daemon, &zone).await), generation(&first) + 2);
    let back = place.run(&["selectors", "rollback", "demo", &version_of(DEMO)]).await.expect_success();
    assert!(back.stdout.contains("demo.toml.rejected-"), "{}", back.stdout);
    assert_eq!(generation(&in_use(&daemon, DEMO).await), generation(&first) + 3);
    site.say(&conversation, None, "after all").unwrap();
    daemon.stored(seeded + 3).await;
    let listed = place.run(&["selectors", "versions", "demo", "--json"]).await.expect_success();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["versions"].as_array().unwrap().len(), 3, "{listed}");
    assert_eq!(listed["active"], version_of(DEMO));
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pack promoted").len(), 3, "{}", run.stderr);
    assert_store_equals_site(&site, &place.exported().await);
    assert_eq!(site.request_log().iter().filter(|request| request.method != "GET").count(), 1, "one login");
    site.stop().await;
}

#[tokio::test]
async fn a_layout_that_no_pack_knows_parks_the_account_until_a_repaired_pack_comes() {
    let only_a = demo_pack(&[("conversations", "row", "\".conversation\"")]);
    let site = Site::start(tiny_site()).await.unwrap();
    let bind = site.addr();
    // The page that is open stays as it was: a sweep opens it anew.
    let mut place = Place::for_site(&site).with_pack(&only_a).with("CHATFERRY_RECONCILE_INTERVAL", "2s");
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    site.stop().await;
    let site = Site::start(SiteOptions { bind, layout: Layout::B, ..tiny_site() }).await.unwrap();
    let account = |status: &Value| status["accounts"][0].clone();
    let is_parked = |status: &Value| account(status)["state"] == "parked" && account(status)["code"] == "layout-broken";
    daemon.until("the account is parked", is_parked).await;
    // A repair that repairs nothing: the account stays parked, and says why again.
    let no_repair = demo_pack(&[("conversations", "row", "\".conversation-row\"")]);
    edit(&place, &no_repair);
    let row = refused(&daemon, &no_repair).await;
    assert!(row["sentence"].as_str().unwrap().contains(": conversations.row "), "{row}");
    daemon.until("the account is still parked", is_parked).await;
    edit(&place, DEMO);
    in_use(&daemon, DEMO).await;
    daemon.until("the account is live", |status| account(status)["state"] == "live").await;
    site.say(&site.truth()[0].conversation_id, None, "in the new layout").unwrap();
    daemon.stored(seeded + 1).await;
    let run = daemon.stop().await.expect_success();
    let promoted = run.logged("pack promoted");
    assert_eq!((promoted.len(), &promoted[0]["pack.mends"]), (1, &"layout-broken".into()), "{}", run.stderr);
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}
