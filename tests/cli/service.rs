//! What a service manager hears of the daemon, and what it says to it: systemd's protocol over a real socket, SIGTERM
//! and SIGHUP.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::roles::deaf;
use crate::support::Place;
use crate::support::processes::{Watched, send};

/// Longest wait for one word.
const DEADLINE: Duration = Duration::from_secs(90);

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    /// Listens in this place; the place with the name of the socket.
    fn of(place: Place) -> (Self, Place) {
        let path = place.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        (Self { socket, heard: Vec::new() }, place.with("NOTIFY_SOCKET", path.display().to_string()))
    }

    /// Listens until a line begins with this.
    async fn until(&mut self, word: &str) -> String {
        let mut message = vec![0; 4096];
        loop {
            let received = timeout(DEADLINE, self.socket.recv(&mut message)).await;
            let length = received.unwrap_or_else(|_| panic!("{word} is not heard: {:?}", self.heard)).unwrap();
            let lines = String::from_utf8(message[..length].to_vec()).unwrap();
            self.heard.extend(lines.lines().map(str::to_owned));
            if let Some(line) = lines.lines().find(|line| line.starts_with(word)) {
                return line.to_owned();
            }
        }
    }

    fn has_heard(&self, word: &str) -> bool {
        self.heard.iter().any(|line| line.starts_with(word))
    }
}

fn place() -> Place {
    Place::new().with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
}

#[tokio::test]
async fn the_manager_hears_of_the_start_of_life_and_of_the_stop() {
    let (mut manager, place) = Manager::of(place().with("WATCHDOG_USEC", "3000000"));
    let mut daemon = Watched::start(&place, &["run"]);
    manager.until("READY=1").await;
    assert!(!manager.has_heard("WATCHDOG=1"), "{:?}", manager.heard);
    for _ in 0..3 {
        manager.until("WATCHDOG=1").await;
    }
    assert!(!manager.has_heard("STOPPING=1"), "{:?}", manager.heard);
    daemon.until_log(&["no account is configured"]).await;
    send(daemon.pid(), Signal::TERM);
    manager.until("STOPPING=1").await;
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
}

#[tokio::test]
async fn the_manager_is_asked_for_time_while_a_server_is_waited_for() {
    let (_deaf, port) = deaf();
    let (mut manager, place) = Manager::of(place().with("RABBITMQ_URL", format!("amqp://127.0.0.1:{port}/")));
    let daemon = Watched::start(&place, &["run"]);
    let asked = manager.until("EXTEND_TIMEOUT_USEC=").await;
    let microseconds: u64 = asked.split_once('=').unwrap().1.parse().unwrap();
    assert!(microseconds > 60_000_000, "{asked}");
    assert!(!manager.has_heard("READY=1"), "{:?}", manager.heard);
    send(daemon.pid(), Signal::TERM);
    assert!(daemon.end().await.status.success());
}

#[tokio::test]
async fn a_hangup_changes_the_level_of_the_log() {
    let place = place();
    let level = |level: &str| fs::write(place.folder().join(".env"), format!("LOG_LEVEL={level}\n")).unwrap();
    level("warn");
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["no account is configured"]).await;
    assert!(!daemon.log.iter().any(|line| line.contains("http listening")), "{:?}", daemon.log);
    level("debug");
    send(daemon.pid(), Signal::HUP);
    daemon.until_log(&["settings read again", "LOG_LEVEL"]).await;
    level("loud");
    send(daemon.pid(), Signal::HUP);
    daemon.until_log(&["settings read again have mistakes", "LOG_LEVEL"]).await;
    level("trace");
    send(daemon.pid(), Signal::HUP);
    daemon.until_log(&["settings read again", "LOG_LEVEL"]).await;
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    assert_eq!(ended.count(&["SIGTERM"]), 1, "an info line, after the level was raised");
}
