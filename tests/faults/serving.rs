//! A daemon that is asked how it is while something is done to it.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use chatferry::demo::Site;
use rustix::process::Signal;

use crate::support::processes::{Ended, Watched, send};
use crate::support::{Place, eventually};

/// The daemon with its address.
pub struct Serving {
    program: Watched,
    addr: SocketAddr,
}

impl Serving {
    /// Starts it and waits until it answers; everything that it logs goes into `log` of its end.
    pub async fn start(place: &mut Place) -> Self {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        place.set("CHATFERRY_HTTP_ADDR", addr.to_string());
        let serving = Self { program: Watched::start(place, &["run"]), addr };
        eventually("the daemon answers", async || serving.get("/livez").await.filter(|(code, _)| *code == 200)).await;
        serving
    }

    /// Its process number.
    pub fn pid(&self) -> i32 {
        self.program.pid()
    }

    /// Status and body of a page; `None` while nobody listens.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.addr).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits for a page with this status whose body holds this, and gives the body. It is alive all the while.
    pub async fn until_page(&self, path: &str, code: u16, words: &str) -> String {
        eventually(&format!("{path} says {code} and {words}"), async || {
            assert_eq!(self.get("/livez").await.map(|(code, _)| code), Some(200));
            self.get(path).await.filter(|(found, body)| *found == code && body.contains(words)).map(|(_, body)| body)
        })
        .await
    }

    /// Waits for a status, and gives it.
    pub async fn until(&self, what: &str, is_met: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            assert_eq!(self.get("/livez").await.map(|(code, _)| code), Some(200));
            // While it starts there is nothing to show yet.
            let (_, body) = self.get("/api/v1/status").await.filter(|(code, _)| *code == 200)?;
            Some(serde_json::from_str(&body).unwrap()).filter(&is_met)
        })
        .await
    }

    /// Waits until the account is in this state with this code.
    pub async fn state(&self, state: &str, code: Option<&str>) {
        self.until(&format!("the account is {state} {code:?}"), |status| {
            let account = &status["accounts"][0];
            account["state"] == state && account["code"].as_str() == code
        })
        .await;
    }

    /// Waits until the store holds every message of the site.
    pub async fn caught_up(&self, site: &Site) {
        let count = site.truth().len() as u64;
        self.until(&format!("{count} messages are stored"), |status| {
            status["counts"]["stored_messages"].as_u64() >= Some(count)
        })
        .await;
    }

    /// Asks it to stop; it must end well.
    pub async fn stop(self) -> Ended {
        send(self.program.pid(), Signal::TERM);
        let ended = self.program.end().await;
        assert!(ended.status.success(), "{}\n{}", ended.status, ended.log.join("\n"));
        ended
    }
}
