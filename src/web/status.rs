//! All that the page shows, as one document: the body of `/api/v1/status` and the data of the template.
//!
//! A number that could not be read is `null` and shown as a dash, never as 0.

use jiff::Timestamp;
use serde::Serialize;

use super::WebState;
use super::assets::revision;
use super::headline::{Cause, Health, Part, judge};
use super::packs::PackRow;
use super::rows::{AccountRow, ConversationRow, QueueRow, Tone};
use super::spending::Spending;
use super::survey::{Reading, Survey};
use super::when::{grouped, span};
use crate::domain::GapReason;

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub status: Health,
    pub tone: Tone,
    /// What the window is called.
    pub title: String,
    pub headline: String,
    /// What to do, or who is at work.
    pub subline: String,
    /// The code of the headline's cause.
    pub code: Option<&'static str>,
    /// The causes after the first.
    pub also: Vec<Cause>,
    pub now: Timestamp,
    pub started_at: Timestamp,
    pub uptime_seconds: u64,
    pub uptime: String,
    pub version: &'static str,
    /// Changes when the page itself does: an open page then loads itself anew.
    pub revision: &'static str,
    /// Where a person finds the workbook.
    pub workbook: Option<String>,
    /// Where a person finds the sheet.
    pub sheet: Option<String>,
    pub parts: Vec<Part>,
    pub counts: Figures,
    /// What analyses cost this month; `null` where it could not be read.
    pub spending: Option<Spending>,
    pub tiles: Tiles,
    pub accounts: Vec<AccountRow>,
    pub packs: Vec<PackRow>,
    pub queues: Vec<QueueRow>,
    pub conversations: Vec<ConversationRow>,
    pub notes: Notes,
}

/// How much there is at each stage.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub collected: Option<u64>,
    pub waiting_in_spool: Option<u64>,
    pub stored_messages: Option<u64>,
    pub conversations: Option<u64>,
    pub analysed_conversations: Option<u64>,
    pub analysed_messages: Option<u64>,
    pub dead_letters: Option<u64>,
    pub open_gaps: Option<u64>,
}

/// A number with its name, from site to summary.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tile {
    /// Grouped digits, or a dash.
    pub value: String,
    pub note: String,
    pub tone: Tone,
}

/// The tiles by name.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tiles {
    pub collected: Tile,
    pub waiting: Tile,
    pub stored: Tile,
    pub conversations: Tile,
    pub analysed: Tile,
    pub dead_letters: Tile,
    pub gaps: Tile,
}

/// What stands in place of an empty list; `null` where the list speaks for itself.
#[derive(Debug, Default, Serialize)]
pub(super) struct Notes {
    pub accounts: Option<&'static str>,
    pub queues: Option<&'static str>,
    pub conversations: Option<&'static str>,
}

impl Status {
    /// The document of a survey.
    pub fn new(survey: &Survey, state: &WebState) -> Self {
        let judgement = judge(survey);
        let (headline, subline) = judgement.headline(survey);
        let counts = Figures::new(survey);
        let uptime_seconds = u64::try_from(survey.at.as_second() - state.started.as_second()).unwrap_or(0);
        let mut causes = judgement.causes.into_iter();
        let code = causes.next().and_then(|cause| cause.code);
        Self {
            status: judgement.status,
            tone: judgement.status.tone(),
            title: format!("{} · chatferry", headline.trim_end_matches('.')),
            headline,
            subline,
            code,
            also: causes.collect(),
            now: survey.at,
            started_at: state.started,
            uptime_seconds,
            uptime: span(uptime_seconds),
            version: state.version,
            revision: revision(),
            workbook: state.workbook.as_ref().map(|path| path.display().to_string()),
            sheet: state.sheet.clone(),
            parts: judgement.parts,
            tiles: Tiles::new(&counts, survey),
            spending: survey.purses.as_ref().ok().and_then(|purses| Spending::of_month(purses)),
            counts,
            accounts: listed(&survey.accounts, |status| AccountRow::new(status, survey.at)),
            packs: state.packs.standings().iter().map(PackRow::from).collect(),
            queues: listed(&survey.depths, |depth| QueueRow::from(depth)),
            conversations: conversations(survey),
            notes: Notes::new(survey),
        }
    }
}

fn listed<T, R>(reading: &Reading<Vec<T>>, row: impl Fn(&T) -> R) -> Vec<R> {
    reading.as_deref().unwrap_or_default().iter().map(row).collect()
}

