//! `accounts`: every account and where it stood last, and what a person orders about one.

use std::io::Read;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use super::control::ask;
use super::exit::{self, Failure};
use super::{offline, out};
use crate::app;
use crate::config::Config;
use crate::domain::{AccountId, AccountStatus};
use crate::web::control::{Reply, Request};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Every account, its state, and what to do about it
    List {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Stop collecting an account, until it is resumed
    Pause {
        /// The account: site/label
        #[arg(value_name = "ID")]
        account: String,
    },
    /// Go on with an account that is paused, or that waits for you
    Resume {
        /// The account: site/label
        #[arg(value_name = "ID")]
        account: String,
    },
    /// Read every conversation of an account to its start once more
    Recollect {
        /// The account: site/label
        #[arg(value_name = "ID")]
        account: String,
        /// Only conversations that were active since then: 2026-11-01 (UTC) or 2026-11-01T08:00:00Z
        #[arg(long, value_name = "T", value_parser = moment)]
        since: Option<Timestamp>,
    },
    /// Give the one-time code that the site asks for
    Answer {
        /// The account: site/label
        #[arg(value_name = "ID")]
        account: String,
        /// The code; `-` reads it from stdin, so that no other program can see it
        code: String,
    },
}

/// A day, which begins at midnight UTC, or a point in time.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<jiff::civil::Date>().ok().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    day.map(|day| day.timestamp())
        .filter(|_| text.len() == "2026-11-01".len())
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "write 2026-11-01 or 2026-11-01T08:00:00Z".to_owned())
}

/// Runs the command.
///
/// # Errors
/// The store can't be read; the daemon does not take the order, or there is none.
pub async fn run(command: AccountsCommand, config: &Config) -> Result<(), Failure> {
    let request = match command {
        AccountsCommand::List { json } => return list(config, json).await,
        AccountsCommand::Pause { account } => Request::Pause { account },
        AccountsCommand::Resume { account } => Request::Resume { account },
        AccountsCommand::Recollect { account, since } => Request::Recollect { account, since },
        AccountsCommand::Answer { account, code } => Request::Answer { account, code: code_of(code)? },
    };
    match ask(&config.data_dir, &request).await? {
        Some(Reply::Done(sentence)) => out::line(&sentence),
        Some(Reply::Refused { code, sentence, action }) => {
            let told = format!("chatferry: {sentence} [{code}]\n  what to do: {action}");
            let exit = crate::fault::Code::parse(&code).map_or(exit::FAULTS, exit::of_code);
            return Err(Failure::said(told, exit));
        }
        Some(Reply::Status(_)) => {
            return Err(Failure::said("chatferry: the daemon answered something else", exit::FAULTS));
        }
        None => out::line(&offline::obey(config, &request).await?),
    }
    Ok(())
}

/// The code as it was given or read. It is not quoted in what is said about it.
fn code_of(given: String) -> Result<String, Failure> {
    let mut code = given;
    if code == "-" {
        code.clear();
        let read = std::io::stdin().take(256).read_to_string(&mut code);
        read.map_err(|_| Failure::said("chatferry: no code can be read from stdin", exit::FAULTS))?;
    }
    let code = code.trim();
    if code.is_empty() || code.len() > 64 || code.chars().any(char::is_control) {
        return Err(Failure::said("chatferry: a code has 1 to 64 characters in one line", 2));
    }
    Ok(code.to_owned())
}

async fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    // Before the first run there is no store, and every account is simply new.
    let known = match app::open_store(config).await {
        Ok(store) => store.accounts().await?,
        Err(_) if config.mongodb.is_none() && !config.data_dir.exists() => Vec::new(),
        Err(fault) => return Err(fault.into()),
    };
    let now = Timestamp::now();
    let status_of = |id: &AccountId| known.iter().find(|status| status.account == *id);
    if as_json {
        let list: Vec<_> = config
            .accounts
            .iter()
            .map(|account| {
                let status = status_of(&account.id);
                let is_old = status.is_some_and(|status| status.is_out_of_date(now));
                json!({ "account": account.id, "paused": account.paused, "status": status, "out_of_date": is_old })
            })
            .collect();
        out::json(&list);
        return Ok(());
    }
    if config.accounts.is_empty() {
        out::line("no accounts");
        return Ok(());
    }
    let rows = config
        .accounts
        .iter()
        .map(|account| {
            let status = status_of(&account.id);
            vec![
                account.id.to_string(),
                state(account.paused, status),
                status.and_then(|status| status.code).map(|code| code.to_string()).unwrap_or_default(),
                out::time(status.map(|status| status.since)),
                out::time(status.and_then(|status| status.last_pass_at)),
                status.map(|status| expiry(status, now)).unwrap_or_default(),
                status.map(|status| status.sentence.clone()).unwrap_or_default(),
                status.and_then(|status| status.action.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    let header =
        ["account", "state", "code", "since (UTC)", "last pass (UTC)", "good until (UTC)", "what", "what to do"];
    out::line(&out::table(&header, &[], rows));
    Ok(())
}

fn state(paused_in_settings: bool, status: Option<&AccountStatus>) -> String {
    match status {
        _ if paused_in_settings => "paused (settings)".to_owned(),
        Some(status) if status.is_paused() => "paused".to_owned(),
        Some(status) => status.state.as_str().to_owned(),
        None => "new".to_owned(),
    }
}

fn expiry(status: &AccountStatus, now: Timestamp) -> String {
    let until = out::time(Some(status.expires_at));
    if status.is_out_of_date(now) { format!("{until} (over)") } else { until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_and_nonsense_is_refused() {
        assert_eq!(moment("2026-11-01").unwrap(), "2026-11-01T00:00:00Z".parse().unwrap());
        assert_eq!(moment("2026-11-01T08:00:00+01:00").unwrap(), "2026-11-01T07:00:00Z".parse().unwrap());
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn a_code_is_trimmed_and_never_quoted() {
        assert_eq!(code_of(" 123 456 ".to_owned()).unwrap(), "123 456");
        for bad in ["", " ", "12\u{7}3", &"9".repeat(65)] {
            let told = format!("{:?}", code_of(bad.to_owned()).unwrap_err());
            assert!(told.contains("1 to 64") && !told.contains("999"), "{told}");
        }
    }
}
