//! `demo`: the whole job against the bundled sample site; on the embedded defaults, or on the servers that
//! the environment names.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::exit::{self, Failure};
use super::{configured, out};
use crate::app::{App, Role};
use crate::collect::Account;
use crate::config::{Config, MirrorSettings, Sources};
use crate::consume::{Pipeline, Quiet};
use crate::demo::{Site, SiteOptions};
use crate::domain::{AccountId, Conversation};
use crate::fault::AnyFault;
use crate::lifecycle::data_dir::LOCK;
use crate::lifecycle::{DataDir, LifecycleError};
use crate::ports::{self, Backlog, ConversationFilter};
use crate::telemetry::{Progress, ProgressSink};

/// The longest wait for the pipeline after the pass.
const DRAIN_DEADLINE: Duration = Duration::from_secs(300);
/// How often a message trickles in with `--serve`.
const LIVE_EVERY: Duration = Duration::from_secs(4);

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stay up, with live messages and the status page
    #[arg(long)]
    serve: bool,
    /// Conversations of the sample site
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(20..=500))]
    conversations: u32,
    /// Messages in all of them together
    #[arg(long, value_name = "N", default_value_t = 2400, value_parser = clap::value_parser!(u32).range(2000..=100_000))]
    messages: u32,
    /// Everything that is written on the site follows from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The last line on stdout is one JSON document
    #[arg(long)]
    json: bool,
}

/// Conversations and messages at one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Stage {
    conversations: u64,
    messages: u64,
}

/// What reached each stage.
#[derive(Debug, Serialize)]
struct Stages {
    site: Stage,
    collected: Stage,
    stored: Stage,
    analysed: Stage,
    mirrored: Stage,
}