fn conversations(survey: &Survey) -> Vec<ConversationRow> {
    let analyses = survey.analyses.as_ref().ok();
    listed(&survey.conversations, |conversation| {
        let row = ConversationRow::new(conversation, analyses.and_then(|all| all.get(&conversation.key)));
        match analyses {
            Some(_) => row,
            None => ConversationRow { remark: Some("The analyses could not be read."), ..row },
        }
    })
}

impl Figures {
    fn new(survey: &Survey) -> Self {
        let counts = survey.counts.as_ref().ok();
        Self {
            collected: survey.captured.as_ref().ok().copied(),
            waiting_in_spool: survey.pending.as_ref().ok().copied(),
            stored_messages: counts.map(|counts| counts.messages),
            conversations: counts.map(|counts| counts.conversations),
            analysed_conversations: counts.map(|counts| counts.analysed_conversations),
            analysed_messages: counts.map(|counts| counts.analysed_messages),
            dead_letters: survey.dead_letters.as_ref().ok().copied(),
            open_gaps: counts.map(|counts| counts.open_gaps),
        }
    }
}

impl Tile {
    fn new(value: Option<u64>, note: impl Into<String>, tone: Tone) -> Self {
        match value {
            Some(value) => Self { value: grouped(value), note: note.into(), tone },
            None => Self { value: "–".to_owned(), note: "could not be read".to_owned(), tone: Tone::Warn },
        }
    }
}

impl Tiles {
    fn new(counts: &Figures, survey: &Survey) -> Self {
        let alert = |value: Option<u64>, tone| if value.is_some_and(|n| n > 0) { tone } else { Tone::Idle };
        let (gaps_note, gaps_tone) = gaps(survey);
        let analysed_messages = counts.analysed_messages.map(grouped).unwrap_or_default();
        let of_all = counts.conversations.map(grouped).unwrap_or_default();
        Self {
            collected: Tile::new(counts.collected, "messages seen on the sites", Tone::Idle),
            waiting: Tile::new(
                counts.waiting_in_spool,
                "in the spool, not yet on the bus",
                alert(counts.waiting_in_spool, Tone::Busy),
            ),
            stored: Tile::new(counts.stored_messages, "messages, each once", Tone::Idle),
            conversations: Tile::new(counts.conversations, "in the store", Tone::Idle),
            analysed: Tile::new(
                counts.analysed_conversations,
                format!("of {of_all} ({analysed_messages} messages)"),
                Tone::Idle,
            ),
            dead_letters: Tile::new(
                counts.dead_letters,
                if counts.dead_letters == Some(0) { "none waits for a person" } else { "wait for a person" },
                alert(counts.dead_letters, Tone::Bad),
            ),
            gaps: Tile::new(counts.open_gaps, gaps_note, gaps_tone),
        }
    }
}

/// A history cut by its own setting was asked for; anything else was not.
fn gaps(survey: &Survey) -> (String, Tone) {
    let Ok(gaps) = &survey.gaps else { return ("of unknown reason".to_owned(), Tone::Warn) };
    let limited = gaps.iter().filter(|gap| gap.reason == GapReason::HistoryLimit).count();
    if let unwatched @ 1.. = gaps.iter().filter(|gap| gap.reason.is_of_account()).count() {
        let rest = gaps.len() - unwatched;
        let note = if rest == 0 { String::new() } else { format!(", {rest} of conversations") };
        return (format!("{unwatched} not watched{note}"), Tone::Warn);
    }
    match (gaps.len() - limited, limited) {
        (0, 0) => ("nothing was missed".to_owned(), Tone::Idle),
        (0, _) => ("older than the history limit".to_owned(), Tone::Idle),
        (unread, 0) => (format!("{unread} could not be read"), Tone::Warn),
        (unread, limited) => (format!("{unread} unread, {limited} beyond the limit"), Tone::Warn),
    }
}

impl Notes {
    fn new(survey: &Survey) -> Self {
        let empty = |len: usize, words| (len == 0).then_some(words);
        Self {
            accounts: match &survey.accounts {
                Ok(accounts) => {
                    empty(accounts.len(), "No account yet. One appears here as soon as its collector starts.")
                }
                Err(_) => Some("The store did not say. Nothing is known about the accounts right now."),
            },
            queues: match &survey.depths {
                Ok(depths) => empty(depths.len(), "The bus has no queues."),
                Err(_) => Some("The bus did not say how full its queues are."),
            },
            conversations: match &survey.conversations {
                Ok(rows) => {
                    empty(rows.len(), "No conversation yet. The first appears when a message has reached the store.")
                }
                Err(_) => Some("The store did not say. Nothing stored is lost by that."),
            },
        }
    }
}
