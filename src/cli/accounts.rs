//! `accounts list`: every account and where it stood last.

use clap::Subcommand;
use serde_json::json;

use super::exit::Failure;
use super::out;
use crate::app;
use crate::config::Config;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Every account, its state, and what to do about it
    List {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Lists the accounts.
///
/// # Errors
/// The store can't be read.
pub async fn run(command: &AccountsCommand, config: &Config) -> Result<(), Failure> {
    let AccountsCommand::List { json: as_json } = command;
    // Before the first run there is no store, and every account is simply new.
    let known = match app::open_store(config).await {
        Ok(store) => store.accounts().await?,
        Err(_) if config.mongodb.is_none() && !config.data_dir.exists() => Vec::new(),
        Err(fault) => return Err(fault.into()),
    };
    let status_of = |id: &crate::domain::AccountId| known.iter().find(|status| status.account == *id);
    if *as_json {
        let list: Vec<_> = config
            .accounts
            .iter()
            .map(|account| json!({ "account": account.id, "paused": account.paused, "status": status_of(&account.id) }))
            .collect();
        out::json(&list);
        return Ok(());
    }
    let rows = config
        .accounts
        .iter()
        .map(|account| {
            let status = status_of(&account.id);
            vec![
                account.id.to_string(),
                if account.paused {
                    "paused".to_owned()
                } else {
                    status.map_or("new", |status| status.state.as_str()).to_owned()
                },
                out::time(status.map(|status| status.since)),
                out::time(status.and_then(|status| status.last_pass_at)),
                status.map(|status| status.sentence.clone()).unwrap_or_default(),
                status.and_then(|status| status.action.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    out::line(&out::table(&["account", "state", "since (UTC)", "last pass (UTC)", "what", "what to do"], &[], rows));
    Ok(())
}
