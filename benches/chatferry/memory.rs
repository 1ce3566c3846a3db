//! What the daemon itself keeps in memory, without any browser: idle, and after 50,000 messages went
//! through it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chatferry::collect::Spool;
use serde_json::{Value, json};

use super::{embedded, rig};

/// Far more than either state needs, so that only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(120);

pub async fn run() -> Value {
    let folder = rig::folder();
    let idle = {
        let daemon = Daemon::start(folder.path());
        daemon.until(0).await;
        // Idle means that start-up is over and has been for a while.
        tokio::time::sleep(Duration::from_secs(2)).await;
        daemon.memory()
    };
    let spool = Spool::open(folder.path(), false).unwrap();
    embedded::fill(&spool).await;
    spool.close().await;
    let after = {
        let daemon = Daemon::start(folder.path());
        daemon.until(u64::from(embedded::EVENTS)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        daemon.memory()
    };
    eprintln!("bench:   idle {idle}; after {} messages {after}", embedded::EVENTS);
    json!({ "unit": "MB", "idle": idle, "after_messages": embedded::EVENTS, "after": after })
}

/// A daemon of its own, ended by its process id.
struct Daemon {
    child: Child,
    address: std::net::SocketAddr,
}

impl Daemon {
    fn start(data_dir: &Path) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chatferry"))
            .args(["--data-dir".as_ref(), data_dir.as_os_str(), "run".as_ref()])
            .current_dir(data_dir)
            .env_clear()
            .env("CHATFERRY_HTTP_ADDR", address.to_string())
            .env("LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// Waits until it answers, and until its store holds so many messages.
    async fn until(&self, messages: u64) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            assert!(tokio::time::Instant::now() < deadline, "the daemon does not get there");
            tokio::time::sleep(Duration::from_millis(100)).await;
            if tokio::net::TcpStream::connect(self.address).await.is_ok() && self.stored().await >= messages {
                return;
            }
        }
    }

    /// What is stored, by the daemon's own status page.
    async fn stored(&self) -> u64 {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        document["counts"]["stored_messages"].as_u64().unwrap_or(0)
    }

    fn memory(&self) -> Value {
        let file = format!("/proc/{}/status", self.child.id());
        let of = |key: &str| rig::number_in(&file, key).map(|kb| (kb as f64 / 1024.0 * 10.0).round() / 10.0);
        json!({
            "peak": of("VmHWM:"), "resident": of("VmRSS:"), "anonymous": of("RssAnon:"), "files": of("RssFile:"),
            "threads": rig::number_in(&file, "Threads:"),
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
