//! The store equals the site, message for message.

use chatferry::demo::Site;

use crate::support::{Place, assert_store_equals_site, small_site};

#[tokio::test]
async fn a_plain_site_is_collected_whole_and_a_second_run_adds_nothing() {
    let site = Site::start(small_site()).await.unwrap();
    let place = Place::for_site(&site);
    place.collect_once().await;
    let first = place.exported().await;
    assert_store_equals_site(&site, &first);
    let second = place.collect_once().await;
    assert!(second.stdout.contains(" 0 new messages, 0 changed"), "{}", second.stdout);
    assert_eq!(place.exported().await, first);
    site.stop().await;
}
