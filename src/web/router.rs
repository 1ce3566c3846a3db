//! Which path leads where.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use serde::Serialize;

use super::assets::ASSETS;
use super::face::{Door, Face, not_ready, once_open};
use super::guard::{guard, plain};
use super::headline::Health;
use super::health::{HealthReport, Readiness};
use super::metrics::{PROMETHEUS, numbers};
use super::page;
use super::status::Status;
use super::survey::Observer;

/// What [`once_open`] puts into each request that comes through.
type Shared = Extension<Arc<Observer>>;

/// Every path that is answered, for the tests that walk all of them.
#[cfg(test)]
pub(super) const PATHS: [&str; 10] = [
    "/",
    "/livez",
    "/readyz",
    "/startupz",
    "/health",
    "/metrics",
    "/api/v1/status",
    "/assets/app.js",
    "/assets/style.css",
    "/assets/icon.svg",
];

/// The router of a listener at `addr`.
pub(super) fn router(door: Door, face: Face, addr: SocketAddr) -> Router {
    let (router, ours) = match door {
        Door::Page => (page_router(), Some(addr)),
        // Whoever scrapes it does so by a name of its own network.
        Door::Monitoring => (monitoring_router(), None),
    };
    let router = router.fallback(not_found).layer(from_fn_with_state((face, door), once_open));
    router.layer(from_fn_with_state(ours, guard))
}

fn monitoring_router() -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(ready_or_not))
        .route("/startupz", get(startupz))
        .route("/metrics", get(metrics))
}

fn page_router() -> Router {
    let mut router = Router::new()
        .route("/", get(dashboard))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status));
    for asset in ASSETS {
        router = router.route(asset.path, get(move |headers: HeaderMap| async move { asset.response(&headers) }));
    }
    router
}

async fn dashboard(Extension(observer): Shared) -> Response<Body> {
    let survey = observer.survey().await;
    match page::render(&Status::new(&survey, &observer.state)) {
        Some(html) => typed(StatusCode::OK, "text/html; charset=utf-8", html),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.\n"),
    }
}

async fn livez() -> Response<Body> {
    plain(StatusCode::OK, "alive\n")
}

async fn readyz(Extension(observer): Shared) -> Response<Body> {
    let readiness = Readiness::new(&*observer.survey().await);
    json(if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &readiness)
}

/// As [`readyz`], for those who need not know why.
async fn ready_or_not(Extension(observer): Shared) -> Response<Body> {
    if Readiness::new(&*observer.survey().await).ready { plain(StatusCode::OK, "ready\n") } else { not_ready(None) }
}

async fn startupz(Extension(observer): Shared) -> Response<Body> {
    if !observer.has_started() {
        observer.survey().await;
    }
    if observer.has_started() {
        plain(StatusCode::OK, "started\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "The store has not answered yet.\n")
    }
}

async fn health(Extension(observer): Shared) -> Response<Body> {
    let report = HealthReport::new(&*observer.survey().await, &observer.state);
    json(if report.status == Health::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }, &report)
}

async fn metrics(Extension(observer): Shared) -> Response<Body> {
    let survey = observer.survey().await;
    typed(StatusCode::OK, PROMETHEUS, numbers(&survey, &observer.state))
}

async fn status(Extension(observer): Shared) -> Response<Body> {
    json(StatusCode::OK, &Status::new(&*observer.survey().await, &observer.state))
}

async fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "There is nothing here. The status page is at /.\n")
}

pub(super) fn json<T: Serialize>(status: StatusCode, document: &T) -> Response<Body> {
    // serde's error may quote the text, so it is dropped.
    match serde_json::to_vec(document) {
        Ok(body) => typed(status, "application/json", body),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be written.\n"),
    }
}

pub(super) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
