//! `analyze`: stored history again, in another version of the question.
//!
//! What is there already in this version, of the same messages, is not asked for again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::exit::{self, Failure};
use super::out;
use crate::app::{self, App, Events, Records, Role};
use crate::config::{Config, parse_duration};
use crate::consume::{ConsumeError, Quiet, ask_for_analyses};
use crate::domain::{Analysis, Conversation, ConversationKey, Usage};
use crate::fault::{AnyFault, Code};
use crate::ports::{ConversationFilter, Store, SystemClock};

/// The longest wait for the analyses.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Arguments of `analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Only conversations with a message since then: 2026-11-01, 2026-11-01T08:00:00Z, or a time ago such as 7d
    #[arg(long, value_name = "T", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// Only this conversation, c1-…
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationKey>,
    /// In this version of the question [default: the one in which analyses are made by themselves]
    #[arg(long, value_name = "V")]
    prompt_version: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// A day (UTC), a moment, or how long ago.
fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(day) = text.parse::<Date>()
        && let Ok(begin) = day.to_datetime(Time::midnight()).to_zoned(TimeZone::UTC)
    {
        return Ok(begin.timestamp());
    }
    let ago = parse_duration(text).and_then(|ago| SignedDuration::try_from(ago).ok());
    ago.and_then(|ago| Timestamp::now().checked_sub(ago).ok())
        .ok_or_else(|| "expected a day such as 2026-11-01, a moment such as 2026-11-01T08:00:00Z, or 7d".to_owned())
}

/// Asks for analyses and waits for them; beside a daemon that runs, leaves them to it.
///
/// # Errors
/// There is no such version or conversation; nothing has been collected yet; analyses that wait for a
/// budget or failed.
pub async fn run(args: AnalyzeArgs, config: Config) -> Result<(), Failure> {
    let analyst = app::analyst(&config, Arc::new(SystemClock), Arc::default())?;
    let version = args.prompt_version.clone().unwrap_or_else(|| analyst.prompt_version().to_owned());
    if !analyst.knows(&version) {
        return Err(AnyFault::from(ConsumeError::unknown_version(&*analyst, &version)).into());
    }
    // Opened on its own first: nothing is made where nothing was collected.
    let chosen = chosen(&*app::open_store(&config).await?, &args).await?;
    let asking = Asking { model: analyst.model().to_owned(), version, chosen, json: args.json };
    if config.dry_run {
        asking.told_only(asking.chosen.len() as u64, "would be asked for", &json!({ "dry_run": true }));
        return Ok(());
    }
    let has_servers = config.rabbitmq.is_some() && config.mongodb.is_some();
    match App::open(config.clone()).await {
        Ok(app) => asking.alone(app).await,
        Err(fault) if fault.code() == Code::DataDirLocked && has_servers => asking.beside(&config).await,
        Err(fault) => Err(fault.into()),
    }
}

/// The conversations with a message since then, or the one that is named.
async fn chosen(store: &dyn Store, args: &AnalyzeArgs) -> Result<Vec<Conversation>, Failure> {
    let mut chosen = match &args.conversation {
        None => store.conversations(&ConversationFilter::default()).await?,
        Some(key) => vec![store.conversation(key).await?.ok_or_else(|| {
            let sentence =
                format!("chatferry: there is no conversation {key}; `chatferry conversations list` shows all");
            Failure::said(sentence, exit::FAULTS)
        })?],
    };
    let since = args.since.unwrap_or(Timestamp::MIN);
    // Where the page shows no time, the last change stands in.
    chosen.retain(|one| one.last_message.is_some() && one.last_sent_at.unwrap_or(one.updated_at) >= since);
    Ok(chosen)
}

/// What is asked for.
struct Asking {
    model: String,
    version: String,
    chosen: Vec<Conversation>,
    json: bool,
}

/// What was there of a conversation, in the version that is asked for.
type Known = HashMap<ConversationKey, Analysis>;

impl Asking {
    /// With a pipeline of our own.
    async fn alone(&self, app: App) -> Result<(), Failure> {
        let signals = tokio::spawn(app.lifecycle.on_signals().map_err(AnyFault::from)?);
        let outcome = self.with_pipeline(&app).await;
        let drained = app.close().await;
        signals.abort();
        exit::of_stopped(&drained)?;
        outcome?;
        exit::of_drained(&drained)
    }

