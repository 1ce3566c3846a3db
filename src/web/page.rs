//! The status page as HTML: places what [`Status`] says.
//!
//! Every place that changes carries a `data-…` attribute with the path of its value in the JSON, which
//! is how `app.js` finds it again; a test walks all of them. Askama escapes every value.

use askama::Template;
use jiff::Timestamp;

use super::headline::{Cause, Part};
use super::packs::PackRow;
use super::rows::{AccountRow, ConversationRow, Pill, QueueRow};
use super::status::Status;
use super::survey::LATEST;
use super::when;
use crate::domain::Text;

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    s: &'a Status,
    latest: u32,
    blank: Blank,
}

/// What the `<template>` elements are made from: the same markup with nothing in it.
#[derive(Default)]
struct Blank {
    part: Part,
    cause: Cause,
    account: AccountRow,
    pack: PackRow,
    queue: QueueRow,
    conversation: ConversationRow,
    pill: Pill,
    topic: Text,
}

/// The page; `None` if the template fails, which a `String` target never does.
pub(super) fn render(status: &Status) -> Option<String> {
    Page { s: status, latest: LATEST, blank: Blank::default() }.render().ok()
}

impl Page<'_> {
    fn ago(&self, at: &Timestamp) -> String {
        when::relative(self.s.now, *at)
    }

    fn exact(&self, at: &Timestamp) -> String {
        when::exact(*at)
    }

    fn grouped(&self, number: &u64) -> String {
        when::grouped(*number)
    }
}
