//! What changes in the folder of packs while the daemon runs.
//!
//! Two parts that know nothing of each other: [`PackFolder`] looks at the files and says what is other than at
//! the last look; [`Watcher`] says that a look may be worth it. The folder is watched, not its files: editors
//! write a new file and rename it over the old one. A watch can fail without a word (a network file system, the
//! kernel's limit), so whoever looks does so now and then without being told.
//!
//! Nothing here decides whether a pack is used.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::error::PackError;
use super::library::{is_pack, site_of};
use super::load::{LoadedPack, parse_pack, version_of};
use crate::domain::SiteId;

/// What the folder holds for a site now.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// A pack that keeps every rule.
    Valid(Arc<LoadedPack>),
    /// A file that can't be used.
    Invalid {
        /// The version of its text; empty if it can't be read.
        hash: String,
        /// Everything that is wrong with it, in one sentence.
        sentence: String,
    },
    /// No file any more.
    Removed,
}

/// What is other than at the last look.
#[derive(Debug, Clone, PartialEq)]
pub struct PackChange {
    /// Of which site.
    pub site: SiteId,
    /// What there is now.
    pub candidate: Candidate,
}

/// The folder of packs, as it was seen last.
#[derive(Debug)]
pub struct PackFolder {
    path: PathBuf,
    seen: BTreeMap<SiteId, Option<String>>,
}

impl PackFolder {
    /// A folder that was not looked at yet: the first look finds all of it new.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: BTreeMap::new() }
    }

    /// Looks at every pack and gives those that are other than at the last look, by site. A folder that is not
    /// there holds no packs.
    ///
    /// # Errors
    /// [`PackError::Unreadable`] if the folder is there and can't be listed; what was seen stays seen.
    pub fn look(&mut self) -> Result<Vec<PackChange>, PackError> {
        let texts = self.texts().map_err(|source| PackError::Unreadable { path: self.path.clone(), source })?;
        let mut changes = Vec::new();
        let gone: Vec<SiteId> = self.seen.keys().filter(|site| !texts.contains_key(*site)).cloned().collect();
        for site in gone {
            self.seen.remove(&site);
            changes.push(PackChange { site, candidate: Candidate::Removed });
        }
        for (site, (path, text)) in texts {
            let hash = text.as_deref().ok().map(version_of);
            if self.seen.get(&site) == Some(&hash) {
                continue;
            }
            self.seen.insert(site.clone(), hash);
            let candidate = classify(&site, &path, text);
            changes.push(PackChange { site, candidate });
        }
        changes.sort_by(|a, b| a.site.cmp(&b.site));
        Ok(changes)
    }

    /// The texts of all packs; a file that can't be read hides no other.
    fn texts(&self) -> io::Result<BTreeMap<SiteId, (PathBuf, io::Result<String>)>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let mut texts = BTreeMap::new();
        for entry in entries {
            let path = entry?.path();
            // A name that is no site's is told by `selectors check`; it changes no pack that is in use.
            let Some(site) = is_pack(&path).then(|| site_of(&path).ok()).flatten() else { continue };
            match fs::read_to_string(&path) {
                // Renamed away between the listing and the reading: the next look tells what came of it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                text => {
                    texts.insert(site, (path, text));
                }
            }
        }
        Ok(texts)
    }
}

fn classify(site: &SiteId, path: &Path, text: io::Result<String>) -> Candidate {
    match text {
        Ok(text) => match parse_pack(site.clone(), &path.display().to_string(), &text) {
            Ok(pack) => Candidate::Valid(Arc::new(pack)),
            Err(error) => Candidate::Invalid { hash: version_of(&text), sentence: error.to_string() },
        },
        Err(error) => Candidate::Invalid {
            hash: String::new(),
            sentence: format!("the selector pack {} can't be read: {error}", path.display()),
        },
    }
}

/// Says that something happened in the folder of packs.
pub struct Watcher {
    folder: PathBuf,
    told: Arc<dyn Fn() + Send + Sync>,
    /// The watch, and which folder it is on: one of the same name may have taken its place.
    attached: Option<(RecommendedWatcher, u64)>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("folder", &self.folder).field("attached", &self.attached.is_some()).finish()
    }
}

impl Watcher {
    /// Tells of nothing before [`Watcher::attach`]. `told` is called from a thread of its own, several times for
    /// one save, and must not block.
    pub fn new(folder: PathBuf, told: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { folder, told, attached: None }
    }

