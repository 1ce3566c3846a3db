//! From text to values: asks the layers for each setting, parses it, and keeps a list of what holds
//! and of what is wrong.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::accounts::{self, AccountConfig};
use super::layers::{Found, Layers};
use super::table::{self, Kind, Presence, Setting};
use super::value::Shown;
use super::{MASK, Origin, Place, Problem, server};
use crate::domain::SiteId;

/// A setting as `config show` gives it; never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The variable.
    pub variable: &'static str,
    /// The key in the toml file.
    pub key: &'static str,
    /// What holds, in the form that the setting accepts, or how it is found.
    pub value: String,
    /// Who says so.
    pub origin: Origin,
}

/// A server's address: shown as far as its host and path.
struct ServerAddress(SecretString);

impl Shown for ServerAddress {
    fn shown(&self) -> String {
        server::without_credentials(self.0.expose_secret())
    }
}

/// Reads the settings one by one.
#[derive(Debug)]
pub(super) struct Reader {
    layers: Layers,
    problems: Vec<Problem>,
    listing: Vec<Listed>,
}

impl Reader {
    pub(super) const fn new(layers: Layers, problems: Vec<Problem>) -> Self {
        Self { layers, problems, listing: Vec::new() }
    }

    /// A setting with a fixed default. `None` only after a problem was noted.
    pub(super) fn value<T: Shown>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if let Some(found) = self.find(setting) {
            return self.parsed(setting, found, parse);
        }
        let default = parse(setting.default?)?;
        self.list(setting, default.shown(), Origin::default_value());
        Some(default)
    }

    /// A setting that need not have a value.
    pub(super) fn optional<T: Shown>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if let Some(found) = self.find(setting) {
            return self.parsed(setting, found, parse);
        }
        self.list(setting, setting.computed.unwrap_or_default().to_owned(), Origin::default_value());
        None
    }

    /// The address of a server, which may hold a password; shown without it.
    pub(super) fn server(
        &mut self,
        setting: &'static Setting,
        is_usable: impl Fn(&str) -> bool,
    ) -> Option<SecretString> {
        let parse = |text: &str| is_usable(text).then(|| ServerAddress(SecretString::from(text)));
        self.optional(setting, parse).map(|address| address.0)
    }

    /// A secret that need not be there, and the file that it was read from; never shown.
    pub(super) fn secret(
        &mut self,
        setting: &'static Setting,
        is_usable: impl Fn(&SecretString) -> bool,
    ) -> Option<(SecretString, Option<PathBuf>)> {
        let Some(found) = self.find(setting) else {
            self.list(setting, setting.computed.unwrap_or_default().to_owned(), Origin::default_value());
            return None;
        };
        let secret = SecretString::from(found.text.expose_secret().trim());
        if is_usable(&secret) {
            self.list(setting, MASK.to_owned(), found.origin);
            return Some((secret, found.file));
        }
        let problem = Problem::new(setting.variable, Some(found.origin), "the value can't be used");
        let (expected, fix) = match setting.kind {
            Kind::Keys => (setting.kind.expected(), "openssl rand -base64 32 prints one"),
            _ => ("printable ASCII without blanks, on one line".to_owned(), "set it anew, as it was given to you"),
        };
        self.problems.push(problem.expected(expected).fix(fix));
        None
    }

    /// How many problems there are so far.
    pub(super) const fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// A path, or the computed default.
    pub(super) fn path(&mut self, setting: &'static Setting, default: Option<PathBuf>) -> Option<PathBuf> {
        if let Some(found) = self.find(setting) {
            let path = self.layers.absolute(Path::new(found.text.expose_secret().trim()), &found.base);
            self.list(setting, path.shown(), found.origin);
            return Some(path);
        }
        let shown = default.as_ref().map_or_else(|| setting.computed.unwrap_or_default().to_owned(), Shown::shown);
        self.list(setting, shown, Origin::default_value());
        default
    }

    /// Settings of later versions: setting one is a problem, because it would have no effect.
    pub(super) fn absent(&mut self) {
        for setting in table::settings() {
            let Presence::Absent { instead, allowed } = setting.presence else { continue };
            for (name, origin, text) in self.layers.mentions(setting.into()) {
                if text.is_some_and(|text| allowed.contains(&text.expose_secret().trim())) {
                    continue;
                }
                let expected = match allowed {
                    [] => "nothing".to_owned(),
                    words => format!("{} or nothing", words.join(", ")),
                };
                let fix = match origin.place {
                    Place::File { .. } => format!("{instead}; remove {name}"),
                    _ => format!("{instead}; unset {name}"),
                };
                let problem = Problem::new(name, Some(origin), "belongs to a part that this version does not have");
                self.problems.push(problem.expected(expected).fix(fix));
            }
        }
    }

    /// The accounts of these sites, and the warnings. Looks for unknown names on the way, because only
    /// now all known ones are known.
    pub(super) fn accounts(&mut self, sites: &[SiteId]) -> (Vec<AccountConfig>, Vec<String>) {
        let variables = accounts::variables(sites);
        self.layers.unknown(&variables, &mut self.problems);
        let accounts = accounts::read(&self.layers, sites, &mut self.problems);
        let secrets = [table::AI_API_KEY.variable, table::browser::SESSION_KEY.variable];
        let holds = |variable| table::SERVERS.contains(&variable) || secrets.contains(&variable);
        let servers = self.listing.iter().filter(|listed| holds(listed.variable));
        let origins: Vec<_> =
            accounts.iter().map(|account| &account.origin).chain(servers.map(|listed| &listed.origin)).collect();
        let holds_secret = |place: &Place| {
            // A secret that only is named there, by its file, is none.
            let is_there = std::mem::discriminant(place);
            origins.iter().any(|origin| origin.via.is_none() && std::mem::discriminant(&origin.place) == is_there)
        };
        let warnings = self.layers.warnings(&variables, holds_secret);
        (accounts, warnings)
    }

    /// True if somebody set it, whether or not the value can be used. To be asked after the setting was read.
    pub(super) fn is_set(&self, setting: &Setting) -> bool {
        let is_listed = self
            .listing
            .iter()
            .any(|listed| listed.variable == setting.variable && listed.origin.place != Place::Default);
        is_listed || self.problems.iter().any(|problem| problem.subject == setting.variable)
    }

    /// Notes that the value in force of `setting` is wrong in the company of others.
    pub(super) fn problem(&mut self, setting: &Setting, complaint: String, expected: String, fix: &str) {
        let origin = self.listing.iter().find(|listed| listed.variable == setting.variable).map(|l| l.origin.clone());
        self.problems.push(Problem::new(setting.variable, origin, complaint).expected(expected).fix(fix));
    }

    pub(super) fn finish(self) -> (Vec<Listed>, Vec<Problem>) {
        (self.listing, self.problems)
    }

    fn find(&mut self, setting: &'static Setting) -> Option<Found> {
        if setting.environment_only {
            for (name, origin, _) in self.layers.mentions(setting.into()) {
                if origin.place != Place::Environment {
                    let problem = Problem::new(name, Some(origin), "can't be set in a file");
                    let fix = format!("remove it, and set {} where the daemon is started", setting.variable);
                    self.problems.push(problem.expected("the environment of the process").fix(fix));
                }
            }
        }
        self.layers.find(setting.into(), &mut self.problems)
    }

    fn parsed<T: Shown>(
        &mut self,
        setting: &'static Setting,
        found: Found,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = found.text.expose_secret().trim();
        if let Some(value) = parse(text) {
            self.list(setting, value.shown(), found.origin);
            return Some(value);
        }
        let complaint = format!("{} can't be used", quoted(setting, text));
        let fix = setting
            .default
            .map_or_else(|| "correct or remove it".to_owned(), |d| format!("correct it, or remove it for {d}"));
        let problem = Problem::new(setting.variable, Some(found.origin), complaint);
        self.problems.push(problem.expected(setting.kind.expected()).fix(fix));
        None
    }

    fn list(&mut self, setting: &'static Setting, value: String, origin: Origin) {
        self.listing.push(Listed { variable: setting.variable, key: setting.key, value, origin });
    }
}

/// A wrong value in quotes, if it can be no secret: short, and without the signs of an address that
/// carries credentials.
fn quoted(setting: &Setting, text: &str) -> String {
    let plain = text.len() <= 40 && text.chars().all(|c| c.is_ascii_alphanumeric() || " .,:/=_+-[]".contains(c));
    if plain && setting.kind.is_quotable() && !setting.secret { format!("\"{text}\"") } else { "the value".to_owned() }
}
