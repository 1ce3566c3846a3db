//! The JSON API of the sample site, with the delays and failures that the options ask for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, Request as HttpRequest, State as Shared};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::history::{OWNER, Thread};
use super::session::USERNAME;
use super::state::{State, post_json, summary};

/// Conversations in one answer, if the page does not say.
const LIST_PAGE: usize = 15;

/// Stands before every route of the API: session, delay, failure.
pub(super) async fn gate(Shared(state): Shared<Arc<State>>, request: HttpRequest, next: Next) -> Response {
    let Some(token) = state.sessions.of(request.headers(), Timestamp::now()) else {
        return refusal(StatusCode::UNAUTHORIZED, "log in first");
    };
    state.sessions.spend(&token);
    if !state.options.delay.is_zero() {
        tokio::time::sleep(state.options.delay).await;
    }
    if state.is_failing_answer() {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong");
    }
    next.run(request).await
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({"error": reason}))).into_response()
}

/// Who is logged in, and how the page is to behave.
pub(super) async fn me(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let options = &state.options;
    Json(json!({
        "username": USERNAME,
        "name": OWNER,
        "page": {
            "layout": options.layout.as_str(),
            "virtualised": options.virtualised,
            "newest_first_dom": options.newest_first_dom,
            "native_ids": options.native_ids,
            "history_nudges": options.history_nudges,
            "page_size": options.page_size.max(1),
            "list_size": LIST_PAGE,
        },
    }))
}

/// Which conversations are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    /// The `next` of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

/// A page of the list, latest activity first.
pub(super) async fn conversations(Shared(state): Shared<Arc<State>>, Query(query): Query<ListQuery>) -> Json<Value> {
    let threads = state.threads();
    let mut rows: Vec<(String, &Thread)> = threads.iter().map(|thread| (place(thread), thread)).collect();
    rows.sort_by(|a, b| b.0.cmp(&a.0));
    let limit = query.limit.unwrap_or(LIST_PAGE).clamp(1, 100);
    let wanted = rows.into_iter().filter(|(place, _)| query.after.as_ref().is_none_or(|after| place < after));
    let mut page: Vec<(String, &Thread)> = wanted.take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|(place, _)| place.clone());
    Json(json!({"conversations": page.iter().map(|(_, thread)| summary(thread)).collect::<Vec<_>>(), "next": next}))
}

/// Where a conversation stands in the list, as a sortable word. It names a place and not a row, so that a row that
/// moves to the top between two pages neither repeats nor hides another.
fn place(thread: &Thread) -> String {
    format!("{:013}_{:09}_{}", thread.activity.as_second(), thread.turn, thread.id)
}

/// Which messages are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct HistoryQuery {
    /// Only messages older than the one with this id.
    before: Option<String>,
    limit: Option<usize>,
}

/// A page of a conversation, oldest first, ending with the newest that was asked for.
pub(super) async fn messages(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Response {
    let page_size = state.options.page_size.max(1) as usize;
    let limit =
        if state.options.inline_all { usize::MAX } else { query.limit.unwrap_or(page_size).clamp(1, page_size) };
    let mut threads = state.threads();
    let Some(thread) = threads.iter_mut().find(|thread| thread.id == id) else {
        return refusal(StatusCode::NOT_FOUND, "no such conversation");
    };
    let end = match &query.before {
        None => Some(thread.posts.len()),
        Some(before) => thread.posts.iter().position(|post| post.id == *before),
    };
    let Some(end) = end else { return refusal(StatusCode::NOT_FOUND, "no such message") };
    if query.before.is_none() {
        thread.unread = 0;
    }
    let start = end.saturating_sub(limit);
    let page = thread.posts[start..end].iter().zip(start..).map(|(post, seq)| post_json(post, seq));
    Json(json!({
        "conversation": summary(thread),
        "messages": page.collect::<Vec<_>>(),
        "more": start > 0,
    }))
    .into_response()
}

/// What the owner sends from the page.
#[derive(Debug, Deserialize)]
pub(super) struct Compose {
    text: String,
}

/// Sends a message as the owner.
pub(super) async fn send(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    Json(compose): Json<Compose>,
) -> Response {
    if compose.text.trim().is_empty() {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "write something first");
    }
    match state.say(&id, Some(OWNER), &compose.text) {
        Ok(truth) => (StatusCode::CREATED, Json(json!({"id": truth.native_id}))).into_response(),
        Err(_) => refusal(StatusCode::NOT_FOUND, "no such conversation"),
    }
}
