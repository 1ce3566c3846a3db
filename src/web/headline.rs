//! Whether all is well, in one sentence: pure, from one survey.
//!
//! What is wrong comes in the order in which a person should care: what stops capture, then accounts
//! that wait for somebody, then what may pass by itself. Silence is not well: an account that stopped
//! reporting, or no account at all, is a cause like any other.

use jiff::Timestamp;
use serde::Serialize;

use super::rows::{Tone, prose, state_words};
use super::spending::PurseReading;
use super::survey::{PartName, Survey};
use super::when::grouped;
use crate::domain::{AccountState, AccountStatus, GapReason};
use crate::ports::MirrorFault;

/// Causes that are named one by one; what goes beyond is counted.
const NAMED: usize = 8;

/// The word for the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    /// Nothing is wrong.
    #[default]
    Ok,
    /// It works, and something needs attention.
    Degraded,
    /// What is captured can't be committed.
    Down,
}

impl Health {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    /// How it looks.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Degraded => Tone::Warn,
            Self::Down => Tone::Bad,
        }
    }
}

/// One part that others depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub name: &'static str,
    pub status: Health,
    pub code: Option<&'static str>,
    pub sentence: String,
    pub action: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Cause {
    pub tone: Tone,
    pub code: Option<&'static str>,
    pub sentence: String,
    pub action: Option<String>,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub status: Health,
    pub parts: Vec<Part>,
    /// The gravest first.
    pub causes: Vec<Cause>,
}

/// The state of each part.
pub(super) fn parts(survey: &Survey) -> Vec<Part> {
    [PartName::Store, PartName::Bus, PartName::Spool, PartName::DataDir]
        .map(|name| match survey.ailment(name) {
            None => Part {
                name: name.as_str(),
                status: Health::Ok,
                code: None,
                sentence: match name {
                    PartName::DataDir => "It takes a write.".to_owned(),
                    PartName::Store | PartName::Bus | PartName::Spool => "It answers.".to_owned(),
                },
                action: None,
            },
            Some(ailment) => Part {
                name: name.as_str(),
                status: if survey.is_silent(name) { Health::Down } else { Health::Degraded },
                code: Some(ailment.code.as_str()),
                sentence: full_stop(&prose(&ailment.sentence)),
                action: Some(prose(&ailment.action)),
            },
        })
        .into()
}

/// Judges a survey.
pub(super) fn judge(survey: &Survey) -> Judgement {
    let parts = parts(survey);
    let mut causes: Vec<Cause> = parts.iter().filter(|part| part.status != Health::Ok).map(of_part).collect();
    if let Ok(accounts) = &survey.accounts {
        let mut troubles: Vec<(u8, Cause)> =
            accounts.iter().filter_map(|account| of_account(account, survey.at)).collect();
        troubles.sort_by_key(|(rank, _)| *rank);
        causes.extend(troubles.into_iter().map(|(_, cause)| cause));
        if accounts.is_empty() {
            causes.push(Cause {
                tone: Tone::Warn,
                code: None,
                sentence: "No account has reported yet.".to_owned(),
                action: Some("Give chatferry an account, or look at the log if you have.".to_owned()),
            });
        }
    }
    if let Ok(letters @ 1..) = survey.dead_letters {
        causes.push(Cause {
            tone: Tone::Warn,
            code: None,
            sentence: format!("{} for a person.", plural(letters, "dead letter waits", "dead letters wait")),
            action: Some("chatferry dead list shows each with its code; docs/runbook.md says what to do.".to_owned()),
        });
    }
    causes.extend(survey.mirror.as_ref().map(of_mirror));
    if let Ok(gaps) = &survey.gaps
        && let unwatched @ 1.. = gaps.iter().filter(|gap| gap.reason.is_of_account()).count()
    {
        let accounts =
            plural(unwatched as u64, "account was not watched for a time", "accounts were not watched for a time");
        causes.push(Cause {
            tone: Tone::Warn,
            code: Some(crate::fault::Code::HistoryIncomplete.as_str()),
            sentence: format!("{accounts}, and what came meanwhile has not been read."),
            action: Some(
                "Nothing at once: the next completed pass reads it. If it stays, see why the account is not live."
                    .to_owned(),
            ),
        });
    }
    let is_unread = |reason: GapReason| reason != GapReason::HistoryLimit && !reason.is_of_account();
    if let Ok(gaps) = &survey.gaps
        && let unseen @ 1.. = gaps.iter().filter(|gap| is_unread(gap.reason)).count()
    {
        causes.push(Cause {
            tone: Tone::Warn,
            code: Some(crate::fault::Code::HistoryIncomplete.as_str()),
            sentence: format!("{} could not be read in full.", plural(unseen as u64, "conversation", "conversations")),
            action: Some(
                "Nothing at once: each pass tries again. If it stays, open one by hand and compare.".to_owned(),
            ),
        });
    }
    causes.extend(survey.purses.iter().flatten().filter_map(PurseReading::cause));
    // Capture is committed to the spool, and the spool lives in the data directory; the bus may be away.
    let stops = |part: &Part| part.status == Health::Down && part.name != PartName::Bus.as_str();
    let status = match () {
        () if parts.iter().any(stops) => Health::Down,
        () if causes.is_empty() => Health::Ok,
        () => Health::Degraded,
    };
    Judgement { status, parts, causes: shortened(causes) }
}

