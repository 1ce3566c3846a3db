//! A dry run reads, and does nothing else.

use std::fs;

use chatferry::demo::Site;

use crate::support::processes::{Browsers, turn};
use crate::support::{Place, small_site};

#[tokio::test]
async fn a_dry_run_stores_publishes_and_writes_nothing() {
    let _turn = turn().await;
    let site = Site::start(small_site()).await.unwrap();
    let place = Place::for_site(&site);
    let browsers = Browsers::of(&place);
    let run = place.run(&["--dry-run", "collect", "--once"]).await.expect_success();
    let told =
        run.stdout.lines().find_map(|line| line.strip_prefix("dry run: ")).unwrap_or_else(|| panic!("{}", run.stdout));
    let events: u32 = told.split(' ').next().unwrap().parse().unwrap();
    // Each message is an event; changes of the account's state are more.
    assert!(events >= small_site().messages, "{told}");
    assert!(told.contains("would be published") && told.ends_with("nothing was"), "{told}");
    assert!(place.exported().await.is_empty(), "the store holds messages");
    let workbooks = fs::read_dir(place.data_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let workbooks: Vec<_> = workbooks.filter(|name| name.to_string_lossy().starts_with("summaries")).collect();
    assert!(workbooks.is_empty(), "{workbooks:?}");
    browsers.assert_gone().await;

    let json = place.run(&["--dry-run", "collect", "--once", "--json"]).await.expect_success();
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["dry_run"], true);
    assert_eq!(document["stored"]["messages"], 0, "{document}");
    assert!(document["would_publish"].as_u64().unwrap() >= u64::from(small_site().messages), "{document}");

    // And a real run afterwards still finds everything new.
    place.collect_once().await;
    crate::support::assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn the_daemon_has_no_dry_run() {
    let place = Place::new();
    let run = place.run(&["--dry-run", "run"]).await;
    assert_eq!(run.code(), Some(78), "{}", run.stderr);
    assert!(run.stderr.contains("what to do: use `chatferry --dry-run collect --once`"), "{}", run.stderr);
    assert!(!place.data_dir().exists());
}

#[tokio::test]
async fn the_demo_has_no_dry_run() {
    let place = Place::new();
    let run = place.run(&["--dry-run", "demo"]).await;
    assert_eq!(run.code(), Some(78), "{}", run.stderr);
    assert!(run.stderr.contains("what to do: call it without --dry-run"), "{}", run.stderr);
    assert!(!place.data_dir().exists());
}
