//! Where the mirror is, and who writes it: the workbook is this process's own; a sheet is written by one process at a
//! time, under a lease, and only that one takes the events that ask for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::collect::{Held, Tenure};
use crate::config::Config;
use crate::consume::{Handler, Journal, Mirroring, Runner};
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::mirror::google::{self, Limits, SheetError};
use crate::mirror::{Both, GoogleSheet, Workbook, workbook};
use crate::ports::{Bus, Mirror, Queue};
use crate::telemetry::Counters;

/// Shortest time between two writes of a sheet: a burst of events is one request.
pub(super) const SHEET_EVERY: Duration = Duration::from_secs(5);

/// The mirrors that the settings ask for.
pub struct Mirrors {
    /// The sheet, if one is set.
    pub sheet: Option<Arc<GoogleSheet>>,
    has_workbook: bool,
}

/// Where a person finds a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `workbook` or `sheet`.
    pub name: &'static str,
    /// A path or an address.
    pub at: String,
}

impl Mirrors {
    /// As the settings say. Nothing is sent yet.
    ///
    /// # Errors
    /// `sheet-credentials` if the key can't be read.
    pub async fn open(config: &Config) -> Result<Self, AnyFault> {
        let sheet = match &config.mirror.sheet {
            Some(settings) if !config.dry_run => {
                Some(Arc::new(GoogleSheet::open(settings.clone(), Limits::default()).await?))
            }
            _ => None,
        };
        Ok(Self { sheet, has_workbook: config.mirror.workbook })
    }

    /// How often it is looked whether something is to be written although no event came: a look at a sheet that shows
    /// everything costs no request.
    pub fn look_every(&self) -> Duration {
        if self.sheet.is_some() { google::status::LOOK_EVERY } else { workbook::HEARTBEAT }
    }

    /// The mirror of a process whose data is in this directory.
    pub fn mirror(&self, data_dir: &Path) -> Arc<dyn Mirror> {
        let near = || Arc::new(Workbook::new(data_dir)) as Arc<dyn Mirror>;
        match &self.sheet {
            Some(sheet) if self.has_workbook => Arc::new(Both { near: near(), far: sheet.clone() }),
            Some(sheet) => sheet.clone(),
            None => near(),
        }
    }
}

/// Where people find what the settings ask for.
pub fn places(config: &Config, data_dir: &Path) -> Vec<Place> {
    let workbook = || Place { name: "workbook", at: data_dir.join(workbook::XLSX).display().to_string() };
    let sheet = config.mirror.sheet.as_ref();
    let sheet = sheet.map(|settings| Place { name: "sheet", at: google::address(&settings.sheet_id) });
    sheet.into_iter().chain(config.mirror.workbook.then(workbook)).collect()
}

impl App {
    /// Where people find the mirror.
    pub fn places(&self) -> Vec<Place> {
        places(&self.config, self.data_dir.path())
    }

    /// Where the workbook is, if one is written.
    pub fn workbook(&self) -> PathBuf {
        self.data_dir.path().join(workbook::XLSX)
    }

    /// Writes the sheet as a task of the lifecycle, whenever its lease can be had.
    pub(super) fn keep_sheet(&self, sheet: Arc<GoogleSheet>, mirroring: Arc<Mirroring>) -> Result<(), AnyFault> {
        let keeping = Keeping {
            leased_as: sheet.leased_as().map_err(|_| SheetError::Missing)?,
            sheet,
            tenure: self.tenure(),
            mirroring,
            bus: self.bus.clone(),
            journal: self.journal(Queue::Mirror)?,
            counters: self.counters.clone(),
        };
        self.lifecycle.spawn("sheet", keeping.keep());
        Ok(())
    }
}

/// What keeps a sheet.
struct Keeping {
    sheet: Arc<GoogleSheet>,
    leased_as: AccountId,
    tenure: Tenure,
    mirroring: Arc<Mirroring>,
    bus: Arc<dyn Bus>,
    journal: Arc<Journal>,
    counters: Arc<Counters>,
}

/// Takes the permission to write back when it is dropped.
struct Withdrawn<'a>(&'a GoogleSheet);

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

impl Keeping {
    /// Writes the sheet whenever its lease can be had, until the stop. Who does not have it takes no event from the
    /// queue either: they wait there for the one who does.
    pub async fn keep(self) {
        let this = &self;
        self.tenure.keep(&self.leased_as, |held| this.hold(held)).await;
    }

    async fn hold(&self, held: Held) {
        // Not the stop: while one is under way the lease is still ours, and the last events should still show.
        let lost = held.lost.clone();
        self.sheet.permit(Arc::new(move || !lost.is_cancelled())).await;
        // Also where this is dropped because it did not let go in time.
        let _withdrawn = Withdrawn(&self.sheet);
        let part = self.tenure.lifecycle.part(held.stop.clone());
        let handler: Arc<dyn Handler> = self.mirroring.clone();
        let runner = Runner::new(self.bus.clone(), handler, part, self.counters.clone());
        let runner = runner.with_journal(self.journal.clone()).run();
        futures::join!(runner, self.mirroring.reconcile(&held.stop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_looked_at_often_enough_for_its_word_on_a_dead_daemon() {
        let no_sheet = Mirrors { sheet: None, has_workbook: true };
        assert_eq!(no_sheet.look_every(), workbook::HEARTBEAT);
        assert!(google::status::LOOK_EVERY * 2 < google::status::HEARTBEAT);
    }
}
