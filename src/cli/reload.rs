//! SIGHUP: the settings are read again. What can change while the daemon runs changes (LOG_LEVEL), what can't is
//! named, and settings with a mistake change nothing.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::app;
use crate::config::{Config, ConfigProblems, Sources};
use crate::telemetry::logs;
use crate::telemetry::occurrences::{SettingsRefused, SettingsReloaded};
use crate::telemetry::{Counters, Occurrence};

/// The settings that count at once.
const AT_ONCE: [&str; 1] = ["LOG_LEVEL"];

/// Registers for SIGHUP at once and gives the future that obeys it, which has no end of its own.
///
/// # Errors
/// The system refuses the registration.
pub fn on_hangup(
    sources: Sources,
    config: &Config,
    counters: std::sync::Arc<Counters>,
) -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let mut known = config.clone();
    Ok(async move {
        while hangups.recv().await.is_some() {
            match app::load_config(sources.clone()) {
                Ok(config) => {
                    logs::set_levels(&super::log_settings(&config));
                    let (now, later) = changes(&known, &config);
                    SettingsReloaded { now: &now.join(" "), later: &later.join(" ") }.emit(&counters);
                    known = config;
                }
                Err(ConfigProblems(problems)) => {
                    let names: Vec<&str> = problems.iter().map(|problem| problem.subject.as_str()).collect();
                    SettingsRefused { problems: problems.len(), names: &names.join(" ") }.emit(&counters);
                }
            }
        }
    })
}

/// Which settings changed: those that count at once, and those that count after the next start.
fn changes(before: &Config, after: &Config) -> (Vec<&'static str>, Vec<&'static str>) {
    let value = |config: &Config, variable: &str| {
        config.listing.iter().find(|row| row.variable == variable).map(|row| row.value.clone())
    };
    let changed = after.listing.iter().map(|row| row.variable).filter(|name| value(before, name) != value(after, name));
    changed.partition(|name| AT_ONCE.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let dotenv = folder.path().join(".env");
        std::fs::write(&dotenv, lines).unwrap();
        let sources = Sources { dotenv: Some(dotenv), working_dir: Some(folder.path().into()), ..Sources::default() };
        app::load_config(sources).unwrap()
    }

    #[test]
    fn what_changed_is_told_by_when_it_counts() {
        let before = config("CHATFERRY_DATA_DIR=/x\nLOG_LEVEL=info\n");
        let after = config("CHATFERRY_DATA_DIR=/x\nLOG_LEVEL=debug\nCHATFERRY_PASS_INTERVAL=5m\n");
        assert_eq!(changes(&before, &after), (vec!["LOG_LEVEL"], vec!["CHATFERRY_PASS_INTERVAL"]));
        assert_eq!(changes(&after, &after), (vec![], vec![]));
    }
}
