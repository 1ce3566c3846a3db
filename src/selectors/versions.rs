//! The versions of one site's pack that were in use: what to go back to when an edit turns out wrong.
//!
//! `<folder>/<hash>.toml` are the texts, `<folder>/index.json` says when each was in use, which one is now, and
//! what was refused last. The index is replaced as a whole, by rename: a kill in its middle leaves the old one.
//! A daemon writes here; the commands read without its lock and change nothing but the packs' own folder.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::PackError;
use super::load::{LoadedPack, parse_pack, version_of};
use crate::domain::SiteId;

/// The most versions that are kept of a site; the one that is longest out of use goes first.
const KEPT: usize = 20;
/// The file that says which is which.
const INDEX: &str = "index.json";

/// How a version came into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The daemon started with it.
    Start,
    /// It was edited, tried on the live page, and matched.
    Promoted,
    /// It stood in for one that can't be used.
    StoodIn,
}

impl Why {
    /// In words, for a listing.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "the daemon started with it",
            Self::Promoted => "it matched the live page",
            Self::StoodIn => "it stood in for one that could not be used",
        }
    }
}

/// One version that was in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Which.
    pub hash: String,
    /// When it first came into use.
    pub first_active: Timestamp,
    /// When it was last known to be in use.
    pub last_active: Timestamp,
    /// How it last came into use.
    pub why: Why,
}

/// A pack that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its version.
    pub hash: String,
    /// When.
    pub at: Timestamp,
    /// On which account's page it was tried; `None` if it could not even be read.
    pub account: Option<String>,
    /// What is wrong with it: the query and why, in sentences without any chat text.
    pub reasons: Vec<String>,
}

/// What is remembered of a site's pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    /// The version in use.
    pub active: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How often another version came into use, ever.
    pub generation: u64,
    /// The versions that are kept, the one in use longest ago first.
    pub versions: Vec<Version>,
    /// The last pack that was not taken, until another one is.
    pub refused: Option<Refused>,
}

/// The kept versions of one site's pack.
#[derive(Debug, Clone)]
pub struct Versions {
    site: SiteId,
    folder: PathBuf,
}

impl Versions {
    /// Those of a site, below the folder of all sites. Nothing is read yet.
    pub fn of(packs: &Path, site: &SiteId) -> Self {
        Self { site: site.clone(), folder: packs.join(site.as_str()) }
    }

    /// What is remembered; nothing, if there is no index or it can't be made out (it is then written anew).
    ///
    /// # Errors
    /// [`PackError::Unkept`] if it is there and can't be read.
    pub fn index(&self) -> Result<Index, PackError> {
        match fs::read_to_string(self.folder.join(INDEX)) {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(source) => Err(PackError::Unkept { path: self.folder.join(INDEX), source }),
        }
    }

    /// The pack of a version; the beginning of its name is enough.
    ///
    /// # Errors
    /// [`PackError::Unkept`] if it can't be read or is no longer what it was; [`PackError::Invalid`] if this
    /// chatferry has other rules than the one that kept it.
    pub fn load(&self, hash: &str) -> Result<LoadedPack, PackError> {
        let path = self.folder.join(format!("{hash}.toml"));
        let unkept = |source| PackError::Unkept { path: path.clone(), source };
        let text = fs::read_to_string(&path).map_err(unkept)?;
        if version_of(&text) != hash {
            return Err(unkept(io::Error::new(io::ErrorKind::InvalidData, "its content is not what was kept")));
        }
        parse_pack(self.site.clone(), &format!("{}.toml (version {hash}, kept)", self.site), &text)
    }

    /// Remembers that a version is in use from now on. True if another one was before.
    ///
    /// # Errors
    /// [`PackError::Unkept`].
    pub fn activate(&self, pack: &LoadedPack, now: Timestamp, why: Why) -> Result<bool, PackError> {
        let mut index = self.index()?;
        let is_news = index.active.as_deref() != Some(pack.hash.as_str());
        let text = self.folder.join(format!("{}.toml", pack.hash));
        if !text.exists() {
            self.replace(&text, pack.text.as_bytes())?;
        }
        index.activate(&pack.hash, now, why);
        self.write(&index)?;
        self.forget_others(&index);
        Ok(is_news)
    }

    /// Remembers why a pack was not taken.
    ///
    /// # Errors
    /// [`PackError::Unkept`].
    pub fn refuse(&self, refused: Refused) -> Result<(), PackError> {
        let index = Index { refused: Some(refused), ..self.index()? };
        self.write(&index)
    }

    /// Forgets what was refused: the folder holds what is in use again.
    ///
    /// # Errors
    /// [`PackError::Unkept`].
    pub fn forget_refused(&self) -> Result<(), PackError> {
        let mut index = self.index()?;
        match index.refused.take() {
            Some(_) => self.write(&index),
            None => Ok(()),
        }
    }

