//! `selectors versions | rollback`, and what the daemon made of a pack: the versions that were in use.
//!
//! Reads what a daemon keeps in the data directory, beside it and without its lock. The only thing that is
//! written is the pack in the operator's folder, and what stood there before is kept beside it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::exit::{self, Failure};
use super::out;
use crate::config::Config;
use crate::domain::SiteId;
use crate::fault::{AnyFault, Code};
use crate::ports::{Clock, SystemClock};
use crate::selectors::load::version_of;
use crate::selectors::versions::{Index, Refused, Version, Versions, write_whole};
use crate::selectors::{Board, Library, LoadedPack, PackError};

fn versions_of(config: &Config, site: &SiteId) -> Versions {
    Versions::of(&Board::folder_in(&config.data_dir), site)
}

/// Why the daemon did not take this pack, if that is so.
pub(super) fn refusal(config: &Config, pack: &LoadedPack) -> Option<Refused> {
    let index = versions_of(config, &pack.site).index().ok()?;
    index.refused.filter(|refused| refused.hash == pack.hash && index.active.as_ref() != Some(&pack.hash))
}

/// Lists the versions of a site's pack that were in use, the newest first.
///
/// # Errors
/// `data-dir-unusable`.
pub(super) fn versions(site: &SiteId, as_json: bool, config: &Config) -> Result<(), Failure> {
    let index = versions_of(config, site).index().map_err(AnyFault::from)?;
    if as_json {
        out::json(&document(site, &index));
        return Ok(());
    }
    if index.versions.is_empty() {
        out::line(&format!("no version of {site}'s pack was in use yet: a daemon keeps each one that it uses"));
        return Ok(());
    }
    let row = |version: &Version| {
        let is_active = index.active.as_ref() == Some(&version.hash);
        let mark = if is_active { format!("▸ {}", version.hash) } else { format!("  {}", version.hash) };
        let last = if is_active { "in use".to_owned() } else { minutes(version.last_active) };
        vec![mark, minutes(version.first_active), last, version.why.as_str().to_owned()]
    };
    let rows = index.versions.iter().rev().map(row).collect();
    out::line(&out::table(&["version", "first in use", "last in use", "because"], &[], rows));
    if let Some(refused) = &index.refused {
        out::line(&format!("refused {}: {}", refused.hash, refused.reasons.join("; ")));
    }
    Ok(())
}

fn document(site: &SiteId, index: &Index) -> Value {
    json!({ "site": site, "active": index.active, "since": index.since, "generation": index.generation,
        "versions": index.versions, "refused": index.refused })
}

fn minutes(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Puts a version that was in use back into the folder of packs. A running daemon then tries it as any edit.
///
/// # Errors
/// No such version; the folder can't be written.
pub(super) fn rollback(site: &SiteId, hash: Option<&str>, config: &Config) -> Result<(), Failure> {
    let versions = versions_of(config, site);
    let index = versions.index().map_err(AnyFault::from)?;
    let path = config.selectors_dir.join(format!("{site}.toml"));
    let there = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(AnyFault::from(PackError::Unreadable { path, source }).into()),
    };
    let now = there.as_deref().map(version_of).or_else(|| Library::built_in(site).map(|pack| pack.hash));
    let target = choose(site, hash, &index, now.as_deref())?;
    if now.as_deref() == Some(target) && there.is_some() {
        out::line(&format!("{} is version {target} already", path.display()));
        return Ok(());
    }
    let pack = versions.load(target).map_err(AnyFault::from)?;
    let unkept = |path: &PathBuf| {
        let path = path.clone();
        move |source| AnyFault::from(PackError::Unkept { path, source })
    };
    fs::create_dir_all(&config.selectors_dir).map_err(unkept(&config.selectors_dir))?;
    if there.is_some() {
        // A copy: while it is renamed there would be no pack, and a daemon that looks just then finds none.
        let time = SystemClock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let aside = config.selectors_dir.join(format!("{site}.toml.rejected-{time}"));
        fs::copy(&path, &aside).map_err(unkept(&aside))?;
        out::line(&format!("kept    {}", aside.display()));
    }
    write_whole(&path, pack.text.as_bytes()).map_err(unkept(&path))?;
    out::line(&format!("written {} (version {target})", path.display()));
    out::line("A running daemon tries it within seconds; the status page says what it uses.");
    Ok(())
}

