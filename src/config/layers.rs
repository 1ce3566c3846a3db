//! Precedence: flag, then environment, then `.env`, then toml file. The first place that names a
//! setting decides; an empty variable there means "as if nobody had set it", which is how a stronger
//! place takes back what a weaker one says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::dotenv::{self, Dotenv};
use super::file::{self, Leaf, TomlFile};
use super::nearest::{rename_or_remove, slip};
use super::table::{self, Setting};
use super::{Origin, Place, Problem, Sources, secret};

/// Variables that only builds for tests read (see `lifecycle`): in a release they are unknown.
const TEST_VARIABLES: &[&str] = if cfg!(debug_assertions) {
    &["CHATFERRY_CRASH_AT", "CHATFERRY_KILL_BROWSER_AT", "CHATFERRY_POISON", "CHATFERRY_DISK_FREE_IN"]
} else {
    &[]
};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Found {
    /// The value, which may be a secret.
    pub text: SecretString,
    /// Where it stands.
    pub origin: Origin,
    /// The folder from which a relative path begins.
    pub base: PathBuf,
    /// The secret file that it was read from.
    pub file: Option<PathBuf>,
}

/// The names under which one value may stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'n> {
    /// The variable.
    pub variable: &'n str,
    /// Other names of it.
    pub aliases: &'n [&'n str],
    /// The dotted toml key, if it may stand in the file.
    pub key: Option<&'n str>,
    /// `<variable>_FILE` may name a file.
    pub secret: bool,
}

impl<'n> From<&'n Setting> for Names<'n> {
    fn from(setting: &'n Setting) -> Self {
        let Setting { variable, aliases, key, secret, .. } = *setting;
        Self { variable, aliases, key: Some(key), secret }
    }
}

/// One value as it stands in one place, before its worth is looked at.
struct Hit<'h> {
    name: String,
    text: Option<&'h str>,
    line: Option<usize>,
    substituted: bool,
}

/// All places, read.
#[derive(Debug)]
pub(super) struct Layers {
    flags: Vec<(&'static str, &'static str, String)>,
    environment: BTreeMap<String, OsString>,
    dotenv: Dotenv,
    /// The toml file.
    pub file: TomlFile,
    working_dir: PathBuf,
}

impl Layers {
    /// Reads the files; what can't be read is a problem.
    pub(super) fn read(sources: Sources, problems: &mut Vec<Problem>) -> Self {
        let dotenv = sources.dotenv.as_deref().map(|path| dotenv::read(path, problems)).unwrap_or_default();
        let file = file::read(sources.flags.config.as_deref(), &sources.toml_candidates(), problems);
        let Sources { flags, environment, working_dir, .. } = sources;
        let data_dir = flags.data_dir.map(|dir| (&table::DATA_DIR, dir.to_string_lossy().into_owned()));
        let log_format = flags.log_format.map(|format| (&table::LOG_FORMAT, format));
        let dry_run = flags.dry_run.then(|| (&table::DRY_RUN, "true".to_owned()));
        let flags = [data_dir, log_format, dry_run]
            .into_iter()
            .flatten()
            .filter_map(|(setting, value)| Some((setting.variable, setting.flag?, value)))
            .collect();
        Self { flags, environment, dotenv, file, working_dir: working_dir.unwrap_or_default() }
    }

    /// The value that holds, if anybody set one. What is wrong with it goes to `problems`.
    pub(super) fn find(&self, names: Names<'_>, problems: &mut Vec<Problem>) -> Option<Found> {
        if let Some((_, flag, value)) = self.flags.iter().find(|(variable, ..)| *variable == names.variable) {
            let origin = Origin::of(Place::Flag(flag));
            return Some(Found { text: value.as_str().into(), origin, base: self.working_dir.clone(), file: None });
        }
        for (hits, place) in [
            (self.environment_hits(names), (|_| Place::Environment) as fn(usize) -> Place),
            (self.dotenv_hits(names), |line| Place::Dotenv { line }),
        ] {
            if let Some(hit) = self.only_one(names, hits, place, problems)? {
                return self.opened(names, &hit, place(hit.line.unwrap_or(0)), problems);
            }
        }
        let leaf = self.file.leaves.get(names.key?)?;
        self.leaf(names.key?, leaf, problems)
    }