    async fn with_pipeline(&self, app: &App) -> Result<(), Failure> {
        let before = self.known(&*app.store).await?;
        let dead = app.bus.dead_letters().await?;
        let pipeline = app.start_pipeline(&Role::ALL, Duration::ZERO)?;
        ask_for_analyses(&*app.bus, &*app.clock, &self.chosen, &self.version).await?;
        let quiet = pipeline.drained(DEADLINE).await?;
        let after = self.known(&*app.store).await?;
        let waiting = match &quiet {
            Quiet::Yes => 0,
            Quiet::No { left, .. } => *left,
        };
        self.report(&before, &after, waiting);
        if let Quiet::No { stage, left, fault } = quiet {
            let why = fault.map_or_else(String::new, |fault| format!(" ({}) [{}]", fault.chain(), fault.code()));
            let sentence = format!(
                "chatferry: {left} events still wait at {}{why}; the next start goes on with them",
                stage.as_str()
            );
            return Err(Failure::said(sentence, exit::FAULTS));
        }
        let died = app.bus.dead_letters().await?.saturating_sub(dead);
        if died > 0 {
            let sentence = format!("chatferry: {died} of them became dead letters; `chatferry dead list` shows why");
            return Err(Failure::said(sentence, exit::FAULTS));
        }
        Ok(())
    }

    /// Beside a daemon in the same data directory, with which we share broker and database only.
    async fn beside(&self, config: &Config) -> Result<(), Failure> {
        let records = Records::open(config, &config.data_dir).await?;
        let events = Events::open(config, &config.data_dir).await?;
        let asked = ask_for_analyses(&*events.bus, &SystemClock, &self.chosen, &self.version).await;
        events.close().await;
        records.close().await;
        self.told_only(asked?, "asked for; the daemon that runs makes them", &json!({ "left_to": "daemon" }));
        Ok(())
    }

    /// The analyses that there are.
    async fn known(&self, store: &dyn Store) -> Result<Known, AnyFault> {
        let mut known = Known::new();
        for conversation in &self.chosen {
            if let Some(one) = store.latest_analysis(&conversation.key, &self.model, &self.version).await? {
                known.insert(conversation.key, one);
            }
        }
        Ok(known)
    }

    fn told_only(&self, count: u64, what: &str, more: &Value) {
        if self.json {
            let mut document = json!({ "asked": count, "prompt_version": self.version, "model": self.model });
            if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
                document.extend(more.clone());
            }
            out::json(&document);
        } else {
            out::line(&format!("{} analyses {what} (version {}, {})", out::number(count), self.version, self.model));
        }
    }

    fn report(&self, before: &Known, after: &Known, waiting: u64) {
        let mut used = Usage::default();
        let (mut rows, mut documents, mut made) = (Vec::new(), Vec::new(), 0);
        for conversation in &self.chosen {
            let analysis = after.get(&conversation.key);
            let is_new = analysis.is_some() && analysis != before.get(&conversation.key);
            let usage = analysis.filter(|_| is_new).map_or_else(Usage::default, |analysis| analysis.usage);
            used += usage;
            made += u64::from(is_new);
            let state = match analysis {
                None => "missing",
                Some(_) if is_new => "made",
                Some(_) => "was there",
            };
            documents.push(json!({
                "conversation": conversation.key, "messages": analysis.map(|one| one.messages), "state": state,
                "analysis": analysis.map(|one| one.id), "usage": usage,
            }));
            rows.push(vec![
                conversation.key.to_string(),
                out::printable(&conversation.title),
                analysis.map_or_else(|| "–".to_owned(), |one| out::number(one.messages)),
                state.to_owned(),
                out::number(usage.tokens()),
                money(usage.cost_micros),
                analysis.map(|one| out::printable(&one.verdict.summary)).unwrap_or_default(),
            ]);
        }
        if self.json {
            out::json(&json!({
                "asked": self.chosen.len(), "made": made, "waiting": waiting, "prompt_version": self.version,
                "model": self.model, "usage": used, "analyses": documents,
            }));
            return;
        }
        if !rows.is_empty() {
            let header = ["key", "person", "messages", "analysis", "tokens", "cost", "summary"];
            out::line(&out::table(&header, &[2, 4, 5], rows));
        }
        out::line(&format!(
            "{} of {} made (version {}, {}): {} tokens, cost {}",
            out::number(made),
            out::number(self.chosen.len() as u64),
            self.version,
            self.model,
            out::number(used.tokens()),
            money(used.cost_micros)
        ));
    }
}

/// Millionths as an amount, in the currency of the prices.
fn money(micros: u64) -> String {
    format!("{:.4}", micros as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_a_moment_or_an_age() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(parse_since("2026-11-01"), Ok(at("2026-11-01T00:00:00Z")));
        assert_eq!(parse_since("2026-11-01T08:00:00+02:00"), Ok(at("2026-11-01T06:00:00Z")));
        let week = Timestamp::now() - SignedDuration::from_hours(7 * 24);
        assert!(parse_since("7d").unwrap().duration_since(week).abs() < SignedDuration::from_mins(1));
        for bad in ["", "yesterday", "2026-13-01", "7"] {
            assert!(parse_since(bad).unwrap_err().starts_with("expected a day"), "{bad}");
        }
    }
}
