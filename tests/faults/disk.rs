//! The disk of the data directory gets full while the daemon runs (F33).

use std::fs;

use chatferry::demo::Site;

use crate::healing::{assert_heals, tiny_site};
use crate::serving::Serving;
use crate::support::Place;
use crate::support::processes::{Browsers, turn};

/// Far below what must stay free on any disk that this could run on.
const NEXT_TO_NOTHING: &str = "4096";

#[tokio::test]
async fn a_full_disk_pauses_collecting_and_room_resumes_it() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with("CHATFERRY_STALE_AFTER", "30s").with("LOG_LEVEL", "debug");
    let free = place.folder().join("free");
    place.set("CHATFERRY_DISK_FREE_IN", free.display().to_string());
    let browsers = Browsers::of(&place);
    let daemon = Serving::start(&mut place).await;
    daemon.caught_up(&site).await;
    daemon.state("live", None).await;
    daemon.until_page("/readyz", 200, "\"ready\":true").await;

    fs::write(&free, NEXT_TO_NOTHING).unwrap();
    daemon.state("backoff", Some("disk-full")).await;
    daemon.until_page("/readyz", 503, "disk-full").await;
    daemon.until_page("/metrics", 200, &format!("chatferry_disk_free_bytes {NEXT_TO_NOTHING}\n")).await;
    // Its browser may go first; nothing is written by one that runs on.
    browsers.assert_gone().await;
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, "while the disk was full").unwrap();

    fs::remove_file(&free).unwrap();
    daemon.caught_up(&site).await;
    daemon.state("live", None).await;
    daemon.until_page("/readyz", 200, "\"ready\":true").await;
    site.say(&conversation, None, "when there was room").unwrap();
    daemon.caught_up(&site).await;
    let ended = daemon.stop().await;
    assert_eq!(ended.count(&["account.state", "parked"]), 0, "{}", ended.log.join("\n"));
    // The loop waits instead of trying: one refusal, and not one browser more than the one after it.
    assert!(ended.count(&["browser started"]) <= 2, "{}", ended.log.join("\n"));
    assert_heals(&site, &place, &browsers, 0).await;
    site.stop().await;
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_is_waited_for() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site);
    let free = place.folder().join("free");
    fs::write(&free, NEXT_TO_NOTHING).unwrap();
    place.set("CHATFERRY_DISK_FREE_IN", free.display().to_string());
    let browsers = Browsers::of(&place);
    let daemon = Serving::start(&mut place).await;
    daemon.state("backoff", Some("disk-full")).await;
    daemon.until_page("/readyz", 503, "disk-full").await;
    assert!(browsers.running().is_empty(), "a browser writes too");
    assert!(site.request_log().is_empty(), "nothing may be read that can't be kept");
    fs::remove_file(&free).unwrap();
    daemon.caught_up(&site).await;
    daemon.stop().await;
    assert_heals(&site, &place, &browsers, 0).await;
    site.stop().await;
}
