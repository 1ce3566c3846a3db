//! Watching: how long a message takes from its appearance in the page to the confirm of its event, with
//! twenty accounts open at once; what the program itself uses while nothing happens; what each further
//! account costs in memory.
//!
//! For the latency each account has a site of its own, so that a message is drawn by one page and not by all of
//! them; that is a browser for each, which is more for this machine to do than the accounts of one site are. The
//! memory is that of accounts of one site, which share a browser. The moment of appearance is the page's own
//! clock, which is this machine's; an event carries it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chatferry::app::{App, Role};
use chatferry::browser::profile;
use chatferry::collect::Account;
use chatferry::demo::{Site, SiteOptions};
use chatferry::domain::EventId;
use chatferry::domain::{Envelope, Event, Origin};
use chatferry::fault::AnyFault;
use chatferry::ports::{Bus, BusState, DeadLetter, Deliveries, Outgoing, Queue, QueueDepth};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::rig;

/// How many there are, unless BENCH_ACCOUNTS says otherwise.
const ACCOUNTS: usize = 20;
/// Messages that are measured, one after the other over all accounts, and the time between two.
const MESSAGES: usize = 400;
const EVERY: Duration = Duration::from_millis(50);
/// How long nothing happens while the idle program is measured.
const IDLE: Duration = Duration::from_secs(20);
/// At these numbers of accounts the browsers' memory is taken.
const SIZES: [usize; 2] = [1, 5];
/// Far more than anything here needs, so that only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(600);

