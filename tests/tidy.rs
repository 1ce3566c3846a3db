//! The house rules as tests: who may import whom, which crate lives in which room, what every file
//! begins with, and that generated and hand-written documents still say what the code does.
//!
//! Nothing here runs the program; it reads the sources as text. A rule that can't fail is none, so each
//! reader of sources has tests of its own with a breach in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "tidy/asyncapi.rs"]
mod asyncapi;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/deployment.rs"]
mod deployment;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/events.rs"]
mod events;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/generated.rs"]
mod generated;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/observability.rs"]
mod observability;
#[path = "tidy/packs.rs"]
mod packs;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/source.rs"]
mod source;

/// Fails with all breaches at once, one per line, and what to do about them.
#[track_caller]
fn none_of(breaches: &[String], what_to_do: &str) {
    assert!(breaches.is_empty(), "{} breaches:\n  {}\n{what_to_do}", breaches.len(), breaches.join("\n  "));
}
