//! The settings as one table: reading, `.env.example`, `config show` and the search for misspelt names
//! all follow from it, so that a setting can't be known to one of them only.
//!
//! A row whose [`Presence`] is `Absent` names a setting of a later version: setting it is a problem and
//! never passed over, because its owner believes that it has an effect.

use std::time::Duration;

use super::value::{Memory, format_duration};

mod account;
mod ai;
pub mod browser;
pub mod budget;
mod rows;

pub use account::{ACCOUNT_FIELDS, ALLOW_PLAINTEXT, AccountField, BASE_URL, PASSWORD, TERMS_ACKNOWLEDGED, USERNAME};
pub use ai::*;
pub use rows::*;
use rows::{IN_FORCE, LATER};

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path; `~/` is the home folder.
    Path,
    /// IP address and port, on this machine.
    LoopbackAddress,
    /// Address and port, of this machine and of any network card.
    Address,
    /// A switch.
    Bool,
    /// A switch that is only ever turned on.
    OnlyTrue,
    /// A duration from the first to the second, both included, in milliseconds.
    Duration(u64, u64),
    /// A number of tokens.
    Tokens,
    /// An amount of money.
    Money,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Log levels.
    LogLevels,
    /// Attempts per time.
    LoginBudget,
    /// Any text.
    Text,
    /// An address of a web site.
    Url,
    /// The address of a RabbitMQ.
    AmqpUrl,
    /// The address of a MongoDB, with the name of a database.
    MongoUri,
    /// The id of a Google sheet, or its address.
    SheetId,
    /// The address of an AI service's interface.
    ApiUrl,
    /// A whole number from the first to the second, both included.
    Whole(u32, u32),
    /// What a million tokens cost.
    Price,
    /// A number from 0 to 2.
    UpToTwo,
    /// An amount of memory from the first to the second, both included, in bytes.
    Memory(u64, u64),
    /// Keys that nobody can guess, one per line.
    Keys,
}

impl Kind {
    /// What is right, as it continues "expected ...".
    pub fn expected(self) -> String {
        match self {
            Self::Path => "a path".to_owned(),
            Self::Address => "an address with a port, such as 0.0.0.0:8788".to_owned(),
            Self::LoopbackAddress => "a loopback address with a port, such as 127.0.0.1:8787".to_owned(),
            Self::Bool => "true, false, 1, 0, yes or no".to_owned(),
            Self::OnlyTrue => "1 or true, or nothing at all".to_owned(),
            Self::Duration(min, max) => format!(
                "a duration such as 90s, 5m or 1h30m, from {} to {}",
                format_duration(Duration::from_millis(min)),
                format_duration(Duration::from_millis(max))
            ),
            Self::Tokens => "a number of tokens, such as 50000, 200k or 2M".to_owned(),
            Self::Money => "an amount with at most six decimals, such as 2.50".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::LogLevels => {
                "error, warn, info, debug or trace, and if need be levels for modules of chatferry only, \
                                such as info,chatferry::collect=debug"
                    .to_owned()
            }
            Self::LoginBudget => "attempts per time, such as 2/30m".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Url => "an https:// address without user name, query and fragment".to_owned(),
            Self::AmqpUrl => "amqp:// or amqps://, user:password@, host and vhost".to_owned(),
            Self::MongoUri => "mongodb:// or mongodb+srv://, host, / and the name of a database".to_owned(),
            Self::SheetId => {
                "the id of a Google sheet, or its whole address (https://docs.google.com/spreadsheets/d/…)".to_owned()
            }
            Self::ApiUrl => {
                "an https:// address (http:// on this machine only) without user name, query and fragment".to_owned()
            }
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Price => "an amount such as 0.15, at most 10000, with a point and up to six decimals".to_owned(),
            Self::UpToTwo => "a number from 0 to 2, such as 0.2".to_owned(),
            Self::Memory(min, max) => {
                format!("an amount of memory such as 1536MiB or 2GiB, from {} to {}", Memory(min), Memory(max))
            }
            Self::Keys => "keys of at least 32 characters, one per line".to_owned(),
        }
    }

    /// Whether a wrong value may be quoted in a report: not where people might paste a credential.
    pub const fn is_quotable(self) -> bool {
        !matches!(
            self,
            Self::Keys | Self::Text | Self::Url | Self::Path | Self::AmqpUrl | Self::MongoUri | Self::ApiUrl
        )
    }
}

/// Whether this version has the part that a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has.
    InForce,
    /// It has not; only these values, which mean what happens anyway, may be set.
    Absent {
        /// What this version has instead, as a clause.
        instead: &'static str,
        /// Values that may stand.
        allowed: &'static [&'static str],
    },
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub variable: &'static str,
    /// Other names of the variable.
    pub aliases: &'static [&'static str],
    /// The key in the toml file, with dots.
    pub key: &'static str,
    /// The command-line flag.
    pub flag: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
    /// What holds if nobody sets it, in the form that the setting accepts; `None`: see `computed`.
    pub default: Option<&'static str>,
    /// Where the default comes from, if it is not a fixed value.
    pub computed: Option<&'static str>,
    /// Never shown; `<VARIABLE>_FILE` may name a file that holds it.
    pub secret: bool,
    /// Read from the environment of the process only, so that no file can turn it on unseen.
    pub environment_only: bool,
    /// Whether this version has the part.
    pub presence: Presence,
    /// What it is, in one sentence.
    pub help: &'static str,
    /// How to come by a value.
    pub obtain: &'static str,
}

/// Every setting: first those in force, in the order of `config show`, then those of later versions.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    IN_FORCE.into_iter().chain(LATER.iter())
}

impl Setting {
    /// Every variable that means this setting.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let file = self.secret.then(|| format!("{}_FILE", self.variable));
        std::iter::once(self.variable.to_owned()).chain(self.aliases.iter().map(|a| (*a).to_owned())).chain(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_stands_for_one_setting() {
        let mut names = HashSet::new();
        for setting in settings() {
            for variable in setting.variables() {
                assert!(names.insert(variable.clone()), "{variable} twice");
            }
            assert!(names.insert(setting.key.to_owned()), "{} twice", setting.key);
        }
    }

    #[test]
    fn every_setting_in_force_says_what_it_is_how_to_come_by_it_and_what_holds_without() {
        for setting in IN_FORCE {
            assert!(setting.help.ends_with('.') && setting.obtain.ends_with('.'), "{}", setting.variable);
            assert!(setting.default.is_some() != setting.computed.is_some(), "{}", setting.variable);
            assert_eq!(setting.presence, Presence::InForce);
        }
        assert!(LATER.iter().all(|setting| setting.presence != Presence::InForce));
    }

    #[test]
    fn a_toml_key_follows_from_a_variable_of_ours() {
        for setting in settings().filter(|s| !s.key.starts_with("collect.") && !s.key.starts_with("browser.chromium")) {
            if let Some(name) = setting.variable.strip_prefix("CHATFERRY_") {
                assert_eq!(setting.key.replace('.', "_").to_uppercase(), name);
            }
        }
    }
}
