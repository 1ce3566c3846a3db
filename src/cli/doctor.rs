//! `doctor`: every configured part tried the way production uses it, a line each with cause and remedy.
//!
//! One part that is broken keeps no other from being tried, and what is tried leaves nothing behind but a
//! lease that has run out, and what any start makes: queues, collections and indexes that were missing.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::timeout;

use super::exit::{self, Failure};
use super::{configured, out};
use crate::app::{self, Backbone, LoneBus};
use crate::browser::profile;
use crate::config::{Config, Sources};
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::lifecycle::{DataDir, LifecycleError, data_dir};
use crate::ports::BusState;
use crate::ports::page::{Browser, SessionRequest};
use crate::selectors::Library;
use crate::telemetry::Counters;

/// Longest time for one part.
const PATIENCE: Duration = Duration::from_secs(60);
/// The account that is tried with: no real one.
const PROBE: &str = "doctor/probe";
/// How long that lease would last.
const PROBE_TTL: Duration = Duration::from_secs(2);

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warning,
    Fault,
}

/// What was found about one part.
#[derive(Debug, Serialize)]
struct Finding {
    part: &'static str,
    health: Health,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

impl Finding {
    fn ok(part: &'static str, what: impl Into<String>) -> Self {
        Self { part, health: Health::Ok, what: what.into(), code: None, action: None }
    }

    fn warning(part: &'static str, what: impl Into<String>, action: &str) -> Self {
        Self { part, health: Health::Warning, what: what.into(), code: None, action: Some(action.to_owned()) }
    }

