//! `selectors probe`: what each query matches, and nothing of what was said.

use std::collections::BTreeMap;

use chatferry::demo::{Layout, Site, SiteOptions};
use serde_json::Value;

use crate::support::packs::demo_pack;
use crate::support::{Place, Run, tiny_site};

/// The counts of each query.
fn counts(run: &Run) -> BTreeMap<String, Vec<u64>> {
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let queries = document["queries"].as_array().unwrap();
    queries
        .iter()
        .map(|row| {
            let counts = row["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
            (row["query"].as_str().unwrap().to_owned(), counts)
        })
        .collect()
}

#[tokio::test]
async fn the_live_page_is_described_without_a_word_of_the_chats() {
    for (layout, matched) in [(Layout::A, 0), (Layout::B, 1)] {
        let site = Site::start(SiteOptions { layout, ..tiny_site() }).await.unwrap();
        let place = Place::for_site(&site);
        let run = place.run(&["selectors", "probe", "demo", "--json"]).await.expect_success();
        let counts = counts(&run);
        for query in ["conversations.row", "conversations.id", "conversations.title"] {
            // The row of the site's own news is a row, but no conversation.
            let news = u64::from(query == "conversations.row");
            assert_eq!(counts[query][matched], 5 + news, "{query}");
        }
        for query in ["messages.row", "messages.text", "messages.author", "messages.sent_at.at", "messages.native_id"] {
            assert!(counts[query][matched] >= 10, "{query}: {counts:?}");
            assert_eq!(counts[query][1 - matched], 0, "{query}: {counts:?}");
        }
        for query in ["pages.login", "pages.list.positive", "pages.thread.positive", "login.outcomes.logged_in"] {
            assert!(counts[query].iter().sum::<u64>() > 0, "{query}: {counts:?}");
        }
        let table = place.run(&["selectors", "probe", "demo"]).await.expect_success();
        assert!(table.stdout.contains("messages.text") && table.stdout.contains("conversations.opened.at"));
        for message in site.truth() {
            for word in message.text.split_whitespace().filter(|word| word.len() > 7) {
                assert!(!run.stdout.contains(word), "{word}");
                assert!(!table.stdout.contains(word), "{word}");
            }
            assert!(
                !run.stdout.contains(&message.conversation_title)
                    && !table.stdout.contains(&message.conversation_title)
            );
        }
        assert_eq!(place.run(&["data", "export"]).await.stdout, "", "probing keeps nothing");
        site.stop().await;
    }
}

#[tokio::test]
async fn a_saved_page_is_probed_without_any_site() {
    let place = Place::new();
    let saved = place.folder().join("saved.html");
    std::fs::write(&saved, include_str!("pages/saved.html")).unwrap();
    let saved = saved.display().to_string();
    let run = place.run(&["selectors", "probe", "demo", "--html", &saved, "--json"]).await.expect_success();
    let counts = counts(&run);
    assert_eq!(counts["messages.row"][0], 3);
    assert_eq!(counts["messages.text"][0], 3, "its scripts do not run");
    assert_eq!(counts["conversations.title"][0], 2);
    assert!(!run.stdout.contains("secret"), "{}", run.stdout);
}

#[tokio::test]
async fn a_query_that_matches_nothing_is_named_and_is_a_fault() {
    let pack = demo_pack(&[("messages", "text", "\".no-such-text\"")]);
    let place = Place::new().with_pack(&pack);
    let saved = place.folder().join("saved.html");
    std::fs::write(&saved, include_str!("pages/saved.html")).unwrap();
    let saved = saved.display().to_string();
    let run = place.run(&["selectors", "probe", "demo", "--html", &saved]).await;
    assert_eq!(run.code(), Some(1));
    assert!(run.stderr.contains("messages.text matched nothing"), "{}", run.stderr);
}
