//! `selectors test`: every fixture of a pack read again, offline.

use std::path::PathBuf;

use serde_json::json;

use super::fixture::{self, Fixture, differences};
use super::pages;
use crate::cli::exit::{self, Failure};
use crate::cli::out;
use crate::collect::reading::read_page;
use crate::config::Config;
use crate::fault::AnyFault;
use crate::selectors::{Library, LoadedPack};

/// Tests packs.
///
/// # Errors
/// A row or field is not as expected; there is nothing to test.
pub async fn run(packs: &[String], folder: Option<PathBuf>, as_json: bool, config: &Config) -> Result<(), Failure> {
    let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
    let is_named = !packs.is_empty();
    let names =
        if is_named { packs.to_vec() } else { library.sites().iter().map(ToString::to_string).collect::<Vec<_>>() };
    let mut suites = Vec::new();
    for name in names {
        let pack = library.load_named(&name).map_err(AnyFault::from)?;
        let folder = folder.clone().unwrap_or_else(|| fixture::folder_of(config, &pack));
        let fixtures = fixture::load_all(&folder)?;
        if fixtures.is_empty() && is_named {
            let hint = format!(
                "chatferry: {} has no fixtures in {}\n  what to do: record some with `chatferry selectors record {name}`.",
                pack.name,
                folder.display()
            );
            return Err(Failure::said(hint, exit::FAULTS));
        }
        if !fixtures.is_empty() {
            suites.push((pack, fixtures));
        }
    }
    if suites.is_empty() {
        return Err(Failure::said("chatferry: no pack has fixtures, so nothing was tested", exit::FAULTS));
    }
    let mut documents = Vec::new();
    let mut failed = 0;
    for (pack, fixtures) in &suites {
        failed += test(pack, fixtures, as_json, &mut documents, config).await?;
    }
    if as_json {
        out::json(&documents);
    }
    if failed == 0 { Ok(()) } else { Err(Failure::told(exit::FAULTS)) }
}

/// Tests one pack; how many fixtures differ.
async fn test(
    pack: &LoadedPack,
    fixtures: &[Fixture],
    as_json: bool,
    documents: &mut Vec<serde_json::Value>,
    config: &Config,
) -> Result<usize, Failure> {
    let pages_of: Vec<String> = fixtures.iter().map(|fixture| fixture.html.clone()).collect();
    let read = pages::saved(config, pack, &pages_of, async |page, _| {
        Ok(fixture::document(&read_page(page, &pack.pack).await?))
    })
    .await?;
    let mut failed = 0;
    for (fixture, found) in fixtures.iter().zip(&read) {
        let differences = differences(&fixture.expected, found);
        failed += usize::from(!differences.is_empty());
        if as_json {
            let list: Vec<_> = differences.iter().map(|difference| difference.json(false)).collect();
            documents.push(json!({ "pack": pack.name, "hash": pack.hash, "fixture": fixture.name,
                "ok": differences.is_empty(), "differences": list }));
        } else {
            let word = if differences.is_empty() { "ok" } else { "differs" };
            out::line(&format!("{word:<9} {} on {}", pack.name, fixture.name));
            for difference in &differences {
                out::line(&format!("  {}", difference.line(false)));
            }
        }
    }
    Ok(failed)
}