/// The version that is meant: the one named, else the last one in use that is not in the folder now.
fn choose<'i>(site: &SiteId, hash: Option<&str>, index: &'i Index, now: Option<&str>) -> Result<&'i str, Failure> {
    let list = || index.versions.iter().rev().map(|version| version.hash.as_str()).collect::<Vec<_>>().join(", ");
    let Some(named) = hash else {
        let is_other = |version: &&Version| Some(version.hash.as_str()) != now;
        let active = index.versions.iter().find(|version| index.active.as_ref() == Some(&version.hash));
        let target = active.filter(is_other).or_else(|| index.versions.iter().rev().find(is_other));
        return target.map(|version| version.hash.as_str()).ok_or_else(|| {
            let (sentence, action) =
                (format!("no other version of {site}'s pack was in use"), Code::PackUnknown.action());
            Failure::said(format!("chatferry: {sentence}\n  what to do: {action}"), exit::FAULTS)
        });
    };
    match index.named(named).as_slice() {
        [one] => Ok(&one.hash),
        found => {
            let what = if found.is_empty() { "is no kept version" } else { "is the beginning of several versions" };
            let text = format!("chatferry: {named} {what} of {site}'s pack\n  what to do: name one of {}.", list());
            Err(Failure::said(text, exit::FAULTS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;
    use crate::selectors::Why;
    use crate::selectors::load::parse_pack;

    const DEMO: &str = include_str!("../../selectors/demo.toml");

    fn pack(comment: &str) -> LoadedPack {
        parse_pack("demo".parse().unwrap(), "demo.toml", &format!("{DEMO}\n# {comment}")).unwrap()
    }

    /// A place whose daemon used `one`, then `two`.
    fn place(case: &Case) -> (Config, Versions, SiteId) {
        let mut config = case.load().unwrap();
        config.data_dir = case.dir.path().join("data");
        config.selectors_dir = case.dir.path().join("own-packs");
        let site: SiteId = "demo".parse().unwrap();
        let versions = versions_of(&config, &site);
        for (second, name) in [(1, "one"), (2, "two")] {
            let at = jiff::Timestamp::from_second(second).unwrap();
            versions.activate(&pack(name), at, Why::Promoted).unwrap();
        }
        (config, versions, site)
    }

    fn folder(config: &Config) -> Vec<(String, String)> {
        let entries = fs::read_dir(&config.selectors_dir).unwrap().flatten();
        let read = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().to_string_lossy().into_owned(), text.lines().last().unwrap().to_owned())
        };
        let mut found: Vec<(String, String)> = entries.map(read).collect();
        found.sort();
        found
    }

    #[test]
    fn going_back_loses_nothing_and_makes_the_folder_if_need_be() {
        let case = Case::new();
        let (config, _, site) = place(&case);
        // No folder, so the built-in pack is in use as far as files tell: back to what the daemon used.
        rollback(&site, None, &config).unwrap();
        assert_eq!(folder(&config), [("demo.toml".to_owned(), "# two".to_owned())]);
        // A bad edit: back to the version in use.
        fs::write(config.selectors_dir.join("demo.toml"), "bad = true\n# bad").unwrap();
        rollback(&site, None, &config).unwrap();
        let found = folder(&config);
        assert_eq!(found[0], ("demo.toml".to_owned(), "# two".to_owned()));
        assert!(found[1].0.starts_with("demo.toml.rejected-") && found[1].1 == "# bad", "{found:?}");
        // The version in use itself turned out wrong: back to the one before, or to the one that is named.
        rollback(&site, None, &config).unwrap();
        assert_eq!(folder(&config)[0].1, "# one");
        rollback(&site, Some(&pack("two").hash[..6]), &config).unwrap();
        assert_eq!(folder(&config)[0].1, "# two");
        assert_eq!(rollback(&site, Some("zz"), &config).unwrap_err().code(), exit::FAULTS);
        assert_eq!(rollback(&"other".parse().unwrap(), None, &config).unwrap_err().code(), exit::FAULTS);
    }

    #[test]
    fn a_refusal_is_of_the_version_that_is_there() {
        let case = Case::new();
        let (config, versions, _) = place(&case);
        let bad = pack("bad");
        assert_eq!(refusal(&config, &bad), None);
        let at = jiff::Timestamp::UNIX_EPOCH;
        let refused = Refused { hash: bad.hash.clone(), at, account: None, reasons: vec!["x".to_owned()] };
        versions.refuse(refused.clone()).unwrap();
        assert_eq!(refusal(&config, &bad), Some(refused));
        assert_eq!(refusal(&config, &pack("two")), None);
    }
}
