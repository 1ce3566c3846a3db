//! What can't be seen at first: a row out of sight is looked for, a hole is told and closes later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chatferry::demo::Site;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::support::Place;
use crate::support::packs::page_pack;
use crate::support::web_page::WebPage;

const MESSAGES: &str = "[messages]\nrow = \".m\"\ntext = \"p\"\ndirection.own = \".own\"";

fn place(site: &WebPage, pack: &str) -> Place {
    Place::new()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", &site.base_url)
        .with_pack(pack)
}

/// A list of a dozen conversations of which only those near the viewport are in the page. A click on a
/// row is the only way to open one, and each opened conversation scrolls the list back to its top.
const VIRTUAL_LIST: &str = r##"<!doctype html><meta charset="utf-8"><title>A page</title>
<div id="list" style="width: 200px; height: 120px; overflow: auto">
<ul style="position: relative; height: 480px; margin: 0; padding: 0; list-style: none"></ul></div>
<div id="thread" data-id="" style="width: 600px; height: 300px; overflow: auto"></div>
<script>
const box = document.getElementById("list"), rows = box.firstElementChild, thread = document.getElementById("thread");
const open = (n) => {
  thread.dataset.id = `c${n}`;
  thread.innerHTML = `<p class="start">The beginning</p><div class="m"><p>message of ${n}</p></div>`;
  box.scrollTop = 0;
};
const show = () => {
  const first = Math.floor(box.scrollTop / 40);
  rows.replaceChildren(...[0, 1, 2].map((offset) => first + offset).filter((n) => n < 12).map((n) => {
    const row = document.createElement("li");
    row.dataset.id = `c${n}`;
    row.style = `position: absolute; top: ${n * 40}px; height: 40px`;
    row.innerHTML = `<b>Person ${n}</b>`;
    row.onclick = () => open(n);
    return row;
  }));
};
box.onscroll = show;
show();
</script>"##;

#[tokio::test]
async fn a_row_that_is_out_of_sight_is_looked_for_before_it_is_clicked() {
    let site = WebPage::serve(VIRTUAL_LIST).await;
    let pack = page_pack(MESSAGES).replace("open.address = \"/#{id}\"", "open.click = \":scope\"").replace(
        "[history]",
        "[conversations.scroll]\ncontainer = \"#list\"\ntoward = \"down\"\nvirtualised = true\nwait = \"300ms\"\nnudges = 1\n\n[history]",
    );
    let place = place(&site, &pack);
    let run = place.collect_once().await;
    assert_eq!((run.count("conversations"), run.count("gaps")), (12, 0), "{}", run.stderr);
    let mut stored: Vec<_> = place.exported().await.into_iter().map(|m| (m.conversation_id, m.text)).collect();
    stored.sort();
    let mut wanted: Vec<_> = (0..12).map(|n| (format!("c{n}"), format!("message of {n}"))).collect();
    wanted.sort();
    assert_eq!(stored, wanted);
}

/// One conversation that loads an older message per step, the oldest being 1.
fn growing(broken: bool) -> String {
    format!(
        r##"<!doctype html><meta charset="utf-8"><title>A page</title>
<ul id="list"><li data-id="c1"><b>Mia</b></li></ul>
<div id="thread" data-id="c1" style="width: 600px; height: 300px; overflow: auto">
<button id="older">Older</button><div class="m"><p>6</p></div></div>
<script>
let next = 5;
document.getElementById("older").onclick = ({{ currentTarget: button }}) => {{
  if ({broken} && next === 3) return;
  button.insertAdjacentHTML("afterend", `<div class="m"><p>${{next}}</p></div>`);
  if (--next === 0) button.remove();
}};
</script>"##
    )
}

