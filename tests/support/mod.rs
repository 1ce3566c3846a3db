//! The harness of the end-to-end tests: the real program, the real Chromium, the sample site on a free
//! loopback port, and folders of their own.
//!
//! Nothing here is shared between two tests, and everything that was started is ended by process id.

#![allow(dead_code)] // each test binary uses its own part of the harness
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod ai;
pub mod ear;
pub mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use chatferry::demo::{Site, SiteOptions};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

pub mod board;
pub mod packs;
pub mod proxy;
pub mod web_page;

/// Longest life of one run of the program in a test: far more than it needs, so that only a hang
/// reaches it.
const RUN_DEADLINE: Duration = Duration::from_secs(180);

/// How many browsers may run at once: each is a dozen processes, and the machines of CI are small.
static BROWSERS: Semaphore = Semaphore::const_new(3);

/// Leave to have a browser running, until it is dropped.
pub async fn leave_for_a_browser() -> SemaphorePermit<'static> {
    BROWSERS.acquire().await.unwrap()
}

/// Waits until `look` gives something, at most two minutes.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How long a fault lasts: the one thing that is waited for without a condition. Never for something to
/// happen.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Run {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails the test, with all output, unless the run ended well.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(self.status.success(), "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr);
        self
    }

    /// The log lines with this message; the run must log as JSON.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        // The last lines are for a person, not for a log collector.
        let lines = self.stderr.lines().filter(|line| line.starts_with('{'));
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["msg"] == message).collect()
    }

    /// A number from the summary of the only account that `collect --once --json` collected.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let document: Value = serde_json::from_str(&self.stdout).unwrap();
        let count = document["accounts"][0][name].as_u64();
        count.unwrap_or_else(|| panic!("no {name} in {}\n{}", self.stdout, self.stderr))
    }
}

