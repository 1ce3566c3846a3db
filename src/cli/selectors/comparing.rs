//! `selectors diff`: two packs on the same pages.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::fixture::{self, differences};
use super::pages;
use crate::cli::exit::Failure;
use crate::cli::out;
use crate::collect::reading::read_page;
use crate::config::Config;
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::selectors::{Library, LoadedPack};

/// Which pages to compare on.
#[derive(Debug)]
pub struct On {
    /// Fixtures.
    pub fixtures: Option<PathBuf>,
    /// A saved page.
    pub page: Option<PathBuf>,
    /// The live site.
    pub account: Option<AccountId>,
}

/// Says what the new pack reads otherwise. That it does is what one wants to see, and no fault.
///
/// # Errors
/// A pack or a page can't be read.
pub async fn run(old: &str, new: &str, on: On, as_json: bool, config: Config) -> Result<(), Failure> {
    let library = Library::open(&config.selectors_dir).map_err(AnyFault::from)?;
    let load = |name: &str| library.load_named(name).map_err(AnyFault::from);
    let (old, new) = (load(old)?, load(new)?);
    let (names, before, after) = both(&old, &new, on, config).await?;
    let mut documents = Vec::new();
    for ((name, before), after) in names.iter().zip(&before).zip(&after) {
        let found = differences(before, after);
        let count = |kind: &str| found.iter().filter(|difference| difference.kind == kind).count();
        let (lost, gained, changed) = (count("missing"), count("unexpected"), count("changed"));
        if as_json {
            let list: Vec<_> = found.iter().map(|difference| difference.json(true)).collect();
            documents
                .push(json!({ "page": name, "gained": gained, "lost": lost, "changed": changed, "differences": list }));
        } else {
            out::line(&format!("{name}: {gained} rows gained, {lost} lost, {changed} fields changed"));
            for difference in &found {
                let line = difference.line(true).replacen("missing   ", "lost      ", 1);
                out::line(&format!("  {}", line.replacen("unexpected", "gained    ", 1)));
            }
        }
    }
    if as_json {
        out::json(&json!({ "old": old.name, "new": new.name, "pages": documents }));
    }
    Ok(())
}

/// The names of the pages, and what each pack reads on them.
async fn both(
    old: &LoadedPack,
    new: &LoadedPack,
    on: On,
    config: Config,
) -> Result<(Vec<String>, Vec<Value>, Vec<Value>), Failure> {
    let (names, html) = match (&on.page, &on.account) {
        (Some(file), _) => (vec![file.display().to_string()], vec![pages::read(file)?]),
        (None, None) => {
            let folder = on.fixtures.clone().unwrap_or_else(|| fixture::folder_of(&config, old));
            fixture::load_all(&folder)?.into_iter().map(|fixture| (fixture.name, fixture.html)).unzip()
        }
        (None, Some(_)) => (Vec::new(), Vec::new()),
    };
    if !html.is_empty() || on.fixtures.is_some() {
        let before = read(&config, old, &html).await?;
        return Ok((names, before, read(&config, new, &html).await?));
    }
    // Copies of the live pages, made with the words of both packs, so that neither misses what it looks for.
    let copied = pages::live(config.clone(), old.clone(), on.account.clone(), async |collector| {
        collector.record_for(&[&new.pack]).await
    })
    .await?;
    let (names, html): (Vec<_>, Vec<_>) = copied.into_iter().map(|copy| (copy.name, copy.html)).unzip();
    let before = read(&config, old, &html).await?;
    Ok((names, before, read(&config, new, &html).await?))
}

async fn read(config: &Config, pack: &LoadedPack, html: &[String]) -> Result<Vec<Value>, Failure> {
    let work =
        async |page: &dyn crate::ports::page::SitePage, _| Ok(fixture::document(&read_page(page, &pack.pack).await?));
    pages::saved(config, pack, html, work).await
}
