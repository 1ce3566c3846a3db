//! `chatferry run` beside a site, seen through its status.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::SemaphorePermit;

use crate::support::{Place, eventually, leave_for_a_browser};

/// A running daemon; killed if it is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    addr: SocketAddr,
    _leave: SemaphorePermit<'static>,
}

impl Daemon {
    /// Starts it with short passes.
    pub async fn start(place: &mut Place) -> Self {
        let leave = leave_for_a_browser().await;
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        place.set("CHATFERRY_HTTP_ADDR", addr.to_string());
        place.set("CHATFERRY_PASS_INTERVAL", "1s");
        let (child, log) = place.start_with_log(&["run"]);
        Self { child, log, addr, _leave: leave }
    }

    /// Waits until the store holds so many messages.
    pub async fn stored(&self, count: usize) {
        eventually(&format!("{count} messages are stored"), async || {
            let status = self.status().await?;
            (status["counts"]["stored_messages"].as_u64() >= Some(count as u64)).then_some(())
        })
        .await;
    }

    async fn status(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(self.addr).await.ok()?;
        let request = format!("GET /api/v1/status HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Asks it to stop and waits until it has ended well.
    pub async fn stop(self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let ended =
            tokio::time::timeout(Duration::from_secs(60), self.child.wait_with_output()).await.unwrap().unwrap();
        assert!(ended.status.success(), "{}\n{}", ended.status, fs::read_to_string(&self.log).unwrap());
    }
}
