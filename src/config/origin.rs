//! Where a value came from: without it nobody finds out why a setting is not what they wrote.

use std::fmt;

/// One of the places that settings are read from, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A command-line flag, as written: `--data-dir`.
    Flag(&'static str),
    /// The environment of the process.
    Environment,
    /// The `.env` file, by line, counted from 1.
    Dotenv {
        /// The line on which the value ends.
        line: usize,
    },
    /// The toml file, by line, counted from 1.
    File {
        /// The file's name without its folder.
        name: String,
        /// The line on which the value begins.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

/// Where a value came from, and under which name if not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The place.
    pub place: Place,
    /// The alias or the `…_FILE` variable that gave it.
    pub via: Option<String>,
}

impl Origin {
    /// From `place`, under the setting's own name.
    pub const fn of(place: Place) -> Self {
        Self { place, via: None }
    }

    /// Nobody set it.
    pub const fn default_value() -> Self {
        Self::of(Place::Default)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Flag(flag) => write!(f, "flag {flag}"),
            Place::Environment => f.write_str("environment"),
            Place::Dotenv { line } => write!(f, ".env line {line}"),
            Place::File { name, line } => write!(f, "{name} line {line}"),
            Place::Default => f.write_str("default"),
        }?;
        self.via.as_ref().map_or(Ok(()), |via| write!(f, ", as {via}"))
    }
}

impl serde::Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
