//! One conversation as a row of the tab `Conversations`.

use super::text::{TextLimit, cell_text};
use super::{Cell, content_hash};
use crate::domain::Text;
use crate::ports::MirrorRow;

/// Declares the columns once: variant, header.
macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident = $header:literal;)*) => {
        /// A column of the tab `Conversations`, in the order of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Column { $($(#[$doc])* $variant,)* }

        /// Every column, first to last.
        pub const COLUMNS: [Column; [$($header),*].len()] = [$(Column::$variant,)*];

        impl Column {
            /// The header text: by it a sheet's columns are found again.
            pub const fn header(self) -> &'static str {
                match self { $(Self::$variant => $header,)* }
            }
        }
    };
}

columns! {
    /// The conversation's key; column A.
    Key = "key";
    /// The site.
    Site = "site";
    /// The account's id, `site/label`: what commands take as `--account`.
    Account = "account";
    /// The title: mostly the other person's name.
    Person = "person";
    /// When the newest message was sent; empty if the site shows no time.
    LastMessageAt = "last message at";
    /// Messages stored.
    Messages = "messages";
    /// What the conversation is about; empty until it has been analysed.
    Summary = "summary";
    /// Key topics, joined by `, `.
    Topics = "topics";
    /// The mood of the other side.
    Sentiment = "sentiment";
    /// `high`, `normal` or `low`.
    Priority = "priority";
    /// `yes` or `no`.
    NeedsReply = "needs reply";
    /// Words from a closed list, joined by `, `.
    RiskFlags = "risk flags";
    /// Who made the summary.
    Model = "model";
    /// When what this row shows last changed in the store.
    UpdatedAt = "updated at";
}

/// The cells of a row, in the order of [`COLUMNS`]. What is not known yet is empty, never a guess.
pub fn conversation_cells(row: &MirrorRow, limit: TextLimit) -> [Cell; COLUMNS.len()] {
    COLUMNS.map(|column| cell(row, column, limit))
}

impl MirrorRow {
    /// The hash of everything that this row shows.
    pub fn content_hash(&self, limit: TextLimit) -> [u8; 16] {
        content_hash(&conversation_cells(self, limit))
    }
}

fn cell(row: &MirrorRow, column: Column, limit: TextLimit) -> Cell {
    let conversation = &row.conversation;
    let analysis = row.analysis.as_ref();
    match column {
        Column::Key => Cell::word(&conversation.key.to_string()),
        Column::Site => Cell::word(conversation.account.site().as_str()),
        Column::Account => Cell::word(&conversation.account.to_string()),
        Column::Person => text(&conversation.title, false, limit),
        Column::LastMessageAt => conversation.last_sent_at.map_or(Cell::Empty, Cell::Time),
        Column::Messages => Cell::Number(conversation.messages),
        Column::Summary => analysis.map_or(Cell::Empty, |a| text(&a.verdict.summary, true, limit)),
        Column::Topics => analysis.map_or(Cell::Empty, |a| joined(a.verdict.topics.iter().map(Text::expose), limit)),
        Column::Sentiment => analysis.map_or(Cell::Empty, |a| Cell::word(a.verdict.sentiment.as_str())),
        Column::Priority => analysis.map_or(Cell::Empty, |a| Cell::word(a.verdict.priority.as_str())),
        Column::NeedsReply => analysis.map_or(Cell::Empty, |a| Cell::Bool(a.verdict.needs_reply)),
        Column::RiskFlags => {
            analysis.map_or(Cell::Empty, |a| joined(a.verdict.risk_flags.iter().map(|flag| flag.risk.as_str()), limit))
        }
        Column::Model => analysis.map_or(Cell::Empty, |a| text(&Text::from(a.model.as_str()), false, limit)),
        Column::UpdatedAt => {
            Cell::Time(analysis.map_or(conversation.updated_at, |a| a.created_at.max(conversation.updated_at)))
        }
    }
}

fn text(value: &Text, lines: bool, limit: TextLimit) -> Cell {
    let shown = cell_text(value, lines, limit);
    if shown.is_empty() { Cell::Empty } else { Cell::Text(shown) }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>, limit: TextLimit) -> Cell {
    text(&Text::from(words.collect::<Vec<_>>().join(", ")), false, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::workbook::samples;

    #[test]
    fn the_columns_are_those_of_the_contract() {
        assert_eq!(
            COLUMNS.map(Column::header).join(", "),
            "key, site, account, person, last message at, messages, summary, topics, sentiment, priority, \
             needs reply, risk flags, model, updated at"
        );
    }

    #[test]
    fn every_fact_lands_in_its_column() {
        let row = samples::row("17", "Mia", "She asks about Friday.");
        let cells = conversation_cells(&row, TextLimit::EXCEL);
        let shown: Vec<String> = cells
            .iter()
            .map(|cell| match cell {
                Cell::Text(text) => text.expose().to_owned(),
                Cell::Number(number) => number.to_string(),
                Cell::Time(at) => at.to_string(),
                Cell::Bool(value) => Cell::yes_no(*value).to_owned(),
                Cell::Empty => "-".to_owned(),
            })
            .collect();
        assert_eq!(
            shown,
            [
                &row.conversation.key.to_string(),
                "demo",
                "demo/default",
                "Mia",
                "2026-11-02T09:30:00Z",
                "12",
                "She asks about Friday.",
                "Friday, dinner",
                "positive",
                "high",
                "yes",
                "money_request",
                "extractive",
                "2026-11-02T09:32:00Z"
            ]
        );
    }

    #[test]
    fn a_conversation_without_analysis_shows_no_guess() {
        let mut row = samples::row("17", "Mia", "x");
        row.analysis = None;
        row.conversation.last_sent_at = None;
        let cells = conversation_cells(&row, TextLimit::EXCEL);
        assert_eq!(cells[4], Cell::Empty);
        assert!(cells[6..13].iter().all(|cell| *cell == Cell::Empty));
        assert_eq!(cells[13], Cell::Time(row.conversation.updated_at));
    }

    #[test]
    fn the_hash_changes_with_what_is_shown_and_only_then() {
        let row = samples::row("17", "Mia", "x");
        let mut other = row.clone();
        other.conversation.due_at = Some(other.conversation.updated_at);
        assert_eq!(row.content_hash(TextLimit::EXCEL), other.content_hash(TextLimit::EXCEL));
        other.conversation.messages += 1;
        assert_ne!(row.content_hash(TextLimit::EXCEL), other.content_hash(TextLimit::EXCEL));
    }
}
