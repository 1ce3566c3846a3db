//! Secrets from files, and how a secret looks when it is shown: not at all.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// What stands in place of a secret.
pub const MASK: &str = "••••";

/// The longest secret file that is read, in bytes; a key file is far shorter, a log is not.
const LIMIT: u64 = 64 * 1024;

/// Where systemd puts the credentials of its services.
const CREDENTIALS: &str = "/run/credentials";

/// Why a secret file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It can't be opened or read.
    Unreadable(std::io::ErrorKind),
    /// Not a regular file.
    NotAFile,
    /// Others than the owner may use it; the mode.
    TooOpen(u32),
    /// Longer than [`LIMIT`].
    TooLong,
    /// Not UTF-8.
    NotText,
    /// Nothing in it.
    Empty,
}

impl Refusal {
    /// What is wrong, as a clause.
    pub(super) fn complaint(self) -> String {
        match self {
            Self::Unreadable(kind) => format!("the file can't be read ({kind})"),
            Self::NotAFile => "the path is not a regular file".to_owned(),
            Self::TooOpen(mode) => format!("the file's mode is {mode:04o}, so others than its owner can use it"),
            Self::TooLong => format!("the file is longer than {LIMIT} bytes"),
            Self::NotText => "the file is not UTF-8 text".to_owned(),
            Self::Empty => "the file is empty".to_owned(),
        }
    }

    /// How to mend it.
    pub(super) fn fix(self, path: &Path) -> String {
        match self {
            Self::TooOpen(_) => format!("chmod 600 {}", path.display()),
            Self::Unreadable(_) => {
                format!("put the secret into {} and let only the daemon's user read it", path.display())
            }
            Self::NotAFile | Self::TooLong | Self::NotText | Self::Empty => {
                format!("write the secret, and nothing else, into {}", path.display())
            }
        }
    }
}

/// Reads a secret from a file of mode 0600 or narrower, or from one of systemd's credentials, without the line breaks at its end.
///
/// The mode is taken from the open file, so that the file judged is the file read.
pub(super) fn read(path: &Path) -> Result<SecretString, Refusal> {
    let unreadable = |error: std::io::Error| Refusal::Unreadable(error.kind());
    // Looked at before opening: opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Refusal::NotAFile);
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !0o600 != 0 && !is_credential(path, metadata.uid(), metadata.gid(), mode) {
        return Err(Refusal::TooOpen(mode));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Refusal::TooLong);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::NotText)?.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(Refusal::Empty) } else { Ok(SecretString::from(text)) }
}

/// True for a credential of a service: root's, and readable for the group in name only. There is an access list, whose
/// one entry is the service's user, and a mode shows what a list allows at most as the rights of the group.
fn is_credential(path: &Path, owner: u32, group: u32, mode: u32) -> bool {
    // What a name with `..` or a link leads to counts, not how it begins.
    let is_there = std::fs::canonicalize(path).is_ok_and(|path| is_of_a_service(&path));
    is_there && is_roots(owner, group, mode)
}

fn is_of_a_service(path: &Path) -> bool {
    path.strip_prefix(CREDENTIALS).is_ok_and(|rest| rest.components().count() >= 2)
}

const fn is_roots(owner: u32, group: u32, mode: u32) -> bool {
    owner == 0 && group == 0 && mode == 0o440
}

/// A user name as `config show` gives it: enough for its owner to recognise, too little for others.
pub(crate) fn masked_name(name: &SecretString) -> String {
    let name = name.expose_secret();
    let shown = if name.chars().count() >= 6 { 2 } else { 0 };
    name.chars().take(shown).filter(|c| !c.is_control()).chain(MASK.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn only_the_line_break_at_the_end_is_cut() {
        let (_dir, path) = file(b" s3cret\nx \r\n", 0o600);
        assert_eq!(read(&path).unwrap().expose_secret(), " s3cret\nx ");
    }

    #[test]
    fn a_file_that_others_can_use_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o700] {
            let (_dir, path) = file(b"s3cret", mode);
            assert_eq!(read(&path).unwrap_err(), Refusal::TooOpen(mode));
        }
        let (_dir, path) = file(b"s3cret", 0o400);
        assert!(read(&path).is_ok());
    }

    #[test]
    fn a_credential_of_systemd_may_show_its_access_list_as_rights_of_the_group() {
        assert!(is_roots(0, 0, 0o440));
        for (owner, group, mode) in [(1000, 0, 0o440), (0, 1000, 0o440), (0, 0, 0o444), (0, 0, 0o640), (0, 0, 0o460)] {
            assert!(!is_roots(owner, group, mode), "{owner} {group} {mode:o}");
        }
        assert!(is_of_a_service(Path::new("/run/credentials/chatferry.service/site_password")));
        for elsewhere in ["/run/credentials/x", "/run/credentials-of-mine/a/b", "/etc/run/credentials/a/b", "/home/a/b"]
        {
            assert!(!is_of_a_service(Path::new(elsewhere)), "{elsewhere}");
        }
        // Elsewhere the same owner and mode are of no use.
        let (_dir, path) = file(b"s3cret", 0o440);
        assert!(!is_credential(&path, 0, 0, 0o440));
        assert_eq!(read(&path).unwrap_err(), Refusal::TooOpen(0o440));
    }

    #[test]
    fn what_can_be_no_secret_is_refused() {
        let (dir, path) = file(b"\n", 0o600);
        assert_eq!(read(&path).unwrap_err(), Refusal::Empty);
        assert_eq!(read(dir.path()).unwrap_err(), Refusal::NotAFile);
        assert_eq!(read(&dir.path().join("no")).unwrap_err(), Refusal::Unreadable(std::io::ErrorKind::NotFound));
        let (_dir, path) = file(&[0xff, 0xfe], 0o600);
        assert_eq!(read(&path).unwrap_err(), Refusal::NotText);
        let (_dir, path) = file(&vec![b'x'; 70_000], 0o600);
        assert_eq!(read(&path).unwrap_err(), Refusal::TooLong);
    }

    #[test]
    fn a_name_is_shown_by_two_letters_at_most() {
        assert_eq!(masked_name(&SecretString::from("annabella")), "an••••");
        assert_eq!(masked_name(&SecretString::from("anna")), "••••");
    }
}
