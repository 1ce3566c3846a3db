//! Log files: one a day, in JSON whatever stderr shows, the last fourteen kept.
//!
//! Written at once and not by a thread of its own: the last lines before a crash are those that are read.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};

/// So many files are kept.
const KEPT: usize = 14;

/// The files of a folder, which is made if need be, for the owner alone.
///
/// # Errors
/// The folder can't be made, is open to others and can't be closed, or takes no file.
pub(super) fn open(folder: &Path) -> io::Result<RollingFileAppender> {
    if !folder.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    let builder = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("chatferry")
        .filename_suffix("jsonl")
        .max_log_files(KEPT);
    builder.build(folder).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_a_day_for_the_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/log");
        let mut files = open(&folder).unwrap();
        files.write_all(b"{}\n").unwrap();
        let names: Vec<String> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(names.len() == 1 && names[0].starts_with("chatferry.2") && names[0].ends_with(".jsonl"), "{names:?}");
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(parent.path().join("file"), "").unwrap();
        assert!(open(&parent.path().join("file/log")).is_err());
    }
}
