//! What a failure leaves behind for a person: a folder with the page's picture, its shape, and what each
//! query found.
//!
//! A bundle holds no chat text, no name, no address and no id, so that it may be shown to strangers; the
//! picture of a challenge is the one exception, and says so. Writing one is never worth a fault: what
//! can't be had is left out.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::account::Account;
use crate::fault::Code;
use crate::ports::page::{ProbeRow, SitePage};

/// The folder of all bundles in the data directory.
pub const FOLDER: &str = "failures";
/// So many bundles of one account are kept.
const KEPT: usize = 10;
/// So long is the time that a name begins with (`20261005T141503123Z`).
const STAMP: usize = 19;

/// Takes down what a page looks like now that it can't be read. `None`: nothing could be written.
pub async fn of_failure(
    folder: &Path,
    account: &Account,
    page: &dyn SitePage,
    code: Code,
    now: Timestamp,
) -> Option<PathBuf> {
    let skeleton = page.skeleton().await.ok();
    let picture = page.screenshot(true).await.ok();
    let queries = page.probe().await.ok().map(|rows| report(account, &rows));
    let readme = format!(
        "chatferry could not read a page of the site {}: {code}, {now}.\n\
         screenshot.png: the page with every text made unreadable. skeleton.html: its elements without any text,\n\
         address or value; `chatferry selectors probe {} --html skeleton.html` tries the pack on it.\n\
         selectors.json: how many elements each query of the pack matched.\n\
         Nothing in this folder holds a message, a name or an id: it may be shown to others. Look at it first all the same.\n",
        account.id.site(),
        account.id.site(),
    );
    let files = [
        ("README.txt", Some(readme.into_bytes())),
        ("screenshot.png", picture),
        ("skeleton.html", skeleton.map(String::into_bytes)),
        ("selectors.json", queries.map(String::into_bytes)),
    ];
    written(folder, account, code, now, &files)
}

/// Takes a picture of a page that wants something from a human, who must be able to read it.
pub async fn of_challenge(
    folder: &Path,
    account: &Account,
    page: &dyn SitePage,
    code: Code,
    now: Timestamp,
) -> Option<PathBuf> {
    let picture = page.screenshot(false).await.ok()?;
    let readme = format!(
        "The site {} wants something that only a human may give: {code}, {now}.\n\
         screenshot.png: the page as it was. It is not masked: keep it to yourself.\n",
        account.id.site()
    );
    let files = [("README.txt", Some(readme.into_bytes())), ("screenshot.png", Some(picture))];
    written(folder, account, code, now, &files).map(|folder| folder.join("screenshot.png"))
}

fn report(account: &Account, rows: &[ProbeRow]) -> String {
    // Samples are texts of the page: they stay behind.
    let queries: Vec<_> =
        rows.iter().map(|row| json!({ "key": row.key, "counts": row.counts, "errors": row.errors })).collect();
    let pack = &account.pack;
    let report = json!({ "site": account.id.site(), "pack": pack.hash, "queries": queries });
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

type File<'a> = (&'a str, Option<Vec<u8>>);

fn written(folder: &Path, account: &Account, code: Code, now: Timestamp, files: &[File<'_>]) -> Option<PathBuf> {
    let whose = format!("{}@{}", account.id.label(), account.id.site());
    match write(folder, &whose, code, now, files) {
        Ok(path) => Some(path),
        Err(error) => {
            tracing::warn!(account.id = %account.id, error.reason = %error, "the failure could not be taken down");
            None
        }
    }
}

fn write(folder: &Path, whose: &str, code: Code, now: Timestamp, files: &[File<'_>]) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Labels and sites hold no dot and no @ of their own, so no account's name ends within another's.
    let own = format!("-{whose}.");
    let mut older: Vec<PathBuf> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.get(STAMP..).is_some_and(|rest| rest.starts_with(&own)))
        })
        .map(|entry| entry.path())
        .collect();
    // Names begin with the time.
    older.sort();
    for path in older.iter().take((older.len() + 1).saturating_sub(KEPT)) {
        fs::remove_dir_all(path)?;
    }
    let path = folder.join(format!("{}-{whose}.{code}", now.strftime("%Y%m%dT%H%M%S%3fZ")));
    DirBuilder::new().mode(0o700).create(&path)?;
    for (name, content) in files {
        let Some(content) = content else { continue };
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path.join(name))?;
        file.write_all(content)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_last_ten_of_each_account_are_kept_and_private() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(FOLDER);
        let at = |second| Timestamp::from_second(second).unwrap();
        let files = [("README.txt", Some(b"x".to_vec())), ("screenshot.png", None)];
        let other = write(&folder, "other@demo", Code::LayoutBroken, at(0), &files).unwrap();
        let paths: Vec<PathBuf> =
            (1..=13).map(|n| write(&folder, "default@demo", Code::LayoutBroken, at(n), &files).unwrap()).collect();
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [vec![false; 3], vec![true; 10]].concat());
        assert!(other.exists(), "each account has its own ten");
        assert_eq!(fs::read_dir(&paths[12]).unwrap().count(), 1, "what could not be had is left out");
        for (path, mode) in [(folder, 0o700), (other.clone(), 0o700), (other.join("README.txt"), 0o600)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
    }
}
