//! The mirror in a Google sheet: a row per conversation in the tab `Conversations`, and the tab `_status` that says
//! whether the rest can be trusted.
//!
//! | file | what it is |
//! |---|---|
//! | [`cycle`] | one look and one write, and what is remembered between two of them |
//! | [`plan`] | keys that stand there × rows that should → own cells to write; pure |
//! | [`layout`], [`a1`], [`value`] | columns by header text, ranges, cells; pure |
//! | [`setup`], [`status`] | how the tabs are made, what `_status` shows; pure |
//! | `notice` | what `_status` says while rows can't be written |
//! | [`compare`] | the sheet against the store, cell by cell |
//! | `client`, `tokens`, `answer` | the typed client, with what it lacks; the wall for its errors |
//! | [`gate`] | our own quota, and the wait after a failure |
//!
//! **How it stays right** though people sort, insert and delete while it writes and answers get lost: the key column is
//! read before every attempt, whole own rows are written at the rows where their keys stand now, and nothing counts as
//! shown before Google has counted the rows. After an attempt whose end nobody knows there is nothing to undo: the next
//! one reads again. What is written twice is the same twice.
//!
//! It must never write a cell that is not in a column of ours, delete a row, append without a row number, send a null,
//! or let a cell or an answer of Google's into an error or a log.

pub mod a1;
mod answer;
mod client;
pub mod compare;
pub mod cycle;
pub mod error;
pub mod gate;
pub mod layout;
mod notice;
pub mod plan;
pub mod setup;
pub mod status;
mod tokens;
pub mod value;

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Mutex;

pub use error::SheetError;
pub use gate::Limits;

use self::client::{Client, Render};
use self::cycle::{Memory, Task};
use self::setup::Kind;
use crate::config::GoogleSettings;
use crate::domain::{AccountId, IdError};
use crate::fault::AnyFault;
use crate::mirror::Difference;
use crate::ports::{Mirror, MirrorOutcome, Projection, Shown};

/// The site under whose name a spreadsheet is leased: leases are for accounts, and this is none.
const LEASED_AS: &str = "google-sheets";

/// Says whether the sheet is ours to write at this moment.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// The sheet.
pub struct GoogleSheet {
    client: Client,
    memory: Mutex<Memory>,
    permit: StdMutex<Option<Permit>>,
}

/// What a look at the sheet found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Whether our tabs are there.
    pub is_set_up: bool,
    /// When it was written last, by its own word.
    pub last_write: Option<Timestamp>,
    /// By how many seconds this machine's clock is fast (slow below 0), where that is more than five minutes.
    pub clock_off: Option<i64>,
}

impl GoogleSheet {
    /// The sheet of these settings. Nothing is sent yet, and nothing may be written before [`Self::permit`].
    ///
    /// # Errors
    /// Permanent `sheet-credentials` if the key can't be read.
    pub async fn open(settings: GoogleSettings, limits: Limits) -> Result<Self, SheetError> {
        let client = Client::open(settings, limits).await?;
        Ok(Self { client, memory: Mutex::default(), permit: StdMutex::default() })
    }

    /// What the sheet is called where leases are kept: one process at a time may write it.
    ///
    /// # Errors
    /// None for an id that the settings let through.
    pub fn leased_as(&self) -> Result<AccountId, IdError> {
        AccountId::new(LEASED_AS.parse()?, &self.client.settings().sheet_id)
    }

    /// Where a person finds it.
    pub fn address(&self) -> String {
        address(&self.client.settings().sheet_id)
    }

    /// The sheet may be written while `permit` says so. What was remembered of it is forgotten: another process may have
    /// written it meanwhile.
    pub async fn permit(&self, permit: Permit) {
        let mut memory = self.memory.lock().await;
        *memory = Memory::default();
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
    }

    /// The sheet may not be written any more.
    pub fn withdraw(&self) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn permitted(&self) -> Result<(), SheetError> {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if permit.is_some_and(|permit| permit()) { Ok(()) } else { Err(SheetError::Held) }
    }

    /// Looks at the sheet as production does, and changes nothing.
    ///
    /// # Errors
    /// What would keep it from being written; the wrong clock only if Google minds it.
    pub async fn glance(&self) -> Result<Glance, SheetError> {
        let looked = self.look_over().await;
        match looked {
            Err(SheetError::Clock { .. }) => Err(SheetError::Clock { seconds: self.client.clock_off().await }),
            Err(error) => Err(error),
            Ok((is_set_up, last_write)) => {
                Ok(Glance { is_set_up, last_write, clock_off: self.client.clock_off().await })
            }
        }
    }

