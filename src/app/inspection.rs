//! The mirrors as a person at the command line looks at them, compares them and writes them anew.

use std::path::PathBuf;
use std::sync::Arc;

use crate::collect::{Held, Tenure};
use crate::config::Config;
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::mirror::google::{Glance, Limits, SheetError};
use crate::mirror::{Difference, GoogleSheet, Workbook, workbook};
use crate::ports::{Mirror, Projection, Shown};

/// The mirrors that the settings ask for.
pub struct Inspection {
    sheet: Option<Arc<GoogleSheet>>,
    workbook: Option<Workbook>,
    file: PathBuf,
}

impl Inspection {
    /// As the settings say. Nothing is sent yet.
    ///
    /// # Errors
    /// `sheet-credentials` if the key can't be read.
    pub async fn open(config: &Config) -> Result<Self, AnyFault> {
        let sheet = match &config.mirror.sheet {
            Some(settings) => Some(Arc::new(GoogleSheet::open(settings.clone(), Limits::default()).await?)),
            None => None,
        };
        let workbook = config.mirror.workbook.then(|| Workbook::new(&config.data_dir));
        Ok(Self { sheet, workbook, file: config.data_dir.join(workbook::XLSX) })
    }

    /// What the sheet is called where leases are kept; `None` if there is no sheet.
    ///
    /// # Errors
    /// None for an id that the settings let through.
    pub fn leased_as(&self) -> Result<Option<AccountId>, AnyFault> {
        let name = self.sheet.as_ref().map(|sheet| sheet.leased_as().map_err(|_| SheetError::Missing));
        Ok(name.transpose()?)
    }

    /// A look at the sheet, if there is one, that changes nothing.
    pub async fn glance(&self) -> Option<Result<Glance, AnyFault>> {
        Some(self.sheet.as_ref()?.glance().await.map_err(AnyFault::from))
    }

    /// When the workbook was written, if it is one of the mirrors and there.
    pub fn workbook_written(&self) -> Option<Option<jiff::Timestamp>> {
        self.workbook.as_ref()?;
        let written = self.file.metadata().and_then(|meta| meta.modified()).ok();
        Some(written.and_then(|at| at.try_into().ok()))
    }

    /// How the sheet, if there is one, differs from this.
    pub async fn compare_sheet(&self, projection: &Projection) -> Option<Result<Vec<Difference>, AnyFault>> {
        Some(self.sheet.as_ref()?.compare(projection).await.map_err(AnyFault::from))
    }

    /// How the workbook, if it is one of the mirrors, differs from this.
    pub fn compare_workbook(&self, projection: &Projection) -> Option<Vec<Difference>> {
        Some(self.workbook.as_ref()?.compare(projection))
    }

    /// Writes the whole sheet anew, under its lease.
    ///
    /// # Errors
    /// The lease is held elsewhere; the sheet can't be written.
    pub async fn rebuild_sheet(&self, tenure: &Tenure, projection: &Projection) -> Result<(), AnyFault> {
        let (Some(sheet), Some(leased_as)) = (&self.sheet, self.leased_as()?) else { return Ok(()) };
        let work = async |held: Held| {
            let lost = held.lost.clone();
            sheet.permit(Arc::new(move || !lost.is_cancelled())).await;
            sheet.rebuild(projection).await.map_err(AnyFault::from)
        };
        tenure.once(&leased_as, work).await.map(drop)
    }

    /// Writes the workbook anew. The data directory must be ours alone.
    ///
    /// # Errors
    /// The files can't be written.
    pub async fn rewrite_workbook(&self, projection: &Projection) -> Result<(), AnyFault> {
        match &self.workbook {
            Some(workbook) => workbook.write(projection, &Shown::new()).await.map(drop),
            None => Ok(()),
        }
    }
}
