//! The places that settings are read from, handed in from outside: a test, or the demo, gives its own.
//!
//! [`Sources::from_process`] is the one place in the program that looks at the environment. Nothing
//! here ever changes it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The command-line flags that are settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`: the toml file, which must then exist.
    pub config: Option<PathBuf>,
    /// `--data-dir DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--log-format text|json`.
    pub log_format: Option<String>,
    /// `--dry-run`.
    pub dry_run: bool,
}

/// Everything that settings are read from. The default holds nothing: no variable, no file.
#[derive(Clone, Default)]
pub struct Sources {
    /// Flags of this call.
    pub flags: Flags,
    /// The environment.
    pub environment: BTreeMap<String, OsString>,
    /// The `.env` file; it need not exist.
    pub dotenv: Option<PathBuf>,
    /// What relative paths in flags, environment and `.env` begin from, and the first place where
    /// `chatferry.toml` is looked for; `None`: it is looked for only under `$XDG_CONFIG_HOME`.
    pub working_dir: Option<PathBuf>,
    /// Look for no `chatferry.toml`; one that is named by a flag is read all the same.
    pub ignore_toml: bool,
}

impl Sources {
    /// The environment of this process, and `.env` in its working directory.
    pub fn from_process(flags: Flags) -> Self {
        let environment = std::env::vars_os()
            // A variable whose very name is not UTF-8 is none of ours.
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        let working_dir = std::env::current_dir().ok();
        let dotenv = working_dir.as_ref().map(|dir| dir.join(".env"));
        Self { flags, environment, dotenv, working_dir, ignore_toml: false }
    }

    /// The user's home folder. `/` and `/nonexistent` are what system users get who have none.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.folder("HOME").filter(|home| home != Path::new("/") && home != Path::new("/nonexistent"))
    }

    /// The data directory of those who set none.
    pub(super) fn default_data_dir(&self) -> PathBuf {
        self.folder("XDG_DATA_HOME")
            .or_else(|| Some(self.home()?.join(".local/share")))
            .map_or_else(|| PathBuf::from("/var/lib/chatferry"), |dir| dir.join("chatferry"))
    }

    /// Where `chatferry.toml` is looked for without `--config`, the first choice first.
    pub(super) fn toml_candidates(&self) -> Vec<PathBuf> {
        if self.ignore_toml {
            return Vec::new();
        }
        let user = self.folder("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")));
        let user = user.map(|dir| dir.join("chatferry/chatferry.toml"));
        self.working_dir.as_ref().map(|dir| dir.join("chatferry.toml")).into_iter().chain(user).collect()
    }

    /// Whether the user wants no colour (<https://no-color.org>), or has a terminal without any.
    pub(super) fn refuses_colour(&self) -> bool {
        self.environment.get("NO_COLOR").is_some_and(|value| !value.is_empty())
            || self.environment.get("TERM").is_some_and(|terminal| terminal == "dumb")
    }

    /// A folder named by a variable; relative ones are passed over, as the XDG specification asks.
    fn folder(&self, variable: &str) -> Option<PathBuf> {
        self.environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

impl fmt::Debug for Sources {
    /// Names of variables only: their values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("flags", &self.flags)
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .field("dotenv", &self.dotenv)
            .field("working_dir", &self.working_dir)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Sources {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        Sources { environment, ..Sources::default() }
    }

    #[test]
    fn the_data_directory_is_found_as_the_xdg_specification_says() {
        for (variables, expected) in [
            (&[("XDG_DATA_HOME", "/x"), ("HOME", "/home/a")][..], "/x/chatferry"),
            (&[("XDG_DATA_HOME", "x"), ("HOME", "/home/a")], "/home/a/.local/share/chatferry"),
            (&[("HOME", "/")], "/var/lib/chatferry"),
            (&[], "/var/lib/chatferry"),
        ] {
            assert_eq!(with(variables).default_data_dir(), Path::new(expected));
        }
    }

    #[test]
    fn the_file_in_the_working_directory_goes_first() {
        let sources = Sources { working_dir: Some("/w".into()), ..with(&[("HOME", "/home/a")]) };
        let expected = ["/w/chatferry.toml", "/home/a/.config/chatferry/chatferry.toml"].map(PathBuf::from);
        assert_eq!(sources.toml_candidates(), expected);
    }

    #[test]
    fn colour_is_refused_by_a_value_not_by_an_empty_one() {
        assert!(with(&[("NO_COLOR", "1")]).refuses_colour());
        assert!(!with(&[("NO_COLOR", "")]).refuses_colour());
    }
}
