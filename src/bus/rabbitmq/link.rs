//! One connection that is there when it is needed: made on demand, thrown away when it has ended or does
//! not answer, and made again by whoever needs it next.
//!
//! Must never wait without a deadline, or let many callers each wait for a broker that is away: one of
//! them tries, and the others get its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Channel, ErrorKind};
use tokio::time::{Instant, timeout};

use super::address::{Address, Live};
use crate::bus::BusError;

/// How long a goodbye may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A connection for one purpose.
#[derive(Debug)]
pub(super) struct Link {
    address: Arc<Address>,
    name: String,
    live: Mutex<Option<Arc<Live>>>,
    connecting: tokio::sync::Mutex<Option<(Instant, BusError)>>,
    was_connected: AtomicBool,
    closed: AtomicBool,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

impl Link {
    /// A link that is not connected yet; `name` is what the broker shows.
    pub fn new(address: Arc<Address>, name: String) -> Self {
        Self {
            address,
            name,
            live: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            was_connected: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Where the broker is.
    pub fn broker(&self) -> String {
        self.address.shown.clone()
    }

    /// The connection, if it is there now.
    pub fn current(&self) -> Option<Arc<Live>> {
        self.slot().as_ref().filter(|live| live.is_connected()).cloned()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, made if it is not there.
    pub async fn live(&self) -> Result<Arc<Live>, BusError> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let asked = Instant::now();
        let mut last_failure = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some((at, error)) = last_failure.as_ref().filter(|(at, _)| *at >= asked) {
            tracing::trace!(waited = ?at.elapsed(), "another caller's attempt has just failed");
            return Err(error.clone());
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(self.unavailable("the connection was closed by us"));
        }
        match self.address.connect(&self.name).await {
            Ok(live) => {
                *last_failure = None;
                self.was_connected.store(true, Ordering::Relaxed);
                let live = Arc::new(live);
                *self.slot() = Some(Arc::clone(&live));
                Ok(live)
            }
            Err(mut error) => {
                if let BusError::Refused { known, .. } = &mut error {
                    *known = self.was_connected.load(Ordering::Relaxed);
                }
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// A new channel on the connection.
    pub async fn channel(&self) -> Result<(Arc<Live>, Channel), BusError> {
        let live = self.live().await?;
        let channel = self.answer(&live, live.connection.create_channel()).await?;
        Ok((live, channel))
    }

    /// Waits for an answer on `live`. Without one the connection is given up: a broker that is silent for
    /// so long has lost what was asked of it, or never got it.
    pub async fn answer<T>(
        &self,
        live: &Live,
        call: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, BusError> {
        self.within(live, call, Self::fault).await
    }

    /// As [`Link::answer`], with another reading of errors.
    pub async fn within<T>(
        &self,
        live: &Live,
        call: impl Future<Output = Result<T, lapin::Error>>,
        fault: impl FnOnce(&Self, &lapin::Error) -> BusError,
    ) -> Result<T, BusError> {
        match timeout(self.patience(), call).await {
            Ok(answer) => answer.map_err(|error| fault(self, &error)),
            Err(_) => {
                live.cut();
                Err(self.silent())
            }
        }
    }

    /// Longest wait for an answer.
    pub fn patience(&self) -> Duration {
        self.address.patience
    }

    /// A fault of the broker that has not answered in time.
    pub fn silent(&self) -> BusError {
        self.address.silent()
    }

    /// A fault of the broker that does not answer.
    pub fn unavailable(&self, reason: &str) -> BusError {
        self.address.unavailable(reason)
    }

    /// What an error on a connection or channel means. The broker's words name queues and arguments, and
    /// hold nothing of a body.
    pub fn fault(&self, error: &lapin::Error) -> BusError {
        let ErrorKind::ProtocolError(refusal) = error.kind() else { return self.unavailable(&error.to_string()) };
        let reason = refusal.get_message().to_string();
        match refusal.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                BusError::Refused { broker: self.broker(), reason, known: self.was_connected.load(Ordering::Relaxed) }
            }
            _ => self.unavailable(&reason),
        }
    }

    /// Says goodbye; the link is not used again.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let live = self.slot().take();
        if let Some(live) = live {
            live.close(CLOSE_PATIENCE).await;
        }
    }
}
