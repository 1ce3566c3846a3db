//! Everything that is wrong with the settings, told at once.
//!
//! A person who corrects one line only to be told of the next has been sent around three times; so
//! reading never stops at the first problem. A problem names the variable, where it came from, what
//! was expected and how to mend it. It never holds the value of a secret, nor of a variable that is
//! not ours.

use std::fmt;

use super::Origin;
use crate::fault::{Class, Code, Fault, Scope};

/// One thing that is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The variable, toml key or file.
    pub subject: String,
    /// Where the value stands, if there is one.
    pub origin: Option<Origin>,
    /// What is wrong, as a clause without a full stop.
    pub complaint: String,
    /// What would have been right.
    pub expected: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// A problem of `subject`: `complaint`. What was expected and how to mend it follow by
    /// [`Self::expected`] and [`Self::fix`].
    pub(super) fn new(subject: impl Into<String>, origin: Option<Origin>, complaint: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            origin,
            complaint: complaint.into(),
            expected: String::new(),
            fix: String::new(),
        }
    }

    /// Says what would have been right.
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Says how to mend it.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}; expected {}; {}", self.complaint, self.expected, self.fix)
    }
}

/// All problems of the settings, in the order in which they were found; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} with the settings: {}", count(.0.len()), joined(.0))]
pub struct ConfigProblems(pub Vec<Problem>);

/// `1 problem`, `2 problems`.
pub(crate) fn count(problems: usize) -> String {
    format!("{problems} problem{}", if problems == 1 { "" } else { "s" })
}

fn joined(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

impl Fault for ConfigProblems {
    fn class(&self) -> Class {
        Class::Permanent
    }
    fn scope(&self) -> Scope {
        Scope::Process
    }
    fn code(&self) -> Code {
        Code::ConfigInvalid
    }
}