    /// Whether any place names it, and where first; the value is not looked at.
    pub(super) fn mentions(&self, names: Names<'_>) -> Vec<(String, Origin, Option<SecretString>)> {
        let environment = self.environment_hits(names).into_iter().map(|hit| (hit, Place::Environment));
        let dotenv = self.dotenv_hits(names).into_iter().map(|hit| {
            let line = hit.line.unwrap_or(0);
            (hit, Place::Dotenv { line })
        });
        let mut mentions: Vec<_> = environment
            .chain(dotenv)
            .filter(|(hit, _)| hit.text.is_none_or(|text| !text.trim().is_empty()))
            .map(|(hit, place)| (hit.name, Origin::of(place), hit.text.map(SecretString::from)))
            .collect();
        if let Some((key, leaf)) = names.key.and_then(|key| self.file.leaves.get_key_value(key)) {
            mentions.push((key.clone(), self.file.origin(leaf.line), leaf.text.clone()));
        }
        mentions
    }

    /// A value of the toml file as text.
    pub(super) fn leaf(&self, subject: &str, leaf: &Leaf, problems: &mut Vec<Problem>) -> Option<Found> {
        let origin = self.file.origin(leaf.line);
        let Some(text) = leaf.text.clone() else {
            let problem = Problem::new(subject, Some(origin), "is a list, a table or a date");
            problems.push(problem.expected("a text, a number, true or false").fix("write a single value"));
            return None;
        };
        Some(Found { text, origin, base: self.file.folder.clone(), file: None })
    }

    /// The content of a secret file; what is wrong with it goes to `problems`.
    pub(super) fn secret_file(&self, subject: &str, path: Found, problems: &mut Vec<Problem>) -> Option<Found> {
        let file = self.absolute(Path::new(path.text.expose_secret()), &path.base);
        let origin = Origin { via: Some(subject.to_owned()), ..path.origin };
        match secret::read(&file) {
            Ok(text) => Some(Found { text, origin, base: path.base, file: Some(file) }),
            Err(refusal) => {
                let origin = Origin { via: None, ..origin };
                let problem = Problem::new(subject, Some(origin), refusal.complaint());
                let problem = problem.expected("a file of mode 0600 or narrower that holds the secret alone");
                problems.push(problem.fix(refusal.fix(&file)));
                None
            }
        }
    }

