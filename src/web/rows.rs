//! Domain records as the page shows them: words, tones and clipped texts.
//!
//! A row holds everything the page needs, so that the template and `app.js` only place it. Chat text
//! stays [`Text`]: it can be sent to the page and to nothing else. `Default` gives the blank row that
//! the page's `<template>` elements are made from.

use jiff::Timestamp;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::{AccountState, AccountStatus, Analysis, Conversation, Priority, Sentiment, Text};
use crate::ports::{Queue, QueueDepth};

/// Longest texts shown, in characters.
const TITLE: usize = 120;
const SUMMARY: usize = 600;
const TOPIC: usize = 40;
const TOPICS: usize = 6;

/// How a thing should strike the eye; always beside words, never instead of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// At work.
    Busy,
    /// Not as it should be; may pass by itself.
    Warn,
    /// A person is needed.
    Bad,
    /// Neither.
    #[default]
    Idle,
}

impl Tone {
    /// The word in `data-tone`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }
}

/// A word on a coloured ground.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pill {
    pub label: String,
    pub tone: Tone,
}

impl Pill {
    fn new(label: impl Into<String>, tone: Tone) -> Self {
        Self { label: label.into(), tone }
    }
}

/// One account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct AccountRow {
    pub account: String,
    /// The state's stable word.
    pub state: &'static str,
    /// The status has expired: nobody has confirmed it since.
    pub out_of_date: bool,
    pub pill: Pill,
    /// What it was when last heard of, if that is out of date.
    pub last_known: Option<String>,
    pub since: Option<Timestamp>,
    pub last_pass_at: Option<Timestamp>,
    pub code: Option<&'static str>,
    pub sentence: String,
    pub action: Option<String>,
}

/// The words for a state, and how they should look.
pub(super) const fn state_words(state: AccountState) -> (&'static str, Tone) {
    match state {
        AccountState::Starting => ("starting", Tone::Busy),
        AccountState::LoggingIn => ("logging in", Tone::Busy),
        AccountState::Backfilling => ("reading histories", Tone::Busy),
        AccountState::Live => ("live", Tone::Good),
        AccountState::Stale => ("stale", Tone::Bad),
        AccountState::Backoff => ("waiting to retry", Tone::Warn),
        AccountState::Parked => ("parked", Tone::Bad),
        AccountState::Stopped => ("stopped", Tone::Idle),
    }
}

impl AccountRow {
    /// The row of a status, seen at `now`.
    pub fn new(status: &AccountStatus, now: Timestamp) -> Self {
        let (words, tone) = state_words(status.state);
        let out_of_date = status.expires_at < now;
        Self {
            account: status.account.to_string(),
            state: status.state.as_str(),
            out_of_date,
            pill: if out_of_date { Pill::new("out of date", Tone::Warn) } else { Pill::new(words, tone) },
            last_known: out_of_date.then(|| format!("was {words}")),
            since: Some(status.since),
            last_pass_at: status.last_pass_at,
            code: status.code.map(crate::fault::Code::as_str),
            sentence: prose(&status.sentence),
            action: status.action.as_deref().map(prose),
        }
    }
}

/// One work queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct QueueRow {
    pub queue: &'static str,
    pub label: &'static str,
    pub purpose: &'static str,
    pub ready: u64,
    pub in_flight: u64,
}

impl From<&QueueDepth> for QueueRow {
    fn from(depth: &QueueDepth) -> Self {
        let (label, purpose) = match depth.queue {
            Queue::Archive => ("Archive", "messages on their way into the store"),
            Queue::Analyze => ("Analyze", "conversations due for analysis"),
            Queue::Mirror => ("Mirror", "changes the mirror should show"),
        };
        Self { queue: depth.queue.as_str(), label, purpose, ready: depth.ready, in_flight: depth.in_flight }
    }
}

/// One conversation with its latest analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct ConversationRow {
    pub key: String,
    pub account: String,
    /// The person or group.
    pub title: Text,
    pub last_message_at: Option<Timestamp>,
    pub messages: u64,
    /// `None`: not analysed yet.
    pub summary: Option<Text>,
    pub topics: Vec<Text>,
    pub sentiment: Option<Sentiment>,
    pub priority: Option<Priority>,
    pub needs_reply: Option<bool>,
    /// Who wrote the summary.
    pub model: Option<String>,
    /// What there is to say about the summary's age.
    pub remark: Option<&'static str>,
    pub pills: Vec<Pill>,
}

