//! `run`: the daemon.

use std::time::Duration;

use clap::Args;

use super::exit::{self, Failure};
use crate::app::{App, VERSION};
use crate::config::Config;
use crate::telemetry::occurrences::{ProgramStarted, ProgramStopping};
use crate::telemetry::{Occurrence, ProgressSink};

/// Shortest time between two writes of the workbook.
const MIRROR_EVERY: Duration = Duration::from_secs(5);

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {}

/// Runs until a signal, or until a fault that stops the process.
///
/// # Errors
/// What keeps the daemon from starting; late tasks at its end.
pub async fn run(_: RunArgs, config: Config) -> Result<(), Failure> {
    if config.dry_run {
        return Err(Failure::said(
            "chatferry: the daemon has no dry run\n  what to do: use `chatferry --dry-run collect --once`.",
            exit::CONFIG,
        ));
    }
    let app = App::open(config).await?;
    let counters = app.counters.clone();
    ProgramStarted { version: VERSION }.emit(&counters);
    let accounts = app.accounts(None)?;
    let signals = app.lifecycle.on_signals().map_err(crate::fault::AnyFault::from)?;
    let signals = tokio::spawn(signals);
    app.start_web().await?;
    let _pipeline = app.start_pipeline(MIRROR_EVERY);
    if accounts.is_empty() {
        tracing::warn!("no account is configured: nothing will be collected");
    }
    for account in accounts {
        let name = format!("collect {}", account.id);
        let collector = app.collector(account, ProgressSink::default());
        app.lifecycle.spawn(name, async move { collector.run().await });
    }
    app.lifecycle.soft.cancelled().await;
    ProgramStopping { cause: "stop" }.emit(&counters);
    let drained = app.close().await;
    signals.abort();
    exit::of_drained(&drained)
}
