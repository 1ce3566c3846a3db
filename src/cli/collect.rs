//! `collect`: one full pass of every account, or of one; then everything drains and the command ends.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::{self, Failure};
use super::out;
use crate::app::{App, Role};
use crate::collect::{Account, PassSummary};
use crate::config::{Config, Sources};
use crate::consume::{Quiet, Stage};
use crate::domain::AccountId;
use crate::fault::{AnyFault, Class};
use crate::telemetry::ProgressSink;

/// The longest wait for the pipeline after the last pass.
const DRAIN_DEADLINE: Duration = Duration::from_secs(600);

/// Arguments of `collect`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// Only this account, SITE/LABEL
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// One full pass, drain the pipeline, exit (without it: as `run`, with this account alone if one is named)
    #[arg(long)]
    once: bool,
    /// One JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Collects.
///
/// # Errors
/// What ended an account's pass; the other accounts are collected all the same.
pub async fn run(args: CollectArgs, mut config: Config, sources: Sources) -> Result<(), Failure> {
    if let Some(id) = &args.account
        && !config.accounts.iter().any(|account| account.id == *id)
    {
        let known: Vec<String> = config.accounts.iter().map(|account| account.id.to_string()).collect();
        let known =
            if known.is_empty() { "none is configured".to_owned() } else { format!("there are: {}", known.join(", ")) };
        return Err(Failure::said(format!("chatferry: there is no account {id}; {known}"), exit::CONFIG));
    }
    if !args.once {
        config.accounts.retain(|account| args.account.as_ref().is_none_or(|id| account.id == *id));
        return super::run::run(super::run::RunArgs::default(), config, sources).await;
    }
    if config.accounts.is_empty() {
        let hint = "chatferry: no account is configured\n  what to do: set <SITE>_USERNAME and <SITE>_PASSWORD, for example in .env (see .env.example).";
        return Err(Failure::said(hint, exit::CONFIG));
    }
    let app = App::open(config).await?;
    let signals = tokio::spawn(app.lifecycle.on_signals().map_err(AnyFault::from)?);
    let outcome = once(&app, args.account.as_ref(), args.json).await;
    let drained = app.close().await;
    signals.abort();
    exit::of_stopped(&drained)?;
    outcome?;
    exit::of_drained(&drained)
}

/// One pass of one account, under its lease; a dry run takes none.
async fn one(app: &App, account: Arc<Account>) -> Result<PassSummary, AnyFault> {
    let id = account.id.clone();
    let pass = async |held| app.collector(account, held, ProgressSink::default()).once().await;
    if app.config.dry_run { pass(app.visit(&id).await?).await } else { app.tenure().once(&id, pass).await }
}

async fn once(app: &App, only: Option<&AccountId>, as_json: bool) -> Result<(), Failure> {
    let dry_run = app.config.dry_run;
    let (accounts, broken) = app.accounts(only);
    let mut faults = Vec::new();
    for (account, fault) in broken {
        if !dry_run {
            app.park(account.clone(), &fault).await?;
        }
        faults.push((account, fault));
    }
    let pipeline = if dry_run { None } else { Some(app.start_pipeline(&Role::ALL, Duration::ZERO)?) };
    let mut summaries = Vec::new();
    for account in accounts {
        let id = account.id.clone();
        match one(app, account).await {
            Ok(summary) => {
                if !as_json {
                    let found = summary.found;
                    out::line(&format!(
                        "{id}: {} conversations, {} new messages, {} changed, {} gaps, {:.1} s",
                        found.conversations,
                        found.new,
                        found.revised,
                        found.gaps,
                        summary.duration.as_secs_f64()
                    ));
                }
                summaries.push((id, summary));
            }
            Err(fault) => faults.push((id, fault)),
        }
    }
    let (mut left, mut parked) = (None, None);
    if let Some(pipeline) = &pipeline {
        match pipeline.drained(DRAIN_DEADLINE).await? {
            Quiet::Yes => {}
            Quiet::No { stage: Stage::Mirror, fault: Some(fault), .. } if fault.class() == Class::Permanent => {
                parked = Some(fault);
            }
            Quiet::No { stage, left: count, fault } => {
                let why = fault.map_or_else(String::new, |fault| format!(" ({})", fault.chain()));
                left = Some(format!(
                    "chatferry: {count} events still wait at {}{why}; the next start goes on with them",
                    stage.as_str()
                ));
            }
        }
    }
    let counts = app.store.counts(only).await?;
    if as_json {
        let accounts: Vec<_> = summaries
            .iter()
            .map(|(id, summary)| {
                let found = summary.found;
                json!({ "account": id, "conversations": found.conversations, "new_messages": found.new, "changed_messages": found.revised,
                        "gaps": found.gaps, "seconds": summary.duration.as_secs_f64() })
            })
            .collect();
        let told = |part: &str, whose: String, fault: &AnyFault| json!({ part: whose, "code": fault.code(), "sentence": fault.chain(), "action": fault.action().replace("<ID>", &whose) });
        let faults = faults.iter().map(|(account, fault)| told("account", account.to_string(), fault));
        let faults: Vec<_> =
            faults.chain(parked.iter().map(|fault| told("part", "mirror".to_owned(), fault))).collect();
        out::json(
            &json!({ "accounts": accounts, "faults": faults, "stored": counts, "dry_run": dry_run, "would_publish": app.spool.would_publish() }),
        );
    } else if dry_run {
        out::line(&format!(
            "dry run: {} events would be published, stored, analysed and mirrored; nothing was",
            app.spool.would_publish()
        ));
    } else {
        let mirrors: Vec<String> = app.places().iter().map(|place| format!("{}: {}", place.name, place.at)).collect();
        out::line(&format!(
            "stored: {} messages in {} conversations; {}",
            counts.messages,
            counts.conversations,
            mirrors.join("; ")
        ));
    }
    if let Some(sentence) = left {
        return Err(Failure::said(sentence, exit::FAULTS));
    }
    // Each in a sentence of its own; the first decides how the command ends.
    let parked = parked.map(|fault| {
        let told = format!("chatferry: {} [{}]\n  what to do: {}", fault.chain(), fault.code(), fault.action());
        Failure::said(told, exit::FAULTS)
    });
    let mut failures = faults.into_iter().map(|(account, fault)| Failure::of_account(fault, &account)).chain(parked);
    let first = failures.next();
    for other in failures {
        other.say();
    }
    first.map_or(Ok(()), Err)
}
