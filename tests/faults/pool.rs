//! One browser for several accounts: what dies in it is replaced, what hangs in it harms nobody else, and
//! nothing of it is left behind (F27 to F29).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chatferry::browser::{Chromium, ChromiumSettings, Limits};
use chatferry::collect::login::{self, Credentials};
use chatferry::demo::Site;
use chatferry::domain::AccountId;
use chatferry::fault::Code;
use chatferry::ports::SessionState;
use chatferry::ports::page::{Browser, SessionRequest, SitePage, Until};
use chatferry::selectors::{LoadedPack, parse_pack};
use chatferry::telemetry::Counters;
use rustix::process::Signal;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::healing::{logins, tiny_site};
use crate::support::packs::{DEMO, page_pack};
use crate::support::processes::{Browsers, Process, send, turn, until, zombies_of};
use crate::support::web_page::WebPage;

/// How often everything dies.
const KILLS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(90);

/// A pool of browsers of the test's own.
struct Pool {
    chromium: Chromium,
    counters: Arc<Counters>,
    pack: Arc<LoadedPack>,
    base_url: String,
    browsers: Browsers,
    _folder: TempDir,
}

impl Pool {
    fn new(pack: &str, base_url: &str, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = ChromiumSettings { data_dir: folder.path().to_owned(), limits, ..ChromiumSettings::default() };
        let counters = Arc::new(Counters::default());
        Self {
            chromium: Chromium::new(settings, counters.clone()),
            counters,
            pack: Arc::new(parse_pack("demo".parse().unwrap(), "demo.toml", pack).unwrap()),
            base_url: base_url.to_owned(),
            browsers: Browsers::in_data_dir(folder.path()),
            _folder: folder,
        }
    }

    async fn open(&self, label: &str, session: Option<SessionState>) -> Box<dyn SitePage> {
        let account = AccountId::new("demo".parse().unwrap(), label).unwrap();
        let (pack, base_url) = (self.pack.clone(), self.base_url.parse().unwrap());
        self.chromium.open(SessionRequest { account, pack, base_url, session, scratch: false }).await.unwrap()
    }

    /// Logs in by hand once, in a window of its own.
    async fn log_in(&self) -> SessionState {
        let page = self.open("login", None).await;
        let (username, password) = (SecretString::from(Site::username()), SecretString::from(Site::password()));
        let credentials = Credentials { username: &username, password: &password };
        login::log_in(page.as_ref(), &self.pack.pack, "demo", credentials).await.unwrap();
        let session = page.session().await.unwrap();
        page.close().await;
        session
    }

    /// The processes of every browser that runs, without the shells that watch over them.
    fn running(&self) -> Vec<Process> {
        let running = self.browsers.running().into_iter();
        running.filter(|process| !process.command.contains("chatferry-watchdog")).collect()
    }

    /// The browsers' own processes.
    fn browsers(&self) -> Vec<i32> {
        let own = std::process::id().cast_signed();
        let is_browser = |process: &&Process| process.parent == own && process.command.contains("--user-data-dir=");
        self.running().iter().filter(is_browser).map(|process| process.pid).collect()
    }

    fn browser(&self) -> i32 {
        let browsers = self.browsers();
        assert_eq!(browsers.len(), 1, "{browsers:?}");
        browsers[0]
    }

    fn renderers(&self) -> Vec<i32> {
        self.running().iter().filter(|process| process.is_renderer()).map(|process| process.pid).collect()
    }

    async fn assert_nothing_left(&self) {
        self.browsers.assert_gone().await;
        // Other tests of this binary have children that end, too, but not for long.
        let zombies = || zombies_of(std::process::id());
        until(Duration::from_secs(20), "everything is reaped", || zombies().is_empty()).await;
    }
}

