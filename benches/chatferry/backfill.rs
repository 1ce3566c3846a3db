//! One long conversation read back to its start through a page that loads fifty messages at a time,
//! against a bare script that only scrolls to the top until the page says that it is the start.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chatferry::app::App;
use chatferry::demo::{Site, SiteOptions};
use chatferry::fault::AnyFault;
use chatferry::ports::SessionState;
use chatferry::ports::live::PageEvents;
use chatferry::ports::page::{
    Browser, Glance, ListReading, ProbeRow, Scroller, SessionRequest, SitePage, Step, ThreadReading, TrialReport,
    Until, Vocabulary,
};
use chatferry::selectors::{LoadedPack, Query};
use chatferry::telemetry::ProgressSink;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{extraction, rig};

const MESSAGES: u32 = 5_000;
const REPETITIONS: usize = 3;

/// Scrolls to the top, frame by frame, until the page says that this is the start, or for ten seconds,
/// since no call may last longer than a command's deadline; reads nothing.
const BARE_SCROLL: &str = r##"(async () => {
  const box = document.querySelector("#messages"), begun = performance.now();
  const isStart = () => document.querySelector(".history-start") !== null;
  while (!isStart() && performance.now() - begun < 10000) {
    box.scrollTop = 0;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  return JSON.stringify([isStart(), (performance.now() - begun) / 1000]);
})()"##;

pub async fn run() -> Value {
    json!({ "messages": MESSAGES, "page_size": 50, "plain": shape(false).await, "virtualised": shape(true).await })
}

/// Seconds that the page alone needs to load everything.
async fn bare() -> f64 {
    let site = Site::start(options(false)).await.unwrap();
    let folder = rig::folder();
    let page = extraction::longest_conversation(&site, folder.path()).await;
    let mut seconds = 0.0;
    let mut is_start = false;
    while !is_start {
        let more: f64;
        (is_start, more) = serde_json::from_str(&page.evaluate(BARE_SCROLL).await.unwrap()).unwrap();
        seconds += more;
    }
    Box::new(page).close().await;
    site.stop().await;
    seconds
}

async fn shape(virtualised: bool) -> Value {
    let mut runs: Vec<Spent> = Vec::new();
    let mut page_alone = Vec::new();
    for _ in 0..REPETITIONS {
        if !virtualised {
            page_alone.push(bare().await);
            eprintln!("bench:   the page alone: {:.2} s", page_alone[page_alone.len() - 1]);
        }
        let spent = one(virtualised).await;
        eprintln!("bench:   virtualised={virtualised}: {spent:?}");
        runs.push(spent);
    }
    let of = |part: fn(&Spent) -> f64| rig::median(&runs.iter().map(part).collect::<Vec<_>>());
    let seconds = of(|spent| spent.conversation);
    json!({
        "seconds": rig::round(seconds),
        "messages_per_second": (f64::from(MESSAGES) / seconds).round(),
        "steps": of(|spent| spent.steps),
        "seconds_stepping": rig::round(of(|spent| spent.step)),
        "seconds_reading": rig::round(of(|spent| spent.thread)),
        "share_waiting_for_the_page": rig::round(of(|spent| (spent.step + spent.wait) / spent.conversation)),
        "seconds_in_rust": rig::round(of(|spent| spent.conversation - spent.step - spent.thread - spent.wait)),
        "whole_pass_seconds": rig::round(of(|spent| spent.pass)),
        "page_alone_seconds": if virtualised { Value::Null } else { rig::round(rig::median(&page_alone)) },
    })
}

fn options(virtualised: bool) -> SiteOptions {
    SiteOptions {
        conversations: 1,
        messages: 20,
        long_conversation: Some(MESSAGES),
        virtualised,
        ..SiteOptions::default()
    }
}

async fn one(virtualised: bool) -> Spent {
    let site = Site::start(options(virtualised)).await.unwrap();
    let folder = rig::folder();
    let mut config = rig::config(folder.path(), Some(&site));
    if virtualised {
        operator_pack(&mut config.selectors_dir, folder.path());
    }
    let mut app = App::open(config).await.unwrap();
    let spent = Arc::new(Mutex::new(Spent::default()));
    app.browser = Arc::new(Timed { browser: app.browser.clone(), spent: spent.clone() });
    let account = app.accounts(None).0.remove(0);
    let held = app.visit(&account.id).await.unwrap();
    let summary = app.collector(account, held, ProgressSink::default()).once().await.unwrap();
    let found = summary.found;
    // A figure for a history that was read only in part would say nothing.
    let expected = u64::from(MESSAGES) + 20;
    assert_eq!((found.new, found.gaps), (expected, 0), "new messages and gaps, virtualised={virtualised}");
    assert!(app.close().await.is_clean());
    site.stop().await;
    let mut spent = spent.lock().unwrap().clone();
    spent.pass = summary.duration.as_secs_f64();
    spent
}