impl Judgement {
    /// The headline, and the sentence under it: what to do, or who is at work.
    pub fn headline(&self, survey: &Survey) -> (String, String) {
        match self.causes.first() {
            Some(cause) => (cause.sentence.clone(), cause.action.clone().unwrap_or_default()),
            None => ("All is well.".to_owned(), roll_call(survey)),
        }
    }
}

fn of_part(part: &Part) -> Cause {
    let gravest = part.status == Health::Down && part.name != PartName::Bus.as_str();
    let verb = if part.status == Health::Down { "is down" } else { "answers only in part" };
    Cause {
        tone: if gravest { Tone::Bad } else { Tone::Warn },
        code: part.code,
        sentence: format!("The {} {verb}: {}", part.name, lower_first(&part.sentence)),
        action: part.action.clone(),
    }
}

/// The store holds everything all the same: this is about what viewers see.
fn of_mirror(fault: &MirrorFault) -> Cause {
    let verdict = if fault.is_parked { "is parked" } else { "is behind" };
    Cause {
        tone: Tone::Warn,
        code: Some(fault.code.as_str()),
        sentence: format!("The mirror {verdict}: {}", full_stop(&lower_first(&prose(&fault.sentence)))),
        action: Some(prose(&fault.action)),
    }
}

fn of_account(status: &AccountStatus, now: Timestamp) -> Option<(u8, Cause)> {
    let (words, tone) = state_words(status.state);
    let told = |rank: u8, verdict: &str| {
        let sentence = match status.sentence.trim() {
            "" => format!("{} {verdict}.", status.account),
            sentence => format!("{} {verdict}: {}", status.account, full_stop(&lower_first(&prose(sentence)))),
        };
        let action = status.action.as_deref().or(status.code.map(|code| code.action())).map(prose);
        Some((rank, Cause { tone, code: status.code.map(crate::fault::Code::as_str), sentence, action }))
    };
    if status.expires_at < now && status.state != AccountState::Parked {
        let sentence = format!("{} has stopped reporting; it was {words} when last heard of.", status.account);
        let action = Some("See whether the daemon that runs this account is still there, and its log.".to_owned());
        return Some((1, Cause { tone: Tone::Warn, code: None, sentence, action }));
    }
    match status.state {
        AccountState::Parked => told(0, "is parked"),
        AccountState::Stale => told(2, "is stale"),
        AccountState::Backoff => told(3, "is waiting to retry"),
        AccountState::Starting
        | AccountState::LoggingIn
        | AccountState::Backfilling
        | AccountState::Live
        | AccountState::Stopped => None,
    }
}

/// `2 accounts live, 1 reading histories.`
fn roll_call(survey: &Survey) -> String {
    let accounts = survey.accounts.as_deref().unwrap_or_default();
    let mut groups: Vec<(&str, u64)> = Vec::new();
    for account in accounts {
        let (words, _) = state_words(account.state);
        match groups.iter_mut().find(|(known, _)| *known == words) {
            Some((_, count)) => *count += 1,
            None => groups.push((words, 1)),
        }
    }
    let told: Vec<String> = groups
        .iter()
        .enumerate()
        .map(|(index, (words, count))| match index {
            0 => format!("{} {words}", plural(*count, "account", "accounts")),
            _ => format!("{} {words}", grouped(*count)),
        })
        .collect();
    format!("{}.", told.join(", "))
}

fn shortened(mut causes: Vec<Cause>) -> Vec<Cause> {
    if causes.len() > NAMED {
        let beyond = causes.split_off(NAMED).len();
        causes.push(Cause {
            tone: Tone::Warn,
            code: None,
            sentence: format!("And {beyond} more, shown below."),
            action: None,
        });
    }
    causes
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

fn full_stop(sentence: &str) -> String {
    let sentence = sentence.trim_end();
    if sentence.ends_with(['.', '!', '?']) { sentence.to_owned() } else { format!("{sentence}.") }
}

/// Continues a sentence after a colon: `The store …` becomes `the store …`; `CAPTCHA` stays.
fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => sentence.to_owned(),
    }
}