/// Whether the list can be read, without any login.
async fn reads_the_list(page: &dyn SitePage) {
    page.open("/").await.unwrap();
    let glance = page.wait(Until::List, PATIENCE).await.unwrap();
    assert!(glance.list && !glance.login, "{glance:?}");
    assert!(!page.list().await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn fifty_browsers_die_and_every_account_goes_on_in_the_next() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let pool = Pool::new(DEMO, &site.base_url(), Limits::default());
    let session = pool.log_in().await;
    let mut before = 0;
    for round in 0..KILLS {
        // Both come at once: one browser is started for them.
        let (one, other) =
            tokio::join!(pool.open("one", Some(session.clone())), pool.open("other", Some(session.clone())));
        let browser = pool.browser();
        assert_ne!(browser, before);
        before = browser;
        // What was restored is tried now and then; it costs most of the time.
        if round % 10 == 0 {
            tokio::join!(reads_the_list(one.as_ref()), reads_the_list(other.as_ref()));
        }
        send(browser, Signal::KILL);
        for page in [one, other] {
            assert_eq!(page.list().await.unwrap_err().code(), Code::BrowserGone);
            page.close().await;
        }
        assert_eq!(pool.browsers(), [0; 0], "it is not reaped");
    }
    let counts = pool.counters.snapshot();
    assert_eq!((counts.browser_starts, counts.browser_losses), (KILLS as u64 + 1, KILLS as u64));
    assert_eq!(logins(&site), 1);
    pool.assert_nothing_left().await;
    site.stop().await;
}

#[tokio::test]
async fn fifty_renderers_die_and_their_browser_and_the_other_account_live_on() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let pool = Pool::new(DEMO, &site.base_url(), Limits::default());
    let session = pool.log_in().await;
    let other = pool.open("other", Some(session.clone())).await;
    reads_the_list(other.as_ref()).await;
    let (browser, of_other) = (pool.browser(), pool.renderers());
    let baseline = pool.running().len();
    for round in 0..KILLS {
        let page = pool.open("one", Some(session.clone())).await;
        if round % 10 == 0 {
            reads_the_list(page.as_ref()).await;
        }
        let begun = Instant::now();
        for renderer in pool.renderers().into_iter().filter(|pid| !of_other.contains(pid)) {
            send(renderer, Signal::KILL);
        }
        let fault = page.wait(Until::List, PATIENCE).await.unwrap_err();
        assert_eq!(fault.code(), Code::PageCrashed);
        page.close().await;
        assert!(begun.elapsed() < Duration::from_secs(20), "a command waited for its deadline");
        assert_eq!(pool.browser(), browser, "the browser was replaced");
    }
    reads_the_list(other.as_ref()).await;
    until(PATIENCE, "the processes are those of before", || pool.running().len() <= baseline).await;
    let counts = pool.counters.snapshot();
    assert_eq!((counts.browser_starts, counts.browser_losses), (2, 0));
    other.close().await;
    assert_eq!(logins(&site), 1);
    pool.assert_nothing_left().await;
    site.stop().await;
}

/// A page that says so and then never lets go; and another account's, which works.
async fn hanging() -> (WebPage, Pool) {
    let page = |script: &str| {
        let html = format!(
            r#"<!doctype html><meta charset="utf-8"><ul id="list"><li data-id="c1"><b>Mia</b></li></ul>{script}"#
        );
        get(async || Html(html))
    };
    let hang = "<script>setTimeout(() => { for (;;) { Math.random(); } }, 300)</script>";
    let site = WebPage::serve_router(Router::new().route("/", page("")).route("/hang", page(hang))).await;
    let pool = Pool::new(&page_pack(MESSAGES), &site.base_url, Limits::default());
    (site, pool)
}

const MESSAGES: &str = r#"
[messages]
row = ".m"
text = "p"
direction.own = ".own"
"#;

