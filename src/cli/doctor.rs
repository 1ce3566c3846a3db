//! `doctor`: every configured part tried the way production uses it, a line each with cause and remedy.
//!
//! One part that is broken keeps no other from being tried, and what is tried leaves nothing behind but a
//! lease that has run out.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::timeout;

use super::exit::{self, Failure};
use super::{configured, out};
use crate::app::{self, Events, Inspection, Records};
use crate::browser::profile;
use crate::config::{Config, Sources};
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::lifecycle::{DataDir, LifecycleError, data_dir};
use crate::mirror::google::SheetError;
use crate::ports::page::{Browser, SessionRequest};
use crate::ports::{BusState, SystemClock};
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
    if config.dry_run {
        return Err(Failure::said(
            "chatferry: the doctor has no dry run: it publishes and stores what it takes away again\n  \
             what to do: call it without --dry-run.",
            exit::CONFIG,
        ));
    }
    let account: AccountId =
        PROBE.parse().map_err(|error| Failure::said(format!("chatferry: {PROBE}: {error}"), exit::INTERNAL))?;
    let mut findings = vec![settings(&config)];
    findings.extend(packs(&config));
    let (data, is_ours) = data_dir(&config);
    findings.push(data);
    if is_ours.is_some() || config.data_dir.exists() {
        findings.push(chromium(&config, &account).await);
        findings.push(bus(&config).await);
        findings.push(store(&config, &account).await);
    }
    findings.push(analyst(&config).await);
    findings.extend(config.mirror.workbook.then(|| workbook(&config)));
    findings.extend(sheet(&config).await);
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
        Err(error) => return vec![Finding::fault("pack", &error.into())],
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
    let folder = config.data_dir.join("doctor");
    if let Err(source) = DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
        return Finding::fault("chromium", &LifecycleError::DataDir { path: folder, source }.into());
    }
    // Named after a folder that is there; as root it lies elsewhere.
    let profiles = profile::profiles_of(&folder);
    let started = async {
        let pack = Library::open(&config.selectors_dir)?.load_named("demo")?;
        let chromium = app::chromium(config, &folder, Arc::new(Counters::default()));
        let base_url = app::base_url_of(&pack.pack.site.base_url, &pack.name)?;
        let (account, pack) = (account.clone(), Arc::new(pack));
        let page = chromium.open(SessionRequest { account, pack, base_url, session: None, scratch: true }).await?;
        page.close().await;
        Ok::<_, AnyFault>(match config.browser.no_sandbox {
            true => Finding::warning(
                "chromium",
                "starts, WITHOUT its sandbox",
                "Take CHATFERRY_BROWSER_NO_SANDBOX away: a hostile page could reach everything that the daemon can.",
            ),
            false => Finding::ok("chromium", "starts, with its sandbox"),
        })
    };
    let finding = in_time("chromium", started).await;
    for left in [profiles, folder] {
        // What can't be removed is only a folder for profiles, without any.
        let _ = fs::remove_dir_all(left);
    }
    finding
}

/// Publishes an event and consumes it, where no consumer looks.
async fn bus(config: &Config) -> Finding {
    let tried = async {
        let events = Events::open(config, &config.data_dir).await?;
        let outcome = match events.bus.state() {
            BusState::Blocked { reason } => {
                let action = crate::fault::Code::BrokerBlocked.action();
                Ok(Finding::warning("bus", format!("takes no events: {reason}"), action))
            }
            BusState::Connected | BusState::Reconnecting => {
                let probed = events.bus.probe().await;
                probed.map(|()| Finding::ok("bus", format!("{}: published and consumed an event", events.name)))
            }
        };
        events.close().await;
        outcome
    };
    in_time("bus", tried).await
}

/// Takes a lease and gives it back: a write, a read and a write by the way that production uses.
async fn store(config: &Config, account: &AccountId) -> Finding {
    let tried = async {
        let records = Records::open(config, &config.data_dir).await?;
        let outcome = match (lease(&records, account).await, records.warning()) {
            (Err(fault), _) => Err(fault),
            (Ok(false), _) => {
                let what = "another doctor is writing at the same time";
                Ok(Finding::warning("store", what, "Try again when it is done."))
            }
            (Ok(true), Some((what, action))) => Ok(Finding::warning("store", what, action)),
            (Ok(true), None) => Ok(Finding::ok("store", format!("{}: wrote and read back", records.name()))),
        };
        records.close().await;
        outcome
    };
    in_time("store", tried).await
}

/// False if somebody else holds it.
async fn lease(records: &Records, account: &AccountId) -> Result<bool, AnyFault> {
    let owner = format!("doctor-{:016x}", fastrand::u64(..));
    let Some(lease) = records.leases.acquire(account, &owner, PROBE_TTL).await? else { return Ok(false) };
    let holder = records.leases.holder(account).await?;
    records.leases.release(&lease).await?;
    Ok(holder.is_some_and(|holder| holder.owner == owner))
}

/// Asks the service for one token, the way that analyses are asked for.
async fn analyst(config: &Config) -> Finding {
    let Some(ai) = &config.ai else { return Finding::ok("analyst", "extractive, built in: no service is asked") };
    let tried = async {
        let analyst = app::analyst(config, Arc::new(SystemClock), Arc::new(Counters::default()))?;
        analyst.probe().await?;
        let masked = if ai.mask { "private data is masked" } else { "private data is not masked" };
        let (model, host, prompt) = (analyst.model(), ai.host(), analyst.prompt_version());
        Ok(Finding::ok("analyst", format!("{model} at {host} answers; prompt {prompt}; {masked}")))
    };
    in_time("analyst", tried).await
}

async fn in_time(part: &'static str, tried: impl Future<Output = Result<Finding, AnyFault>>) -> Finding {
    match timeout(PATIENCE, tried).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(fault)) => Finding::fault(part, &fault),
        Err(_) => Finding::warning(part, "did not answer in time", "Try again when the machine is less busy."),
    }
}

/// Reads the sheet's header, and compares the clocks.
async fn sheet(config: &Config) -> Option<Finding> {
    config.mirror.sheet.as_ref()?;
    let at = app::places(config, &config.data_dir).into_iter().next().map(|place| place.at).unwrap_or_default();
    let tried = async {
        let Some(glance) = Inspection::open(config).await?.glance().await else {
            return Ok(Finding::ok("sheet", "none is set"));
        };
        let glance = glance?;
        if let Some(seconds) = glance.clock_off {
            return Err(SheetError::Clock { seconds: Some(seconds) }.into());
        }
        let what = if glance.is_set_up { "read its headers" } else { "can be read; the first write makes its tabs" };
        Ok(Finding::ok("sheet", format!("{at}: {what}")))
    };
    Some(in_time("sheet", tried).await)
}

fn workbook(config: &Config) -> Finding {
    match data_dir::check_writable(&config.data_dir) {
        Ok(()) => Finding::ok("mirror", "the local workbook: its folder can be written"),
        Err(source) => {
            let path = config.data_dir.clone();
            Finding::fault("mirror", &LifecycleError::DataDir { path, source }.into())
        }
    }
}