    fn fault(part: &'static str, fault: &AnyFault) -> Self {
        let (code, action) = (Some(fault.code().as_str()), Some(fault.action()));
        Self { part, health: Health::Fault, what: fault.chain(), code, action }
    }
}

/// Tries every part.
///
/// # Errors
/// 1 if a part is broken; 78 if the settings are.
pub async fn run(args: &DoctorArgs, sources: Sources) -> Result<(), Failure> {
    let config = configured(sources)?;
    let account: AccountId =
        PROBE.parse().map_err(|error| Failure::said(format!("chatferry: {PROBE}: {error}"), exit::INTERNAL))?;
    let mut findings = vec![settings(&config)];
    findings.extend(packs(&config));
    let (data, is_ours) = data_dir(&config);
    findings.push(data);
    if is_ours.is_some() || config.data_dir.exists() {
        findings.push(chromium(&config, &account).await);
        findings.extend(backbone(&config, &account).await);
    }
    findings.push(Finding::ok("analyst", "extractive, built in: no service is asked"));
    findings.push(mirror(&config));
    report(&findings, args.json);
    if findings.iter().any(|finding| finding.health == Health::Fault) {
        return Err(Failure::told(exit::FAULTS));
    }
    Ok(())
}

fn report(findings: &[Finding], as_json: bool) {
    if as_json {
        out::json(&findings);
        return;
    }
    for finding in findings {
        let word = match finding.health {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Fault => "FAULT",
        };
        let code = finding.code.map_or_else(String::new, |code| format!(" [{code}]"));
        out::line(&format!("{word:<8} {:<15} {}{code}", finding.part, finding.what));
        if let Some(action) = &finding.action {
            out::line(&format!("{:<24} what to do: {action}", ""));
        }
    }
}

fn settings(config: &Config) -> Finding {
    match config.accounts.len() {
        0 => Finding::warning(
            "settings",
            "no account is configured: nothing will be collected",
            "Set <SITE>_USERNAME and <SITE>_PASSWORD (see .env.example).",
        ),
        1 => Finding::ok("settings", "in order, 1 account"),
        accounts => Finding::ok("settings", format!("in order, {accounts} accounts")),
    }
}

fn packs(config: &Config) -> Vec<Finding> {
    let library = match Library::open(&config.selectors_dir) {
        Ok(library) => library,
        Err(error) => return vec![Finding::fault("packs", &error.into())],
    };
    let mut sites: Vec<_> = config.accounts.iter().map(|account| account.id.site()).collect();
    sites.dedup();
    let find = |site: &crate::domain::SiteId| match library.load(site) {
        Err(error) => Finding::fault("pack", &error.into()),
        Ok(pack) if !pack.pack.site.verified => Finding::warning(
            "pack",
            format!("{site}: nobody has verified it on the real site"),
            "Compare it with the page: `chatferry selectors probe`.",
        ),
        Ok(_) => Finding::ok("pack", format!("{site}: keeps the rules")),
    };
    sites.into_iter().map(find).collect()
}

/// Whether the directory can be used, and its lock if nobody else has it.
fn data_dir(config: &Config) -> (Finding, Option<DataDir>) {
    let path = config.data_dir.display();
    match DataDir::open(&config.data_dir) {
        Ok(dir) => (Finding::ok("data directory", format!("{path} can be written")), Some(dir)),
        Err(LifecycleError::DataDirLocked { .. }) => {
            let finding = match data_dir::check_writable(&config.data_dir) {
                Ok(()) => Finding::ok("data directory", format!("{path} is in use by a chatferry that runs")),
                Err(source) => Finding::fault(
                    "data directory",
                    &LifecycleError::DataDir { path: config.data_dir.clone(), source }.into(),
                ),
            };
            (finding, None)
        }
        Err(error) => (Finding::fault("data directory", &error.into()), None),
    }
}

/// Starts the browser as for an account, on a profile that is thrown away.
async fn chromium(config: &Config, account: &AccountId) -> Finding {
    let started = async {
        let pack = Library::open(&config.selectors_dir)?.load_named("demo")?;
        let folder = config.data_dir.join("doctor");
        let profile = profile::profile_of(&folder, account);
        let chromium = app::chromium(config, &folder, Arc::new(Counters::default()));
        let base_url = app::base_url_of(&pack.pack.site.base_url, &pack.name)?;
        let (account, pack) = (account.clone(), Arc::new(pack));
        let page = chromium.open(SessionRequest { account, pack, base_url, profile: profile.clone() }).await?;
        page.close().await;
        // What can't be removed is only a browser profile without a login.
        let _ = std::fs::remove_dir_all(&profile);
        let _ = std::fs::remove_dir_all(&folder);
        Ok::<_, AnyFault>(())
    };
    match timeout(PATIENCE, started).await {
        Ok(Ok(())) if config.browser.no_sandbox => Finding::warning(
            "chromium",
            "starts, WITHOUT its sandbox",
            "Take CHATFERRY_BROWSER_NO_SANDBOX away: a hostile page could reach everything that the daemon can.",
        ),
        Ok(Ok(())) => Finding::ok("chromium", "starts, with its sandbox"),
        Ok(Err(fault)) => Finding::fault("chromium", &fault),
        Err(_) => Finding::warning("chromium", "did not start in time", "Try again when the machine is less busy."),
    }
}

async fn backbone(config: &Config, account: &AccountId) -> Vec<Finding> {
    let backbone = match timeout(PATIENCE, Backbone::open(config, &config.data_dir)).await {
        Ok(Ok(backbone)) => backbone,
        Ok(Err(_)) => return one_by_one(config).await,
        Err(_) => return vec![Finding::warning("bus and store", "did not answer in time", "Try again later.")],
    };
    let findings = vec![bus(&backbone).await, store(&backbone, account).await];
    backbone.close().await;
    findings
}

/// Bus and store, where at least one can't be opened: what is wrong with the one says nothing of the other.
async fn one_by_one(config: &Config) -> Vec<Finding> {
    let bus = async {
        let lone = LoneBus::open(config, &config.data_dir).await?;
        let probed = lone.bus.probe().await;
        lone.close().await;
        probed
    };
    let store = async { app::open_store(config).await?.accounts().await };
    let late = |part| Finding::warning(part, "did not answer in time", "Try again later.");
    let (bus, store) = tokio::join!(timeout(PATIENCE, bus), timeout(PATIENCE, store));
    vec![
        bus.map_or_else(
            |_| late("bus"),
            |tried| {
                tried.map_or_else(
                    |fault| Finding::fault("bus", &fault),
                    |()| Finding::ok("bus", "published and consumed an event"),
                )
            },
        ),
        store.map_or_else(
            |_| late("store"),
            |tried| tried.map_or_else(|fault| Finding::fault("store", &fault), |_| Finding::ok("store", "can be read")),
        ),
    ]
}

async fn bus(backbone: &Backbone) -> Finding {
    if let BusState::Blocked { reason } = backbone.bus.state() {
        let action = crate::fault::Code::BrokerBlocked.action();
        return Finding::warning("bus", format!("takes no events: {reason}"), action);
    }
    match backbone.bus.probe().await {
        Ok(()) => Finding::ok("bus", format!("{}: published and consumed an event", backbone.bus_name())),
        Err(fault) => Finding::fault("bus", &fault),
    }
}

/// Takes a lease and gives it back: a write, a read and a write by the way that production uses.
async fn store(backbone: &Backbone, account: &AccountId) -> Finding {
    let owner = format!("doctor-{:016x}", fastrand::u64(..));
    let tried = async {
        let Some(lease) = backbone.leases.acquire(account, &owner, PROBE_TTL).await? else { return Ok(false) };
        let holder = backbone.leases.holder(account).await?;
        backbone.leases.release(&lease).await?;
        Ok::<_, AnyFault>(holder.is_some_and(|holder| holder.owner == owner))
    };
    match (tried.await, backbone.store_warning()) {
        (Err(fault), _) => Finding::fault("store", &fault),
        (Ok(false), _) => {
            Finding::warning("store", "another doctor is writing at the same time", "Try again when it is done.")
        }
        (Ok(true), Some((what, action))) => Finding::warning("store", what, action),
        (Ok(true), None) => Finding::ok("store", format!("{}: wrote and read back", backbone.store_name())),
    }
}

fn mirror(config: &Config) -> Finding {
    match data_dir::check_writable(&config.data_dir) {
        Ok(()) => Finding::ok("mirror", "the local workbook: its folder can be written"),
        Err(source) => {
            let path = config.data_dir.clone();
            Finding::fault("mirror", &LifecycleError::DataDir { path, source }.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;

    #[tokio::test]
    async fn a_store_that_is_away_keeps_the_bus_from_no_trial() {
        let away = "mongodb://127.0.0.1:1/none?serverSelectionTimeoutMS=50";
        let case = Case::new().env(&[("MONGODB_URI", away)]);
        let mut config = case.load().unwrap();
        config.data_dir = case.dir.path().join("data");
        std::fs::create_dir(&config.data_dir).unwrap();
        let found = backbone(&config, &PROBE.parse().unwrap()).await;
        let found: Vec<_> = found.iter().map(|finding| (finding.part, finding.health, finding.code)).collect();
        assert_eq!(found, [("bus", Health::Ok, None), ("store", Health::Fault, Some("store-unavailable"))]);
    }
}