impl ConversationRow {
    /// The row of a conversation.
    pub fn new(conversation: &Conversation, analysis: Option<&Analysis>) -> Self {
        let title = if conversation.title.expose().trim().is_empty() {
            Text::from("(no name)")
        } else {
            clipped(&conversation.title, TITLE)
        };
        let row = Self {
            key: conversation.key.to_string(),
            account: conversation.account.to_string(),
            title,
            last_message_at: conversation.last_sent_at,
            messages: conversation.messages,
            remark: Some("Not analysed yet."),
            ..Self::default()
        };
        let Some(analysis) = analysis else { return row };
        let is_behind = conversation.last_message.is_some_and(|newest| newest != analysis.up_to);
        Self {
            summary: Some(clipped(&analysis.verdict.summary, SUMMARY)),
            topics: analysis.verdict.topics.iter().take(TOPICS).map(|topic| clipped(topic, TOPIC)).collect(),
            sentiment: Some(analysis.verdict.sentiment),
            priority: Some(analysis.verdict.priority),
            needs_reply: Some(analysis.verdict.needs_reply),
            model: Some(clip(&analysis.model, TOPIC)),
            remark: is_behind.then_some("Newer messages are not in this summary yet."),
            pills: pills(analysis),
            ..row
        }
    }
}

fn pills(analysis: &Analysis) -> Vec<Pill> {
    let mut pills = Vec::new();
    if analysis.verdict.needs_reply {
        pills.push(Pill::new("needs reply", Tone::Busy));
    }
    pills.push(match analysis.verdict.priority {
        Priority::High => Pill::new("high priority", Tone::Bad),
        Priority::Normal => Pill::new("normal priority", Tone::Idle),
        Priority::Low => Pill::new("low priority", Tone::Idle),
    });
    match analysis.verdict.sentiment {
        Sentiment::Positive => pills.push(Pill::new("positive", Tone::Good)),
        Sentiment::Negative => pills.push(Pill::new("negative", Tone::Bad)),
        Sentiment::Mixed => pills.push(Pill::new("mixed mood", Tone::Warn)),
        Sentiment::Neutral => pills.push(Pill::new("neutral", Tone::Idle)),
        Sentiment::Unknown => {}
    }
    pills.extend(
        analysis
            .verdict
            .risk_flags
            .iter()
            .take(TOPICS)
            .map(|flag| Pill::new(flag.risk.as_str().replace('_', " "), Tone::Warn)),
    );
    pills
}

/// A sentence of ours for the page: commands stand in quotation marks instead of backticks.
pub(super) fn prose(sentence: &str) -> String {
    let mut quoted = String::with_capacity(sentence.len());
    for (index, piece) in sentence.split('`').enumerate() {
        if index > 0 {
            quoted.push(if index % 2 == 1 { '“' } else { '”' });
        }
        quoted.push_str(piece);
    }
    clip(&quoted, SUMMARY)
}

fn clipped(text: &Text, limit: usize) -> Text {
    Text::new(clip(text.expose(), limit))
}

/// At most `limit` characters, cut between graphemes, with `…` where something is missing; control
/// characters become spaces. A single grapheme longer than the limit (a tower of accents) is cut within.
fn clip(text: &str, limit: usize) -> String {
    let mut clipped = String::new();
    let mut left = limit;
    for grapheme in text.graphemes(true) {
        let length = grapheme.chars().count();
        if length > left {
            if clipped.is_empty() {
                clipped.extend(grapheme.chars().take(limit));
            }
            clipped.truncate(clipped.trim_end().len());
            clipped.push('…');
            break;
        }
        left -= length;
        clipped.extend(grapheme.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }));
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_is_marked_and_leaves_graphemes_whole() {
        assert_eq!(clip("Anna", 4), "Anna");
        assert_eq!(clip("Anna B", 5), "Anna…");
        assert_eq!(clip("ab👩‍👩‍👧", 3), "ab…");
        assert_eq!(clip("a\u{0}b\tc\nd", 9), "a b c\nd");
        assert_eq!(clip(&format!("a{}", "\u{301}".repeat(20_000)), 10).chars().count(), 11);
    }

    #[test]
    fn commands_are_quoted() {
        assert_eq!(prose("Run `chatferry doctor`, then `x`."), "Run “chatferry doctor”, then “x”.");
    }

    proptest! {
        #[test]
        fn a_clipped_text_is_never_longer_and_begins_like_the_whole(text in "\\PC{0,60}", limit in 1usize..40) {
            let cut = clip(&text, limit);
            prop_assert!(cut.chars().count() <= limit + 1);
            prop_assert!(text.starts_with(cut.strip_suffix('…').unwrap_or(&cut)));
        }
    }
}
