//! A damaged database file: refused at start, kept as evidence, never replaced by an empty one (F36).

use std::fs;
use std::path::PathBuf;

use chatferry::demo::Site;

use crate::healing::tiny_site;
use crate::support::Place;
use crate::support::processes::{Browsers, turn};

#[tokio::test]
async fn a_damaged_store_is_refused_and_kept() {
    damaged("chatferry.db").await;
}

#[tokio::test]
async fn a_damaged_spool_is_refused_and_kept() {
    damaged("spool.db").await;
}

async fn damaged(name: &str) {
    let _turn = turn().await;
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site);
    let browsers = Browsers::of(&place);
    place.collect_once().await;
    let path = place.data_dir().join(name);
    let mut bytes = fs::read(&path).unwrap();
    let mut dice = fastrand::Rng::with_seed(7);
    // The head of each page but the first: a page that is nonsense can't be overlooked.
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..200].fill_with(|| dice.u8(..));
    }
    fs::write(&path, &bytes).unwrap();
    let requests = site.request_log().len();
    // The second start finds no file, and must not take that for a new beginning.
    for arguments in [&["collect", "--once"][..], &["run"], &["collect", "--once"]] {
        let run = place.run(arguments).await;
        assert_eq!(run.code(), Some(78), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("[data-corrupt]"), "{}", run.stderr);
        assert!(run.stderr.contains("what to do: "), "{}", run.stderr);
        assert!(!path.exists(), "an empty database took the place of the damaged one");
        let kept = kept(&place, name);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(run.stderr.contains(&kept[0].display().to_string()), "it does not say where: {}", run.stderr);
        assert!(fs::read(&kept[0]).unwrap() == bytes, "the damaged file was changed");
    }
    assert_eq!(site.request_log().len(), requests, "it went to the site all the same");
    browsers.assert_gone().await;
    site.stop().await;
}

/// The files that were set aside for `name`, without their -wal and -shm.
fn kept(place: &Place, name: &str) -> Vec<PathBuf> {
    let prefix = format!("{name}.corrupt-");
    let entries = fs::read_dir(place.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    let is_kept = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    entries.filter(is_kept).collect()
}