    /// Sees to it that the folder that is there now is watched. To be called at every look: a folder can be
    /// removed, made, or replaced. True if it is watched, false if it is not there.
    ///
    /// # Errors
    /// Why it can't be watched, in words; it can still be looked at.
    pub fn attach(&mut self) -> Result<bool, String> {
        let inode = match fs::metadata(&self.folder) {
            Ok(metadata) => metadata.ino(),
            Err(error) => {
                self.attached = None;
                return if error.kind() == io::ErrorKind::NotFound { Ok(false) } else { Err(error.to_string()) };
            }
        };
        if self.attached.as_ref().is_some_and(|(_, known)| *known == inode) {
            return Ok(true);
        }
        self.attached = None;
        let told = self.told.clone();
        // A look reads files, which is an event too: only what changes something counts.
        let on_event = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| event.kind.is_access() && !is_end_of_writing(event.kind)) {
                return;
            }
            told();
        };
        let mut watcher = notify::recommended_watcher(on_event).map_err(|error| error.to_string())?;
        watcher.watch(&self.folder, RecursiveMode::NonRecursive).map_err(|error| error.to_string())?;
        self.attached = Some((watcher, inode));
        Ok(true)
    }
}

fn is_end_of_writing(kind: notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const DEMO: &str = include_str!("../../selectors/demo.toml");

    fn sites(changes: &[PackChange]) -> Vec<(&str, &str)> {
        let word = |candidate: &Candidate| match candidate {
            Candidate::Valid(_) => "valid",
            Candidate::Invalid { .. } => "invalid",
            Candidate::Removed => "removed",
        };
        changes.iter().map(|change| (change.site.as_str(), word(&change.candidate))).collect()
    }

    #[test]
    fn a_look_gives_what_changed_since_the_last_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("packs");
        let mut folder = PackFolder::new(path.clone());
        assert_eq!(folder.look().unwrap(), [], "a folder that is not there");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("demo.toml"), DEMO).unwrap();
        fs::write(path.join("other.toml"), DEMO.replace("version = 1", "version = 9")).unwrap();
        fs::write(path.join(".demo.toml.swp"), "x").unwrap();
        fs::write(path.join(".#demo.toml"), "x").unwrap();
        fs::write(path.join("demo.toml.rejected-1"), "x").unwrap();
        assert_eq!(sites(&folder.look().unwrap()), [("demo", "valid"), ("other", "invalid")]);
        assert_eq!(folder.look().unwrap(), []);
        // As editors write: a new file, renamed over the old one.
        fs::write(path.join("demo.toml~"), format!("{DEMO}\nnonsense = 1")).unwrap();
        assert_eq!(folder.look().unwrap(), []);
        fs::rename(path.join("demo.toml~"), path.join("demo.toml")).unwrap();
        let changes = folder.look().unwrap();
        let Candidate::Invalid { sentence, hash } = &changes[0].candidate else { panic!("{changes:?}") };
        assert!(sentence.contains("nonsense") && sentence.contains("line "), "{sentence}");
        assert_eq!(hash.len(), 12);
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(sites(&folder.look().unwrap()), [("demo", "removed"), ("other", "removed")]);
        assert_eq!(folder.look().unwrap(), []);
    }

    #[test]
    fn a_file_that_can_not_be_read_hides_no_other() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("bad.toml")).unwrap();
        fs::write(place.path().join("demo.toml"), DEMO).unwrap();
        let mut folder = PackFolder::new(place.path().to_owned());
        assert_eq!(sites(&folder.look().unwrap()), [("bad", "invalid"), ("demo", "valid")]);
        assert_eq!(folder.look().unwrap(), []);
    }

    #[test]
    fn a_rename_is_told_also_in_a_folder_that_took_the_place_of_another() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("packs");
        let (tell, told) = mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let mut watcher = Watcher::new(path.clone(), Arc::new(move || tell.lock().unwrap().send(()).unwrap_or(())));
        assert_eq!(watcher.attach(), Ok(false));
        let patience = Duration::from_secs(60);
        for round in 0..2 {
            fs::create_dir(&path).unwrap();
            assert_eq!(watcher.attach(), Ok(true));
            while told.try_recv().is_ok() {}
            fs::write(place.path().join("new"), format!("{round}")).unwrap();
            fs::rename(place.path().join("new"), path.join("demo.toml")).unwrap();
            told.recv_timeout(patience).unwrap();
            // Another folder of the same name, as a deployment may put it there.
            fs::rename(&path, place.path().join(format!("old-{round}"))).unwrap();
        }
        assert_eq!(watcher.attach(), Ok(false));
    }
}
