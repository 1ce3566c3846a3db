//! Speaking with the daemon that runs here: one line there, one line back, in bounded time.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::exit::{FAULTS, Failure};
use crate::lifecycle::{DataDir, SocketPlace};
use crate::web::control::{LONGEST_REQUEST, Reply, Request};

/// A daemon that lives takes a connection at once.
const CONNECTING: Duration = Duration::from_secs(5);
/// Longer than the daemon gives itself for an answer.
const ANSWERING: Duration = Duration::from_secs(150);
/// Longest answer that is read, in bytes: thousands of accounts.
const LONGEST_REPLY: u64 = 16 << 20;

/// A daemon that holds the directory and has no socket yet is starting; `collect --once` never has one.
const STARTING: Duration = Duration::from_secs(10);

/// Asks the daemon of this data directory; `None` if none runs there.
///
/// # Errors
/// It may not be asked, or does not answer.
pub async fn ask(data_dir: &Path, request: &Request) -> Result<Option<Reply>, Failure> {
    let silent = |reason: &str| {
        Failure::said(
            format!(
                "chatferry: the daemon in {} {reason}\n  what to do: look at its log; it must be of this version.",
                data_dir.display()
            ),
            FAULTS,
        )
    };
    let place = match SocketPlace::of(data_dir) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(silent(&format!("can't be asked ({error})"))),
    };
    let deadline = Instant::now() + STARTING;
    let stream = loop {
        match timeout(CONNECTING, UnixStream::connect(place.path())).await {
            Ok(Ok(stream)) => break stream,
            // No socket; or one that a killed daemon left.
            Ok(Err(error)) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                if Instant::now() >= deadline || !DataDir::is_held(data_dir) {
                    return Ok(None);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(Err(error)) => return Err(silent(&format!("can't be asked ({error})"))),
            Err(_) => return Err(silent("takes no connection")),
        }
    };
    let talk = async {
        let (reading, mut writing) = stream.into_split();
        let mut line = serde_json::to_string(request).map_err(io::Error::other)?;
        line.push('\n');
        if line.len() as u64 > LONGEST_REQUEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too long"));
        }
        writing.write_all(line.as_bytes()).await?;
        let mut reply = String::new();
        BufReader::new(reading.take(LONGEST_REPLY)).read_line(&mut reply).await?;
        serde_json::from_str::<Reply>(&reply).map_err(|_| io::ErrorKind::InvalidData.into())
    };
    match timeout(ANSWERING, talk).await {
        Ok(Ok(reply)) => Ok(Some(reply)),
        Ok(Err(_)) => Err(silent("gave no answer that can be read")),
        Err(_) => Err(silent("does not answer")),
    }
}
