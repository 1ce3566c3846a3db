//! A site in another layout is read through the fallbacks of its pack, and says so: once.

use std::collections::BTreeSet;

use chatferry::demo::{Layout, Site, SiteOptions};

use crate::support::packs::demo_pack;
use crate::support::{Place, Run, assert_store_equals_site, tiny_site};

/// The fields of the sample site's pack whose values are counted.
const FIELDS: [&str; 8] = [
    "conversations.id",
    "conversations.last_activity",
    "conversations.row",
    "conversations.title",
    "messages.author",
    "messages.native_id",
    "messages.row",
    "messages.sent_at.at",
];

fn fell_back(run: &Run) -> Vec<String> {
    let lines = run.logged("selector fell back");
    assert!(lines.iter().all(|line| line["level"] == "warn" && line["error.code"] == "selectors-drifted"), "{lines:?}");
    assert!(lines.iter().all(|line| line["selector.alternative"] == 1), "{lines:?}");
    lines.iter().map(|line| line["selector.field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn another_layout_is_collected_whole_and_each_fallback_is_told_once() {
    let site = Site::start(SiteOptions { layout: Layout::B, ..tiny_site() }).await.unwrap();
    let place = Place::for_site(&site);
    let first = place.collect_once().await;
    assert_store_equals_site(&site, &place.exported().await);
    let told = fell_back(&first);
    let fields: BTreeSet<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told.len(), fields.len(), "told twice: {told:?}");
    for field in FIELDS.iter().chain(&["messages.text"]) {
        assert!(fields.contains(field), "{field} is missing in {told:?}");
    }
    let second = place.collect_once().await;
    assert_eq!(fell_back(&second), [""; 0]);
    assert_eq!(second.count("new_messages"), 0);
    site.stop().await;
}

#[tokio::test]
async fn the_layout_that_the_pack_expects_is_no_news() {
    let site = Site::start(tiny_site()).await.unwrap();
    assert_eq!(fell_back(&Place::for_site(&site).collect_once().await), [""; 0]);
    site.stop().await;
}

#[tokio::test]
async fn another_layout_that_is_virtualised_too() {
    let options =
        SiteOptions { layout: Layout::B, virtualised: true, conversations: 2, messages: 200, ..SiteOptions::default() };
    let site = Site::start(options).await.unwrap();
    let place = Place::for_site(&site).with_pack(&demo_pack(&[("history", "virtualised", "true")]));
    let run = place.collect_once().await;
    assert_store_equals_site(&site, &place.exported().await);
    assert!(fell_back(&run).contains(&"messages.text".to_owned()));
    site.stop().await;
}
