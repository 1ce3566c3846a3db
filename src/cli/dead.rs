//! `dead list | show | replay | drop`: what no retry could help, and what a human does about it.
//!
//! A replay may be repeated and may be cut off at any point: an event keeps its id, and every consumer
//! knows what it has done before.

use std::collections::HashSet;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::{self, Failure};
use super::out;
use crate::app::Events;
use crate::config::Config;
use crate::domain::EventId;
use crate::fault::{AnyFault, Code};
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
    let _alone = if changes && !config.dry_run && config.rabbitmq.is_none() {
        Some(DataDir::open(&config.data_dir).map_err(AnyFault::from)?)
    } else {
        None
    };
    let events = Events::open_existing(config).await?;
    let outcome = on(&*events.bus, command, config.dry_run).await;
    events.close().await;
    outcome
}

async fn on(bus: &dyn Bus, command: DeadCommand, dry_run: bool) -> Result<(), Failure> {
    let letters = bus.list_dead().await?;
    match command {
        DeadCommand::List { code, json } => list(&of_code(letters, code.as_deref())?, json),
        DeadCommand::Show { id, body, json } => show(&known(&letters, id)?, body, json)?,
        DeadCommand::Replay { ids, code, rate, json } => {
            let absent = absent(&ids, &letters);
            let mut chosen: Vec<EventId> =
                letters.iter().filter(|letter| ids.contains(&letter.id)).map(|l| l.id).collect();
            if code.is_some() {
                chosen.extend(of_code(letters, code.as_deref())?.iter().map(|letter| letter.id));
            }
            let mut seen = HashSet::new();
            chosen.retain(|id| seen.insert(*id));
            let replayed = if dry_run { chosen.len() as u64 } else { replay(bus, &chosen, rate).await? };
            told("replayed", replayed, &absent, dry_run, json);
        }
        DeadCommand::Drop { ids, json } => {
            let dropped = if dry_run {
                letters.iter().filter(|letter| ids.contains(&letter.id)).count() as u64
            } else {
                bus.drop_dead(&ids).await?
            };
            if !dry_run && dropped > 0 {
                DeadLettersDropped { count: dropped, ids: &ids }.emit(&Counters::default());
            }
            told("dropped", dropped, &absent(&ids, &letters), dry_run, json);
        }
    }
    Ok(())
}

/// Batch by batch, so that a thousand of them don't fall upon the consumers at once. Each batch is
/// followed by the time that it may take up.
async fn replay(bus: &dyn Bus, ids: &[EventId], rate: u32) -> Result<u64, Failure> {
    let mut replayed = 0;
    let mut wait = Duration::ZERO;
    for batch in ids.chunks(BATCH.min(rate as usize)) {
        tokio::time::sleep(wait).await;
        let count = bus.replay_dead(batch).await?;
        DeadLettersReplayed { count, ids: batch }.emit(&Counters::default());
        replayed += count;
        wait = Duration::from_secs(1).mul_f64(batch.len() as f64 / f64::from(rate));
    }
    Ok(replayed)
}

/// Those that died of it. A code that neither they nor the program know is a slip.
fn of_code(mut letters: Vec<DeadLetter>, code: Option<&str>) -> Result<Vec<DeadLetter>, Failure> {
    letters.retain(|letter| code.is_none_or(|code| letter.code == code));
    match code {
        Some(code) if letters.is_empty() && Code::parse(code).is_none() => Err(Failure::said(
            format!("chatferry: there is no code {code}; `chatferry dead list` shows the codes of all dead letters"),
            exit::FAULTS,
        )),
        _ => Ok(letters),
    }
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
    let code = Code::parse(&letter.code);
    let lines = [
        ("event", letter.id.to_string()),
        ("type", letter.kind.clone()),
        ("queue", letter.queue.as_str().to_owned()),
        ("code", letter.code.clone()),
        ("reason", letter.reason.clone()),
        ("what to do", code.map_or("", Code::action).to_owned()),
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
