//! `selectors check | probe | schema`: the operator's tools.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::exit::{self, Failure};
use super::{configured, out};
use crate::app::{self, App};
use crate::config::{Config, Sources};
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::lifecycle::DataDir;
use crate::ports::page::{ProbeRow, SessionRequest};
use crate::selectors::{Alternative, Library, LoadedPack, lint, schema};
use crate::telemetry::{Counters, ProgressSink};

/// What to do with packs.
#[derive(Debug, Subcommand)]
pub enum SelectorsCommand {
    /// Read packs and say everything that is wrong with them, with file and line
    Check {
        /// Sites or files; none: every pack there is
        packs: Vec<String>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Try every query of a pack: how often each alternative matches, with a masked sample
    Probe {
        /// A site or a file
        pack: String,
        /// On this saved page instead of the live site; nothing is reachable then
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// As this account [default: the first of the site]
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// The JSON Schema that editors complete packs from
    Schema,
}

/// Runs the tool.
///
/// # Errors
/// Broken packs; a required query that matches nothing.
pub async fn run(command: SelectorsCommand, sources: Sources) -> Result<(), Failure> {
    match command {
        SelectorsCommand::Schema => {
            out::text(&schema::pack_schema());
            Ok(())
        }
        SelectorsCommand::Check { packs, json } => check(&packs, json, &configured(sources)?),
        SelectorsCommand::Probe { pack, html, account, json } => {
            let config = configured(sources)?;
            let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
            let pack = library.load_named(&pack).map_err(AnyFault::from)?;
            let rows = match html {
                Some(file) => probe_saved(&config, pack.clone(), &file).await?,
                None => probe_live(config, pack.clone(), account).await?,
            };
            report(&pack, &rows, json)
        }
    }
}

fn check(packs: &[String], as_json: bool, config: &Config) -> Result<(), Failure> {
    let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
    let names: Vec<String> =
        if packs.is_empty() { library.sites().iter().map(ToString::to_string).collect() } else { packs.to_vec() };
    let mut broken = 0;
    let mut documents = Vec::new();
    for name in names {
        match library.load_named(&name) {
            Ok(pack) if as_json => documents
                .push(json!({ "pack": pack.name, "ok": true, "hash": pack.hash, "verified": pack.pack.site.verified })),
            Ok(pack) => {
                let verified = if pack.pack.site.verified { "" } else { ", not verified on the real site" };
                out::line(&format!("ok      {} (version {}{verified})", pack.name, pack.hash));
            }
            Err(error) => {
                broken += 1;
                let sentence = AnyFault::from(error).chain();
                if as_json {
                    documents.push(json!({ "pack": name, "ok": false, "sentence": sentence }));
                } else {
                    out::line(&format!("broken  {sentence}"));
                }
            }
        }
    }
    if as_json {
        out::json(&documents);
    }
    if broken == 0 { Ok(()) } else { Err(Failure::told(exit::FAULTS)) }
}

async fn probe_live(
    mut config: Config,
    pack: LoadedPack,
    account: Option<AccountId>,
) -> Result<Vec<ProbeRow>, Failure> {
    let wanted = |id: &AccountId| *id.site() == pack.site && account.as_ref().is_none_or(|wanted| id == wanted);
    let Some(settings) = config.accounts.iter().find(|candidate| wanted(&candidate.id)).cloned() else {
        let prefix = pack.site.env_prefix();
        let hint = format!(
            "chatferry: no account of {} is configured, so its live page can't be seen\n  what to do: set {prefix}_USERNAME and {prefix}_PASSWORD, or probe a saved page with --html FILE.",
            pack.site
        );
        return Err(Failure::said(hint, exit::CONFIG));
    };
    config.dry_run = true;
    let app = App::open(config).await?;
    let outcome = async {
        let account = app.account_with(&settings, pack)?;
        let held = app.visit(&account.id).await?;
        app.collector(Arc::new(account), held, ProgressSink::default()).probe().await
    }
    .await;
    app.close().await;
    Ok(outcome?)
}

async fn probe_saved(config: &Config, pack: LoadedPack, file: &std::path::Path) -> Result<Vec<ProbeRow>, Failure> {
    let html = std::fs::read_to_string(file).map_err(|error| {
        Failure::said(format!("chatferry: the saved page {} can't be read: {error}", file.display()), exit::CONFIG)
    })?;
    let data_dir = DataDir::open(&config.data_dir).map_err(AnyFault::from)?;
    let account = AccountId::new(pack.site.clone(), "saved-page")
        .map_err(|error| Failure::said(error.to_string(), exit::INTERNAL))?;
    let chromium = app::chromium(config, data_dir.path(), Arc::new(Counters::default()));
    let base_url = app::base_url_of(&pack.pack.site.base_url, &pack.name).map_err(AnyFault::from)?;
    let page = chromium
        .open_offline(SessionRequest { account, pack: Arc::new(pack), base_url, session: None, scratch: true })
        .await?;
    let outcome = match page.show_html(&html).await {
        Ok(()) => page.probe().await,
        Err(fault) => Err(fault),
    };
    page.close().await;
    Ok(outcome?)
}

/// Prints what matched. Required queries that match nothing are faults: on a live site of all pages
/// seen; a saved page may show one part only, and says so by what it lacks.
fn report(pack: &LoadedPack, rows: &[ProbeRow], as_json: bool) -> Result<(), Failure> {
    let queries = lint::queries(&pack.pack);
    let alternatives = |key: &str| {
        queries
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, query)| query.alternatives.as_slice())
            .unwrap_or_default()
    };
    let is_missing = |row: &ProbeRow| is_vital(&row.key) && row.counts.iter().all(|count| *count == 0);
    let missing: Vec<&str> = rows.iter().filter(|row| is_missing(row)).map(|row| row.key.as_str()).collect();
    let invalid: Vec<&str> = rows.iter().filter(|row| !row.errors.is_empty()).map(|row| row.key.as_str()).collect();
    if as_json {
        let list: Vec<_> = rows
            .iter()
            .map(|row| {
                let matched = row.counts.iter().position(|count| *count > 0);
                json!({ "query": row.key, "counts": row.counts, "matched": matched, "errors": row.errors, "sample": row.sample.as_ref().map(|sample| sample.masked(60)) })
            })
            .collect();
        out::json(&json!({ "pack": pack.name, "hash": pack.hash, "queries": list, "missing": missing }));
    } else {
        let table = rows.iter().flat_map(|row| describe(row, alternatives(&row.key))).collect();
        out::line(&out::table(&["query", "alternative", "matches", "sample (masked)"], &[2], table));
    }
    if missing.is_empty() && invalid.is_empty() {
        return Ok(());
    }
    if !as_json {
        if !missing.is_empty() {
            out::error(&format!(
                "chatferry: {} matched nothing\n  what to do: {}",
                missing.join(", "),
                crate::fault::Code::LayoutBroken.action()
            ));
        }
        if !invalid.is_empty() {
            out::error(&format!("chatferry: {} can't be used as written", invalid.join(", ")));
        }
    }
    Err(Failure::told(exit::FAULTS))
}

/// A line for each alternative of a query; the one that is used is marked.
fn describe(row: &ProbeRow, alternatives: &[Alternative]) -> Vec<Vec<String>> {
    let used = row.counts.iter().position(|count| *count > 0);
    alternatives
        .iter()
        .enumerate()
        .map(|(index, alternative)| {
            let is_used = used == Some(index);
            let key = if index == 0 { row.key.clone() } else { String::new() };
            let mark = if is_used { "▸ " } else { "  " };
            let count = row
                .errors
                .get(&index)
                .cloned()
                .unwrap_or_else(|| row.counts.get(index).map(ToString::to_string).unwrap_or_default());
            let sample = row.sample.as_ref().filter(|_| is_used).map(|sample| sample.masked(40)).unwrap_or_default();
            vec![key, format!("{mark}{}", alternative.describe()), count, sample]
        })
        .collect()
}

/// The queries without which nothing can be collected.
fn is_vital(key: &str) -> bool {
    matches!(
        key,
        "pages.list.positive"
            | "pages.thread.positive"
            | "conversations.row"
            | "conversations.id"
            | "conversations.title"
            | "conversations.opened.at"
            | "messages.row"
            | "messages.text"
    )
}
