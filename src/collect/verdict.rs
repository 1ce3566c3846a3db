//! What kind of page this is, and whether its fields still match: the difference between "nothing
//! new" and "broken".

use crate::ports::page::{FieldMatch, Glance, Matches, PageVerdict};
use crate::selectors::Pack;

/// The share of rows that may lack a required field before that means a changed layout.
const COVERAGE_LIMIT: f64 = 0.05;

/// Judges the conversation list. `rows` is the number of entries that are conversations.
pub fn of_list(glance: &Glance, rows: usize) -> PageVerdict {
    if glance.login {
        PageVerdict::LoggedOut
    } else if rows > 0 && glance.list {
        PageVerdict::Ok
    } else if glance.list_empty {
        PageVerdict::Empty
    } else if glance.loading || !glance.list {
        PageVerdict::NotRendered
    } else {
        PageVerdict::Broken
    }
}

/// Judges an open conversation. `rows` is the number of its messages in the page.
///
/// One that says it has older messages is not empty, whatever else it says: the first view may hold
/// nothing but status lines.
pub fn of_thread(glance: &Glance, rows: usize) -> PageVerdict {
    if glance.login {
        PageVerdict::LoggedOut
    } else if rows > 0 && glance.thread {
        PageVerdict::Ok
    } else if glance.thread_empty && !glance.more {
        PageVerdict::Empty
    } else if glance.loading || !glance.thread {
        PageVerdict::NotRendered
    } else {
        PageVerdict::Broken
    }
}

/// A field that no longer matches as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// A required field is missing in too many rows.
    Missing {
        /// The key in the pack.
        field: String,
        /// Rows without it.
        missing: u64,
        /// Rows in all.
        rows: u64,
    },
    /// A later alternative supplied most of the values.
    Fallback {
        /// The key in the pack.
        field: String,
        /// Which alternative, counted from 0.
        alternative: usize,
    },
}

impl Drift {
    /// The key in the pack.
    pub fn field(&self) -> &str {
        match self {
            Self::Missing { field, .. } | Self::Fallback { field, .. } => field,
        }
    }

    /// The word of the event.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Fallback { .. } => "fallback",
        }
    }

    /// Which alternative matched, counted from 0, if one did.
    pub fn alternative(&self) -> Option<u32> {
        match self {
            Self::Missing { .. } => None,
            Self::Fallback { alternative, .. } => u32::try_from(*alternative).ok(),
        }
    }
}

/// Compares a reading with what the pack demands.
pub fn drifts(pack: &Pack, matches: &Matches) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for (field, found) in matches {
        if is_required(pack, field) && is_uncovered(found) {
            drifts.push(Drift::Missing {
                field: field.clone(),
                missing: found.missing,
                rows: found.missing + found.matched(),
            });
        } else if let Some(alternative) = found.best().filter(|best| *best > 0) {
            drifts.push(Drift::Fallback { field: field.clone(), alternative });
        }
    }
    drifts
}

#[allow(clippy::cast_precision_loss)] // row counts are far below 2^52
fn is_uncovered(found: &FieldMatch) -> bool {
    let rows = found.missing + found.matched();
    rows > 0 && found.missing as f64 > rows as f64 * COVERAGE_LIMIT
}

/// Whether rows without the field are a sign of a changed layout: as the query says, else by the
/// field. A carried field is missing on purpose; a date may stand in the separator.
fn is_required(pack: &Pack, field: &str) -> bool {
    let messages = &pack.messages;
    let query = match field {
        "conversations.id" => Some(&pack.conversations.id),
        "conversations.title" => Some(&pack.conversations.title),
        "messages.text" => Some(&messages.text),
        "messages.native_id" => messages.native_id.as_ref(),
        "messages.author" => messages.author.as_ref(),
        "messages.sent_at.at" => messages.sent_at.as_ref().map(|sent_at| &sent_at.at),
        _ => None,
    };
    query.is_some_and(|query| query.required.unwrap_or(!query.carry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(change: impl FnOnce(&mut Glance)) -> Glance {
        let mut glance = Glance { list: true, thread: true, ..Glance::default() };
        change(&mut glance);
        glance
    }

    #[test]
    fn five_verdicts_and_empty_is_never_guessed() {
        assert_eq!(of_list(&glance(|_| ()), 3), PageVerdict::Ok);
        assert_eq!(of_list(&glance(|g| g.list_empty = true), 0), PageVerdict::Empty);
        assert_eq!(of_list(&glance(|_| ()), 0), PageVerdict::Broken);
        assert_eq!(of_list(&glance(|g| g.list = false), 0), PageVerdict::NotRendered);
        assert_eq!(of_list(&glance(|g| g.login = true), 3), PageVerdict::LoggedOut);
        assert_eq!(of_thread(&glance(|_| ()), 0), PageVerdict::Broken);
        assert_eq!(of_thread(&glance(|g| g.thread_empty = true), 0), PageVerdict::Empty);
        assert_eq!(of_thread(&glance(|g| g.loading = true), 0), PageVerdict::NotRendered);
        let with_more = glance(|g| {
            g.thread_empty = true;
            g.more = true;
        });
        assert_eq!(of_thread(&with_more, 0), PageVerdict::Broken);
    }

    fn field(by_alternative: &[u64], missing: u64) -> FieldMatch {
        FieldMatch { by_alternative: by_alternative.to_vec(), missing }
    }

    #[test]
    fn a_required_field_may_be_missing_in_one_row_of_twenty() {
        let pack: Pack = toml::from_str(include_str!("../../selectors/demo.toml")).unwrap();
        let drift_of = |name: &str, found| drifts(&pack, &Matches::from([(name.to_owned(), found)]));
        assert_eq!(drift_of("messages.text", field(&[95, 0], 5)), []);
        assert_eq!(
            drift_of("messages.text", field(&[94, 0], 6)),
            [Drift::Missing { field: "messages.text".into(), missing: 6, rows: 100 }]
        );
        assert_eq!(drift_of("messages.native_id", field(&[0, 0], 50)), [], "declared as not required");
        assert_eq!(
            drift_of("messages.author", field(&[1, 40], 0)),
            [Drift::Fallback { field: "messages.author".into(), alternative: 1 }]
        );
    }
}
