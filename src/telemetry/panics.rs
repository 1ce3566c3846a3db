//! What a panic leaves behind: where it happened, never what it said, because that may quote a chat.

use std::panic;

use tracing::error;

/// From now on a panic is one log line with its place in the source.
pub fn install() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        error!(target: "chatferry::lifecycle", { panic.location = place }, "a task panicked: this is a defect of chatferry");
    }));
}
