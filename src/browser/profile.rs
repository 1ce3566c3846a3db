//! Where a browser's profile lies and whose it is.
//!
//! A profile is as old as its browser: empty at the start, removed at the end. What lasts of an account is
//! in no profile (its context is off the record) but in the vault of sessions.
//!
//! Chromium keeps its sandbox only under an ordinary user. As one, profiles lie in the data directory.
//! As root, Chromium runs as a lesser user, who can't pass root's private folders: then they lie under
//! `/var/lib/chatferry-browser`, in a folder named after the data directory.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::getuid;

use crate::domain::AccountId;

/// Where root keeps the profiles of its lesser user.
const ROOTS_PROFILES: &str = "/var/lib/chatferry-browser";
/// Longest path of a folder in which Chromium can make its sockets: it adds 45 bytes
/// (`/org.chromium.Chromium.XXXXXX/SingletonSocket`), and a socket's path has at most 107.
const SOCKET_FOLDER_LIMIT: usize = 62;
/// How the profile of a browser is called, before a number drawn at random.
const PREFIX: &str = "browser-";
/// In each folder there: the data directory it belongs to.
const OWNER_FILE: &str = "data-directory";

/// The user that Chromium runs as when we are root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LesserUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// `chatferry` where the packaging made such a user, else `nobody`; `None` if we are not root.
pub fn lesser_user() -> Option<LesserUser> {
    if !getuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |wanted: &str| {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.first() == Some(&wanted)).then_some(())?;
            Some(LesserUser { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
        })
    };
    find("chatferry").or_else(|| find("nobody")).or(Some(LesserUser { uid: 65_534, gid: 65_534 }))
}

/// The folder of all profiles for this data directory.
pub fn profiles_of(data_dir: &Path) -> PathBuf {
    if lesser_user().is_none() {
        return data_dir.join("profiles");
    }
    let data_dir = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let hash = blake3::hash(data_dir.as_os_str().as_encoded_bytes()).to_hex();
    Path::new(ROOTS_PROFILES).join(&hash[..16])
}

/// Where versions before the vault kept the profile, and so the login, of an account.
pub fn profile_of(data_dir: &Path, account: &AccountId) -> PathBuf {
    profiles_of(data_dir).join(format!("{}@{}", account.label(), account.site()))
}

/// The profile of one browser; it is removed when this is dropped, after the browser's end.
#[derive(Debug)]
pub struct Profile {
    path: PathBuf,
}

impl Profile {
    /// Makes an empty one for this data directory: 0700, of the user that Chromium runs as. As root,
    /// notes whose it is and removes the folders of data directories that are no more.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(data_dir: &Path) -> io::Result<Self> {
        let parent = profiles_of(data_dir);
        let user = lesser_user();
        fs::DirBuilder::new().recursive(true).mode(if user.is_some() { 0o711 } else { 0o700 }).create(&parent)?;
        if user.is_some() {
            let data_dir = fs::canonicalize(data_dir)?;
            note_owner(&parent, data_dir.as_os_str().as_encoded_bytes())?;
            remove_orphans();
        }
        let path = parent.join(format!("{PREFIX}{:08x}", fastrand::u32(..)));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let profile = Self { path };
        if let Some(LesserUser { uid, gid }) = user {
            chown(&profile.path, Some(uid), Some(gid))?;
        }
        let sockets = socket_folder(&profile.path);
        if sockets != profile.path {
            prepare_sockets(&sockets)?;
        }
        Ok(profile)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// What can't be removed now is swept by the next start.
fn remove(profile: &Path) {
    let _ = fs::remove_dir_all(profile);
    let sockets = socket_folder(profile);
    if sockets != profile {
        let _ = fs::remove_dir_all(sockets);
    }
}

/// Removes the profiles that an earlier process of ours, killed hard, left behind. Their browsers must be
/// gone.
pub fn sweep(data_dir: &Path) {
    for entry in fs::read_dir(profiles_of(data_dir)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            remove(&entry.path());
        }
    }
}

/// Where the browser of this profile keeps its sockets: in the profile, or, where their paths would be
/// longer than a socket's may be, in a private folder of its own under `/tmp`.
pub fn socket_folder(profile: &Path) -> PathBuf {
    if profile.as_os_str().len() <= SOCKET_FOLDER_LIMIT {
        return profile.to_owned();
    }
    let hash = blake3::hash(profile.as_os_str().as_encoded_bytes()).to_hex();
    Path::new("/tmp").join(format!("chatferry-{}", &hash[..16]))
}

