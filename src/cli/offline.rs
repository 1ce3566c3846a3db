//! Orders while no daemon runs: what can be noted so that the next start finds it.

use jiff::{SignedDuration, Timestamp};

use super::exit::{self, Failure};
use crate::app::Records;
use crate::collect::{CollectError, Spool, orders::nearest};
use crate::config::Config;
use crate::domain::{AccountId, AccountState, AccountStatus};
use crate::fault::{AnyFault, Code};
use crate::lifecycle::DataDir;
use crate::web::control::Request;

/// Pauses or resumes an account for the next start; the sentence that says so.
///
/// # Errors
/// No daemon runs and the order needs one; the data directory is held; the account is unknown, or another
/// process collects it.
pub async fn obey(config: &Config, request: &Request) -> Result<String, Failure> {
    let (name, pauses) = match request {
        Request::Pause { account } => (account, true),
        Request::Resume { account } => (account, false),
        Request::Recollect { .. } | Request::Answer { .. } | Request::Status => return Err(nobody(config)),
    };
    let account = find(config, name)?;
    if !config.data_dir.exists() && config.mongodb.is_none() {
        return Err(nobody(config));
    }
    // Held, and nobody listens: `collect --once`, or a daemon of another version.
    let folder = DataDir::open(&config.data_dir).map_err(AnyFault::from)?;
    let records = Records::open(config, folder.path()).await?;
    let outcome = note(&records, &folder, &account, pauses).await;
    records.close().await;
    Ok(outcome?)
}

async fn note(records: &Records, folder: &DataDir, account: &AccountId, pauses: bool) -> Result<String, AnyFault> {
    let identity = folder.identity()?;
    if let Some(lease) = records.leases.holder(account).await?.filter(|lease| lease.owner != identity) {
        return Err(CollectError::HeldElsewhere { account: account.to_string(), holder: lease.owner }.into());
    }
    let known = records.store.accounts().await?.into_iter().find(|status| status.account == *account);
    let is_paused = known.as_ref().is_some_and(AccountStatus::is_paused);
    let waits = is_paused || known.as_ref().is_some_and(|status| status.state == AccountState::Parked);
    if pauses && is_paused {
        return Ok(format!("{account} is paused already."));
    }
    if !pauses && !waits {
        return Ok(format!("There is nothing to resume: {account} starts with the next start of chatferry."));
    }
    let forgets = !pauses && known.as_ref().and_then(|status| status.code) == Some(Code::LoginBudget);
    if forgets {
        let spool = Spool::open(folder.path(), false)?;
        spool.forget_logins(account).await?;
        spool.close().await;
    }
    let now = Timestamp::now();
    let (code, sentence) = if pauses {
        (Code::Paused, "A person has paused the account.")
    } else {
        (Code::Stopped, "A person has resumed the account; it starts with the next start of chatferry.")
    };
    let status = AccountStatus {
        account: account.clone(),
        state: AccountState::Stopped,
        since: known.as_ref().map_or(now, |status| now.max(status.since)),
        code: Some(code),
        sentence: sentence.to_owned(),
        action: pauses.then(|| code.action().replace("<ID>", &account.to_string())),
        expires_at: now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now),
        last_pass_at: known.and_then(|status| status.last_pass_at),
    };
    records.store.save_account(&status, None).await?;
    Ok(if pauses {
        format!(
            "No daemon runs here. {account} stays paused with the next start, until `chatferry accounts resume {account}`."
        )
    } else if forgets {
        format!("No daemon runs here. {account} starts with the next start; its earlier logins count no more.")
    } else {
        format!("No daemon runs here. {account} starts with the next start; a login counts against its budget.")
    })
}

fn find(config: &Config, name: &str) -> Result<AccountId, Failure> {
    let known: Vec<AccountId> = config.accounts.iter().map(|account| account.id.clone()).collect();
    if let Some(id) = known.iter().find(|id| id.to_string() == name) {
        return Ok(id.clone());
    }
    let hint = nearest(name, &known).map_or_else(String::new, |id| format!("; did you mean {id}?"));
    let code = Code::AccountUnknown;
    let told = format!("chatferry: there is no account {name}{hint} [{code}]\n  what to do: {}", code.action());
    Err(Failure::said(told, exit::of_code(code)))
}

fn nobody(config: &Config) -> Failure {
    Failure::said(
        format!(
            "chatferry: no daemon runs in {}\n  what to do: start it (`chatferry run`), or name its data directory with --data-dir.",
            config.data_dir.display()
        ),
        exit::FAULTS,
    )
}
