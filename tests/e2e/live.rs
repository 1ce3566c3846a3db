//! News without any pass: the page tells, and the observer is there again after whatever happened to it.

use std::sync::Arc;
use std::time::Duration;

use chatferry::demo::{Layout, Site, SiteOptions};
use serde_json::Value;

use super::daemon::Daemon;
use crate::support::packs::demo_pack;
use crate::support::{Place, assert_store_equals_site, eventually, tiny_site};

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
async fn everything_arrives(site: &Site, mut place: Place) {
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
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pass completed").len(), 1, "{}", run.stderr);
    assert!(run.logged("news told").len() >= 3, "nothing was told of an open conversation:\n{}", run.stderr);
    let stored = place.exported().await;
    assert_store_equals_site(site, &stored);
    let live = stored.iter().filter(|message| message.text.starts_with("live "));
    assert_eq!(live.filter(|message| message.origin == "live").count(), 9);
}

#[tokio::test]
async fn messages_arrive_without_a_pass() {
    let site = Site::start(tiny_site()).await.unwrap();
    everything_arrives(&site, watched(Place::for_site(&site))).await;
    site.stop().await;
}

#[tokio::test]
async fn messages_arrive_in_the_other_layout_with_the_newest_first() {
    let options = SiteOptions { layout: Layout::B, newest_first_dom: true, ..tiny_site() };
    let site = Site::start(options).await.unwrap();
    let pack = demo_pack(&[("messages", "order", "\"newest_first\"")]);
    everything_arrives(&site, watched(Place::for_site(&site).with_pack(&pack))).await;
    site.stop().await;
}

#[tokio::test]
async fn messages_arrive_in_a_virtualised_page_without_ids() {
    let options = SiteOptions { conversations: 3, messages: 300, virtualised: true, native_ids: false, ..SiteOptions::default() };
    let site = Site::start(options).await.unwrap();
    let pack = demo_pack(&[("history", "virtualised", "true")]);
    everything_arrives(&site, watched(Place::for_site(&site).with_pack(&pack))).await;
    site.stop().await;
}
