//! Which version of each site's pack is in use in this process, and why another one is not.
//!
//! Written by whoever loads, tries and promotes packs; read by the status page. The same is kept on disk
//! ([`Versions`]), where the commands find it. A disk that takes nothing must not keep a good pack from being
//! used: the board then still says what is so, and the caller is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::error::PackError;
use super::load::LoadedPack;
use super::versions::{Index, Refused, Versions, Why};
use crate::domain::SiteId;

/// How it stands with a site's pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which site.
    pub site: SiteId,
    /// The version in use, if one is.
    pub active: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How often another version came into use, ever.
    pub generation: u64,
    /// The last pack that was not taken, until another one is.
    pub refused: Option<Refused>,
}

/// The packs of all sites.
#[derive(Debug)]
pub struct Board {
    folder: PathBuf,
    sites: Mutex<BTreeMap<SiteId, Index>>,
}

impl Board {
    /// A board that remembers below this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, sites: Mutex::default() }
    }

    /// Where the versions of all sites are kept, in a data directory.
    pub fn folder_in(data_dir: &Path) -> PathBuf {
        data_dir.join("packs")
    }

    /// The kept versions of a site.
    pub fn versions(&self, site: &SiteId) -> Versions {
        Versions::of(&self.folder, site)
    }

    /// A version is in use from now on. True if it was not before.
    ///
    /// # Errors
    /// [`PackError::Unkept`]: it is in use all the same, and only not remembered.
    pub fn activate(&self, pack: &LoadedPack, now: Timestamp, why: Why) -> Result<bool, PackError> {
        // Held while the file is written: two accounts of a site may promote at the same moment.
        let mut sites = self.lock();
        let kept = self.versions(&pack.site).activate(pack, now, why);
        self.refresh(&mut sites, &pack.site, |index| {
            index.active = Some(pack.hash.clone());
            index.since.get_or_insert(now);
        });
        kept
    }

    /// A pack was not taken.
    ///
    /// # Errors
    /// [`PackError::Unkept`]: the board says so all the same.
    pub fn refuse(&self, site: &SiteId, refused: Refused) -> Result<(), PackError> {
        let mut sites = self.lock();
        let kept = self.versions(site).refuse(refused.clone());
        self.refresh(&mut sites, site, |index| index.refused = Some(refused));
        kept
    }

    /// The folder holds what is in use again, so nothing is refused any more.
    ///
    /// # Errors
    /// [`PackError::Unkept`].
    pub fn forget_refused(&self, site: &SiteId) -> Result<(), PackError> {
        let mut sites = self.lock();
        let kept = self.versions(site).forget_refused();
        self.refresh(&mut sites, site, |index| index.refused = None);
        kept
    }

    /// How it stands with every site that has a pack in use or a refused one, by site.
    pub fn standings(&self) -> Vec<Standing> {
        let sites = self.lock();
        sites.iter().map(|(site, index)| standing(site, index.clone())).collect()
    }

    /// Takes what the disk says, and what must hold in any case.
    fn refresh(&self, sites: &mut BTreeMap<SiteId, Index>, site: &SiteId, must: impl FnOnce(&mut Index)) {
        let mut index = match self.versions(site).index() {
            Ok(index) => index,
            Err(_) => sites.remove(site).unwrap_or_default(),
        };
        must(&mut index);
        sites.insert(site.clone(), index);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SiteId, Index>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(site: &SiteId, index: Index) -> Standing {
    let Index { active, since, generation, refused, .. } = index;
    Standing { site: site.clone(), active, since, generation, refused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selectors::Library;

    #[test]
    fn a_disk_that_takes_nothing_does_not_hide_what_is_so() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("packs");
        std::fs::write(&file, "no folder").unwrap();
        let (board, site) = (Board::new(file), "demo".parse().unwrap());
        let pack = Library::built_in(&site).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert!(board.activate(&pack, now, Why::Start).is_err());
        let refused = Refused { hash: "x".to_owned(), at: now, account: None, reasons: vec!["no".to_owned()] };
        assert!(board.refuse(&site, refused.clone()).is_err());
        let standing = &board.standings()[0];
        assert_eq!((standing.active.as_ref(), standing.refused.as_ref()), (Some(&pack.hash), Some(&refused)));
    }
}
