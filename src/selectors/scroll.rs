//! How more rows are brought into a page: the sections `[history]` and `[conversations.scroll]` of a pack.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Query, duration};

/// `[history]` and `[conversations.scroll]`: how more rows are brought into the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scroll {
    /// The element that scrolls. Containers that count downward from 0 are understood.
    pub container: Query,
    /// Where more rows are.
    pub toward: Toward,
    /// Something that is there as long as there is more; when it is gone or hidden, this is the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Query>,
    /// Click `more` instead of scrolling.
    #[serde(default)]
    pub click_more: bool,
    /// Something that is there while rows are being loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Query>,
    /// Something that is there only at the end: the proof that nothing is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Query>,
    /// True if only the rows near the viewport are in the page.
    #[serde(default)]
    pub virtualised: bool,
    /// How often to try again when nothing happens, before that counts as the end (with neither
    /// `more` nor `end`) or as stuck.
    #[serde(default = "nudges")]
    pub nudges: u32,
    /// How long one step may take to show something new.
    #[serde(default = "step_wait", with = "duration")]
    #[schemars(with = "String")]
    pub wait: Duration,
    /// The most steps in one reading; reaching it is recorded as a gap.
    #[serde(default = "max_steps")]
    pub max_steps: u32,
}

const fn nudges() -> u32 {
    3
}

const fn step_wait() -> Duration {
    Duration::from_secs(5)
}

const fn max_steps() -> u32 {
    2000
}

/// A direction to scroll in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Toward {
    /// More rows come above.
    Up,
    /// More rows come below.
    Down,
}
