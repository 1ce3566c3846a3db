//! `selectors record`: scrubbed copies of pages, with the rows that the pack reads in the copies.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{fixture, pages};
use crate::cli::exit::{self, Failure};
use crate::cli::out;
use crate::collect::reading::read_page;
use crate::collect::record::{Recording, copy};
use crate::config::Config;
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::ports::page::ProbeRow;
use crate::selectors::Library;

/// Records the live pages, or one saved page.
///
/// # Errors
/// The pages can't be seen, the fixtures can't be written; a query that matches otherwise in a copy than in the
/// page is a fault, because such a fixture proves nothing.
pub async fn run(
    pack: &str,
    html: Option<&Path>,
    account: Option<AccountId>,
    folder: Option<PathBuf>,
    as_json: bool,
    config: Config,
) -> Result<(), Failure> {
    let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
    let pack = library.load_named(pack).map_err(AnyFault::from)?;
    let folder = folder.unwrap_or_else(|| fixture::folder_of(&config, &pack));
    let recordings = match html {
        Some(file) => {
            let html = [pages::read(file)?];
            pages::saved(&config, &pack, &html, async |page, _| copy(page, &pack.pack, "page").await).await?
        }
        None => pages::live(config.clone(), pack.clone(), account, async |collector| collector.record().await).await?,
    };
    let copies: Vec<String> = recordings.iter().map(|recording| recording.html.clone()).collect();
    let read = pages::saved(&config, &pack, &copies, async |page, _| {
        Ok((fixture::document(&read_page(page, &pack.pack).await?), page.probe().await?))
    })
    .await?;
    let mut documents = Vec::new();
    let mut lost = Vec::new();
    for (recording, (expected, probe)) in recordings.iter().zip(read) {
        let place = folder.join(&recording.name);
        fixture::save(&place, &recording.html, &expected)?;
        lost.extend(unlike(recording, &probe));
        let rows = |part: &str| expected[part]["rows"].as_array().map_or(0, Vec::len);
        let (list, thread) = (rows("list"), rows("thread"));
        if !as_json {
            out::line(&format!("recorded  {} ({list} conversations, {thread} rows)", place.display()));
        }
        documents.push(json!({ "folder": place, "conversations": list, "rows": thread }));
    }
    if as_json {
        out::json(&json!({ "pack": pack.name, "hash": pack.hash, "fixtures": documents, "unlike": lost }));
    }
    if lost.is_empty() {
        return Ok(());
    }
    let sentence = format!("chatferry: the copy is not like the page: {}", lost.join("; "));
    Err(if as_json { Failure::told(exit::FAULTS) } else { Failure::said(sentence, exit::FAULTS) })
}

/// The queries that match otherwise in the copy than in the page.
fn unlike(recording: &Recording, copy: &[ProbeRow]) -> Vec<String> {
    let in_copy = |key: &str| copy.iter().find(|row| row.key == key).map(|row| row.counts.as_slice());
    let pairs = recording.probe.iter().map(|row| (row, in_copy(&row.key).unwrap_or_default()));
    pairs
        .filter(|(row, counts)| row.counts != *counts)
        .map(|(row, counts)| {
            format!("{} in {} matches {counts:?} times instead of {:?}", row.key, recording.name, row.counts)
        })
        .collect()
}
