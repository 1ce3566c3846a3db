//! Opens the listener and serves until asked to stop.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::router::router;
use super::survey::DEADLINE;
use super::{Door, Face, WebError, WebState};

/// How long answers under way may take after the stop: the longest honest one, and a little.
const DRAIN: Duration = DEADLINE.saturating_add(Duration::from_secs(1));

/// Opens `addr` for listening.
///
/// # Errors
/// Permanent, `http-address-unusable`: taken, not of this machine, or not allowed to this user.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, WebError> {
    TcpListener::bind(addr).await.map_err(|source| WebError::listening(addr, source))
}

/// As [`answer`], with everything to show from the beginning.
///
/// # Errors
/// As [`answer`].
pub async fn serve(listener: TcpListener, state: WebState, shutdown: CancellationToken) -> Result<(), WebError> {
    let face = Face::new(state.version);
    face.show(state);
    answer(listener, Door::Page, face, shutdown).await
}

/// Answers requests until `shutdown`, then finishes those under way, for at most three seconds: a reader
/// that has gone to sleep must not hold the daemon up.
///
/// # Errors
/// Permanent if the listener breaks.
pub async fn answer(
    listener: TcpListener,
    door: Door,
    face: Face,
    shutdown: CancellationToken,
) -> Result<(), WebError> {
    let addr = listener.local_addr().map_err(|source| WebError::Serve { source })?;
    if door == Door::Page && !addr.ip().is_loopback() {
        tracing::warn!(http.address = %addr, "the status page shows conversations without a password to every machine that reaches this address");
    }
    let router = router(door, face, addr);
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned()).into_future();
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    // Both arms may be dropped half-way: what is left are answers to readers, nothing durable.
    tokio::select! {
        served = serving => served.map_err(|source| WebError::Serve { source }),
        () = late => Ok(()),
    }
}
