//! What the settings say about Chromium and about kept logins.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::table::{self, Kind, Setting};
use super::value::{self, Memory};

/// The shortest key that nobody can guess, in characters.
const SHORTEST_KEY: usize = 32;

/// Chromium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSettings {
    /// Without a window.
    pub headless: bool,
    /// The program; `None`: look for it on PATH.
    pub chromium: Option<PathBuf>,
    /// The owner gave the sandbox up.
    pub no_sandbox: bool,
    /// How many accounts may share one.
    pub accounts: u32,
    /// How long one serves.
    pub max_age: Duration,
    /// How many bytes of memory one may take.
    pub max_memory: u64,
    /// How many processes one may have.
    pub max_processes: u32,
}

impl Reader {
    /// Chromium; `None` if one of the settings has no usable value.
    pub(super) fn browser(&mut self) -> Option<BrowserSettings> {
        let headless = self.value(&table::BROWSER_HEADLESS, value::parse_bool);
        let chromium = self.path(&table::CHROMIUM_PATH, None);
        let no_sandbox = self.optional(&table::BROWSER_NO_SANDBOX, value::parse_only_true);
        let accounts = self.whole(&table::browser::ACCOUNTS);
        let max_age = self.duration(&table::browser::MAX_AGE);
        let max_memory = self.memory(&table::browser::MAX_MEMORY);
        let max_processes = self.whole(&table::browser::MAX_PROCESSES);
        Some(BrowserSettings {
            headless: headless?,
            chromium,
            no_sandbox: no_sandbox.unwrap_or(false),
            accounts: accounts?,
            max_age: max_age?,
            max_memory: max_memory?,
            max_processes: max_processes?,
        })
    }

    /// The keys that kept logins are sealed with.
    pub(super) fn session_key(&mut self) -> Option<SecretString> {
        self.secret(&table::browser::SESSION_KEY, is_keys).map(|(keys, _)| keys)
    }

    fn memory(&mut self, setting: &'static Setting) -> Option<u64> {
        let memory = self.value(setting, |text| {
            let memory = Memory::parse(text)?;
            match setting.kind {
                Kind::Memory(min, max) => (min..=max).contains(&memory.0).then_some(memory),
                _ => Some(memory),
            }
        });
        memory.map(|memory| memory.0)
    }
}

/// At least one, and each long enough; lines without anything do not count.
fn is_keys(keys: &SecretString) -> bool {
    let mut keys = keys.expose_secret().lines().map(str::trim).filter(|key| !key.is_empty()).peekable();
    keys.peek().is_some() && keys.all(|key| key.len() >= SHORTEST_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;

    #[test]
    fn memory_is_read_and_shown_as_people_write_it() {
        for (text, bytes) in [("256MiB", 256 << 20), ("2GiB", 2 << 30), ("1TiB", 1 << 40)] {
            let memory = Memory::parse(text).unwrap();
            assert_eq!((memory.0, memory.to_string().as_str()), (bytes, text));
        }
        for wrong in ["", "2", "2GB", "GiB", "-1GiB", "1.5GiB", "99999999999999999999MiB", "2 GiB"] {
            assert_eq!(Memory::parse(wrong), None, "{wrong}");
        }
        let config = Case::new().env(&[("CHATFERRY_BROWSER_MAX_MEMORY", "1536MiB")]).load().unwrap();
        assert_eq!(config.browser.max_memory, 1536 << 20);
        let problems = Case::new().env(&[("CHATFERRY_BROWSER_MAX_MEMORY", "64MiB")]).load().unwrap_err();
        assert!(problems.to_string().contains("from 256MiB to 1TiB"), "{problems}");
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused_without_showing_them() {
        let (long, short) = ("k".repeat(32), "canary");
        let config = Case::new().env(&[("CHATFERRY_SESSION_KEY", &format!("{long}\n\n{long}"))]).load().unwrap();
        assert!(config.session_key.is_some());
        assert!(!format!("{:?}", config.listing).contains(&long));
        for keys in [short.to_owned(), format!("{long}\n{short}")] {
            let problems = Case::new().env(&[("CHATFERRY_SESSION_KEY", &keys)]).load().unwrap_err();
            let told = problems.to_string();
            assert!(told.contains("at least 32 characters") && !told.contains(short), "{told}");
        }
    }
}
