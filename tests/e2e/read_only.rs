//! chatferry only reads: what the site saw of it, and what its log saw of the chats.

use std::collections::BTreeSet;

use chatferry::demo::{Layout, Site, SiteOptions};

use crate::support::{Place, assert_store_equals_site, tiny_site};

#[tokio::test]
async fn the_site_sees_readers_only_and_one_login() {
    for layout in [Layout::A, Layout::B] {
        let site = Site::start(SiteOptions { layout, conversations: 2, messages: 50, ..tiny_site() }).await.unwrap();
        let place = Place::for_site(&site);
        place.collect_once().await;
        assert_store_equals_site(&site, &place.exported().await);
        let log = site.request_log();
        let writes: Vec<_> = log.iter().filter(|request| request.method != "GET").collect();
        assert_eq!(writes.len(), 1, "{writes:?}");
        assert_eq!((writes[0].method.as_str(), writes[0].path.as_str()), ("POST", "/login"));
        assert!(log.iter().any(|request| request.path == "/ws"), "the page's own socket");
        site.stop().await;
    }
}

#[tokio::test]
async fn the_fullest_log_holds_no_chat_text_and_no_credential() {
    let site = Site::start(SiteOptions { conversations: 2, messages: 60, ..tiny_site() }).await.unwrap();
    let place = Place::for_site(&site).with("LOG_LEVEL", "trace");
    let run = place.collect_once().await;
    assert!(!run.logged("agent called").is_empty());
    let truth = site.truth();
    let mut private: BTreeSet<&str> = truth.iter().flat_map(|m| m.text.lines()).filter(|line| line.len() > 7).collect();
    private.extend(truth.iter().map(|message| message.conversation_title.as_str()));
    private.insert(Site::password());
    assert!(private.len() > 30);
    for text in private {
        assert!(!run.stderr.contains(text), "{text:?} is in the log");
    }
    site.stop().await;
}