impl Stages {
    const fn list(&self) -> [(&'static str, Stage); 5] {
        [
            ("site", self.site),
            ("collected", self.collected),
            ("stored", self.stored),
            ("analysed", self.analysed),
            ("mirrored", self.mirrored),
        ]
    }

    fn are_equal(&self) -> bool {
        self.list().iter().all(|(_, stage)| *stage == self.site)
    }
}

/// Runs the demo.
///
/// # Errors
/// What kept a part from working; counts that differ.
pub async fn run(args: DemoArgs, mut sources: Sources) -> Result<(), Failure> {
    if sources.flags.dry_run {
        return Err(Failure::said(
            "chatferry: the demo has no dry run\n  what to do: call it without --dry-run; it keeps to a folder of its own.",
            exit::CONFIG,
        ));
    }
    let begun = Instant::now();
    let options = SiteOptions {
        seed: args.seed,
        conversations: args.conversations,
        messages: args.messages,
        ..SiteOptions::default()
    };
    let mut site =
        Site::start(options).await.map_err(|error| Failure::said(format!("chatferry: {error}"), exit::FAULTS))?;
    settings_for(&site, &args, &mut sources);
    let mut config = configured(sources)?;
    config.accounts.retain(|account| account.id.site().as_str() == "demo");
    // Invented people don't belong into a sheet that somebody uses.
    config.mirror = MirrorSettings { sheet: None, workbook: true };
    if config.mongodb.is_some() {
        label(&mut config, &args)?;
    }
    config.data_dir = demo_dir(&config.data_dir, &args);
    if args.serve {
        begin_anew(&config.data_dir)?;
    }
    let app = App::open(config).await?;
    let signals = tokio::spawn(app.lifecycle.on_signals().map_err(AnyFault::from)?);
    if args.serve {
        let address = app.start_web().await?;
        out::error(&format!(
            "status page: http://{address}/   sample site: {} (user {}, password {})",
            site.base_url(),
            Site::username(),
            Site::password()
        ));
    }
    let outcome = collect(&app, &site, &args, begun).await;
    if args.serve
        && let Ok((account, pipeline)) = outcome
    {
        site.trickle(LIVE_EVERY);
        app.keep_collecting(account);
        out::line("live messages trickle in; press Ctrl-C to stop");
        app.lifecycle.soft.cancelled().await;
        drop(pipeline);
        let ended = finish(app, signals).await;
        site.stop().await;
        return ended;
    }
    let ended = finish(app, signals).await;
    site.stop().await;
    ended.and(outcome.map(drop))
}

async fn finish(app: App, signals: tokio::task::JoinHandle<()>) -> Result<(), Failure> {
    let drained = app.close().await;
    signals.abort();
    exit::of_drained(&drained)
}

/// Empties the folder of a live demo: what an earlier site said is not on the new one. Another demo
/// that still runs there keeps it.
fn begin_anew(folder: &Path) -> Result<(), Failure> {
    let held = DataDir::open(folder).map_err(AnyFault::from)?;
    let cleared = std::fs::read_dir(held.path()).and_then(|entries| {
        entries.flatten().filter(|entry| entry.file_name() != LOCK).try_for_each(|entry| match entry.path() {
            path if path.is_dir() => std::fs::remove_dir_all(path),
            path => std::fs::remove_file(path),
        })
    });
    cleared.map_err(|source| AnyFault::from(LifecycleError::DataDir { path: folder.to_owned(), source }).into())
}

/// The pass, the drain, and the report.
async fn collect(app: &App, site: &Site, args: &DemoArgs, begun: Instant) -> Result<(Arc<Account>, Pipeline), Failure> {
    let pipeline = app.start_pipeline(&Role::ALL, if args.serve { Duration::from_secs(2) } else { Duration::ZERO })?;
    let Some(account) = app.accounts(None).0.into_iter().next() else {
        return Err(Failure::said("chatferry: the demo's account is missing", exit::INTERNAL));
    };
    let display = Display::new();
    let pass = async |held| app.collector(account.clone(), held, display.sink()).once().await;
    let summary = app.tenure().once(&account.id, pass).await?;
    match pipeline.drained(DRAIN_DEADLINE).await? {
        Quiet::Yes => {}
        Quiet::No { stage, left, fault } => {
            let why = fault.map_or_else(String::new, |fault| format!(" ({})", fault.chain()));
            return Err(Failure::said(
                format!("chatferry: {left} events did not get past {}{why}", stage.as_str()),
                exit::FAULTS,
            ));
        }
    }
    display.finish();
    let truth = site.truth();
    let titles: std::collections::HashSet<&str> =
        truth.iter().map(|message| message.conversation_id.as_str()).collect();
    let own = ConversationFilter { account: Some(account.id.clone()), limit: None };
    let conversations = app.store.conversations(&own).await?;
    let counts = app.store.counts(Some(&account.id)).await?;
    let shown = app.store.mirrored(ports::WORKBOOK).await?;
    let mirrored = conversations.iter().filter(|conversation| shown.contains_key(&conversation.key));
    let stages = Stages {
        site: Stage { conversations: titles.len() as u64, messages: truth.len() as u64 },
        collected: Stage { conversations: summary.found.conversations, messages: app.spool.captured().await? },
        stored: Stage { conversations: counts.conversations, messages: counts.messages },
        analysed: Stage { conversations: counts.analysed_conversations, messages: counts.analysed_messages },
        mirrored: Stage {
            conversations: mirrored.clone().count() as u64,
            messages: mirrored.map(|conversation| conversation.messages).sum(),
        },
    };
    let seconds = begun.elapsed().as_secs_f64();
    print_report(app, &conversations, &stages, summary.found.new, seconds).await?;
    if args.json {
        let csv = app.workbook().with_extension("csv");
        out::json(
            &json!({ "counts": stages, "equal": stages.are_equal(), "new_messages": summary.found.new, "seconds": seconds,
                           "paths": { "workbook": app.workbook(), "csv": csv, "data_dir": app.config.data_dir } }),
        );
    }
    if stages.are_equal() {
        Ok((account, pipeline))
    } else {
        Err(Failure::said("chatferry: the counts of the stages differ; see the log above", exit::FAULTS))
    }
}

async fn print_report(
    app: &App,
    conversations: &[Conversation],
    stages: &Stages,
    new: u64,
    seconds: f64,
) -> Result<(), Failure> {
    let analyses = app.store.latest_analyses().await?;
    let rows = conversations
        .iter()
        .map(|c| {
            let analysis = analyses.get(&c.key);
            vec![
                out::printable(&c.title),
                out::number(c.messages),
                out::time(c.last_sent_at),
                analysis.map(|a| if a.verdict.needs_reply { "yes" } else { "no" }).unwrap_or_default().to_owned(),
                analysis.map(|a| out::printable(&a.verdict.summary)).unwrap_or_default(),
            ]
        })
        .collect();
    let model = app.config.ai.as_ref().map_or("extractive", |ai| ai.model.as_str());
    let summary = format!("summary ({model})");
    out::line(&out::table(&["person", "messages", "last (UTC)", "reply due", &summary], &[1], rows));
    let rows = stages
        .list()
        .map(|(name, stage)| vec![name.to_owned(), out::number(stage.conversations), out::number(stage.messages)]);
    out::line(&out::table(&["stage", "conversations", "messages"], &[1, 2], rows.to_vec()));
    let verdict = if stages.are_equal() { "every stage holds the same" } else { "THE STAGES DIFFER" };
    out::line(&format!("{verdict}; {} messages were new", out::number(new)));
    out::line(&format!("workbook: {}", app.workbook().display()));
    out::line(&format!("took {seconds:.1} s"));
    Ok(())
}

/// The demo's own settings: its account, a login budget for people who try it often, and a quiet log.
/// The owner's files are left alone.
fn settings_for(site: &Site, args: &DemoArgs, sources: &mut Sources) {
    sources.dotenv = None;
    sources.flags.config = None;
    sources.ignore_toml = true;
    let mut set = |name: &str, value: &str| sources.environment.insert(name.to_owned(), value.into());
    set("DEMO_USERNAME", Site::username());
    set("DEMO_PASSWORD", Site::password());
    set("DEMO_BASE_URL", &site.base_url());
    set("CHATFERRY_LOGIN_BUDGET", "100/30m");
    set("CHATFERRY_PASS_INTERVAL", "2s");
    set("CHATFERRY_ANALYSIS_QUIET", "3s");
    set("CHATFERRY_ANALYSIS_MAX_WAIT", "15s");
    if !sources.environment.contains_key("LOG_LEVEL") {
        sources.environment.insert("LOG_LEVEL".to_owned(), if args.serve { "info" } else { "warn" }.into());
    }
}

/// An account of its own for each shape of the site, and for each start of a live one: a store that outlives
/// the demo holds what earlier sites said.
fn label(config: &mut Config, args: &DemoArgs) -> Result<(), Failure> {
    let live = if args.serve { format!("-live-{}", jiff::Timestamp::now().as_second()) } else { String::new() };
    let label = format!("seed-{}-{}x{}{live}", args.seed, args.conversations, args.messages);
    for account in &mut config.accounts {
        account.id = AccountId::new(account.id.site().clone(), &label)
            .map_err(|error| Failure::said(format!("chatferry: {error}"), exit::INTERNAL))?;
    }
    Ok(())
}

/// A folder of its own for each shape of the site, so that runs of different sites don't mix.
fn demo_dir(data_dir: &Path, args: &DemoArgs) -> PathBuf {
    let live = if args.serve { "-live" } else { "" };
    data_dir.join(format!("demo-seed-{}-{}x{}{live}", args.seed, args.conversations, args.messages))
}

/// Progress for a person: a bar on a terminal, plain lines elsewhere.
struct Display {
    bar: Option<ProgressBar>,
    messages: Arc<Mutex<usize>>,
}

impl Display {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} conversations  {msg}");
        let bar = std::io::stderr()
            .is_terminal()
            .then(|| ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
        Self { bar, messages: Arc::default() }
    }

