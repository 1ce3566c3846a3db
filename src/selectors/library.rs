//! Which packs there are: those built in, and the operator's folder, whose files win.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::PackError;
use super::load::{LoadedPack, parse_pack};
use crate::domain::SiteId;

/// The packs that come with chatferry.
const BUILT_IN: [(&str, &str); 2] =
    [("demo", include_str!("../../selectors/demo.toml")), ("meetme", include_str!("../../selectors/meetme.toml"))];

/// Where a pack comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackSource {
    /// It is part of the program.
    BuiltIn(&'static str),
    /// The operator's file.
    File(PathBuf),
}

/// Every pack by its site.
#[derive(Debug, Clone, Default)]
pub struct Library {
    packs: BTreeMap<SiteId, PackSource>,
    misnamed: Vec<PathBuf>,
}

impl Library {
    /// The built-in packs and those in `folder`, if it exists. Reads names only; a pack that is never
    /// used may be broken.
    ///
    /// # Errors
    /// [`PackError::Unreadable`] if the folder exists and can't be listed.
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        let mut packs: BTreeMap<SiteId, PackSource> =
            BUILT_IN.iter().filter_map(|(name, text)| Some((name.parse().ok()?, PackSource::BuiltIn(text)))).collect();
        let unreadable = |source| PackError::Unreadable { path: folder.to_owned(), source };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { packs, misnamed: Vec::new() });
            }
            Err(error) => return Err(unreadable(error)),
        };
        let mut misnamed = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if !is_pack(&path) {
                continue;
            }
            match site_of(&path) {
                Ok(site) => {
                    packs.insert(site, PackSource::File(path));
                }
                // A copy with another name (`demo copy.toml`) must not keep every site from being read.
                Err(error) => {
                    tracing::warn!(target: "chatferry::selectors", reason = %error, "a file in the folder of packs is passed over");
                    misnamed.push(path);
                }
            }
        }
        Ok(Self { packs, misnamed })
    }

    /// The sites that have a pack, as far as names tell: what can't be read is left out here, so that it
    /// hides no other pack, and is told by [`Library::open`] where a pack is used.
    pub fn sites_of(folder: &Path) -> Vec<SiteId> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let packs = files.filter(|path| is_pack(path));
        let own = packs.filter_map(|path| site_of(&path).ok());
        let built_in = BUILT_IN.iter().filter_map(|(name, _)| name.parse().ok());
        built_in.chain(own).collect::<BTreeSet<SiteId>>().into_iter().collect()
    }

    /// Files that look like packs and are named after no site.
    pub fn misnamed(&self) -> &[PathBuf] {
        &self.misnamed
    }

    /// Every site there is a pack for.
    pub fn sites(&self) -> Vec<SiteId> {
        self.packs.keys().cloned().collect()
    }

    /// Reads the pack of a site.
    ///
    /// # Errors
    /// [`PackError`]: there is none, it can't be read, or it breaks rules.
    pub fn load(&self, site: &SiteId) -> Result<LoadedPack, PackError> {
        match self.packs.get(site) {
            Some(PackSource::BuiltIn(text)) => parse_pack(site.clone(), &built_in_name(site), text),
            Some(PackSource::File(path)) => load_file(path),
            None => Err(PackError::Unknown { site: site.to_string(), nearest: self.nearest(site.as_str()) }),
        }
    }

    /// Reads a pack named on the command line: a path if it looks like one, else a site.
    ///
    /// # Errors
    /// As [`Library::load`].
    pub fn load_named(&self, name: &str) -> Result<LoadedPack, PackError> {
        let is_path = name.contains('/') || Path::new(name).extension().is_some_and(|extension| extension == "toml");
        if is_path {
            return load_file(Path::new(name));
        }
        match name.parse() {
            Ok(site) => self.load(&site),
            Err(_) => Err(PackError::Unknown { site: name.to_owned(), nearest: self.nearest(name) }),
        }
    }

    /// The pack of a site that is part of the program, if there is one.
    pub fn built_in(site: &SiteId) -> Option<LoadedPack> {
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == site.as_str())?;
        parse_pack(site.clone(), &built_in_name(site), text).ok()
    }

    fn nearest(&self, name: &str) -> Option<SiteId> {
        let nearest = self.packs.keys().min_by_key(|site| strsim::damerau_levenshtein(site.as_str(), name))?;
        (strsim::damerau_levenshtein(nearest.as_str(), name) <= 3).then(|| nearest.clone())
    }
}

fn built_in_name(site: &SiteId) -> String {
    format!("{site}.toml (built in)")
}

/// Whether a file is meant as a pack: hidden ones are what editors leave for a moment.
pub(super) fn is_pack(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == "toml")
}

pub(super) fn site_of(path: &Path) -> Result<SiteId, PackError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.parse().map_err(|error: crate::domain::IdError| PackError::Invalid {
        name: path.display().to_string(),
        problems: vec![super::PackProblem {
            key: String::new(),
            line: None,
            sentence: format!("the file's name is the site's: {error}"),
        }],
    })
}

fn load_file(path: &Path) -> Result<LoadedPack, PackError> {
    let site = site_of(path)?;
    let text =
        std::fs::read_to_string(path).map_err(|source| PackError::Unreadable { path: path.to_owned(), source })?;
    parse_pack(site, &path.display().to_string(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_pack_keeps_the_rules() {
        let library = Library::open(Path::new("/nonexistent")).unwrap();
        assert_eq!(library.sites().len(), BUILT_IN.len());
        for site in library.sites() {
            library.load(&site).unwrap();
        }
        assert!(!library.load(&"meetme".parse().unwrap()).unwrap().pack.site.verified);
    }

    #[test]
    fn the_operators_file_wins_and_a_misspelled_site_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = BUILT_IN[0].1.replace("name = \"Sample chat\"", "name = \"Mine\"");
        std::fs::write(folder.path().join("demo.toml"), text).unwrap();
        let library = Library::open(folder.path()).unwrap();
        assert_eq!(library.load_named("demo").unwrap().pack.site.name, "Mine");
        let refusal = library.load_named("metme").unwrap_err().to_string();
        assert!(refusal.contains("did you mean meetme?"), "{refusal}");
    }

    #[test]
    fn a_file_that_is_no_pack_hides_no_site() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mine.toml", "My Pack.toml", "notes.txt", ".#mine.toml"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |folder: &Path| Library::sites_of(folder).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(folder.path()), ["demo", "meetme", "mine"]);
        assert_eq!(names(&folder.path().join("notes.txt")), ["demo", "meetme"]);
    }
}
