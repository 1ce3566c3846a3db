//! What every refusal must look like: one sentence, what to do, the right exit code, nothing left behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Place, Run};

/// The built-in pack of the sample site, to be broken.
pub const PACK: &str = include_str!("../../selectors/demo.toml");

/// Puts a pack of the operator's into the place, and says where it is.
pub fn put_pack(place: &Place, text: &str) -> PathBuf {
    let folder = place.data_dir().join("selectors");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("demo.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Runs the program and demands a refusal in the house's form: `chatferry: … [code]`, once, and what to
/// do about it.
pub async fn refused(place: &Place, arguments: &[&str], exit: i32, code: &str) -> Run {
    let run = place.run(arguments).await;
    assert_eq!(run.code(), Some(exit), "{arguments:?}\n--- stdout\n{}\n--- stderr\n{}", run.stdout, run.stderr);
    let said: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("chatferry: ")).collect();
    assert_eq!(said.len(), 1, "not one sentence:\n{}", run.stderr);
    assert!(said[0].ends_with(&format!(" [{code}]")), "{}", said[0]);
    let to_do: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("  what to do: ")).collect();
    assert!(to_do.len() == 1 && to_do[0].ends_with('.'), "it does not say what to do:\n{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    run
}

/// Every file below a folder, with what it holds; `None` for a folder.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.is_symlink() {
                open.push(path.clone());
                found.insert(path, None);
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                found.insert(path, Some(bytes));
            }
        }
    }
    found
}

/// Demands that a run that could not collect left nothing that looks like a result, and no half a file.
pub async fn assert_nothing_collected(place: &Place) {
    assert!(place.exported().await.is_empty());
    for path in snapshot(&place.data_dir()).into_keys() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.contains("tmp") && !name.contains("partial") && !name.starts_with(".writable"), "left: {name}");
    }
    if let Ok(bytes) = fs::read(place.data_dir().join("summaries.csv")) {
        assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), 1, "the workbook shows more than its header");
    }
}