/// A place of its own: data directory, working directory, environment.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Place {
    /// An empty place without any account.
    pub fn new() -> Self {
        let mut environment = BTreeMap::new();
        for name in ["PATH", "HOME"] {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        environment.insert("CHATFERRY_LOGIN_BUDGET".to_owned(), "50/30m".to_owned());
        environment.insert("LOG_FORMAT".to_owned(), "json".to_owned());
        Self { folder: tempfile::tempdir().unwrap(), environment }
    }

    /// A place whose account `demo/default` belongs to this site.
    pub fn for_site(site: &Site) -> Self {
        Self::new()
            .with("DEMO_USERNAME", Site::username())
            .with("DEMO_PASSWORD", Site::password())
            .with("DEMO_BASE_URL", site.base_url())
    }

    /// With a pack of the operator's own for the site `demo`.
    #[must_use]
    pub fn with_pack(self, pack: &str) -> Self {
        let folder = self.folder.path().join("packs");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("demo.toml"), pack).unwrap();
        self.with("CHATFERRY_SELECTORS_DIR", folder.display().to_string())
    }

    /// With an environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets an environment variable.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.insert(name.to_owned(), value.into());
    }

    /// Takes an environment variable away.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// The working directory of the program.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The program with these arguments, in this place.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatferry"));
        command
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Run {
        let needs_browser = matches!(arguments, ["collect" | "selectors", ..]);
        let _leave = if needs_browser { Some(leave_for_a_browser().await) } else { None };
        let output = tokio::time::timeout(RUN_DEADLINE, self.command(arguments).output());
        let output = output.await.unwrap_or_else(|_| panic!("{arguments:?} hangs")).unwrap();
        Run {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts the program and leaves it running; it is killed when the child is dropped.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The same with its log in a file: a pipe that nobody reads is full after 64 kB, and holds a daemon up that
    /// has much to say.
    pub fn start_with_log(&self, arguments: &[&str]) -> (Child, PathBuf) {
        let path = self.folder.path().join("stderr.log");
        let file = fs::OpenOptions::new().create(true).write(true).truncate(true).open(&path).unwrap();
        (self.command(arguments).stderr(file).spawn().unwrap(), path)
    }

    /// `collect --once`, which must end well.
    pub async fn collect_once(&self) -> Run {
        self.run(&["collect", "--once", "--json"]).await.expect_success()
    }

    /// Every stored message, as `data export` writes it.
    pub async fn exported(&self) -> Vec<Exported> {
        let run = self.run(&["data", "export"]).await.expect_success();
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// One line of `data export`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Exported {
    /// Message key.
    pub key: String,
    /// The site's id of the conversation.
    pub conversation_id: String,
    /// Its title.
    pub conversation_title: String,
    /// Who wrote it.
    pub author: String,
    /// `in` or `out`.
    pub direction: String,
    /// What was written.
    pub text: String,
    /// When, RFC 3339.
    pub sent_at: Option<String>,
    /// The site's id of the message.
    pub native_id: Option<String>,
    /// Which path brought it in.
    pub origin: String,
}

/// A message without what only one side knows: the store and the site must agree on all of it, and on
/// the order.
pub type Plain = (String, String, String, String, String, Option<String>);

/// What the store holds, in order.
pub fn stored(exported: &[Exported]) -> Vec<Plain> {
    exported
        .iter()
        .map(|m| {
            let (conversation, title, author) =
                (m.conversation_id.clone(), m.conversation_title.clone(), m.author.clone());
            (conversation, title, author, m.direction.clone(), m.text.clone(), m.sent_at.clone())
        })
        .collect()
}

/// What the site holds, in order.
pub fn truth(site: &Site) -> Vec<Plain> {
    site.truth()
        .into_iter()
        .map(|m| {
            let direction = m.direction.as_str().to_owned();
            (m.conversation_id, m.conversation_title, m.author, direction, m.text, Some(m.sent_at.to_string()))
        })
        .collect()
}

/// Whether the store holds exactly what the site says, in its order.
pub fn store_equals_site(site: &Site, exported: &[Exported]) -> bool {
    truth(site) == stored(exported)
}

/// Compares store and site message by message, in order, and says what is missing, invented, doubled or
/// misplaced without printing thousands of lines.
#[track_caller]
pub fn assert_store_equals_site(site: &Site, exported: &[Exported]) {
    let (truth, stored) = (truth(site), stored(exported));
    let count = |list: &[Plain]| {
        let mut counts: BTreeMap<Plain, i64> = BTreeMap::new();
        for message in list {
            *counts.entry(message.clone()).or_default() += 1;
        }
        counts
    };
    let (wanted, found) = (count(&truth), count(&stored));
    let missing: Vec<_> =
        wanted.iter().filter(|(m, n)| found.get(*m).copied().unwrap_or(0) < **n).map(|(m, _)| m).collect();
    let extra: Vec<_> =
        found.iter().filter(|(m, n)| wanted.get(*m).copied().unwrap_or(0) < **n).map(|(m, _)| m).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "site {} messages, store {}; missing {} (first {:?}); invented or doubled {} (first {:?})",
        truth.len(),
        stored.len(),
        missing.len(),
        missing.first(),
        extra.len(),
        extra.first(),
    );
    let misplaced = truth.iter().zip(&stored).position(|(a, b)| a != b);
    assert_eq!(
        misplaced,
        None,
        "the order differs from message {misplaced:?} on: {:?}",
        misplaced.map(|n| (&truth[n], &stored[n]))
    );
    let keys: std::collections::HashSet<&str> = exported.iter().map(|m| m.key.as_str()).collect();
    assert_eq!(keys.len(), exported.len(), "a key stands for two messages");
}

/// Collects once and compares the store with the site. A second run must find nothing new, nothing
/// changed, and no gap.
pub async fn assert_collected_whole(site: &Site, place: &Place) -> Run {
    let first = place.collect_once().await;
    assert_eq!(first.count("new_messages"), site.truth().len() as u64);
    assert_eq!(first.count("gaps"), 0, "{}", first.stderr);
    let stored = place.exported().await;
    assert_store_equals_site(site, &stored);
    let second = place.collect_once().await;
    let counts = ["new_messages", "changed_messages", "gaps"].map(|name| second.count(name));
    assert_eq!(counts, [0; 3], "{}", second.stderr);
    assert_eq!(place.exported().await, stored);
    first
}

/// A site of some dozen messages in pages of 20: the newest conversations, one of them a group, two of
/// them of one title.
pub fn tiny_site() -> SiteOptions {
    SiteOptions { conversations: 5, messages: 160, page_size: 20, ..SiteOptions::default() }
}

/// A site of a few hundred messages: enough for several pages of history in several conversations.
pub fn small_site() -> SiteOptions {
    SiteOptions { conversations: 5, messages: 400, ..SiteOptions::default() }
}
