//! What can be wrong with a pack, said so that an editor can jump to it.

use std::fmt;
use std::path::PathBuf;

use crate::domain::SiteId;
use crate::fault::{Class, Code, Fault, Scope};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackProblem {
    /// The key, as written in the pack: `messages.row[1]`.
    pub key: String,
    /// Counted from 1; `None` if the pack as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong and what would be right, one sentence.
    pub sentence: String,
}

impl fmt::Display for PackProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.sentence)
    }
}

/// Why a pack can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file can't be read.
    #[error("the selector pack {} can't be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file breaks rules; every breach is listed.
    #[error("the selector pack {name} can't be used: {}", list(problems))]
    Invalid {
        /// The file, as the operator knows it.
        name: String,
        /// At least one.
        problems: Vec<PackProblem>,
    },
    /// What is remembered of packs can't be read or written.
    #[error("the versions of selector packs can't be kept in {}", path.display())]
    Unkept {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No such pack.
    #[error("there is no selector pack for the site {site}{}", nearest.as_ref().map_or_else(String::new, |n| format!(" (did you mean {n}?)")))]
    Unknown {
        /// The site that was asked for.
        site: String,
        /// The most similar name there is.
        nearest: Option<SiteId>,
    },
}

fn list(problems: &[PackProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Fault for PackError {
    fn class(&self) -> Class {
        Class::Permanent
    }
    fn scope(&self) -> Scope {
        Scope::Site
    }
    fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::Invalid { .. } => Code::PackInvalid,
            Self::Unkept { .. } => Code::DataDirUnusable,
            Self::Unknown { .. } => Code::PackUnknown,
        }
    }
}
