//! The forms that a chat page can have: each is collected whole, and a second run adds nothing.

use std::collections::BTreeMap;

use chatferry::demo::{Site, SiteOptions};

use crate::support::packs::demo_pack;
use crate::support::{Place, assert_collected_whole, tiny_site};

const VIRTUALISED: (&str, &str, &str) = ("history", "virtualised", "true");
const NEWEST_FIRST: (&str, &str, &str) = ("messages", "order", "\"newest_first\"");

async fn is_collected_whole(options: SiteOptions, changes: &[(&str, &str, &str)]) {
    let site = Site::start(options).await.unwrap();
    assert_collected_whole(&site, &Place::for_site(&site).with_pack(&demo_pack(changes))).await;
    site.stop().await;
}

/// Enough messages that most of them are never in the page at one time.
fn virtualised_site() -> SiteOptions {
    SiteOptions { conversations: 2, messages: 300, virtualised: true, ..SiteOptions::default() }
}

#[tokio::test]
async fn a_virtualised_page() {
    is_collected_whole(virtualised_site(), &[VIRTUALISED]).await;
}

#[tokio::test]
async fn a_page_with_the_newest_message_first() {
    is_collected_whole(SiteOptions { newest_first_dom: true, ..tiny_site() }, &[NEWEST_FIRST]).await;
}

#[tokio::test]
async fn a_virtualised_page_with_the_newest_message_first() {
    let options = SiteOptions { newest_first_dom: true, ..virtualised_site() };
    is_collected_whole(options, &[VIRTUALISED, NEWEST_FIRST]).await;
}

/// Texts that one author sent twice within one second.
fn twins(site: &Site) -> usize {
    let mut counts = BTreeMap::new();
    for message in site.truth() {
        *counts.entry((message.conversation_id, message.author, message.text, message.sent_at)).or_insert(0) += 1;
    }
    counts.values().filter(|count| **count > 1).count()
}

#[tokio::test]
async fn a_page_without_ids_keeps_equal_messages_of_one_second_apart() {
    let site = Site::start(SiteOptions { native_ids: false, ..tiny_site() }).await.unwrap();
    assert!(twins(&site) > 0);
    let place = Place::for_site(&site);
    assert_collected_whole(&site, &place).await;
    assert!(place.exported().await.iter().all(|message| message.native_id.is_none()));
    site.stop().await;
}

#[tokio::test]
async fn a_virtualised_page_without_ids() {
    let site = Site::start(SiteOptions { native_ids: false, ..virtualised_site() }).await.unwrap();
    assert!(twins(&site) > 0);
    assert_collected_whole(&site, &Place::for_site(&site).with_pack(&demo_pack(&[VIRTUALISED]))).await;
    site.stop().await;
}

#[tokio::test]
async fn an_empty_conversation_is_empty_and_nothing_is_invented() {
    let site = Site::start(SiteOptions { empty_conversation: true, ..tiny_site() }).await.unwrap();
    let run = assert_collected_whole(&site, &Place::for_site(&site)).await;
    assert_eq!(run.count("conversations"), 6);
    site.stop().await;
}

#[tokio::test]
async fn a_site_without_any_conversation_is_no_fault() {
    let site = Site::start(SiteOptions { conversations: 0, messages: 0, empty_conversation: true, ..tiny_site() });
    let site = site.await.unwrap();
    let run = assert_collected_whole(&site, &Place::for_site(&site)).await;
    assert_eq!(run.count("conversations"), 1);
    site.stop().await;
}