pub async fn run() -> Value {
    let accounts = std::env::var("BENCH_ACCOUNTS").ok().and_then(|n| n.parse().ok()).unwrap_or(ACCOUNTS).max(2);
    let memory = memory(accounts).await;
    let folder = rig::folder();
    let mut sites = Vec::new();
    for n in 0..accounts {
        let options = SiteOptions { seed: n as u64 + 1, conversations: 3, messages: 60, ..SiteOptions::default() };
        sites.push(Site::start(options).await.unwrap());
    }
    let mut app = App::open(rig::config(folder.path(), Some(&sites[0]))).await.unwrap();
    let lateness = Arc::new(Mutex::new(Vec::new()));
    app.bus = Arc::new(Timed { bus: app.bus.clone(), lateness: lateness.clone() });
    app.start_pipeline(&[Role::Archive], Duration::from_secs(5)).unwrap();
    let first = app.accounts(None).0.remove(0);
    for (n, site) in sites.iter().enumerate() {
        app.keep_collecting(Arc::new(account(&first, n, site, folder.path())));
        // Two browsers that start at once would only wait for each other.
        until_live(&app, n + 1).await;
    }
    tokio::time::sleep(Duration::from_secs(15)).await;
    let idle = {
        let (begun, before) = (Instant::now(), rig::cpu_seconds());
        tokio::time::sleep(IDLE).await;
        (rig::cpu_seconds() - before) / begun.elapsed().as_secs_f64()
    };
    eprintln!("bench:   idle, without the browsers: {:.2} % of a core", idle * 100.0);
    let told_before = app.counters.snapshot().messages_told;
    lateness.lock().unwrap().clear();
    let open: Vec<String> = sites.iter().map(warm).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    lateness.lock().unwrap().clear();
    for n in 0..MESSAGES {
        let place = n % accounts;
        sites[place].say(&open[place], None, &format!("measured {n}")).unwrap();
        tokio::time::sleep(EVERY).await;
    }
    let deadline = Instant::now() + DEADLINE;
    while lateness.lock().unwrap().len() < MESSAGES {
        assert!(Instant::now() < deadline, "{} of {MESSAGES} messages arrived", lateness.lock().unwrap().len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut sorted = lateness.lock().unwrap().clone();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| rig::round(sorted[(sorted.len() - 1) * share / 100]);
    let told = app.counters.snapshot().messages_told - told_before;
    let figures = json!({
        "accounts": accounts,
        "messages": MESSAGES,
        "told_by_the_page": told,
        "appearance_to_confirm_ms": { "p50": at(50), "p90": at(90), "p99": at(99), "max": at(100) },
        "idle_cpu_percent_of_a_core": rig::round(idle * 100.0),
        "browsers_mb": memory.iter().map(|(size, mb)| json!({ "accounts": size, "mb": rig::round(*mb) })).collect::<Vec<_>>(),
        "mb_per_further_account": rig::round((memory[memory.len() - 1].1 - memory[0].1) / (accounts - 1) as f64),
    });
    eprintln!("bench:   {figures}");
    assert!(app.close().await.is_clean());
    for site in sites {
        site.stop().await;
    }
    figures
}

/// What the browser of so many accounts of one site holds, in megabytes, at some numbers of accounts.
async fn memory(accounts: usize) -> Vec<(usize, f64)> {
    let folder = rig::folder();
    let options = SiteOptions { conversations: 3, messages: 60, ..SiteOptions::default() };
    let site = Site::start(options).await.unwrap();
    let app = App::open(rig::config(folder.path(), Some(&site))).await.unwrap();
    app.start_pipeline(&[Role::Archive], Duration::from_secs(5)).unwrap();
    let first = app.accounts(None).0.remove(0);
    let mut memory = Vec::new();
    for n in 1..=accounts {
        app.keep_collecting(Arc::new(account(&first, n, &site, folder.path())));
        until_live(&app, n).await;
        if SIZES.contains(&n) || n == accounts {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let megabytes = browsers_megabytes();
            eprintln!("bench:   {n} accounts of one site: {megabytes:.0} MB of browsers");
            memory.push((n, megabytes));
        }
    }
    assert!(app.close().await.is_clean());
    site.stop().await;
    memory
}

fn account(like: &Account, n: usize, site: &Site, data_dir: &std::path::Path) -> Account {
    let id = format!("demo/n{n}").parse().unwrap();
    Account {
        old_profile: profile::profile_of(data_dir, &id),
        id,
        pack: like.pack.clone(),
        base_url: site.base_url().parse().unwrap(),
        username: like.username.clone(),
        password: like.password.clone(),
        terms_acknowledged: true,
    }
}

/// One message, so that its conversation is open when the measured ones come.
fn warm(site: &Site) -> String {
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, "warm").unwrap();
    conversation
}

async fn until_live(app: &App, accounts: usize) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let states = app.store.accounts().await.unwrap();
        if states.iter().filter(|status| status.state == chatferry::domain::AccountState::Live).count() >= accounts {
            return;
        }
        assert!(Instant::now() < deadline, "{accounts} accounts do not become live");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What all processes of Chromium that are below this one hold, shared pages divided among those that share.
fn browsers_megabytes() -> f64 {
    let kilobytes: u64 = rig::descendants()
        .into_iter()
        .filter_map(|pid| rig::number_in(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
        .sum();
    kilobytes as f64 / 1024.0
}

/// A bus that notes how old each live message is when its event is confirmed.
struct Timed {
    bus: Arc<dyn Bus>,
    lateness: Arc<Mutex<Vec<f64>>>,
}

#[async_trait]
impl Bus for Timed {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        let outcomes = self.bus.publish(batch).await?;
        let now = Timestamp::now();
        let mut lateness = self.lateness.lock().unwrap();
        for (event, outcome) in batch.iter().zip(&outcomes) {
            let Ok(Envelope { event: Event::MessageCaptured(captured), .. }) = Envelope::parse(&event.body) else {
                continue;
            };
            if outcome.is_ok()
                && captured.origin == Origin::Live
                && captured.message.text.expose().starts_with("measured")
            {
                lateness.push(captured.message.observed_at.duration_until(now).as_secs_f64() * 1000.0);
            }
        }
        Ok(outcomes)
    }
    fn batch(&self) -> usize {
        self.bus.batch()
    }
    async fn ensure(&self) -> Result<(), AnyFault> {
        self.bus.ensure().await
    }
    async fn subscribe(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        self.bus.subscribe(queue, prefetch).await
    }
    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        self.bus.depths().await
    }
    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        self.bus.dead_letters().await
    }
    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        self.bus.list_dead().await
    }
    async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        self.bus.replay_dead(ids).await
    }
    async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        self.bus.drop_dead(ids).await
    }
    async fn probe(&self) -> Result<(), AnyFault> {
        self.bus.probe().await
    }
    fn state(&self) -> BusState {
        self.bus.state()
    }
}