    async fn look_over(&self) -> Result<(bool, Option<Timestamp>), SheetError> {
        let found = self.look_through().await?;
        match self.client.write_nothing().await {
            // Whatever else Google thinks of an empty write: who may not write is told so first.
            Ok(()) | Err(SheetError::Refused { .. }) => Ok(found),
            Err(error) => Err(error),
        }
    }

    async fn look_through(&self) -> Result<(bool, Option<Timestamp>), SheetError> {
        let spreadsheet = self.client.tabs().await?;
        let mut is_set_up = true;
        for kind in [Kind::Conversations, Kind::Status] {
            is_set_up &= match setup::find(&spreadsheet, kind) {
                None => false,
                Some(sheet) => cycle::is_ours(&self.client, kind, sheet).await?,
            };
        }
        if !is_set_up {
            return Ok((false, None));
        }
        let Some(tab) = setup::find(&spreadsheet, Kind::Status).and_then(setup::tab) else { return Ok((true, None)) };
        let cell = a1::cells(&tab.title, (1, 1), (1, 1));
        let read = self.client.read(&[cell], Render::Rows).await?;
        let values = read.into_iter().next().and_then(|range| range.values).unwrap_or_default();
        Ok((true, values.first().and_then(|row| row.first()).and_then(value::timestamp)))
    }

    /// Writes every row anew, and empties own cells of rows that no conversation of the store stands in: orphans, and
    /// rows that lost their key.
    ///
    /// # Errors
    /// As [`Mirror::write`].
    pub async fn rebuild(&self, projection: &Projection) -> Result<MirrorOutcome, SheetError> {
        let mut memory = self.memory.lock().await;
        self.permitted()?;
        let result = self.mend(&mut memory, projection).await;
        self.concluded(&mut memory, projection, result).await
    }

    async fn mend(&self, memory: &mut Memory, projection: &Projection) -> Result<(), SheetError> {
        *memory = Memory::default();
        cycle::open_tabs(&self.client, memory, &|| self.permitted()).await?;
        let strays = compare::strays(&compare::compare(&self.client, projection).await?);
        let task = Task { projection, shown: &strays.orphans, keyless: &strays.keyless, is_forced: true };
        cycle::run(&self.client, memory, &task, &|| self.permitted()).await
    }

    /// Compares every cell of ours with what the store would show there.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub async fn compare(&self, projection: &Projection) -> Result<Vec<Difference>, SheetError> {
        compare::compare(&self.client, projection).await
    }

    /// From how an attempt ended to what others are told.
    async fn concluded(
        &self,
        memory: &mut Memory,
        projection: &Projection,
        result: Result<(), SheetError>,
    ) -> Result<MirrorOutcome, SheetError> {
        let error = match result {
            Ok(()) => {
                memory.setbacks.succeeded();
                return Ok(MirrorOutcome {
                    rows: projection.rows.len() as u64,
                    messages: projection.rows.iter().map(|row| row.conversation.messages).sum(),
                    location: self.address(),
                });
            }
            Err(SheetError::Clock { .. }) => SheetError::Clock { seconds: self.client.clock_off().await },
            Err(error) => error,
        };
        Err(memory.setbacks.failed(error, self.client.limits(), Instant::now(), fastrand::f64()))
    }
}

/// Where a person finds the sheet of this id.
pub fn address(sheet_id: &str) -> String {
    format!("https://docs.google.com/spreadsheets/d/{sheet_id}/edit")
}

#[async_trait]
impl Mirror for GoogleSheet {
    async fn write(&self, projection: &Projection, shown: &Shown) -> Result<MirrorOutcome, AnyFault> {
        let mut memory = self.memory.lock().await;
        self.permitted()?;
        memory.setbacks.open(Instant::now())?;
        let task = Task { projection, shown, keyless: &[], is_forced: false };
        let result = cycle::run(&self.client, &mut memory, &task, &|| self.permitted()).await;
        if let Err(error) = &result {
            let about = (error, &projection.status, shown.len());
            // The fault itself is told in any case, and the next look tries again to say it there.
            let _ = notice::put_up(&self.client, &mut memory, about, &|| self.permitted()).await;
        }
        Ok(self.concluded(&mut memory, projection, result).await?)
    }

    fn target(&self) -> &str {
        &self.client.settings().sheet_id
    }
}
