//! The five verdicts, each on a page of its own, and layouts that change: a row is read as it was, or the page
//! is flagged. Never fewer or other rows in silence.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chatferry::collect::reading::{PageReading, read_page};
use chatferry::demo::Site;
use chatferry::ports::page::{ListRow, PageVerdict, ThreadRow};
use chatferry::selectors::{Pack, lint};
use regex::Regex;

use crate::support::packs::{DEMO, page_pack};
use crate::support::web_page::{WebPage, Window};
use crate::support::{Exported, Place};

const GOOD: &str = include_str!("../data/fixtures/demo/ok/page.html");

/// A page made into another.
type Change = fn(&str) -> String;

/// Which page has which verdict stands in the fixtures themselves.
#[tokio::test]
async fn each_verdict_is_given_by_its_fixture_and_a_wrong_expectation_is_told() {
    let place = Place::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/fixtures/demo");
    let run = place.run(&["selectors", "test", "demo", "--fixtures", fixtures]).await.expect_success();
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("ok ")).count(), 5, "{}", run.stdout);
    let folder = place.folder().join("fixtures/mine");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("page.html"), GOOD.replace("Good morning", "Bad morning")).unwrap();
    let expected = include_str!("../data/fixtures/demo/ok/expected.json");
    std::fs::write(folder.join("expected.json"), expected).unwrap();
    let fixtures = place.folder().join("fixtures").display().to_string();
    let run = place.run(&["selectors", "test", "demo", "--fixtures", &fixtures]).await;
    assert_eq!(run.code(), Some(1));
    let told = r#"changed    thread row 1: text: "Bad morning" instead of "Good morning""#;
    assert!(run.stdout.contains(told), "{}", run.stdout);
}

type Rows = (Vec<(Option<String>, Option<String>)>, Vec<ThreadRow>);

fn rows(reading: &PageReading) -> Rows {
    let text = |row: &ListRow| (row.id.clone(), row.title.as_ref().map(|title| title.expose().to_owned()));
    (reading.list.rows.iter().map(text).collect(), reading.thread.rows.clone())
}

fn is_flagged(reading: &PageReading) -> bool {
    let is_bad = |verdict| !matches!(verdict, PageVerdict::Ok | PageVerdict::Empty);
    is_bad(reading.list_verdict) || is_bad(reading.thread_verdict) || !reading.drifts.is_empty()
}

/// Every name that the pack's queries lean on and that is in the page.
fn names(pack: &Pack) -> BTreeSet<String> {
    let name = Regex::new(r"[.#\[]([A-Za-z][\w-]*)").unwrap();
    let mut names = BTreeSet::new();
    for (_, query) in lint::queries(pack) {
        for alternative in &query.alternatives {
            names.extend(alternative.attr.clone());
            for css in alternative.css.iter() {
                names.extend(name.captures_iter(css).map(|found| found[1].to_owned()));
            }
        }
    }
    names.retain(|name| renamed(GOOD, name) != GOOD);
    names
}

fn renamed(page: &str, name: &str) -> String {
    let word = Regex::new(r"[\w-]+").unwrap();
    word.replace_all(
        page,
        |found: &regex::Captures<'_>| {
            if &found[0] == name { format!("{name}-2027") } else { found[0].to_owned() }
        },
    )
    .into_owned()
}

/// Fields that a page may lack: that they are gone shows only beside what was read before, which
/// `a_layout_that_changes_between_two_passes_leaves_the_store_as_it_is` tests.
const OPTIONAL: [&str; 6] =
    ["data-message-id", "href", "message-mine", "message-attachment", "conversation-unread", "history-start"];