/// Makes the folder of the sockets: 0700, of the user that Chromium runs as, and nobody else's. Everybody
/// may write to `/tmp`, so one that is there is believed only if it is just that.
fn prepare_sockets(folder: &Path) -> io::Result<()> {
    let owner = lesser_user();
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => owner.map_or(Ok(()), |user| chown(folder, Some(user.uid), Some(user.gid))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(folder)?;
            let wanted = owner.map_or_else(|| getuid().as_raw(), |user| user.uid);
            if found.is_dir() && found.uid() == wanted && found.permissions().mode() & 0o777 == 0o700 {
                return Ok(());
            }
            let problem = format!("{} is there and belongs to somebody else: remove it", folder.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, problem))
        }
        Err(error) => Err(error),
    }
}

/// Whole or not at all: another process that reads half a path would take the folder for an orphan.
fn note_owner(folder: &Path, owner: &[u8]) -> io::Result<()> {
    let path = folder.join(OWNER_FILE);
    if fs::read(&path).is_ok_and(|noted| noted == owner) {
        return Ok(());
    }
    let new = folder.join(format!(".{OWNER_FILE}-{}", std::process::id()));
    fs::write(&new, owner)?;
    fs::rename(&new, &path)
}

fn remove_orphans() {
    let Ok(folders) = fs::read_dir(ROOTS_PROFILES) else { return };
    for folder in folders.flatten().map(|entry| entry.path()) {
        let owner = fs::read_to_string(folder.join(OWNER_FILE));
        if owner.is_ok_and(|owner| !owner.is_empty() && !Path::new(&owner).exists()) {
            // A folder that can't be removed now is tried again at the next start.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_private_and_gone_with_its_browser() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(profiles_of(one.path()), profiles_of(two.path()));
        let (first, second) = (Profile::create(one.path()).unwrap(), Profile::create(one.path()).unwrap());
        let (path, other) = (first.path().to_owned(), second.path().to_owned());
        assert_ne!(path, other);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("Cookies"), "x").unwrap();
        drop(first);
        assert!(!path.exists() && other.exists());
        // As after kill -9.
        std::mem::forget(second);
        let old = profile_of(one.path(), &"demo/default".parse().unwrap());
        fs::create_dir(&old).unwrap();
        sweep(one.path());
        assert!(!other.exists() && old.exists(), "only browsers' own profiles are swept");
        fs::remove_dir_all(profiles_of(one.path())).unwrap();
    }

    #[test]
    fn sockets_have_room_however_long_the_path_is() {
        let parent = tempfile::tempdir().unwrap();
        let short = Path::new("/p");
        assert_eq!(socket_folder(short), short);
        let long = parent.path().join("x".repeat(80));
        let sockets = socket_folder(&long);
        assert!(sockets.as_os_str().len() <= SOCKET_FOLDER_LIMIT);
        fs::create_dir(&long).unwrap();
        prepare_sockets(&sockets).unwrap();
        // Again, as after a crash.
        prepare_sockets(&sockets).unwrap();
        assert_eq!(fs::metadata(&sockets).unwrap().permissions().mode() & 0o777, 0o700);
        remove(&long);
        assert!(!sockets.exists() && !long.exists());
        std::os::unix::fs::symlink(parent.path(), &sockets).unwrap();
        let refused = prepare_sockets(&sockets).unwrap_err();
        fs::remove_file(&sockets).unwrap();
        assert!(refused.to_string().contains("remove it"), "{refused}");
    }

    #[test]
    fn an_owner_is_noted_whole_and_once() {
        let folder = tempfile::tempdir().unwrap();
        note_owner(folder.path(), b"/data").unwrap();
        let path = folder.path().join(OWNER_FILE);
        let written = fs::metadata(&path).unwrap().ino();
        note_owner(folder.path(), b"/data").unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), fs::metadata(&path).unwrap().ino()), (&b"/data"[..], written));
        note_owner(folder.path(), b"/other").unwrap();
        assert_ne!(fs::metadata(&path).unwrap().ino(), written, "a reader may have the old one open");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
