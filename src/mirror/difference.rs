//! What a mirror shows otherwise than the store would: keys, rows and columns, and never what stands in a cell.

use std::fmt;

use crate::domain::ConversationKey;

/// One difference. Rows count from 1 and include the header, as a person sees them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// A conversation has no row.
    Missing {
        /// Which.
        key: ConversationKey,
    },
    /// A conversation has more than one row.
    Doubled {
        /// Which.
        key: ConversationKey,
        /// Where.
        rows: Vec<usize>,
    },
    /// Cells of a row show something else.
    Differs {
        /// Of which conversation.
        key: ConversationKey,
        /// Where.
        row: usize,
        /// The headers of the columns.
        columns: Vec<&'static str>,
    },
    /// A row of a conversation that the store does not hold.
    Orphan {
        /// Which.
        key: ConversationKey,
        /// Where.
        row: usize,
    },
    /// Own cells are filled where no key stands.
    Keyless {
        /// Where.
        row: usize,
    },
    /// A file or a tab is not there, or nothing was ever written to it, or it can't be read as ours.
    Absent {
        /// Which.
        what: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key } => write!(f, "missing  {key}"),
            Self::Doubled { key, rows } => {
                let rows: Vec<String> = rows.iter().map(usize::to_string).collect();
                write!(f, "doubled  {key}  rows {}", rows.join(", "))
            }
            Self::Differs { key, row, columns } => write!(f, "differs  {key}  row {row}: {}", columns.join(", ")),
            Self::Orphan { key, row } => write!(f, "orphan   {key}  row {row}: not in the store"),
            Self::Keyless { row } => write!(f, "keyless  row {row}: filled, and no key beside it"),
            Self::Absent { what } => write!(f, "absent   {what}"),
        }
    }
}
