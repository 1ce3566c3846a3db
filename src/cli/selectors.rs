//! `selectors check | probe | record | test | diff | schema | docs | versions | rollback`: the operator's tools.
//!
//! | file | what it holds |
//! |---|---|
//! | `pages` | the live pages and saved ones, each opened and closed for one tool |
//! | `fixture` | a page with the rows that it must give, and how two readings differ |
//! | `recording`, `testing`, `comparing` | `record`, `test`, `diff` |

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

mod comparing;
mod fixture;
mod pages;
mod recording;
mod testing;

use super::exit::{self, Failure};
use super::{configured, out, packs};
use crate::config::{Config, Sources};
use crate::domain::{AccountId, SiteId};
use crate::fault::AnyFault;
use crate::ports::page::ProbeRow;
use crate::selectors::{Alternative, Library, LoadedPack, lint, reference, schema};

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
    /// Keep scrubbed copies of the site's pages, with the rows that the pack reads in them, as fixtures
    Record {
        /// A site or a file
        pack: String,
        /// Of this saved page instead of the live site; nothing is reachable then
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// As this account [default: the first of the site]
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// Folder for the fixtures [default: fixtures/SITE in the folder of packs]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Read the fixtures of packs, offline, and say every row and field that is not as expected
    Test {
        /// Sites or files; none: every pack that has fixtures
        packs: Vec<String>,
        /// Fixtures of the pack [default: fixtures/SITE in the folder of packs]
        #[arg(long, value_name = "DIR")]
        fixtures: Option<PathBuf>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Say what a new pack reads otherwise than an old one: rows gained, lost and changed
    Diff {
        /// The old pack: a site or a file
        old: String,
        /// The new pack: a site or a file
        new: String,
        /// On these fixtures [default: those of the old pack's site, if there are any, else the live site]
        #[arg(long, value_name = "DIR", conflicts_with = "page")]
        fixtures: Option<PathBuf>,
        /// On this saved page
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
        /// On the live site, as this account
        #[arg(long, value_name = "ID", conflicts_with_all = ["fixtures", "page"])]
        account: Option<AccountId>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// The JSON Schema that editors complete packs from
    Schema,
    /// The versions of a site's pack that a daemon used, the newest first
    Versions {
        /// The site
        site: SiteId,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Put a version that was in use back into the folder of packs; what is there is kept beside it
    Rollback {
        /// The site
        site: SiteId,
        /// The version, or its beginning [default: the last one in use that is not there now]
        hash: Option<String>,
    },
    /// The reference of the pack format, generated from its types
    Docs {
        /// Into this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
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
        SelectorsCommand::Versions { site, json } => packs::versions(&site, json, &configured(sources)?),
        SelectorsCommand::Rollback { site, hash } => packs::rollback(&site, hash.as_deref(), &configured(sources)?),
        SelectorsCommand::Check { packs, json } => check(&packs, json, &configured(sources)?),
        SelectorsCommand::Probe { pack, html, account, json } => {
            let config = configured(sources)?;
            let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
            let pack = library.load_named(&pack).map_err(AnyFault::from)?;
            let rows = match html {
                Some(file) => {
                    let html = pages::read(&file)?;
                    pages::saved(&config, &pack, &[html], async |page, _| page.probe().await).await?.swap_remove(0)
                }
                None => pages::live(config, pack.clone(), account, async |collector| collector.probe().await).await?,
            };
            report(&pack, &rows, json)
        }
        SelectorsCommand::Record { pack, html, account, out, json } => {
            recording::run(&pack, html.as_deref(), account, out, json, configured(sources)?).await
        }
        SelectorsCommand::Test { packs, fixtures, json } => {
            testing::run(&packs, fixtures, json, &configured(sources)?).await
        }
        SelectorsCommand::Diff { old, new, fixtures, page, account, json } => {
            let on = comparing::On { fixtures, page, account };
            comparing::run(&old, &new, on, json, configured(sources)?).await
        }
        SelectorsCommand::Docs { out: None } => {
            out::text(&reference::pack_reference());
            Ok(())
        }
        SelectorsCommand::Docs { out: Some(file) } => pages::write(&file, &reference::pack_reference()),
    }
}

fn check(packs: &[String], as_json: bool, config: &Config) -> Result<(), Failure> {
    let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
    let every = || {
        let misnamed = library.misnamed().iter().map(|path| path.display().to_string());
        library.sites().iter().map(ToString::to_string).chain(misnamed).collect()
    };
    let names: Vec<String> = if packs.is_empty() { every() } else { packs.to_vec() };
    let mut broken = 0;
    let mut documents = Vec::new();
    for name in names {
        let loaded = library.load_named(&name);
        if let Some(refused) = loaded.as_ref().ok().and_then(|pack| packs::refusal(config, pack)) {
            broken += 1;
            let on = refused.account.as_ref().map_or_else(String::new, |account| format!(" on the page of {account}"));
            if as_json {
                documents.push(json!({ "pack": name, "ok": false, "hash": refused.hash, "refused": refused }));
            } else {
                let (hash, reasons) = (&refused.hash, refused.reasons.join("; "));
                out::line(&format!("refused {name} (version {hash}): the daemon tried it{on}: {reasons}"));
            }
            continue;
        }
        match loaded {
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
