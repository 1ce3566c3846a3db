//! Which parts of the work a process does: all of it, or a share beside other processes.

/// A share of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads the sites, and publishes what it found.
    Collect,
    /// Stores messages.
    Archive,
    /// Asks for analyses that are due, and makes them.
    Analyze,
    /// Writes the sheet or workbook.
    Mirror,
    /// Serves the status page and the health checks.
    Web,
}

impl Role {
    /// Every role: what a process does that is not told otherwise.
    pub const ALL: [Self; 5] = [Self::Collect, Self::Archive, Self::Analyze, Self::Mirror, Self::Web];

    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Archive => "archive",
            Self::Analyze => "analyze",
            Self::Mirror => "mirror",
            Self::Web => "web",
        }
    }

    /// The role of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}
