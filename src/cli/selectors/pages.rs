//! Pages for the operator's tools: the live site's, and saved ones without any network.

use std::path::Path;
use std::sync::Arc;

use crate::app::{self, App};
use crate::cli::exit::{self, Failure};
use crate::collect::Collector;
use crate::config::Config;
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::lifecycle::DataDir;
use crate::ports::page::{SessionRequest, SitePage};
use crate::selectors::LoadedPack;
use crate::telemetry::{Counters, ProgressSink};

/// Reads a file of the operator's.
///
/// # Errors
/// It can't be read.
pub fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::said(format!("chatferry: {} can't be read: {error}", file.display()), exit::CONFIG))
}

/// Writes a file, and the folders above it.
///
/// # Errors
/// It can't be written.
pub fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, text)).map_err(|error| {
        Failure::said(format!("chatferry: {} can't be written: {error}", file.display()), exit::CONFIG)
    })
}

/// Works with a collector of the live site that keeps nothing.
///
/// # Errors
/// No account of the site is configured; another process holds it; those of the work.
pub async fn live<T>(
    mut config: Config,
    pack: LoadedPack,
    account: Option<AccountId>,
    work: impl AsyncFnOnce(&Collector) -> Result<T, AnyFault>,
) -> Result<T, Failure> {
    let wanted = |id: &AccountId| *id.site() == pack.site && account.as_ref().is_none_or(|wanted| id == wanted);
    let Some(settings) = config.accounts.iter().find(|candidate| wanted(&candidate.id)).cloned() else {
        let prefix = pack.site.env_prefix();
        let hint = format!(
            "chatferry: no account of {} is configured, so its live page can't be seen\n  what to do: set {prefix}_USERNAME and {prefix}_PASSWORD, or name a saved page.",
            pack.site
        );
        return Err(Failure::said(hint, exit::CONFIG));
    };
    config.dry_run = true;
    let app = App::open(config).await?;
    let outcome = async {
        let account = app.account_with(&settings, pack)?;
        let held = app.visit(&account.id).await?;
        work(&app.collector(Arc::new(account), held, ProgressSink::default())).await
    }
    .await;
    app.close().await;
    Ok(outcome?)
}

/// Shows saved pages one after the other, with no network and no script, and does the same work on each;
/// the work gets the page's number too.
///
/// # Errors
/// The browser does not start; those of the work.
pub async fn saved<T>(
    config: &Config,
    pack: &LoadedPack,
    pages: &[String],
    work: impl AsyncFn(&dyn SitePage, usize) -> Result<T, AnyFault>,
) -> Result<Vec<T>, Failure> {
    let data_dir = DataDir::open(&config.data_dir).map_err(AnyFault::from)?;
    let account = AccountId::new(pack.site.clone(), "saved-page")
        .map_err(|error| Failure::said(error.to_string(), exit::INTERNAL))?;
    let chromium = app::chromium(config, data_dir.path(), Arc::new(Counters::default()));
    let base_url = app::base_url_of(&pack.pack.site.base_url, &pack.name).map_err(AnyFault::from)?;
    let request = SessionRequest { account, pack: Arc::new(pack.clone()), base_url, session: None, scratch: true };
    let page = chromium.open_offline(request).await?;
    let outcome = async {
        let mut results = Vec::with_capacity(pages.len());
        for (index, html) in pages.iter().enumerate() {
            page.show_html(html).await?;
            results.push(work(page.as_ref(), index).await?);
        }
        Ok::<_, AnyFault>(results)
    }
    .await;
    page.close().await;
    Ok(outcome?)
}
