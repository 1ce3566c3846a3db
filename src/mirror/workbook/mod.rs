//! The mirror on this machine: `summaries.xlsx` for people, `summaries.csv` for programs, both in one
//! folder, readable by their owner only, since chats are private.
//!
//! **When it is written.** Whenever anything that a viewer could miss has changed; when a file is gone
//! or was changed by somebody else; and otherwise once in [`HEARTBEAT`], so that `last write` in
//! `_status` is true to the letter (it is when this very file was written) and still tells a daemon
//! that has nothing new from one that is dead: `_status` says how old it may get. Not at every look,
//! because each new file is uploaded again by whatever backs the folder up, and closes the view of
//! whoever has it open.
//!
//! It must never leave half a file: each is replaced as a whole (`atomic`). The two files are
//! replaced one after the other; each is consistent in itself.

mod atomic;
mod compare;
mod csv;
#[cfg(test)]
pub(crate) mod samples;
mod xlsx;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::Timestamp;

use super::difference::Difference;
use super::error::MirrorError;
use super::rows::{COLUMNS, Cell, TextLimit, conversation_cells, lasting_hash};
use crate::domain::ids::digest;
use crate::fault::AnyFault;
use crate::ports::{Mirror, MirrorOutcome, Projection, Shown, WORKBOOK};

/// The workbook's name in the folder.
pub const XLSX: &str = "summaries.xlsx";
/// The table's name in the folder.
pub const CSV: &str = "summaries.csv";
/// How old the files may get when nothing changes but the daemon lives.
pub const HEARTBEAT: Duration = Duration::from_secs(10 * 60);

/// A row of the tab `Conversations`.
type Row = [Cell; COLUMNS.len()];

/// The local workbook.
pub struct Workbook {
    dir: PathBuf,
    /// Also the lock that lets one write run at a time.
    last: Arc<Mutex<Option<Written>>>,
}

/// What was written last, to tell whether it still stands.
struct Written {
    content: [u8; 16],
    at: Timestamp,
    files: [Traces; 2],
}

/// What a file looked like from outside after our write.
type Traces = (u64, Option<SystemTime>);

impl Workbook {
    /// A workbook in the folder `dir`, which must exist when it is written.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), last: Arc::default() }
    }

    /// Compares the files with what the store would show.
    pub fn compare(&self, projection: &Projection) -> Vec<Difference> {
        compare::compare(&self.dir, projection)
    }
}

#[async_trait]
impl Mirror for Workbook {
    async fn write(&self, projection: &Projection, _: &Shown) -> Result<MirrorOutcome, AnyFault> {
        let (dir, last) = (self.dir.clone(), Arc::clone(&self.last));
        // Building and syncing the files takes up to a second: not on the threads that run the tasks.
        // A write that was begun is finished even if the caller goes away, which does no harm.
        let projection = projection.clone();
        tokio::task::spawn_blocking(move || {
            write(&dir, &mut last.lock().unwrap_or_else(PoisonError::into_inner), &projection)
        })
        .await
        .map_err(|_| MirrorError::Interrupted)?
        .map_err(AnyFault::from)
    }

    fn target(&self) -> &str {
        WORKBOOK
    }
}

fn write(dir: &Path, last: &mut Option<Written>, projection: &Projection) -> Result<MirrorOutcome, MirrorError> {
    if !dir.is_dir() {
        return Err(MirrorError::FolderMissing { folder: dir.to_owned() });
    }
    let paths = [dir.join(XLSX), dir.join(CSV)];
    let rows: Vec<Row> = projection.rows.iter().map(|row| conversation_cells(row, TextLimit::EXCEL)).collect();
    let content = content(projection, &rows);
    let at = projection.status.written_at;
    if !last.as_ref().is_some_and(|last| stands(last, content, at, &paths)) {
        // Forgotten first: if the second file fails, the first must not count as done.
        *last = None;
        atomic::replace(&paths[0], &xlsx::build(&rows, &projection.status)?)?;
        atomic::replace(&paths[1], &csv::build(&rows)?)?;
        *last = Some(Written { content, at, files: paths.each_ref().map(|path| traces(path).unwrap_or_default()) });
    }
    Ok(MirrorOutcome {
        rows: projection.rows.len() as u64,
        messages: projection.rows.iter().map(|row| row.conversation.messages).sum(),
        location: paths[0].display().to_string(),
    })
}

/// A hash of everything that both files show, but for the times that only say how fresh they are.
fn content(projection: &Projection, rows: &[Row]) -> [u8; 16] {
    let hashes: Vec<u8> = rows.iter().flat_map(|row| super::rows::content_hash(row)).collect();
    digest("workbook-1", &[&hashes, &lasting_hash(&projection.status)])
}

/// Whether the files on disk are ours, show this content, and are fresh enough to say so.
fn stands(last: &Written, content: [u8; 16], now: Timestamp, paths: &[PathBuf; 2]) -> bool {
    // A clock that went backwards gives a negative age, which is no freshness either.
    let fresh = Duration::try_from(now.duration_since(last.at)).is_ok_and(|age| age < HEARTBEAT);
    fresh && last.content == content && paths.iter().zip(&last.files).all(|(path, seen)| traces(path) == Some(*seen))
}

fn traces(path: &Path) -> Option<Traces> {
    path.metadata().ok().filter(Metadata::is_file).map(|meta| (meta.len(), meta.modified().ok()))
}

#[cfg(test)]
mod tests;
