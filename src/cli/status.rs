//! `status`: how everything is, asked of the daemon; the exit code says whether somebody must look.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::control::ask;
use super::exit::{FAULTS, Failure};
use super::out;
use crate::app;
use crate::config::Config;
use crate::web::control::{AccountReport, Reply, Request, StatusReport};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Tells how everything is. Ends with 0 only if a daemon runs and no account needs anybody.
///
/// # Errors
/// 1 if an account is parked, stale, fails for long, or has stopped reporting; or if no daemon runs.
pub async fn run(args: &StatusArgs, config: &Config) -> Result<(), Failure> {
    let Some(reply) = ask(&config.data_dir, &Request::Status).await? else {
        return nobody(args, config).await;
    };
    let Reply::Status(report) = reply else {
        return Err(Failure::said("chatferry: the daemon answered something else", FAULTS));
    };
    let is_well = report.is_well();
    if args.json {
        let mut document = serde_json::to_value(&report).unwrap_or_default();
        document["running"] = true.into();
        document["well"] = is_well.into();
        out::json(&document);
    } else {
        told(&report);
    }
    if is_well { Ok(()) } else { Err(Failure::told(FAULTS)) }
}

fn told(report: &StatusReport) {
    let StatusReport {
        version, started_at, accounts, unheard, open_gaps, dead_letters, waiting_in_spool, causes, ..
    } = report;
    out::line(&format!("chatferry {version} runs since {} UTC", out::time(Some(*started_at))));
    match accounts {
        Some(accounts) if accounts.is_empty() && unheard.is_empty() => out::line("no accounts"),
        Some(accounts) => out::line(&table(accounts)),
        None => out::line("the store does not say how the accounts are"),
    }
    for account in unheard {
        out::line(&format!("{account} has not reported yet"));
    }
    let number = |number: &Option<u64>| number.map_or_else(|| "?".to_owned(), out::number);
    out::line(&format!(
        "open gaps: {} · dead letters: {} · waiting in the spool: {}",
        number(open_gaps),
        number(dead_letters),
        number(waiting_in_spool)
    ));
    for cause in causes {
        out::line(&format!("! {cause}"));
    }
}

/// Without a daemon nothing is collected: what is known is how it was.
async fn nobody(args: &StatusArgs, config: &Config) -> Result<(), Failure> {
    let now = Timestamp::now();
    let known = match app::open_store(config).await {
        Ok(store) => store.accounts().await.ok(),
        Err(_) => None,
    };
    let accounts: Vec<AccountReport> =
        known.into_iter().flatten().map(|status| AccountReport::new(status, now)).collect();
    // The last that any account was heard of, as far as its state says.
    let last = accounts.iter().map(|one| one.status.since.max(one.status.last_pass_at.unwrap_or(Timestamp::MIN))).max();
    if args.json {
        out::json(&json!({ "running": false, "well": false, "last_known_at": last, "accounts": accounts }));
    } else if !accounts.is_empty() {
        out::line(&table(&accounts));
    }
    let since =
        last.map_or_else(String::new, |at| format!("; the last that is known is of {} UTC", out::time(Some(at))));
    Err(Failure::said(
        format!(
            "chatferry: no daemon runs in {}{since}\n  what to do: start it (`chatferry run`), or name its data directory with --data-dir.",
            config.data_dir.display()
        ),
        FAULTS,
    ))
}

fn table(accounts: &[AccountReport]) -> String {
    let rows = accounts
        .iter()
        .map(|AccountReport { status, trouble, .. }| {
            vec![
                status.account.to_string(),
                trouble.map_or_else(
                    || status.state.as_str().to_owned(),
                    |it| format!("{} ({})", status.state.as_str(), it.as_str()),
                ),
                status.code.map(|code| code.to_string()).unwrap_or_default(),
                out::time(Some(status.since)),
                out::time(status.last_pass_at),
                status.sentence.clone(),
                status.action.clone().unwrap_or_default(),
            ]
        })
        .collect();
    out::table(&["account", "state", "code", "since (UTC)", "last pass (UTC)", "what", "what to do"], &[], rows)
}
