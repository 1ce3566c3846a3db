//! `dead list | show | replay | drop`: what no retry could help, and what a human does about it.
//!
//! A replay may be repeated and may be cut off at any point: an event keeps its id, and every consumer
//! knows what it has done before.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::{self, Failure};
use super::out;
use crate::app::LoneBus;
use crate::config::Config;
use crate::domain::EventId;
use crate::fault::AnyFault;
use crate::lifecycle::DataDir;
use crate::ports::{Bus, DeadLetter};
use crate::telemetry::occurrences::{DeadLettersDropped, DeadLettersReplayed};
use crate::telemetry::{Counters, Occurrence};

/// So many dead letters are replayed together.
const BATCH: usize = 100;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Every dead letter, the oldest first
    List {
        /// Only those that died of this, such as event-invalid
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// One dead letter: what it is, where and why it died
    Show {
        /// The event's id
        id: EventId,
        /// The event itself too, with the chat text that it may hold
        #[arg(long)]
        body: bool,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Put dead letters back into their queues; safe to repeat
    #[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "code"]))]
    Replay {
        /// Events' ids
        ids: Vec<EventId>,
        /// All that died of this
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// At most so many a second
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: u32,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Forget dead letters for good
    Drop {
        /// Events' ids
        #[arg(required = true)]
        ids: Vec<EventId>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Looks at dead letters, replays or drops them.
///
/// # Errors
/// The bus can't be reached; another process holds the data directory of the embedded bus; there is no
/// such dead letter.
pub async fn run(command: DeadCommand, config: &Config) -> Result<(), Failure> {
    let changes = matches!(command, DeadCommand::Replay { .. } | DeadCommand::Drop { .. });
    // A daemon that runs knows its embedded queues by heart; they are not changed under its hands.
    let _alone = if changes && config.rabbitmq.is_none() {
        Some(DataDir::open(&config.data_dir).map_err(AnyFault::from)?)
    } else {
        None
    };
    // Without the store: dead letters are looked at when something is wrong, and that may be the store.
    let lone = LoneBus::open(config, &config.data_dir).await?;
    let outcome = on(&*lone.bus, command, config.dry_run).await;
    lone.close().await;
    outcome
}

async fn on(bus: &dyn Bus, command: DeadCommand, dry_run: bool) -> Result<(), Failure> {
    let letters = bus.list_dead().await?;
    match command {
        DeadCommand::List { code, json } => list(&of_code(letters, code.as_deref()), json),
        DeadCommand::Show { id, body, json } => show(&known(&letters, id)?, body, json)?,
        DeadCommand::Replay { ids, code, rate, json } => {
            let mut chosen: Vec<EventId> =
                code.map_or_else(Vec::new, |code| of_code(letters.clone(), Some(&code)).iter().map(|l| l.id).collect());
            chosen.extend(ids.iter().filter(|id| letters.iter().any(|letter| letter.id == **id)));
            chosen.sort_unstable();
            chosen.dedup();
            let replayed = if dry_run { chosen.len() as u64 } else { replay(bus, &chosen, rate).await? };
            told("replayed", replayed, &absent(&ids, &letters), dry_run, json);
        }
        DeadCommand::Drop { ids, json } => {
            let dropped = if dry_run {
                letters.iter().filter(|letter| ids.contains(&letter.id)).count() as u64
            } else {
                bus.drop_dead(&ids).await?
            };
            if !dry_run {
                DeadLettersDropped { count: dropped, ids: &ids }.emit(&Counters::default());
            }
            told("dropped", dropped, &absent(&ids, &letters), dry_run, json);
        }
    }
    Ok(())
}

/// Batch by batch, so that a thousand of them don't fall upon the consumers at once.
async fn replay(bus: &dyn Bus, ids: &[EventId], rate: u32) -> Result<u64, Failure> {
    let mut replayed = 0;
    for (index, batch) in ids.chunks(BATCH.min(rate as usize)).enumerate() {
        if index > 0 {
            tokio::time::sleep(Duration::from_secs(1).mul_f64(batch.len() as f64 / f64::from(rate))).await;
        }
        replayed += bus.replay_dead(batch).await?;
        DeadLettersReplayed { count: batch.len() as u64, ids: batch }.emit(&Counters::default());
    }
    Ok(replayed)
}

fn of_code(mut letters: Vec<DeadLetter>, code: Option<&str>) -> Vec<DeadLetter> {
    letters.retain(|letter| code.is_none_or(|code| letter.code == code));
    letters
}

fn known(letters: &[DeadLetter], id: EventId) -> Result<DeadLetter, Failure> {
    letters.iter().find(|letter| letter.id == id).cloned().ok_or_else(|| {
        Failure::said(format!("chatferry: there is no dead letter {id}; `chatferry dead list` shows all"), exit::FAULTS)
    })
}

fn absent(ids: &[EventId], letters: &[DeadLetter]) -> Vec<EventId> {
    ids.iter().copied().filter(|id| letters.iter().all(|letter| letter.id != *id)).collect()
}

fn told(what: &str, count: u64, absent: &[EventId], dry_run: bool, as_json: bool) {
    if as_json {
        out::json(&json!({ what: count, "not_there": absent, "dry_run": dry_run }));
        return;
    }
    let would = if dry_run { "would be " } else { "" };
    out::line(&format!("{} {would}{what}", out::number(count)));
    for id in absent {
        out::line(&format!("not among the dead letters (any more): {id}"));
    }
}

fn document(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id, "queue": letter.queue.as_str(), "type": letter.kind, "code": letter.code, "reason": letter.reason,
        "failures": letter.failures, "first_failed_at": letter.first_failed_at, "failed_at": letter.failed_at,
        "failed_on": letter.failed_on,
    })
}

fn list(letters: &[DeadLetter], as_json: bool) {
    if as_json {
        out::json(&letters.iter().map(document).collect::<Vec<_>>());
        return;
    }
    if letters.is_empty() {
        out::line("no dead letters");
        return;
    }
    let rows = letters
        .iter()
        .map(|letter| {
            vec![
                letter.id.to_string(),
                letter.queue.as_str().to_owned(),
                letter.code.clone(),
                letter.failures.to_string(),
                out::time(Some(letter.first_failed_at)),
                out::time(Some(letter.failed_at)),
                letter.reason.clone(),
            ]
        })
        .collect();
    out::line(&out::table(&["event", "queue", "code", "failures", "first (UTC)", "last (UTC)", "reason"], &[3], rows));
}

fn show(letter: &DeadLetter, body: bool, as_json: bool) -> Result<(), Failure> {
    let event = || {
        serde_json::from_slice::<Value>(&letter.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&letter.body).into_owned()))
    };
    if as_json {
        let mut document = document(letter);
        if body {
            document["event"] = event();
        }
        out::json(&document);
        return Ok(());
    }
    let code = crate::fault::Code::parse(&letter.code);
    let lines = [
        ("event", letter.id.to_string()),
        ("type", letter.kind.clone()),
        ("queue", letter.queue.as_str().to_owned()),
        ("code", letter.code.clone()),
        ("reason", letter.reason.clone()),
        ("what to do", code.map_or("", crate::fault::Code::action).to_owned()),
        ("failures", letter.failures.to_string()),
        ("first failure", letter.first_failed_at.to_string()),
        ("last failure", letter.failed_at.to_string()),
        ("failed on", letter.failed_on.clone().unwrap_or_else(|| "this machine".to_owned())),
    ];
    for (name, value) in lines {
        out::line(&format!("{name:<14} {value}"));
    }
    if body {
        let pretty = serde_json::to_string_pretty(&event()).unwrap_or_default();
        out::line(&format!(
            "\n{}",
            pretty.lines().map(|line| out::printable(&line.into())).collect::<Vec<_>>().join("\n")
        ));
    } else {
        out::line("\n--body shows the event itself, with the chat text that it may hold");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;

    #[tokio::test]
    async fn dead_letters_can_be_seen_while_the_store_is_away() {
        let away = "mongodb://127.0.0.1:1/none?serverSelectionTimeoutMS=50";
        let case = Case::new().env(&[("MONGODB_URI", away)]);
        let mut config = case.load().unwrap();
        config.data_dir = case.dir.path().join("data");
        std::fs::create_dir(&config.data_dir).unwrap();
        run(DeadCommand::List { code: None, json: true }, &config).await.unwrap();
    }
}