#[tokio::test]
async fn a_history_that_stuck_is_a_gap_until_it_is_read_to_its_start() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let page = get(async move || Html(growing(count.fetch_add(1, Ordering::SeqCst) < 2)));
    let site = WebPage::serve_router(Router::new().route("/", page)).await;
    let pack = page_pack(MESSAGES)
        .replace("end = \".start\"", "more = \"#older\"\nclick_more = true\nwait = \"300ms\"\nnudges = 1");
    let place = place(&site, &pack);
    let texts = async || place.exported().await.into_iter().map(|m| m.text).collect::<Vec<_>>();
    let mut gaps = Vec::new();
    let mut seen = Vec::new();
    // The page is loaded an unknown number of times per pass: it heals while passes go on.
    while gaps.last() != Some(&0) && gaps.len() < 6 {
        gaps.push(place.collect_once().await.count("gaps"));
        seen.push(texts().await);
    }
    assert_eq!(gaps.first(), Some(&1), "{gaps:?}");
    assert_eq!(seen[0], ["4", "5", "6"]);
    assert_eq!(gaps.last(), Some(&0), "the hole never closed: {gaps:?}");
    assert_eq!(seen.last().unwrap(), &["1", "2", "3", "4", "5", "6"]);
    // What is whole stays whole, and nothing comes twice.
    let again = place.collect_once().await;
    assert_eq!((again.count("gaps"), again.count("new_messages")), (0, 0));
}

/// The same with ids, so that one row is enough to be known; it asks its server whether it goes on.
const ASKING: &str = r##"<!doctype html><meta charset="utf-8"><title>A page</title>
<ul id="list"><li data-id="c1"><b>Mia</b></li></ul>
<div id="thread" data-id="c1" style="width: 600px; height: 300px; overflow: auto">
<button id="older">Older</button><div class="m" data-id="6"><p>6</p></div></div>
<script>
let next = 5, asking = false;
document.getElementById("older").onclick = async ({ currentTarget: button }) => {
  if (asking) return;
  asking = true;
  const healed = next !== 3 || await (await fetch("/healed")).text() === "yes";
  asking = false;
  if (!healed) return;
  button.insertAdjacentHTML("afterend", `<div class="m" data-id="${next}"><p>${next}</p></div>`);
  if (--next === 0) button.remove();
};
</script>"##;

#[tokio::test]
async fn a_daemon_reads_a_hole_again_although_nothing_new_shows() {
    let healed = Arc::new(AtomicU32::new(0));
    let asked = healed.clone();
    let answer = get(async move || if asked.load(Ordering::SeqCst) > 0 { "yes" } else { "no" });
    let router = Router::new().route("/", get(async || Html(ASKING))).route("/healed", answer);
    let site = WebPage::serve_router(router).await;
    let identified = MESSAGES.replace("text =", "native_id = { attr = \"data-id\" }\ntext =");
    let pack = page_pack(&identified)
        .replace("end = \".start\"", "more = \"#older\"\nclick_more = true\nwait = \"300ms\"\nnudges = 1");
    let mut place = place(&site, &pack);
    let daemon = Daemon::start(&mut place).await;
    let gaps = |wanted: u64| move |status: &Value| status["counts"]["open_gaps"] == wanted;
    let status = daemon.until("the hole is told", gaps(1)).await;
    assert_eq!(status["counts"]["stored_messages"], 3);
    healed.store(1, Ordering::SeqCst);
    daemon.stored(6).await;
    daemon.until("the hole is closed", gaps(0)).await;
    daemon.stop().await.expect_success();
    let texts: Vec<_> = place.exported().await.into_iter().map(|m| m.text).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_reading_cut_short_is_no_gap_where_it_joins_what_was_read_to_its_start() {
    let asked = Arc::new(AtomicU32::new(0));
    let heal = asked.clone();
    let page = get(async move || Html(growing(heal.load(Ordering::SeqCst) > 0)));
    let site = WebPage::serve_router(Router::new().route("/", page)).await;
    let pack = page_pack(MESSAGES)
        .replace("end = \".start\"", "more = \"#older\"\nclick_more = true\nwait = \"300ms\"\nnudges = 1");
    let place = place(&site, &pack);
    assert_eq!(place.collect_once().await.count("gaps"), 0);
    asked.store(1, Ordering::SeqCst);
    let cut = place.collect_once().await;
    assert_eq!((cut.count("gaps"), cut.count("new_messages")), (0, 0), "{}", cut.stderr);
    let texts: Vec<_> = place.exported().await.into_iter().map(|m| m.text).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6"]);
}