/// The bundled pack with the one word that a virtualised page needs.
fn operator_pack(selectors: &mut std::path::PathBuf, folder: &std::path::Path) {
    let text = include_str!("../../selectors/demo.toml").replace("[history]", "[history]\nvirtualised = true");
    *selectors = folder.join("packs");
    std::fs::create_dir_all(&*selectors).unwrap();
    std::fs::write(selectors.join("demo.toml"), text).unwrap();
}

/// Where the seconds went, for the longest conversation.
#[derive(Debug, Clone, Default)]
struct Spent {
    pass: f64,
    conversation: f64,
    steps: f64,
    step: f64,
    thread: f64,
    wait: f64,
}

struct Timed {
    browser: Arc<dyn Browser>,
    spent: Arc<Mutex<Spent>>,
}

#[async_trait]
impl Browser for Timed {
    async fn open(&self, request: SessionRequest) -> Result<Box<dyn SitePage>, AnyFault> {
        let page = self.browser.open(request).await?;
        Ok(Box::new(TimedPage { page, longest: self.spent.clone(), current: Mutex::default() }))
    }
}

/// A page that notes how long each call took; a conversation ends where the next one, or the page, does.
struct TimedPage {
    page: Box<dyn SitePage>,
    longest: Arc<Mutex<Spent>>,
    current: Mutex<Option<(Instant, Spent)>>,
}

impl TimedPage {
    fn note(&self, begun: Instant, add: impl FnOnce(&mut Spent, f64)) {
        if let Some((opened, spent)) = self.current.lock().unwrap().as_mut() {
            add(spent, begun.elapsed().as_secs_f64());
            spent.conversation = opened.elapsed().as_secs_f64();
        }
    }

    fn finish(&self) {
        let Some((_, spent)) = self.current.lock().unwrap().take() else { return };
        let mut longest = self.longest.lock().unwrap();
        if spent.steps >= longest.steps {
            *longest = spent;
        }
    }
}

#[async_trait]
impl SitePage for TimedPage {
    async fn open(&self, address: &str) -> Result<(), AnyFault> {
        self.page.open(address).await
    }
    async fn wait(&self, until: Until<'_>, timeout: Duration) -> Result<Glance, AnyFault> {
        let begun = Instant::now();
        let glance = self.page.wait(until, timeout).await;
        self.note(begun, |spent, seconds| spent.wait += seconds);
        glance
    }
    async fn wait_for(&self, query: &Query, timeout: Duration) -> Result<(), AnyFault> {
        self.page.wait_for(query, timeout).await
    }
    async fn fill(&self, query: &Query, value: &str) -> Result<(), AnyFault> {
        self.page.fill(query, value).await
    }
    async fn click(&self, query: &Query) -> Result<(), AnyFault> {
        self.page.click(query).await
    }
    async fn list(&self) -> Result<ListReading, AnyFault> {
        self.page.list().await
    }
    async fn open_conversation(&self, id: &str) -> Result<(), AnyFault> {
        self.finish();
        *self.current.lock().unwrap() = Some((Instant::now(), Spent::default()));
        self.page.open_conversation(id).await
    }
    async fn thread(&self) -> Result<ThreadReading, AnyFault> {
        let begun = Instant::now();
        let reading = self.page.thread().await;
        self.note(begun, |spent, seconds| spent.thread += seconds);
        reading
    }
    async fn rewind(&self, scroller: Scroller) -> Result<(), AnyFault> {
        self.page.rewind(scroller).await
    }
    async fn step(&self, scroller: Scroller) -> Result<Step, AnyFault> {
        let begun = Instant::now();
        let step = self.page.step(scroller).await;
        self.note(begun, |spent, seconds| {
            spent.step += seconds;
            spent.steps += 1.0;
        });
        step
    }
    async fn probe(&self) -> Result<Vec<ProbeRow>, AnyFault> {
        self.page.probe().await
    }
    async fn show_html(&self, html: &str) -> Result<(), AnyFault> {
        self.page.show_html(html).await
    }
    async fn skeleton(&self) -> Result<String, AnyFault> {
        self.page.skeleton().await
    }
    async fn screenshot(&self, masked: bool) -> Result<Vec<u8>, AnyFault> {
        self.page.screenshot(masked).await
    }
    fn kill(&self) {
        self.page.kill();
    }
    async fn close(self: Box<Self>) {
        self.finish();
        self.page.close().await;
    }
    async fn session(&self) -> Result<SessionState, AnyFault> {
        self.page.session().await
    }
    fn retiring(&self) -> CancellationToken {
        self.page.retiring()
    }
    async fn scrubbed(&self, keep: &Vocabulary) -> Result<String, AnyFault> {
        self.page.scrubbed(keep).await
    }
    async fn trial(&self, pack: &LoadedPack) -> Result<TrialReport, AnyFault> {
        self.page.trial(pack).await
    }
    async fn observe(&self) -> Result<PageEvents, AnyFault> {
        self.page.observe().await
    }
    async fn unobserve(&self) -> Result<(), AnyFault> {
        self.page.unobserve().await
    }
}
