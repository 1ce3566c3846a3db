//! `selectors record`, `test` and `diff`: a copy of a page that proves a pack, and holds nothing that was said.

use std::collections::BTreeSet;

use chatferry::demo::{Layout, Site, SiteOptions};
use serde_json::Value;

use crate::support::packs::demo_pack;
use crate::support::{Place, tiny_site};

#[tokio::test]
async fn a_recording_proves_the_pack_and_holds_no_word_of_the_chats() {
    for layout in [Layout::A, Layout::B] {
        let site = Site::start(SiteOptions { layout, ..tiny_site() }).await.unwrap();
        let place = Place::for_site(&site);
        let folder = place.folder().join("recorded").display().to_string();
        let run = place.run(&["selectors", "record", "demo", "--out", &folder, "--json"]).await.expect_success();
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let names: Vec<_> =
            document["fixtures"].as_array().unwrap().iter().map(|f| f["rows"].as_u64().unwrap()).collect();
        assert_eq!(names.len(), 3, "login, list and conversation: {document}");
        assert!(names[2] >= 10, "{document}");

        let truth = site.truth();
        let mut private: BTreeSet<&str> =
            truth.iter().flat_map(|m| m.text.split_whitespace()).filter(|word| word.chars().count() > 5).collect();
        private
            .extend(truth.iter().flat_map(|m| [m.conversation_title.as_str(), m.author.as_str(), &m.conversation_id]));
        private.extend(truth.iter().map(|m| m.native_id.as_str()));
        private.extend([Site::username(), Site::password()]);
        private.retain(|word| word.chars().count() > 3);
        assert!(private.len() > 50);
        let mut read = 0;
        for name in ["login", "list", "thread"] {
            for file in ["page.html", "expected.json"] {
                let text = std::fs::read_to_string(format!("{folder}/{name}/{file}")).unwrap();
                read += text.len();
                // Whole words: a short one may be part of a class.
                let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
                for word in &private {
                    assert!(
                        !words.contains(word) && (word.len() < 8 || !text.contains(word)),
                        "{word} is in {name}/{file}"
                    );
                }
                assert!(!text.contains("<script") && !text.contains("http"), "{name}/{file}");
            }
        }
        assert!(read > 5_000);
        site.stop().await;

        // Without the site: the copy gives what was recorded, and a pack that reads less is told.
        place.run(&["selectors", "test", "demo", "--fixtures", &folder]).await.expect_success();
        let new = place.folder().join("new.toml");
        std::fs::write(&new, demo_pack(&[("messages", "author", "\".nobody\"")])).unwrap();
        let new = new.display().to_string();
        let run = place.run(&["selectors", "test", &new, "--fixtures", &folder]).await;
        assert_eq!(run.code(), Some(1));
        assert!(run.stdout.contains("thread: verdict: \"broken\" instead of \"ok\""), "{}", run.stdout);
        let run =
            place.run(&["selectors", "diff", "demo", &new, "--fixtures", &folder, "--json"]).await.expect_success();
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let pages = document["pages"].as_array().unwrap();
        let thread = pages.iter().find(|page| page["page"] == "thread").unwrap();
        assert_eq!((thread["gained"].as_u64(), thread["lost"].as_u64()), (Some(0), Some(0)));
        assert!(thread["changed"].as_u64() > Some(10), "{thread}");
    }
}

#[tokio::test]
async fn a_pack_that_reads_less_is_told_row_by_row() {
    let place = Place::new();
    let new = place.folder().join("new.toml");
    std::fs::write(&new, demo_pack(&[("messages", "row", "\".message-mine\"")])).unwrap();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/fixtures/demo/ok/page.html");
    let new = new.display().to_string();
    let run = place.run(&["selectors", "diff", "demo", &new, "--page", page]).await.expect_success();
    assert!(run.stdout.contains("0 rows gained, 2 lost, 0 fields changed"), "{}", run.stdout);
    assert!(!run.stdout.contains("Good morning"), "{}", run.stdout);
}
