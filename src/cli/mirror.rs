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
use crate::app::{self, Events, Records};
use crate::collect::Tenure;
use crate::config::Config;
use crate::consume::projection;
use crate::fault::AnyFault;
use crate::lifecycle::{DataDir, Lifecycle};
use crate::mirror::google::{Limits, SheetError};
use crate::mirror::{Difference, GoogleSheet, Workbook, workbook};
use crate::ports::{Mirror, Projection, Shown, SystemClock};
use crate::telemetry::Counters;

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
    let sheet = match &config.mirror.sheet {
        Some(settings) => {
            Some(Arc::new(GoogleSheet::open(settings.clone(), Limits::default()).await.map_err(AnyFault::from)?))
        }
        None => None,
    };
    let projection = projection::load(&*records.store, &*events.bus, &SystemClock).await?;
    let mirrors = Mirrors { sheet, records, config, projection };
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
    sheet: Option<Arc<GoogleSheet>>,
    records: &'a Records,
    config: &'a Config,
    projection: Projection,
}

impl Mirrors<'_> {
    fn workbook(&self) -> Option<Workbook> {
        self.config.mirror.workbook.then(|| Workbook::new(&self.config.data_dir))
    }

    fn at(&self, name: &str) -> String {
        let places = app::places(self.config, &self.config.data_dir);
        places.into_iter().find(|place| place.name == name).map(|place| place.at).unwrap_or_default()
    }

    async fn status(&self, as_json: bool) -> Result<(), Failure> {
        let mut standing = Vec::new();
        if let Some(sheet) = &self.sheet {
            standing.push(self.sheet_standing(sheet).await?);
        }
        if self.workbook().is_some() {
            let file = self.config.data_dir.join(workbook::XLSX);
            let written = file.metadata().and_then(|meta| meta.modified()).ok();
            let last_write = written.and_then(|at| Timestamp::try_from(at).ok());
            standing.push(Standing {
                name: "workbook",
                at: self.at("workbook"),
                last_write,
                written_by: None,
                fault: None,
            });
        }
        let shown = self.records.store.mirrored().await?;
        let wanted = self.projection.fingerprints();
        let waiting = wanted.iter().filter(|(key, fingerprint)| shown.get(*key) != Some(*fingerprint)).count();
        if as_json {
            out::json(&json!({ "mirrors": standing, "conversations": wanted.len(), "waiting": waiting }));
        } else {
            for mirror in &standing {
                out::line(&format!("{}: {}", mirror.name, mirror.at));
                out::line(&format!("  last write (UTC): {}", out::time(mirror.last_write)));
                if mirror.name == "sheet" {
                    out::line(&format!(
                        "  written by: {}",
                        mirror.written_by.as_deref().unwrap_or("no process at the moment")
                    ));
                }
                if let Some(fault) = &mirror.fault {
                    out::line(&format!("  FAULT: {} [{}]\n  what to do: {}", fault.sentence, fault.code, fault.action));
                }
            }
            let (waiting, all) = (out::number(waiting as u64), out::number(wanted.len() as u64));
            out::line(&format!("{waiting} of {all} conversations wait to be shown as they are now"));
        }
        if standing.iter().any(|mirror| mirror.fault.is_some()) { Err(Failure::told(exit::FAULTS)) } else { Ok(()) }
    }

    async fn sheet_standing(&self, sheet: &GoogleSheet) -> Result<Standing, Failure> {
        let written_by = self.holder(sheet).await?;
        let (last_write, fault) = match sheet.glance().await {
            Ok(glance) => (glance.last_write, None),
            Err(error) => (None, Some(AnyFault::from(error).into())),
        };
        Ok(Standing { name: "sheet", at: sheet.address(), last_write, written_by, fault })
    }

    /// Who holds the sheet's lease.
    async fn holder(&self, sheet: &GoogleSheet) -> Result<Option<String>, Failure> {
        let leased_as = sheet.leased_as().map_err(|_| AnyFault::from(SheetError::Missing))?;
        Ok(self.records.leases.holder(&leased_as).await?.map(|lease| lease.owner))
    }

    async fn compare(&self) -> Result<Vec<Compared>, Failure> {
        let mut compared = Vec::new();
        if let Some(sheet) = &self.sheet {
            let differences = sheet.compare(&self.projection).await.map_err(AnyFault::from)?;
            compared.push(Compared { name: "sheet", at: sheet.address(), differences });
        }
        if let Some(workbook) = self.workbook() {
            let differences = workbook.compare(&self.projection);
            compared.push(Compared { name: "workbook", at: self.at("workbook"), differences });
        }
        Ok(compared)
    }

    async fn rebuild(&self, as_json: bool) -> Result<(), Failure> {
        if self.config.dry_run {
            let compared = self.compare().await?;
            tell(&compared, as_json);
            return Ok(());
        }
        let before = match self.compare().await {
            Ok(compared) => compared,
            // Whatever keeps it from being read, the rebuild says it better.
            Err(_) => Vec::new(),
        };
        if let Some(sheet) = &self.sheet {
            let is_sound = before.iter().any(|mirror| mirror.name == "sheet" && mirror.differences.is_empty());
            match self.holder(sheet).await? {
                // What is right needs no writing, and so no lease.
                Some(_) if is_sound => {}
                Some(owner) => return Err(self.hand_over(&owner).await?),
                None => self.rebuild_sheet(sheet).await?,
            }
        }
        if let Some(workbook) = self.workbook() {
            let is_sound = before.iter().any(|mirror| mirror.name == "workbook" && mirror.differences.is_empty());
            if !is_sound {
                let _alone = DataDir::open(&self.config.data_dir).map_err(AnyFault::from)?;
                workbook.write(&self.projection, &Shown::new()).await?;
            }
        }
        let after = self.compare().await?;
        tell(&after, as_json);
        if is_equal(&after) { Ok(()) } else { Err(Failure::told(exit::FAULTS)) }
    }

    /// The holder of the lease finds nothing noted as shown, and writes every row anew.
    async fn hand_over(&self, owner: &str) -> Result<Failure, Failure> {
        self.records.store.save_mirrored(&Shown::new()).await?;
        Ok(Failure::said(
            format!(
                "chatferry: the sheet is written by another process ({owner}), which will write every row anew at its next look, \
                 within ten minutes [sheet-held]\n  what to do: call `chatferry mirror verify` then; rows that belong to nobody \
                 are emptied only by a rebuild while no other process writes the sheet."
            ),
            exit::TRY_LATER,
        ))
    }

    async fn rebuild_sheet(&self, sheet: &Arc<GoogleSheet>) -> Result<(), Failure> {
        let tenure = Tenure {
            leases: self.records.leases.clone(),
            // Not the name of the data directory: a daemon that has that one would share its lease with us.
            owner: format!("mirror-rebuild-{:016x}", fastrand::u64(..)),
            ttl: self.config.collect.lease_ttl,
            lifecycle: Lifecycle::new(),
            counters: Arc::new(Counters::default()),
        };
        let leased_as = sheet.leased_as().map_err(|_| AnyFault::from(SheetError::Missing))?;
        let work = async |held: crate::collect::Held| {
            let lost = held.stop.clone();
            sheet.permit(Arc::new(move || !lost.is_cancelled())).await;
            sheet.rebuild(&self.projection).await.map_err(AnyFault::from)
        };
        tenure.once(&leased_as, work).await?;
        self.records.store.save_mirrored(&self.projection.fingerprints()).await?;
        Ok(())
    }
}