#[tokio::test]
async fn a_page_that_hangs_is_told_from_a_slow_one_and_harms_no_other_account() {
    let _turn = turn().await;
    let (_site, pool) = hanging().await;
    let other = pool.open("other", None).await;
    other.open("/").await.unwrap();
    let (browser, of_other) = (pool.browser(), pool.renderers());
    let page = pool.open("one", None).await;
    // Until its script hangs it answers; the deadline of a reading is a minute.
    let begun = Instant::now();
    let mut answered = page.open("/hang").await;
    while answered.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it does not hang");
        answered = page.list().await.map(|_| ());
    }
    let fault = answered.unwrap_err();
    assert_eq!(fault.code(), Code::PageHung, "{fault}");
    assert_eq!(page.thread().await.unwrap_err().code(), Code::PageHung, "asked again, it says so at once");
    assert_eq!(other.list().await.unwrap().rows.len(), 1, "the other account was harmed");
    page.close().await;
    let is_gone = || pool.renderers().iter().all(|pid| of_other.contains(pid));
    until(Duration::from_secs(10), "what hangs is ended", is_gone).await;
    assert_eq!(other.list().await.unwrap().rows.len(), 1);
    assert_eq!(pool.browser(), browser);
    other.close().await;
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn a_browser_that_has_served_long_enough_keeps_its_pages_and_takes_no_new_ones() {
    let _turn = turn().await;
    let site = WebPage::conversation("").await;
    let limits = Limits { age: Duration::from_millis(500), every: Duration::from_millis(50), ..Limits::default() };
    let pool = Pool::new(&page_pack(MESSAGES), &site.base_url, limits);
    let first = pool.open("one", None).await;
    let old = pool.browser();
    tokio::time::timeout(PATIENCE, first.retiring().cancelled()).await.unwrap();
    first.open("/").await.unwrap();
    assert_eq!(first.list().await.unwrap().rows.len(), 1, "a page in it goes on");
    let second = pool.open("other", None).await;
    assert_eq!(pool.browsers().len(), 2);
    first.close().await;
    assert!(pool.browser() != old, "the last one out ends it");
    assert!(pool.counters.snapshot().browser_retirements >= 1);
    second.close().await;
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn accounts_share_a_browser_up_to_its_limit_and_nothing_in_it() {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let pool = Pool::new(DEMO, &site.base_url(), Limits { accounts: 2, ..Limits::default() });
    let session = pool.log_in().await;
    let one = pool.open("one", Some(session)).await;
    let other = pool.open("other", None).await;
    assert_eq!(pool.browsers().len(), 1);
    reads_the_list(one.as_ref()).await;
    other.open("/").await.unwrap();
    assert!(other.wait(Until::List, PATIENCE).await.unwrap().login, "one account's login is another's");
    let third = pool.open("third", None).await;
    assert_eq!(pool.browsers().len(), 2, "a third one does not fit");
    for page in [one, other, third] {
        page.close().await;
    }
    pool.assert_nothing_left().await;
    site.stop().await;
}

#[tokio::test]
async fn a_page_that_is_dropped_gives_its_place_back() {
    let _turn = turn().await;
    let site = WebPage::conversation("").await;
    let pool = Pool::new(&page_pack(MESSAGES), &site.base_url, Limits::default());
    drop(pool.open("one", None).await);
    let is_over = || pool.running().is_empty() && pool.browsers.profiles_left().is_empty();
    until(PATIENCE, "the browser has ended", is_over).await;
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn renderers_run_as_somebody_who_owns_nothing_when_we_are_root() {
    let _turn = turn().await;
    let site = WebPage::conversation("").await;
    let pool = Pool::new(&page_pack(MESSAGES), &site.base_url, Limits::default());
    let page = pool.open("one", None).await;
    let uid = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().to_owned();
        uids.split_whitespace().next().unwrap().parse::<u32>().unwrap()
    };
    let user = chatferry::browser::profile::lesser_user();
    let expected = user.map_or_else(|| rustix::process::getuid().as_raw(), |user| user.uid);
    for process in pool.running() {
        assert_eq!(uid(process.pid), expected, "{}", process.command);
    }
    assert_ne!(expected, 0);
    page.close().await;
    pool.assert_nothing_left().await;
}
