//! What the listeners answer from: while the daemon waits for its servers only that it does, then everything.
//!
//! A listener is opened once and kept, so that nobody who asks meets a closed port while the one takes over from
//! the other.
//!
//! Must never tell the address of a server at a door that may be open to other machines.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::middleware::Next;
use serde::Serialize;

use super::WebState;
use super::guard::plain;
use super::metrics::{PROMETHEUS, numbers_before};
use super::router::{json, typed};
use super::survey::{Ailment, Observer};
use crate::fault::{AnyFault, Code};

/// Which listener it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Everything, for the owner of this machine.
    Page,
    /// Health and numbers, for monitors wherever they are: no chat, no names of people, no addresses.
    Monitoring,
}

/// What is shown at all doors of a process; a clone is the same one.
#[derive(Clone)]
pub struct Face(Arc<Inner>);

struct Inner {
    version: &'static str,
    observer: OnceLock<Arc<Observer>>,
    awaited: Mutex<Option<Ailment>>,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Face")
    }
}

/// The body of `/readyz` before there are parts to report on.
#[derive(Serialize)]
struct NotYet<'a> {
    ready: bool,
    parts: [(); 0],
    code: Option<Code>,
    reason: &'a str,
    action: Option<&'a str>,
}

const STARTING: &str = "the daemon is starting";

impl Face {
    /// A face that has nothing to show yet.
    pub fn new(version: &'static str) -> Self {
        Self(Arc::new(Inner { version, observer: OnceLock::new(), awaited: Mutex::new(None) }))
    }

    /// What keeps the daemon from beginning.
    pub fn waits_for(&self, fault: &AnyFault) {
        let ailment = Ailment { code: fault.code(), sentence: fault.to_string(), action: fault.action() };
        *self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner) = Some(ailment);
    }

    /// From now on everything is shown; only the first call counts.
    pub fn show(&self, state: WebState) {
        self.0.observer.get_or_init(|| Arc::new(Observer::new(state)));
    }

    /// The answer while there is nothing to show.
    fn waiting(&self, door: Door, path: &str) -> Response<Body> {
        const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        let awaited = self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let code = awaited.as_ref().map(|ailment| ailment.code);
        match (path, door) {
            ("/livez", _) => plain(StatusCode::OK, "alive\n"),
            ("/metrics", _) => typed(StatusCode::OK, PROMETHEUS, numbers_before(self.0.version)),
            ("/readyz", Door::Monitoring) => not_ready(code),
            ("/readyz", Door::Page) => {
                let reason = awaited.as_ref().map_or(STARTING, |ailment| &ailment.sentence);
                let action = awaited.as_ref().map(|ailment| ailment.action.as_str());
                json(UNAVAILABLE, &NotYet { ready: false, parts: [], code, reason, action })
            }
            _ => plain(UNAVAILABLE, "The daemon has not begun yet: it waits for a server.\n"),
        }
    }
}

/// "Not ready" for monitors: at most a code.
pub(super) fn not_ready(code: Option<Code>) -> Response<Body> {
    let why = code.map(|code| format!(": {}", code.as_str())).unwrap_or_default();
    typed(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", format!("not ready{why}\n"))
}

/// Hands a request on as soon as there is something to show.
pub(super) async fn once_open(
    State((face, door)): State<(Face, Door)>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    match face.0.observer.get() {
        Some(observer) => {
            request.extensions_mut().insert(Arc::clone(observer));
            next.run(request).await
        }
        None => face.waiting(door, request.uri().path()),
    }
}