#[tokio::test]
async fn every_name_that_a_query_leans_on_is_renamed() {
    let pack: Pack = toml::from_str(DEMO).unwrap();
    let window = Window::blank(DEMO, "http://127.0.0.1:1").await;
    let read = async |html: String| {
        window.page.show_html(&html).await.unwrap();
        read_page(window.page.as_ref(), &pack).await.unwrap()
    };
    let good = read(GOOD.to_owned()).await;
    assert!(!is_flagged(&good), "{good:?}");
    let truth = rows(&good);
    let names = names(&pack);
    assert!(names.len() >= 15, "{names:?}");
    let mut flagged = 0;
    for name in &names {
        let reading = read(renamed(GOOD, name)).await;
        flagged += usize::from(is_flagged(&reading));
        assert!(is_flagged(&reading) || rows(&reading) == truth || OPTIONAL.contains(&name.as_str()), "{name}");
    }
    assert!(flagged >= 10, "{flagged} of {names:?}");

    // What no query leans on may change as it likes.
    let harmless: [(&str, Change); 4] = [
        ("translated", |page| page.replace("That is all", "Das ist alles").replace("The beginning", "Der Anfang")),
        ("wrapped", |page| {
            page.replace("<div class=\"message-text\">", "<div class=\"new\"><div class=\"message-text\">")
                .replace("</div><time", "</div></div><time")
                .replace("</div><a", "</div></div><a")
        }),
        ("a class more", |page| page.replace("class=\"message\"", "class=\"v2 message\"")),
        ("another element", |page| page.replace("<nav", "<main").replace("</nav>", "</main>")),
    ];
    for (what, change) in harmless {
        let changed = change(GOOD);
        assert_ne!(changed, GOOD, "{what}");
        let reading = read(changed).await;
        assert_eq!(rows(&reading), truth, "{what}");
        assert!(!is_flagged(&reading), "{what}");
    }

    // One row of three without its text, and a row of something else among the messages.
    let harmful = [
        GOOD.replacen("message-text", "message-body", 1),
        GOOD.replacen("<p class=\"history-start\">", "<div class=\"message\">An advertisement</div><p>", 1),
        GOOD.replacen("datetime=\"2026-10-10T10:01:00Z\"", "", 1),
    ];
    for page in harmful {
        assert!(is_flagged(&read(page).await));
    }
    window.close().await;
}

const MESSAGES: &str = r#"[messages]
row = ".m"
native_id = { any = [{ attr = "data-mid" }], required = false }
author = "b"
text = "p"
direction.own = ":scope.own"

[messages.sent_at]
at = "time"
formats = ["%d %B %Y, %H:%M"]
"#;

/// A conversation of twelve, with or without ids of its own.
fn conversation(ids: bool) -> String {
    let message = |n: usize| {
        let (class, author) = if n.is_multiple_of(3) { ("m own", "alex") } else { ("m", "Mia") };
        let id = if ids { format!(" data-mid=\"m-{n}\"") } else { String::new() };
        format!(
            "<div class=\"{class}\"{id}><b>{author}</b><p>number {n}</p><time>{} October 2026, 10:0{}</time></div>\n",
            1 + n,
            n % 10
        )
    };
    (0..12).map(message).collect()
}

/// Reads the page before and after a change: what the store held, what it holds, and whether it was told.
async fn over_a_change(before: &str, after: &str) -> (Vec<Exported>, Vec<Exported>, bool) {
    let shown = Arc::new(Mutex::new(before.to_owned()));
    let served = shown.clone();
    let page = move || {
        let messages = served.lock().unwrap().clone();
        async move {
            Html(format!(
                "<!doctype html><meta charset=\"utf-8\"><ul id=\"list\"><li data-id=\"c1\"><b>Mia</b></li></ul>\
                 <div id=\"thread\" data-id=\"c1\"><p class=\"start\">Start</p>{messages}</div>"
            ))
        }
    };
    let site = WebPage::serve_router(Router::new().route("/", get(page))).await;
    let place = Place::new()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", &site.base_url)
        .with_pack(&page_pack(MESSAGES));
    place.collect_once().await;
    let stored = place.exported().await;
    assert_eq!(stored.len(), 12);
    after.clone_into(&mut shown.lock().unwrap());
    let run = place.run(&["collect", "--once", "--json"]).await;
    let is_told = !run.status.success() && run.stderr.contains("layout-broken");
    (stored, place.exported().await, is_told)
}

#[tokio::test]
async fn a_layout_that_changes_between_two_passes_leaves_the_store_as_it_is() {
    let (named, nameless) = (conversation(true), conversation(false));
    let harmful = [
        (&named, named.replace("m own", "m mine"), "whose message it is, with ids"),
        (&nameless, nameless.replace("m own", "m mine"), "whose message it is, without"),
        (&named, named.replace("data-mid", "data-key"), "the ids"),
        (&named, named.replace("October", "octobre"), "the words of times"),
        (&named, named.replace("<b>", "<i>").replace("</b>", "</i>"), "the author's element"),
        (&named, named.replace("<p>", "<p>Translated: "), "the texts themselves"),
        (&named, Regex::new("m-\\d+").unwrap().replace_all(&named, "m-1").into_owned(), "ids that are one"),
    ];
    for (before, after, what) in harmful {
        let (stored, now, is_told) = over_a_change(before, &after).await;
        assert_eq!(stored, now, "{what}");
        assert!(is_told, "{what}");
    }
    let harmless = named.replace("<p>", "<div><p>").replace("</p>", "</p></div>");
    let (stored, now, is_told) = over_a_change(&named, &harmless).await;
    assert_eq!((stored == now, is_told), (true, false));
}
