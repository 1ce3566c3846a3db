//! One call of the page agent against the bare script that an impatient person would write for this very
//! page: same page, same isolated world, same fields, in turn.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatferry::app;
use chatferry::browser::page::ChromiumPage;
use chatferry::collect::login::{self, Credentials};
use chatferry::demo::{Site, SiteOptions};
use chatferry::ports::page::{SessionRequest, SitePage, Until};
use chatferry::selectors::Library;
use chatferry::telemetry::Counters;
use serde_json::{Value, json};

use super::rig;

/// The same fields by hand: no pack, no fallbacks, no counting, no shadow roots.
const BARE: &str = r#"JSON.stringify([...document.querySelectorAll(".message")].map((row) => {
  const text = row.querySelector(".message-text"), author = row.querySelector(".message-author");
  const files = [...row.querySelectorAll(".message-attachment")].map((file) => file.getAttribute("href"));
  return {
    i: row.getAttribute("data-message-id"),
    a: author ? author.textContent.trim() : undefined,
    t: text ? text.textContent.trim() : undefined,
    w: row.querySelector(".message-time")?.getAttribute("datetime"),
    o: row.matches(".message-mine") || undefined,
    f: files.length ? files : undefined,
  };
}))"#;
/// The agent's call as production sends it.
const AGENT: &str = r#"globalThis.chatferry("thread", {})"#;

pub async fn run() -> Value {
    let mut sizes = Vec::new();
    for (messages, rounds) in [(100, 41), (1_000, 31), (10_000, 25)] {
        sizes.push(measure(messages, rounds).await);
    }
    json!({ "unit": "ms, median", "sizes": sizes })
}

async fn measure(messages: u32, rounds: usize) -> Value {
    let options = SiteOptions {
        conversations: 1,
        messages: 20,
        long_conversation: Some(messages),
        inline_all: true,
        ..SiteOptions::default()
    };
    let site = Site::start(options).await.unwrap();
    let folder = rig::folder();
    let page = longest_conversation(&site, folder.path()).await;

    // What is compared must be the same.
    let reading = page.thread().await.unwrap();
    let bare: Vec<Value> = serde_json::from_str(&page.evaluate(BARE).await.unwrap()).unwrap();
    assert_eq!(reading.rows.len(), messages as usize);
    assert_eq!(bare.len(), reading.rows.len());
    for (by_hand, row) in bare.iter().zip(&reading.rows) {
        let text = |field: &str| by_hand[field].as_str();
        assert_eq!(text("i"), row.native_id.as_deref());
        assert_eq!(text("a"), row.author.as_ref().map(|author| author.expose()));
        assert_eq!(text("t"), row.text.as_ref().map(|text| text.expose()));
        assert_eq!(text("w"), row.sent_at.as_deref());
        assert_eq!(by_hand["o"].as_bool().unwrap_or(false), row.own);
        assert_eq!(by_hand["f"].as_array().map_or(0, Vec::len), row.attachments.len());
    }

    let (mut bare, mut call, mut agent) = (Times::default(), Times::default(), Times::default());
    let (mut bare_inside, mut agent_inside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.take(|| page.evaluate(BARE)).await;
        call.take(|| page.thread()).await;
        bare.take(|| page.evaluate(BARE)).await;
        agent.take(|| page.evaluate(AGENT)).await;
        bare_inside.push(inside(&page, BARE).await);
        agent_inside.push(inside(&page, AGENT).await);
    }
    Box::new(page).close().await;
    site.stop().await;
    let (bare, call, agent) = (bare.median(), call.median(), agent.median());
    eprintln!("bench:   {messages} messages: agent {call:.1} ms, bare {bare:.1} ms, {:.3} of bare", call / bare);
    let (bare_inside, agent_inside) = (rig::median(&bare_inside), rig::median(&agent_inside));
    json!({
        "messages": messages,
        "agent_call": rig::round(call),
        "bare_evaluate": rig::round(bare),
        "ratio": rig::round(call / bare),
        "agent_evaluate": rig::round(agent),
        "ratio_evaluate": rig::round(agent / bare),
        "agent_inside_the_page": rig::round(agent_inside),
        "bare_inside_the_page": rig::round(bare_inside),
        "parse_into_thread_reading": rig::round(call - agent),
    })
}

/// A browser, logged in, with the conversation open that has most messages.
pub async fn longest_conversation(site: &Site, folder: &Path) -> ChromiumPage {
    let config = rig::config(folder, Some(site));
    let account = &config.accounts[0];
    let pack = Arc::new(Library::open(&config.selectors_dir).unwrap().load(account.id.site()).unwrap());
    let request = SessionRequest {
        account: account.id.clone(),
        base_url: site.base_url().parse().unwrap(),
        session: None,
        scratch: false,
        pack: pack.clone(),
    };
    let browser = app::chromium(&config, folder, Arc::new(Counters::default()));
    let page = browser.open_page(request).await.unwrap();
    let credentials = Credentials { username: &account.username, password: &account.password };
    login::log_in(&page, &pack.pack, account.id.site().as_str(), credentials).await.unwrap();
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for message in site.truth() {
        *counts.entry(message.conversation_id).or_default() += 1;
    }
    let (id, _) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
    page.open_conversation(&id).await.unwrap();
    let glance = page.wait(Until::Thread(&id), Duration::from_secs(120)).await.unwrap();
    assert_eq!(glance.opened.as_deref(), Some(id.as_str()));
    page
}

/// Milliseconds by the page's own clock.
async fn inside(page: &ChromiumPage, script: &str) -> f64 {
    let script = format!(
        "(async () => {{ const begun = performance.now(); await ({script}); return String(performance.now() - begun); }})()"
    );
    page.evaluate(&script).await.unwrap().parse().unwrap()
}

#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    async fn take<T, E: std::fmt::Debug>(&mut self, call: impl AsyncFnOnce() -> Result<T, E>) {
        let begun = Instant::now();
        let answer = call().await.unwrap();
        self.0.push(begun.elapsed().as_secs_f64() * 1000.0);
        drop(answer);
    }

    fn median(&self) -> f64 {
        rig::median(&self.0)
    }
}
