//! Live messages over a WebSocket: JSON documents of type `message` and `edit` to the page, `read` from it.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::broadcast;

use super::state::State;

/// What the page says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    /// The owner looks at this conversation.
    Read { conversation: String },
}

/// Opens the WebSocket of a logged-in page.
pub(super) async fn open(Shared(state): Shared<Arc<State>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let Some(token) = state.sessions.of(&headers, Timestamp::now()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // Subscribed before the answer: what is said while the socket opens is not missed.
    let pushes = state.listen();
    upgrade.on_upgrade(move |socket| converse(socket, state, token, pushes))
}

async fn converse(mut socket: WebSocket, state: Arc<State>, token: String, mut pushes: broadcast::Receiver<Arc<str>>) {
    loop {
        // Cancel-safe: both receivers lose nothing when the other arm wins.
        tokio::select! {
            () = state.stop.cancelled() => break,
            push = pushes.recv() => {
                // A page that lagged behind, or whose session has ended, must begin anew: closing makes it.
                let Ok(push) = push else { break };
                if !state.sessions.admits(&token, Timestamp::now()) {
                    break;
                }
                if socket.send(Message::Text(push.as_ref().into())).await.is_err() {
                    return;
                }
            }
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => {
                    if let Ok(Said::Read { conversation }) = serde_json::from_str(&text) {
                        state.read(&conversation);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
    // The page may be gone already; there is nobody to tell.
    let _ = socket.send(Message::Close(None)).await;
}
