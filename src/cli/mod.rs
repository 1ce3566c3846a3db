//! The command line: one file per command, each with its arguments and one function that runs it.
//!
//! Results go to stdout, logs to stderr. What a command could not do it says in one sentence, with what
//! to do about it, and in its exit code ([`exit`]).

pub mod accounts;
pub mod analyze;
pub mod collect;
pub mod config;
mod control;
pub mod conversations;
pub mod data;
pub mod dead;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod mirror;
mod offline;
pub mod out;
mod packs;
pub mod reload;
pub mod run;
pub mod selectors;
pub mod status;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::app;
use crate::config::{Config, Flags, LogFormat as ConfigLogFormat, Sources};
use crate::fault::AnyFault;
use crate::telemetry::{LogFormat, LogSettings, TelemetryError, logs, panics};
pub use exit::Failure;

/// Pulls chats out of web sites that offer no export, with your own account.
#[derive(Debug, Parser)]
#[command(name = "chatferry", version, about, max_term_width = 100)]
pub struct Cli {
    /// Settings file [default: ./chatferry.toml, then ~/.config/chatferry/chatferry.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept [default: ~/.local/share/chatferry]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How log lines look
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormatArg>,
    /// Read only: publish, store, analyse and write nothing, and say what would be done
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormatArg {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: collect, archive, analyse, mirror, and the status page
    Run(run::RunArgs),
    /// Collect from the sites
    Collect(collect::CollectArgs),
    /// Analyse stored history again, in another version of the question
    Analyze(analyze::AnalyzeArgs),
    /// Run the whole job against the bundled sample site
    Demo(demo::DemoArgs),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// How everything is; ends with 1 if somebody must look
    Status(status::StatusArgs),
    /// Look at the accounts, pause them, resume them, answer for them
    #[command(subcommand)]
    Accounts(accounts::AccountsCommand),
    /// Check and try selector packs
    #[command(subcommand)]
    Selectors(selectors::SelectorsCommand),
    /// Look at what is stored
    #[command(subcommand)]
    Conversations(conversations::ConversationsCommand),
    /// Look at dead letters, replay or drop them
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Compare the sheet or the workbook with the store, and mend it
    #[command(subcommand)]
    Mirror(mirror::MirrorCommand),
    /// Check every configured part the way it is used, and say what is wrong
    Doctor(doctor::DoctorArgs),
    /// Take the data out
    #[command(subcommand)]
    Data(data::DataCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// The effective settings and where each comes from, secrets masked
    Show {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Everything that is wrong with the settings
    Check {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// A .env file with every setting, to fill in
    EnvExample,
}

impl Cli {
    fn sources(&self) -> Sources {
        let log_format = self.log_format.map(|format| match format {
            LogFormatArg::Text => "text".to_owned(),
            LogFormatArg::Json => "json".to_owned(),
        });
        let (config, data_dir) = (self.config.clone(), self.data_dir.clone());
        Sources::from_process(Flags { config, data_dir, log_format, dry_run: self.dry_run })
    }

    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`]: the sentence for a human and the exit code.
    pub async fn run(self) -> Result<(), Failure> {
        let sources = self.sources();
        match self.command {
            Command::Config(command) => config_command(&command, sources),
            Command::Selectors(command) => selectors::run(command, sources).await,
            Command::Demo(args) => demo::run(args, sources).await,
            Command::Run(args) => run::run(args, configured(sources.clone())?, sources).await,
            Command::Collect(args) => collect::run(args, configured(sources.clone())?, sources).await,
            Command::Analyze(args) => analyze::run(args, configured(sources)?).await,
            Command::Accounts(command) => accounts::run(command, &configured(sources)?).await,
            Command::Status(args) => status::run(&args, &configured(sources)?).await,
            Command::Conversations(command) => conversations::run(command, &configured(sources)?).await,
            Command::Dead(command) => dead::run(command, &configured(sources)?).await,
            Command::Mirror(command) => mirror::run(command, &configured(sources)?).await,
            Command::Doctor(args) => doctor::run(&args, sources).await,
            Command::Data(command) => data::run(command, &configured(sources)?).await,
        }
    }
}

fn config_command(command: &ConfigCommand, sources: Sources) -> Result<(), Failure> {
    if matches!(command, ConfigCommand::EnvExample) {
        out::text(&crate::config::env_example());
        return Ok(());
    }
    match (command, app::load_config(sources)) {
        (ConfigCommand::Show { json }, Ok(settings)) => out::text(&config::render_show(&settings, *json)),
        (ConfigCommand::Check { json }, Ok(settings)) => out::text(&config::render_ok(&settings, *json)),
        (ConfigCommand::Check { json: true }, Err(problems)) => {
            out::text(&config::render_problems_json(&problems));
            return Err(Failure::told(exit::CONFIG));
        }
        (_, Err(problems)) => return Err(Failure::from(problems)),
        (ConfigCommand::EnvExample, Ok(_)) => {}
    }
    Ok(())
}

/// The settings, with logs turned on as they say and their warnings told.
///
/// # Errors
/// Everything that is wrong with them.
pub fn configured(sources: Sources) -> Result<Config, Failure> {
    let config = app::load_config(sources)?;
    init_logs(&config)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

/// Turns logs on. A second call in one process changes nothing.
fn init_logs(config: &Config) -> Result<(), Failure> {
    match logs::init(&log_settings(config)) {
        // Logs are on already.
        Ok(()) | Err(TelemetryError::AlreadyOn) => {}
        Err(unusable) => return Err(AnyFault::from(unusable).into()),
    }
    panics::install();
    Ok(())
}

/// The settings of logs.
fn log_settings(config: &Config) -> LogSettings {
    let format = match config.log.format {
        ConfigLogFormat::Text => LogFormat::Text,
        ConfigLogFormat::Json => LogFormat::Json,
    };
    let levels = &config.log.levels;
    LogSettings {
        level: levels.level,
        targets: levels.targets.clone(),
        format,
        colour: config.log.colour,
        folder: config.log.folder.clone(),
    }
}
