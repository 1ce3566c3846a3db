//! `mirror status | verify | rebuild`: the sheet, the workbook or both against the store.
//!
//! Looking goes on beside a daemon that runs. Mending a sheet needs its lease: whoever holds it is told, through the
//! store's notes, to write every row anew.

use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::exit::{self, Failure};
use super::out;
use crate::app::{self, Events, Inspection, Records};
use crate::collect::Tenure;
use crate::config::Config;
use crate::consume::projection;
use crate::fault::AnyFault;
use crate::lifecycle::{DataDir, Lifecycle};
use crate::mirror::Difference;
use crate::ports::{self, Projection, Shown, SystemClock};
use crate::telemetry::Counters;

/// The names of the mirrors.
const SHEET: &str = "sheet";
const WORKBOOK: &str = "workbook";

/// What to do with the mirror.
#[derive(Debug, Subcommand)]
pub enum MirrorCommand {
    /// Where it is, when it was written last, what waits for it, and what keeps it from being written
    Status {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Compare every cell with the store; ends with 1 and a list by key if something differs
    Verify {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Write everything anew from the store, and empty rows that belong to nobody
    Rebuild {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Why something can't be had.
#[derive(Debug, Serialize)]
struct Trouble {
    code: &'static str,
    sentence: String,
    action: String,
}

impl From<AnyFault> for Trouble {
    fn from(fault: AnyFault) -> Self {
        Self { code: fault.code().as_str(), sentence: fault.chain(), action: fault.action() }
    }
}

/// One mirror as it stands.
#[derive(Debug, Serialize)]
struct Standing {
    name: &'static str,
    at: String,
    last_write: Option<Timestamp>,
    /// The process that writes it; `null` if none does now, or none needs a lease.
    written_by: Option<String>,
    fault: Option<Trouble>,
}

/// One mirror compared.
#[derive(Debug, Serialize)]
struct Compared {
    name: &'static str,
    at: String,
    differences: Vec<Difference>,
}

/// Looks at the mirror, compares it, or writes it anew.
///
/// # Errors
/// 1 if something differs or the sheet can't be reached, 75 if another process writes it.
pub async fn run(command: MirrorCommand, config: &Config) -> Result<(), Failure> {
    let events = Events::open_existing(config).await?;
    let records = Records::open(config, &config.data_dir).await?;
    let outcome = on(&events, &records, command, config).await;
    events.close().await;
    records.close().await;
    outcome
}

async fn on(events: &Events, records: &Records, command: MirrorCommand, config: &Config) -> Result<(), Failure> {
    let inspection = Inspection::open(config).await?;
    let projection = projection::load(&*records.store, &*events.bus, &SystemClock).await?;
    let mirrors = Mirrors { inspection, records, config, projection };
    match command {
        MirrorCommand::Status { json } => mirrors.status(json).await,
        MirrorCommand::Verify { json } => {
            let compared = mirrors.compare().await?;
            tell(&compared, json);
            if is_equal(&compared) { Ok(()) } else { Err(Failure::told(exit::FAULTS)) }
        }
        MirrorCommand::Rebuild { json } => mirrors.rebuild(json).await,
    }
}

fn is_equal(compared: &[Compared]) -> bool {
    compared.iter().all(|mirror| mirror.differences.is_empty())
}

fn tell(compared: &[Compared], as_json: bool) {
    if as_json {
        out::json(&json!({ "mirrors": compared }));
        return;
    }
    for Compared { name, at, differences } in compared {
        match differences.len() {
            0 => out::line(&format!("{name}: shows what the store holds ({at})")),
            count => out::line(&format!("{name}: {} differences ({at})", out::number(count as u64))),
        }
        differences.iter().for_each(|difference| out::line(&format!("  {difference}")));
    }
}

struct Mirrors<'a> {
    inspection: Inspection,
    records: &'a Records,
    config: &'a Config,
    projection: Projection,
}

impl Mirrors<'_> {
    fn at(&self, name: &str) -> String {
        let places = app::places(self.config, &self.config.data_dir);
        places.into_iter().find(|place| place.name == name).map(|place| place.at).unwrap_or_default()
    }

    async fn status(&self, as_json: bool) -> Result<(), Failure> {
        let mut standing = Vec::new();
        if let Some(glance) = self.inspection.glance().await {
            let written_by = self.holder().await?;
            let (last_write, fault) = match glance {
                Ok(glance) => (glance.last_write, None),
                Err(fault) => (None, Some(fault.into())),
            };
            standing.push(Standing { name: SHEET, at: self.at(SHEET), last_write, written_by, fault });
        }
        if let Some(last_write) = self.inspection.workbook_written() {
            let at = self.at(WORKBOOK);
            standing.push(Standing { name: WORKBOOK, at, last_write, written_by: None, fault: None });
        }
        let shown = self.records.store.mirrored(self.target()).await?;
        let wanted = self.projection.fingerprints();
        let waiting = wanted.iter().filter(|(key, fingerprint)| shown.get(*key) != Some(*fingerprint)).count();
        if as_json {
            out::json(&json!({ "mirrors": standing, "conversations": wanted.len(), "waiting": waiting }));
        } else {
            standing.iter().for_each(print);
            let (waiting, all) = (out::number(waiting as u64), out::number(wanted.len() as u64));
            out::line(&format!("{waiting} of {all} conversations wait to be shown as they are now"));
        }
        if standing.iter().any(|mirror| mirror.fault.is_some()) { Err(Failure::told(exit::FAULTS)) } else { Ok(()) }
    }

    /// Under which name it is noted what is shown: the sheet's, wherever there is one.
    fn target(&self) -> &str {
        self.config.mirror.sheet.as_ref().map_or(ports::WORKBOOK, |sheet| &sheet.sheet_id)
    }

    /// Who holds the sheet's lease.
    async fn holder(&self) -> Result<Option<String>, Failure> {
        let Some(leased_as) = self.inspection.leased_as()? else { return Ok(None) };
        Ok(self.records.leases.holder(&leased_as).await?.map(|lease| lease.owner))
    }

    async fn compare(&self) -> Result<Vec<Compared>, Failure> {
        let mut compared = Vec::new();
        if let Some(differences) = self.inspection.compare_sheet(&self.projection).await {
            compared.push(Compared { name: SHEET, at: self.at(SHEET), differences: differences? });
        }
        if let Some(differences) = self.inspection.compare_workbook(&self.projection) {
            compared.push(Compared { name: WORKBOOK, at: self.at(WORKBOOK), differences });
        }
        Ok(compared)
    }

    async fn rebuild(&self, as_json: bool) -> Result<(), Failure> {
        if self.config.dry_run {
            tell(&self.compare().await?, as_json);
            return Ok(());
        }
        // What keeps a sheet from being compared, its rebuild says better.
        let before = self.compare().await.unwrap_or_default();
        let is_sound = |name| before.iter().any(|mirror| mirror.name == name && mirror.differences.is_empty());
        if self.config.mirror.sheet.is_some() {
            match self.holder().await? {
                // What is right needs no writing, and so no lease.
                Some(_) if is_sound(SHEET) => {}
                Some(owner) => return Err(self.hand_over(&owner, &before).await?),
                None => {
                    self.inspection.rebuild_sheet(&self.tenure(), &self.projection).await?;
                    self.records.store.save_mirrored(self.target(), &self.projection.fingerprints()).await?;
                }
            }
        }
        if self.config.mirror.workbook && !is_sound(WORKBOOK) {
            let _alone = DataDir::open(&self.config.data_dir).map_err(AnyFault::from)?;
            self.inspection.rewrite_workbook(&self.projection).await?;
        }
        let after = self.compare().await?;
        tell(&after, as_json);
        if is_equal(&after) { Ok(()) } else { Err(Failure::told(exit::FAULTS)) }
    }

    /// The holder of the lease finds noted that every row shows nothing that it should, rows of conversations that the
    /// store does not hold included: it writes the ones anew, and empties the others.
    async fn hand_over(&self, owner: &str, compared: &[Compared]) -> Result<Failure, Failure> {
        let shown = self.records.store.mirrored(self.target()).await?;
        let found = compared.iter().filter(|mirror| mirror.name == SHEET).flat_map(|mirror| &mirror.differences);
        let orphans = found.filter_map(|difference| match difference {
            Difference::Orphan { key, .. } => Some(*key),
            _ => None,
        });
        let doubtful: Shown = shown.into_keys().chain(orphans).map(|key| (key, [0; 16])).collect();
        self.records.store.save_mirrored(self.target(), &doubtful).await?;
        Ok(Failure::said(
            format!(
                "chatferry: the sheet is written by another process ({owner}), which will write every row anew at its next look, \
                 within two minutes, and empty those of conversations that the store does not hold [sheet-held]\n  what to do: call \
                 `chatferry mirror verify` then; rows that lost their key are emptied only by a rebuild while no other \
                 process writes the sheet."
            ),
            exit::TRY_LATER,
        ))
    }

    /// Under a name of its own: a daemon that has that of the data directory would share its lease with us.
    fn tenure(&self) -> Tenure {
        Tenure {
            leases: self.records.leases.clone(),
            owner: format!("mirror-rebuild-{:016x}", fastrand::u64(..)),
            ttl: self.config.collect.lease_ttl,
            lifecycle: Lifecycle::new(),
            counters: Arc::new(Counters::default()),
        }
    }
}

fn print(mirror: &Standing) {
    out::line(&format!("{}: {}", mirror.name, mirror.at));
    out::line(&format!("  last write (UTC): {}", out::time(mirror.last_write)));
    if mirror.name == SHEET {
        out::line(&format!("  written by: {}", mirror.written_by.as_deref().unwrap_or("no process at the moment")));
    }
    if let Some(fault) = &mirror.fault {
        out::line(&format!("  FAULT: {} [{}]\n  what to do: {}", fault.sentence, fault.code, fault.action));
    }
}
