//! `run`: the daemon.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::exit::{self, Failure};
use super::reload;
use crate::app::{App, Front, Role, VERSION};
use crate::config::{Config, Sources};
use crate::fault::{AnyFault, Code};
use crate::lifecycle::{Lifecycle, LifecycleError, service};
use crate::ports::Backlog;
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::{ProgramStarted, ProgramStopping, ServerAwaited};
use crate::telemetry::{Counters, Occurrence};

/// Shortest time between two writes of the workbook.
const MIRROR_EVERY: Duration = Duration::from_secs(5);

/// Waits for a server that is not there when the daemon starts.
const SERVERS: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(30));

/// Arguments of `run`.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// Only this share of the work, beside other processes, several with commas; needs RABBITMQ_URL and
    /// MONGODB_URI
    #[arg(long, value_name = "ROLE", value_delimiter = ',', value_parser = role())]
    role: Vec<Role>,
}

fn role() -> impl TypedValueParser<Value = Role> {
    let words = PossibleValuesParser::new(Role::ALL.map(Role::as_str));
    // Only these words come through.
    words.map(|word| Role::parse(&word).unwrap_or(Role::Web))
}

impl RunArgs {
    fn roles(&self) -> Vec<Role> {
        if self.role.is_empty() { Role::ALL.to_vec() } else { self.role.clone() }
    }
}

/// Runs until a signal, or until a fault that stops the process.
///
/// # Errors
/// What keeps the daemon from starting; late tasks at its end.
pub async fn run(args: RunArgs, config: Config, sources: Sources) -> Result<(), Failure> {
    if config.dry_run {
        return Err(Failure::said(
            "chatferry: the daemon has no dry run\n  what to do: use `chatferry --dry-run collect --once`.",
            exit::CONFIG,
        ));
    }
    let roles = args.roles();
    let has = |role| roles.contains(&role);
    if !Role::ALL.into_iter().all(has) && (config.rabbitmq.is_none() || config.mongodb.is_none()) {
        let left: Vec<&str> = Role::ALL.into_iter().filter(|role| !has(*role)).map(Role::as_str).collect();
        return Err(Failure::said(
            format!(
                "chatferry: nobody would do the rest of the work ({}): the embedded bus and store belong to one process\n  \
                 what to do: leave --role out, or set RABBITMQ_URL and MONGODB_URI.",
                left.join(", ")
            ),
            exit::CONFIG,
        ));
    }
    let lifecycle = Lifecycle::new();
    let signals = tokio::spawn(lifecycle.on_signals().map_err(AnyFault::from)?);
    // A fault of it is told only if there is none of the data directory: that another daemon runs there explains it.
    let front = Front::open(&config, &roles, &lifecycle).await;
    let Some((app, front)) = open_patiently(&lifecycle, config, front).await? else { return Ok(()) };
    let counters = app.counters.clone();
    let hangups = reload::on_hangup(sources, &app.config, counters.clone()).map_err(LifecycleError::Signals);
    let hangups = tokio::spawn(hangups.map_err(AnyFault::from)?);
    if let Err(failure) = begin(&app, &front, &roles).await {
        // Not just dropped: connections have tasks of their own, which outlive no runtime in peace.
        app.close().await;
        return Err(failure);
    }
    service::ready();
    let spool = app.spool.clone();
    let watchdog = tokio::spawn(service::feed_watchdog(move || {
        let spool = spool.clone();
        // Capture stands or falls with the spool: it answers, or we do not get on.
        async move { spool.pending().await.is_ok() }
    }));
    app.lifecycle.soft.cancelled().await;
    service::stopping();
    ProgramStopping { cause: "stop" }.emit(&counters);
    let drained = app.close().await;
    signals.abort();
    hangups.abort();
    watchdog.abort();
    exit::of_drained(&drained)
}

