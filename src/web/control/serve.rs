//! Listening at the socket, reading requests, answering them.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::report::{AccountReport, StatusReport};
use super::{LONGEST_REQUEST, Reply, Request};
use crate::domain::{AccountId, AccountStatus};
use crate::fault::Code;
use crate::lifecycle::SocketPlace;
use crate::ports::control::{Order, Orders};
use crate::web::headline::judge;
use crate::web::survey::Observer;
use crate::web::{WebError, WebState};

/// Who connects and says nothing is not waited for.
const READING: Duration = Duration::from_secs(5);
/// The longest work: a code that the site takes its time with.
const WORKING: Duration = Duration::from_secs(130);
/// People at once.
const AT_ONCE: usize = 16;

/// The socket, which is removed at its end.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    place: SocketPlace,
}

impl ControlSocket {
    /// Opens it in the data directory, which must be ours: one that a killed process left there is replaced.
    ///
    /// # Errors
    /// `data-dir-unusable`.
    pub fn bind(data_dir: &Path) -> Result<Self, WebError> {
        let open = || {
            let place = SocketPlace::of(data_dir)?;
            match fs::symlink_metadata(place.path()) {
                Ok(there) if there.file_type().is_socket() => fs::remove_file(place.path())?,
                Ok(_) => {
                    return Err(io::Error::new(io::ErrorKind::AlreadyExists, "control.sock is there and no socket"));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let listener = UnixListener::bind(place.path())?;
            fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600))?;
            Ok(Self { listener, place })
        };
        open().map_err(|source| WebError::Control { path: data_dir.to_owned(), source })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // One that is left is replaced by the next start.
        let _ = fs::remove_file(self.place.path());
    }
}

/// What answers are made from.
pub struct Control {
    observer: Observer,
    orders: Arc<dyn Orders>,
    expected: Vec<AccountId>,
}

impl Control {
    /// `expected`: the accounts that this process collects.
    pub fn new(state: WebState, orders: Arc<dyn Orders>, expected: Vec<AccountId>) -> Self {
        Self { observer: Observer::new(state), orders, expected }
    }

    /// Answers until `stop`; who is being answered then gets no answer.
    pub async fn serve(self, socket: ControlSocket, stop: CancellationToken) {
        let control = Arc::new(self);
        let mut talks = JoinSet::new();
        loop {
            // Cancel-safe: a connection that is not accepted waits in the kernel.
            let stream = tokio::select! {
                () = stop.cancelled() => return,
                _ = talks.join_next(), if talks.len() >= AT_ONCE => continue,
                accepted = socket.listener.accept(), if talks.len() < AT_ONCE => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        // Out of descriptors, say: the rest of the daemon must not be starved by trying.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        continue;
                    }
                },
            };
            while talks.try_join_next().is_some() {}
            let control = control.clone();
            talks.spawn(async move {
                // Whoever goes away in the middle has no need of an answer.
                let _ = control.talk(stream).await;
            });
        }
    }

    async fn talk(&self, stream: UnixStream) -> io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut line = Vec::new();
        let mut reader = BufReader::new(reading.take(LONGEST_REQUEST));
        timeout(READING, reader.read_until(b'\n', &mut line)).await??;
        // The parser's own words may quote a code.
        let reply = match serde_json::from_slice(&line) {
            Ok(request) => timeout(WORKING, self.answer(request)).await.unwrap_or_else(|_| late()),
            Err(_) => refused("the request can't be read; use the chatferry of the daemon's version"),
        };
        let mut text = serde_json::to_string(&reply).map_err(io::Error::other)?;
        text.push('\n');
        timeout(READING, writing.write_all(text.as_bytes())).await?
    }

    async fn answer(&self, request: Request) -> Reply {
        let (account, order) = match request {
            Request::Status => return Reply::Status(Box::new(self.report().await)),
            Request::Pause { account } => (account, Order::Pause),
            Request::Resume { account } => (account, Order::Resume),
            Request::Recollect { account, since } => (account, Order::Recollect { since }),
            Request::Answer { account, code } => (account, Order::Answer(SecretString::from(code))),
        };
        match self.orders.order(&account, order).await {
            Ok(sentence) => Reply::Done(sentence),
            Err(fault) => fault.into(),
        }
    }

    async fn report(&self) -> StatusReport {
        let survey = self.observer.look().await;
        let judgement = judge(&survey);
        let accounts = survey.accounts.as_ref().ok();
        let started = self.observer.state.started;
        // What was told before this start is no word from this life.
        let is_old = |status: &AccountStatus| status.code == Some(Code::Stopped) && status.since < started;
        let is_heard = |id: &AccountId| {
            accounts.is_none_or(|known| known.iter().any(|status| status.account == *id && !is_old(status)))
        };
        StatusReport {
            version: self.observer.state.version.to_owned(),
            started_at: self.observer.state.started,
            now: survey.at,
            unheard: self.expected.iter().filter(|id| !is_heard(id)).cloned().collect(),
            accounts: accounts.map(|all| all.iter().map(|one| AccountReport::new(one.clone(), survey.at)).collect()),
            open_gaps: survey.counts.as_ref().ok().map(|counts| counts.open_gaps),
            dead_letters: survey.dead_letters.as_ref().ok().copied(),
            waiting_in_spool: survey.pending.as_ref().ok().copied(),
            causes: judgement.causes.into_iter().map(|cause| cause.sentence).collect(),
        }
    }
}

fn late() -> Reply {
    refused("no answer came in time")
}

fn refused(sentence: &str) -> Reply {
    let code = Code::OrderRefused;
    Reply::Refused { code: code.to_string(), sentence: sentence.to_owned(), action: code.action().to_owned() }
}
