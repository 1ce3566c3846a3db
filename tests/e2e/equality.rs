//! The store equals the site, message for message: author, direction, text, order, time.

use std::collections::{BTreeMap, BTreeSet};

use chatferry::demo::{Site, SiteOptions};

use crate::support::{Place, assert_collected_whole, assert_store_equals_site, small_site, tiny_site};

#[tokio::test]
async fn a_plain_site_is_collected_whole_and_a_second_run_adds_nothing() {
    let site = Site::start(small_site()).await.unwrap();
    assert_collected_whole(&site, &Place::for_site(&site)).await;
    site.stop().await;
}

#[tokio::test]
async fn two_conversations_of_one_title_stay_two() {
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site);
    place.collect_once().await;
    let stored = place.exported().await;
    assert_store_equals_site(&site, &stored);
    let mut of_title: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for message in &stored {
        of_title.entry(&message.conversation_title).or_default().insert(&message.conversation_id);
    }
    assert_eq!(of_title.values().filter(|ids| ids.len() == 2).count(), 1, "{of_title:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_long_conversation_is_read_back_to_its_start() {
    let options =
        SiteOptions { conversations: 1, messages: 5, long_conversation: Some(1500), ..SiteOptions::default() };
    let site = Site::start(options).await.unwrap();
    let place = Place::for_site(&site);
    let run = place.collect_once().await;
    assert_eq!((run.count("new_messages"), run.count("gaps")), (1505, 0));
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn ten_thousand_messages_on_one_page_are_taken_out_by_one_call_into_the_page() {
    let options = SiteOptions {
        conversations: 1,
        messages: 3,
        long_conversation: Some(10_000),
        inline_all: true,
        ..SiteOptions::default()
    };
    let site = Site::start(options).await.unwrap();
    let place = Place::for_site(&site).with("LOG_LEVEL", "info,chatferry::browser=trace");
    let run = place.collect_once().await;
    let calls = run.logged("agent called");
    let readings = calls.iter().filter(|line| line["browser.call"] == "thread").count();
    assert_eq!(readings, 2, "one for each conversation");
    assert!(calls.len() < 60, "{} calls into the page", calls.len());
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}
