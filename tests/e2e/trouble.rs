//! A site that is slow, fails, ends sessions, or has to be asked again.

use chatferry::demo::{Site, SiteOptions};
use serde_json::Value;
use std::time::Duration;

use crate::support::packs::demo_pack;
use crate::support::{Place, assert_store_equals_site, tiny_site};

/// Requests that the site answered with this method and path.
fn requests(site: &Site, method: &str, path: &str) -> usize {
    site.request_log().iter().filter(|request| request.method == method && request.path.starts_with(path)).count()
}

#[tokio::test]
async fn a_slow_site_that_fails_now_and_then_is_collected_whole() {
    let options = SiteOptions { delay: Duration::from_millis(40), fail_every: Some(3), ..tiny_site() };
    let site = Site::start(options).await.unwrap();
    let place = Place::for_site(&site);
    place.collect_once().await;
    assert!(site.request_log().iter().any(|request| request.status == 500));
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn a_site_that_fails_always_is_one_retryable_fault_and_the_next_run_is_whole() {
    let site = Site::start(SiteOptions { fail_every: Some(1), ..tiny_site() }).await.unwrap();
    let bind = site.addr();
    let place =
        Place::for_site(&site).with_pack(&demo_pack(&[("pages", "timeout", "\"2s\""), ("login", "timeout", "\"2s\"")]));
    let run = place.run(&["collect", "--once", "--json"]).await;
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    let document: Value = serde_json::from_str(run.stdout.trim()).unwrap();
    let faults = document["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1, "{document}");
    assert_eq!(faults[0]["code"], "page-not-rendered", "{document}");
    assert!(run.logged("pass failed").iter().all(|line| line["error.class"] == "retryable"), "{}", run.stderr);
    assert_eq!(place.exported().await, []);
    site.stop().await;
    let site = Site::start(SiteOptions { bind, ..tiny_site() }).await.unwrap();
    place.collect_once().await;
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_costs_one_more_login() {
    // More requests than half of a pass needs, and fewer than a whole one; trying what was kept of a login takes some.
    let site = Site::start(SiteOptions { session_requests: Some(14), ..tiny_site() }).await.unwrap();
    let place = Place::for_site(&site);
    let run = place.collect_once().await;
    assert_eq!(requests(&site, "POST", "/login"), 2, "{}", run.stderr);
    assert_eq!(run.logged("pass failed"), Vec::<Value>::new());
    assert!(requests(&site, "GET", "/api/") > 14, "the first session was enough");
    assert_store_equals_site(&site, &place.exported().await);
    assert_eq!(run.count("new_messages"), site.truth().len() as u64, "what was read before the login counts too");
    site.stop().await;
}

#[tokio::test]
async fn a_site_that_wants_to_be_asked_three_times_is_asked_three_times() {
    let options = SiteOptions { history_nudges: 3, conversations: 2, messages: 120, ..tiny_site() };
    let site = Site::start(options).await.unwrap();
    let place = Place::for_site(&site);
    let run = place.collect_once().await;
    assert_eq!(run.count("gaps"), 0);
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}