    fn write(&self, index: &Index) -> Result<(), PackError> {
        let text = serde_json::to_vec_pretty(index).unwrap_or_default();
        self.replace(&self.folder.join(INDEX), &text)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> Result<(), PackError> {
        fs::create_dir_all(&self.folder)
            .and_then(|()| write_whole(path, content))
            .map_err(|source| PackError::Unkept { path: path.to_owned(), source })
    }

    /// Removes the texts that the index no longer names. A text too many does no harm.
    fn forget_others(&self, index: &Index) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let is_text = path.extension().is_some_and(|extension| extension == "toml");
            if is_text && !index.versions.iter().any(|version| version.hash == stem) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl Index {
    /// A version is in use from now on: the one before was until now.
    fn activate(&mut self, hash: &str, now: Timestamp, why: Why) {
        let before = self.active.replace(hash.to_owned());
        if let Some(version) = self.versions.iter_mut().find(|version| Some(&version.hash) == before.as_ref()) {
            version.last_active = now;
        }
        // What was refused stays told while something else stands in for it.
        if why != Why::StoodIn {
            self.refused = None;
        }
        if before.as_deref() == Some(hash) && self.since.is_some() {
            return;
        }
        (self.since, self.generation) = (Some(now), self.generation + 1);
        let known = self.versions.iter().position(|version| version.hash == hash);
        let first_active = known.map_or(now, |place| self.versions.remove(place).first_active);
        self.versions.push(Version { hash: hash.to_owned(), first_active, last_active: now, why });
        let surplus = self.versions.len().saturating_sub(KEPT);
        self.versions.drain(..surplus);
    }

    /// The version to go back to: the one that was in use before the one in use now.
    pub fn before(&self) -> Option<&Version> {
        self.versions.iter().rev().find(|version| Some(&version.hash) != self.active.as_ref())
    }

    /// The versions whose name begins so.
    pub fn named(&self, beginning: &str) -> Vec<&Version> {
        self.versions.iter().filter(|version| version.hash.starts_with(beginning)).collect()
    }
}

/// Writes a file so that a reader finds the old content or the new one, never a part.
///
/// # Errors
/// Those of the file system; the file is as it was then.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    match written.and_then(|()| fs::rename(&beside, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../../selectors/demo.toml");

    fn pack(comment: u32) -> LoadedPack {
        parse_pack("demo".parse().unwrap(), "demo.toml", &format!("{DEMO}\n# {comment}")).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_version_is_kept_with_its_times_and_the_one_before_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::of(folder.path(), &"demo".parse().unwrap());
        let (one, two) = (pack(1), pack(2));
        assert!(versions.activate(&one, at(10), Why::Start).unwrap());
        assert!(!versions.activate(&one, at(20), Why::Start).unwrap());
        assert_eq!(versions.index().unwrap().before(), None);
        assert!(versions.activate(&two, at(30), Why::Promoted).unwrap());
        let index = versions.index().unwrap();
        assert_eq!((index.generation, index.since), (2, Some(at(30))));
        let before = index.before().unwrap();
        assert_eq!(
            (before.hash.as_str(), before.first_active, before.last_active),
            (one.hash.as_str(), at(10), at(30))
        );
        assert_eq!(versions.load(&one.hash).unwrap().text, one.text);
        assert!(versions.activate(&one, at(40), Why::Promoted).unwrap());
        let index = versions.index().unwrap();
        assert_eq!((index.before().unwrap().hash.as_str(), index.versions.len()), (two.hash.as_str(), 2));
        assert_eq!(index.named(&one.hash[..4]).len(), 1);
    }

    #[test]
    fn twenty_are_kept_and_a_changed_text_is_no_version() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::of(folder.path(), &"demo".parse().unwrap());
        for n in 0..25 {
            versions.activate(&pack(n), at(i64::from(n)), Why::Promoted).unwrap();
        }
        let index = versions.index().unwrap();
        assert_eq!((index.versions.len(), index.generation), (KEPT, 25));
        assert_eq!(fs::read_dir(folder.path().join("demo")).unwrap().count(), KEPT + 1);
        assert!(versions.load(&pack(4).hash).is_err());
        let last = pack(24);
        fs::write(folder.path().join(format!("demo/{}.toml", last.hash)), "version = 1").unwrap();
        assert!(matches!(versions.load(&last.hash), Err(PackError::Unkept { .. })));
    }

    #[test]
    fn a_refusal_stays_told_until_another_version_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::of(folder.path(), &"demo".parse().unwrap());
        versions.activate(&pack(1), at(1), Why::Start).unwrap();
        let refused = Refused { hash: "abc".to_owned(), at: at(2), account: None, reasons: vec!["no TOML".to_owned()] };
        versions.refuse(refused.clone()).unwrap();
        versions.activate(&pack(1), at(3), Why::StoodIn).unwrap();
        let index = versions.index().unwrap();
        assert_eq!((index.refused, index.generation), (Some(refused), 1));
        versions.activate(&pack(2), at(4), Why::Promoted).unwrap();
        assert_eq!(versions.index().unwrap().refused, None);
    }
}