    /// A path as meant: `~/` is the home folder, relative ones begin from `base`.
    pub(super) fn absolute(&self, path: &Path, base: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.environment.get("HOME")) {
            (Ok(rest), Some(home)) => Path::new(home).join(rest),
            _ => base.join(path),
        }
    }

    fn environment_hits(&self, names: Names<'_>) -> Vec<Hit<'_>> {
        let hit = |name: String| {
            let value = self.environment.get(&name)?;
            Some(Hit { name, text: value.to_str(), line: None, substituted: false })
        };
        written(names).filter_map(hit).collect()
    }

    fn dotenv_hits(&self, names: Names<'_>) -> Vec<Hit<'_>> {
        let hit = |name: String| {
            let entry = self.dotenv.entries.get(&name)?;
            let text = if entry.is_empty() { "" } else { entry.value.expose_secret() };
            Some(Hit { name, text: Some(text), line: Some(entry.line), substituted: entry.substituted })
        };
        written(names).filter_map(hit).collect()
    }

    /// The one name that is used in a place. `None`: nothing to go on with (set to nothing, or in a way
    /// that can't be used); `Some(None)`: this place does not name it.
    fn only_one<'h>(
        &self,
        names: Names<'_>,
        hits: Vec<Hit<'h>>,
        place: fn(usize) -> Place,
        problems: &mut Vec<Problem>,
    ) -> Option<Option<Hit<'h>>> {
        let named = !hits.is_empty();
        let mut filled: Vec<_> = hits.into_iter().filter(|hit| hit.text.is_none_or(|t| !t.trim().is_empty())).collect();
        let Some(hit) = filled.pop() else { return if named { None } else { Some(None) } };
        let origin = Some(Origin::of(place(hit.line.unwrap_or(0))));
        if let Some(other) = filled.pop() {
            let complaint = format!("{} and {} are both set", other.name, hit.name);
            let problem = Problem::new(names.variable, origin, complaint).expected("one of the two");
            problems.push(problem.fix(format!("remove {} or {}", other.name, hit.name)));
            return None;
        }
        if hit.text.is_none() {
            let problem = Problem::new(hit.name, origin, "the value is not UTF-8 text");
            problems.push(problem.expected("UTF-8 text").fix("set it anew"));
            return None;
        }
        if hit.substituted {
            let problem = Problem::new(hit.name, origin, "holds a $ outside single quotes, which would be replaced");
            problems.push(problem.expected("the value as it is").fix("put the value in single quotes"));
            return None;
        }
        Some(Some(hit))
    }

    fn opened(&self, names: Names<'_>, hit: &Hit<'_>, place: Place, problems: &mut Vec<Problem>) -> Option<Found> {
        let via = (hit.name != names.variable).then(|| hit.name.clone());
        let origin = Origin { place, via };
        let found = Found { text: hit.text?.into(), origin, base: self.working_dir.clone(), file: None };
        if names.secret && hit.name == format!("{}_FILE", names.variable) {
            self.secret_file(&hit.name, found, problems)
        } else {
            Some(found)
        }
    }

    /// Unknown names of ours are problems; `accounts` are the variables that accounts may use.
    pub(super) fn unknown(&self, accounts: &[String], problems: &mut Vec<Problem>) {
        let mut known: Vec<String> = table::settings().flat_map(Setting::variables).collect();
        known.extend(accounts.iter().cloned());
        let is_unknown = |name: &str| {
            name.starts_with("CHATFERRY_") && !known.iter().any(|k| k == name) && !TEST_VARIABLES.contains(&name)
        };
        let environment = self.environment.keys().map(|name| (name, Place::Environment));
        let dotenv = self.dotenv.entries.iter().map(|(name, entry)| (name, Place::Dotenv { line: entry.line }));
        for (name, place) in environment.chain(dotenv).filter(|(name, _)| is_unknown(name)) {
            let problem = Problem::new(name, Some(Origin::of(place)), "there is no such setting");
            let ours = known.iter().map(String::as_str).filter(|known| known.starts_with("CHATFERRY_"));
            problems.push(problem.expected("a variable of .env.example").fix(rename_or_remove(name, ours)));
        }
        let keys: Vec<&str> = table::settings().map(|setting| setting.key).collect();
        for (key, leaf) in self.file.leaves.iter().filter(|(key, _)| !keys.contains(&key.as_str())) {
            let section = format!("{key}.");
            if leaf.is_empty_table && keys.iter().any(|known| known.starts_with(&section)) {
                continue;
            }
            let problem = Problem::new(key, Some(self.file.origin(leaf.line)), "there is no such key");
            let fix = rename_or_remove(key, keys.iter().copied().chain(["account"]));
            problems.push(problem.expected("a key of `chatferry config show`").fix(fix));
        }
    }

    /// Things that are not wrong but that the operator will want to know.
    pub(super) fn warnings(&self, sites: &[String], holds_secret: impl Fn(&Place) -> bool) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut known: Vec<String> = table::settings().flat_map(Setting::variables).collect();
        known.extend(sites.iter().cloned());
        for (name, entry) in self.dotenv.entries.iter().filter(|(name, _)| !name.starts_with("CHATFERRY_")) {
            if known.iter().any(|known| known == name) {
                continue;
            }
            if let Some(meant) = slip(name, known.iter().map(String::as_str).filter(|k| k.len() > 6)) {
                warnings.push(format!(".env line {}: {name} is not a setting; did you mean {meant}?", entry.line));
            } else if let Some(site) = name.strip_suffix("_USERNAME") {
                let line = entry.line;
                warnings
                    .push(format!(".env line {line}: {name} is not used: no selector pack has a site named {site}"));
            }
        }
        // The environment is full of strangers, but a slip in one of these means that another store is used.
        for name in self.environment.keys().filter(|name| !known.contains(name)) {
            if let Some(meant) = slip(name, table::SERVERS) {
                warnings.push(format!("environment: {name} is not a setting; did you mean {meant}?"));
            }
        }
        if self.dotenv.is_open && holds_secret(&Place::Dotenv { line: 0 }) {
            warnings.push(".env holds a secret and others than its owner may read it: chmod 600 .env".to_owned());
        }
        if self.file.is_open && holds_secret(&Place::File { name: String::new(), line: 0 }) {
            let name = &self.file.name;
            warnings.push(format!("{name} holds a secret and others than its owner may read it: chmod 600 {name}"));
        }
        warnings
    }
}

/// The variables of `names`.
fn written(names: Names<'_>) -> impl Iterator<Item = String> {
    let file = names.secret.then(|| format!("{}_FILE", names.variable));
    std::iter::once(names.variable.to_owned()).chain(names.aliases.iter().map(|a| (*a).to_owned())).chain(file)
}
