//! The tab `_status`: whether the rest can be trusted, in words that a viewer understands.
//!
//! What viewers of such mirrors complain about most is a sheet that is stale and does not say so.
//! Hence two kinds of facts: those that *last* (states, counts) and those that only say how fresh the
//! rest is (last write, last completed pass). The first are in [`lasting_hash`]; the second change at
//! every look and would make every write a change.

use super::{Cell, content_hash};
use crate::domain::{AccountStatus, Text};
use crate::mirror::rows::text::{TextLimit, cell_text};
use crate::ports::MirrorStatus;

/// One line of the upper part of `_status`: what, and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// Its value.
    pub value: Cell,
    /// What it means for the viewer; empty where the name says it.
    pub note: String,
}

/// Declares the columns of the account table once: variant, header.
macro_rules! account_columns {
    ($($(#[$doc:meta])* $variant:ident = $header:literal;)*) => {
        /// A column of the account table in `_status`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AccountColumn { $($(#[$doc])* $variant,)* }

        /// Every column of the account table, first to last.
        pub const ACCOUNT_COLUMNS: [AccountColumn; [$($header),*].len()] = [$(AccountColumn::$variant,)*];

        impl AccountColumn {
            /// The header text.
            pub const fn header(self) -> &'static str {
                match self { $(Self::$variant => $header,)* }
            }
        }
    };
}

account_columns! {
    /// The account's id.
    Account = "account";
    /// Its state.
    State = "state";
    /// A sentence about it.
    Sentence = "what is going on";
    /// What a human should do.
    Action = "what to do";
    /// Since when.
    Since = "since";
    /// The cause's stable name.
    Code = "code";
    /// Whether the account still reports: `no` if its state had expired when this was written.
    UpToDate = "up to date";
    /// When a pass was last completed.
    LastPass = "last complete pass";
}

/// The cells of an account, in the order of [`ACCOUNT_COLUMNS`].
pub fn account_cells(account: &AccountStatus, status: &MirrorStatus) -> [Cell; ACCOUNT_COLUMNS.len()] {
    let sentence = |text: &str| Cell::word(cell_text(&Text::from(text), false, TextLimit::EXCEL).expose());
    ACCOUNT_COLUMNS.map(|column| match column {
        AccountColumn::Account => Cell::word(&account.account.to_string()),
        AccountColumn::State => Cell::word(account.state.as_str()),
        AccountColumn::Sentence => sentence(&account.sentence),
        AccountColumn::Action => account.action.as_deref().map_or(Cell::Empty, sentence),
        AccountColumn::Since => Cell::Time(account.since),
        AccountColumn::Code => account.code.map_or(Cell::Empty, |code| Cell::word(code.as_str())),
        AccountColumn::UpToDate => Cell::Bool(account.expires_at >= status.written_at),
        AccountColumn::LastPass => account.last_pass_at.map_or(Cell::Empty, Cell::Time),
    })
}

/// The upper part of `_status`. `freshness` tells the viewer how old the last write may get while all
/// is well, in a sentence of the target's own.
pub fn facts(status: &MirrorStatus, rows: u64, freshness: &str) -> Vec<Fact> {
    let fact = |name, value, note: &str| Fact { name, value, note: note.to_owned() };
    let mut facts = vec![
        fact("last write", Cell::Time(status.written_at), freshness),
        fact(
            "last capture",
            status.last_capture_at.map_or(Cell::Empty, Cell::Time),
            "when a message last reached the store",
        ),
        fact("conversations", Cell::Number(rows), ""),
        fact("open gaps", Cell::Number(status.open_gaps), "stretches of conversations that could not be seen"),
        fact("dead letters", Cell::Number(status.dead_letters), "events that wait for a human; the log names each"),
        fact("daemon version", Cell::word(&status.version), ""),
        fact("times", Cell::word("UTC"), "every time here is in UTC"),
    ];
    if let Some(sentence) = &status.analyses_wait {
        facts.push(fact("analyses wait", Cell::word(sentence), "summaries are as old as they say; messages are not"));
    }
    facts
}

/// A hash of everything in `_status` that a viewer would miss if it were old: all but the time of the
/// write and of each account's last pass.
pub fn lasting_hash(status: &MirrorStatus) -> [u8; 16] {
    let mut cells = vec![
        status.last_capture_at.map_or(Cell::Empty, Cell::Time),
        Cell::Number(status.open_gaps),
        Cell::Number(status.dead_letters),
        Cell::word(&status.version),
    ];
    cells.extend(status.analyses_wait.as_deref().map(Cell::word));
    for account in &status.accounts {
        let shown = account_cells(account, status);
        cells.extend(
            ACCOUNT_COLUMNS.into_iter().zip(shown).filter(|(c, _)| *c != AccountColumn::LastPass).map(|(_, cell)| cell),
        );
    }
    content_hash(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::workbook::samples;

    #[test]
    fn a_later_look_at_the_same_state_is_no_change() {
        let status = samples::status();
        let mut later = status.clone();
        later.written_at = "2026-11-02T10:00:30Z".parse().unwrap();
        later.accounts[0].last_pass_at = Some(later.written_at);
        assert_eq!(lasting_hash(&status), lasting_hash(&later));
        later.open_gaps += 1;
        assert_ne!(lasting_hash(&status), lasting_hash(&later));
    }

    #[test]
    fn analyses_that_wait_are_told_and_are_a_change() {
        let mut status = samples::status();
        assert!(facts(&status, 1, "").iter().all(|fact| fact.name != "analyses wait"));
        let before = lasting_hash(&status);
        status.analyses_wait = Some("The month's budget for analyses is used up.".to_owned());
        assert_ne!(lasting_hash(&status), before);
        assert_eq!(
            facts(&status, 1, "").last().unwrap().value,
            Cell::word("The month's budget for analyses is used up.")
        );
    }

    #[test]
    fn an_account_that_stopped_reporting_is_shown_as_out_of_date() {
        let mut status = samples::status();
        let before = lasting_hash(&status);
        status.written_at = "2026-11-03T10:00:00Z".parse().unwrap();
        let cells = account_cells(&status.accounts[0], &status);
        assert_eq!(cells[6], Cell::Bool(false));
        assert_ne!(lasting_hash(&status), before);
    }

    #[test]
    fn an_account_row_says_what_to_do() {
        let status = samples::status();
        let shown: Vec<_> = account_cells(&status.accounts[1], &status)
            .into_iter()
            .filter_map(|cell| if let Cell::Text(text) = cell { Some(text.into_inner()) } else { None })
            .collect();
        assert_eq!(
            shown,
            [
                "meetme/default",
                "parked",
                "The site asks for a code.",
                "Log in by hand once, then resume the account.",
                "challenge"
            ]
        );
    }
}
