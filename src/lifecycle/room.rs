//! How much room the disk of the data directory has, and how little is too little.
//!
//! Collecting stops before the last byte, because what was collected must still be passed on: the store,
//! the workbook and the log write to the same disk, and a browser writes without being asked.
//!
//! A build with debug assertions believes the file that `CHATFERRY_DISK_FREE_IN` names instead of the
//! disk, if it is there: the free bytes as a number. A release build refuses the variable.

use std::io;
use std::path::Path;

use super::crash::free_bytes_told;

/// The part of a disk that must stay free: a twentieth …
const PART: u64 = 20;
/// … but never more than this, however large the disk is.
const MOST: u64 = 512 << 20;

/// What a disk had at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes that must stay free.
    pub floor: u64,
}

impl Room {
    /// The room on the disk that holds this folder. It asks the kernel only, and writes nothing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        let block = disk.f_frsize;
        let free = free_bytes_told().unwrap_or_else(|| disk.f_bavail.saturating_mul(block));
        Ok(Self { free, floor: floor(disk.f_blocks.saturating_mul(block)) })
    }

    /// True if nothing more may be collected.
    pub const fn is_short(self) -> bool {
        self.free < self.floor
    }
}

const fn floor(total: u64) -> u64 {
    let part = total / PART;
    if part < MOST { part } else { MOST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_stays_free_but_no_more_than_is_needed() {
        assert_eq!(floor(0), 0, "a file system that tells nothing is never short");
        assert_eq!(floor(64 << 20), (64 << 20) / 20);
        assert_eq!(floor(1 << 42), MOST);
        assert!(Room { free: MOST - 1, floor: MOST }.is_short());
        assert!(!Room { free: MOST, floor: MOST }.is_short());
    }

    #[test]
    fn a_disk_is_asked_and_a_folder_that_is_not_there_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::of(folder.path()).unwrap();
        assert!(room.floor > 0 && room.floor <= MOST, "{room:?}");
        Room::of(&folder.path().join("none")).unwrap_err();
    }
}