/// Starts what these roles need.
async fn begin(app: &App, front: &Front, roles: &[Role]) -> Result<(), Failure> {
    let has = |role| roles.contains(&role);
    ProgramStarted { version: VERSION }.emit(&app.counters);
    let (accounts, broken) = if has(Role::Collect) { app.accounts_to_keep() } else { (Vec::new(), Vec::new()) };
    for (account, fault) in &broken {
        app.park(account.clone(), fault).await?;
    }
    if accounts.is_empty()
        && let Some((_, fault)) = broken.into_iter().next()
    {
        return Err(fault.into());
    }
    front.show(app);
    let _pipeline = app.start_pipeline(roles, MIRROR_EVERY)?;
    app.start_control(accounts.iter().map(|account| account.id.clone()).collect())?;
    if has(Role::Collect) && accounts.is_empty() {
        tracing::warn!("no account is configured: nothing will be collected");
    }
    if has(Role::Collect) {
        app.watch_packs();
    }
    for account in accounts {
        app.keep_collecting(account);
    }
    Ok(())
}

/// Opens everything; a broker or a database that is not there yet is waited for, as it would be if it went
/// away later, and `front` says so meanwhile. `None`: a stop came first, with nothing in hand.
async fn open_patiently(
    lifecycle: &Lifecycle,
    config: Config,
    front: Result<Front, AnyFault>,
) -> Result<Option<(App, Front)>, AnyFault> {
    let mut attempt = 0;
    loop {
        // Cancel-safe: what was opened is closed by being dropped, and nothing runs yet.
        let opened = tokio::select! {
            () = lifecycle.soft.cancelled() => return Ok(None),
            opened = App::open_in(lifecycle.clone(), config.clone()) => opened,
        };
        let (fault, shown) = match (opened, &front) {
            (Err(fault), Ok(shown)) if matches!(fault.code(), Code::BusUnavailable | Code::StoreUnavailable) => {
                (fault, shown)
            }
            (Ok(app), Err(_)) => {
                app.close().await;
                return front.map(|_| None);
            }
            (Ok(app), Ok(_)) => return Ok(Some((app, front?))),
            (Err(fault), _) => return Err(fault),
        };
        shown.waits_for(&fault);
        attempt += 1;
        let wait = SERVERS.delay(attempt, None, fastrand::f64()).unwrap_or_default();
        service::waiting("waiting for a server", wait);
        ServerAwaited { attempt, wait, fault: &fault }.emit(&Counters::default());
        // Cancel-safe: neither arm holds anything.
        tokio::select! {
            () = lifecycle.soft.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;
    use crate::domain::AccountState;

    #[tokio::test]
    async fn a_fault_that_stops_the_daemon_is_its_exit_code_and_stays_told() {
        let case = Case::new().env(&[("DEMO_USERNAME", "u"), ("DEMO_PASSWORD", "p")]);
        let mut config = case.load().unwrap();
        config.data_dir = case.dir.path().join("data");
        config.http_addr = ([127, 0, 0, 1], 0).into();
        config.browser.chromium = Some(case.dir.path().join("no-chromium"));
        let failure = run(RunArgs::default(), config.clone(), Sources::default()).await.unwrap_err();
        assert_eq!(failure.code(), exit::CONFIG, "{failure:?}");
        let accounts = crate::app::open_store(&config).await.unwrap().accounts().await.unwrap();
        assert_eq!((accounts[0].state, accounts[0].code), (AccountState::Parked, Some(Code::ChromiumMissing)));
    }

    #[tokio::test]
    async fn an_account_that_another_process_collects_is_not_parked_by_us() {
        let case = Case::new();
        let mut config = case.load().unwrap();
        config.data_dir = case.dir.path().join("data");
        let app = App::open(config).await.unwrap();
        let account: crate::domain::AccountId = "demo/default".parse().unwrap();
        let fault = AnyFault::from(LifecycleError::DataDirLocked { path: "x".into() });
        let lease = app.leases.acquire(&account, "other", Duration::from_secs(60)).await.unwrap().unwrap();
        app.park(account.clone(), &fault).await.unwrap();
        assert_eq!(app.store.accounts().await.unwrap(), []);
        app.leases.release(&lease).await.unwrap();
        app.park(account.clone(), &fault).await.unwrap();
        assert_eq!(app.store.accounts().await.unwrap()[0].state, AccountState::Parked);
        app.close().await;
    }
}
