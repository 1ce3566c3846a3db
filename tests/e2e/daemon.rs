//! `chatferry run`: live messages, health, the status page, and an end that leaves nothing behind.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use chatferry::browser::profile::profiles_of;
use chatferry::demo::Site;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::SemaphorePermit;

use crate::support::{Place, Run, assert_store_equals_site, eventually, leave_for_a_browser, tiny_site};

pub struct Daemon {
    child: Child,
    log: PathBuf,
    addr: SocketAddr,
    profile: String,
    _leave: SemaphorePermit<'static>,
}

impl Daemon {
    /// Starts the daemon and waits until it answers.
    pub async fn start(place: &mut Place) -> Self {
        place.set("CHATFERRY_PASS_INTERVAL", "1s");
        Self::start_as_set(place).await
    }

    /// The same with the intervals that the place sets.
    pub async fn start_as_set(place: &mut Place) -> Self {
        let leave = leave_for_a_browser().await;
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        place.set("CHATFERRY_HTTP_ADDR", addr.to_string());
        let (child, log) = place.start_with_log(&["run"]);
        eventually("the daemon answers", async || get(addr, "/livez").await.filter(|(code, _)| *code == 200)).await;
        let profile = profiles_of(&place.data_dir()).display().to_string();
        Self { child, log, addr, profile, _leave: leave }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    /// Waits until the store holds so many messages, and gives the status.
    pub async fn stored(&self, count: usize) -> Value {
        let is_enough = |status: &Value| status["counts"]["stored_messages"].as_u64() >= Some(count as u64);
        self.until(&format!("{count} messages are stored"), is_enough).await
    }

    /// Waits for a status, and gives it.
    pub async fn until(&self, what: &str, is_met: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            assert_eq!(get(self.addr, "/livez").await.map(|(code, _)| code), Some(200));
            // While it starts there is nothing to show yet.
            let (_, body) = get(self.addr, "/api/v1/status").await.filter(|(code, _)| *code == 200)?;
            Some(serde_json::from_str(&body).unwrap()).filter(&is_met)
        })
        .await
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(self) -> Run {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let output =
            tokio::time::timeout(Duration::from_secs(60), self.child.wait_with_output()).await.unwrap().unwrap();
        let read = |bytes| String::from_utf8(bytes).unwrap();
        Run { status: output.status, stdout: read(output.stdout), stderr: fs::read_to_string(&self.log).unwrap() }
    }

    /// The browser's own process: the one with the profile that is our child.
    pub fn browser(&self) -> Option<Pid> {
        let own = self.pid().as_raw_pid().to_string();
        processes()
            .into_iter()
            .find(|p| p.parent == own && p.command.contains(&format!("--user-data-dir={}", self.profile)))
            .map(|p| p.pid)
    }

    fn zombies(&self) -> usize {
        let own = self.pid().as_raw_pid().to_string();
        processes().iter().filter(|process| process.parent == own && process.state == "Z").count()
    }
}

struct Process {
    pid: Pid,
    state: String,
    parent: String,
    command: String,
}

fn processes() -> Vec<Process> {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    folders
        .filter_map(|folder| {
            let pid = Pid::from_raw(folder.file_name().to_str()?.parse().ok()?)?;
            let stat = fs::read_to_string(folder.path().join("stat")).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let command = fs::read(folder.path().join("cmdline")).unwrap_or_default();
            Some(Process {
                pid,
                state: fields.next()?.to_owned(),
                parent: fields.next()?.to_owned(),
                command: String::from_utf8_lossy(&command).into_owned(),
            })
        })
        .collect()
}

/// Status and body of a page; `None` while nobody listens.
async fn get(addr: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    // One that hangs has no answer either, and the waiting for it has a deadline.
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.ok()?.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[tokio::test]
async fn live_messages_arrive_and_a_stop_leaves_nothing_behind() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site);
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    let conversation = site.truth()[0].conversation_id.clone();
    for n in 1..=3 {
        site.say(&conversation, None, &format!("live {n}")).unwrap();
        daemon.stored(seeded + n).await;
    }
    let (code, page) = get(daemon.addr, "/").await.unwrap();
    assert_eq!(code, 200);
    for title in site.truth().iter().map(|message| &message.conversation_title) {
        assert!(page.contains(title), "{title} is not on the status page");
    }
    assert_eq!(daemon.zombies(), 0);
    assert!(daemon.browser().is_some());
    let profile = daemon.profile.clone();
    let run = daemon.stop().await.expect_success();
    let left: Vec<String> = processes().into_iter().map(|p| p.command).filter(|c| c.contains(&profile)).collect();
    assert_eq!(left, [""; 0], "{}", run.stderr);
    let stored = place.exported().await;
    assert_store_equals_site(&site, &stored);
    assert_eq!(stored.iter().filter(|message| message.origin == "live").count(), 3);
    assert_eq!(site.request_log().iter().filter(|request| request.method != "GET").count(), 1, "one login");
    site.stop().await;
}

#[tokio::test]
async fn a_browser_that_dies_is_replaced_and_reaped() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site);
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    let first = daemon.browser().unwrap();
    kill_process(first, Signal::KILL).unwrap();
    site.say(&site.truth()[0].conversation_id, None, "after the crash").unwrap();
    daemon.stored(seeded + 1).await;
    assert!(daemon.browser().is_some_and(|second| second != first));
    assert_eq!(daemon.zombies(), 0);
    daemon.stop().await.expect_success();
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}