    fn sink(&self) -> ProgressSink {
        let (bar, messages) = (self.bar.clone(), self.messages.clone());
        ProgressSink::new(move |step| {
            let line = describe(&step, &messages);
            match &bar {
                Some(bar) => draw(bar, &step, line),
                None => out::error(&line),
            }
        })
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, step: &Progress, line: String) {
    match step {
        Progress::ListRead { conversations, .. } => bar.set_length(*conversations as u64),
        Progress::ConversationRead { index, .. } => bar.set_position(*index as u64),
        Progress::Started { .. } | Progress::LoggedIn { .. } | Progress::PassCompleted { .. } => {}
    }
    bar.set_message(line);
}

fn describe(step: &Progress, total_messages: &Mutex<usize>) -> String {
    match step {
        Progress::Started { account } => format!("{account}: starting Chromium"),
        Progress::LoggedIn { account } => format!("{account}: logged in"),
        Progress::ListRead { account, conversations } => format!("{account}: {conversations} conversations"),
        Progress::ConversationRead { index, total, title, messages, .. } => {
            let mut sum = total_messages.lock().unwrap_or_else(PoisonError::into_inner);
            *sum += messages;
            format!("[{index}/{total}] {}: {messages} messages, {} in all", out::printable(title), *sum)
        }
        Progress::PassCompleted { new_messages, duration, .. } => {
            format!("pass complete: {new_messages} new messages in {:.1} s", duration.as_secs_f64())
        }
    }
}
