//! The keys that wrap the data keys of sessions: the owner's, or one drawn once and kept in the data directory.
//!
//! A line of the setting is used as the source of a key, not as the key itself, so that it may be written in any
//! alphabet. The first is the current one; the others only open what was wrapped before a rotation.

use std::fs;
use std::io;
use std::path::Path;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Generate, Key};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::error::VaultError;
use super::files;

/// Shorter lines can be guessed.
pub const SHORTEST: usize = 32;

/// A key that wraps data keys.
pub struct WrappingKey {
    /// Tells which key it is and nothing of it.
    pub id: [u8; 8],
    /// The key.
    pub key: Zeroizing<[u8; 32]>,
}

impl WrappingKey {
    /// The key of a line.
    pub fn of(line: &str) -> Self {
        let key = Zeroizing::new(blake3::derive_key("chatferry 2026 session wrapping key", line.as_bytes()));
        let name = blake3::derive_key("chatferry 2026 session wrapping key's name", line.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&name[..8]);
        Self { id, key }
    }
}

/// All wrapping keys, the current one first.
pub struct Keyring(Vec<WrappingKey>);

impl Keyring {
    /// The keys of the setting; without one, that of the file, which is drawn if it is not there.
    ///
    /// # Errors
    /// [`VaultError::Folder`] if the file can be neither read nor written.
    pub fn open(keys: Option<&SecretString>, file: &Path) -> Result<Self, VaultError> {
        if let Some(keys) = keys {
            return Ok(Self::of(keys.expose_secret()));
        }
        let unusable = |source| VaultError::Folder { path: file.to_owned(), source };
        match fs::read_to_string(file).map(Zeroizing::new) {
            Ok(line) if line.trim().len() >= SHORTEST => return Ok(Self::of(&line)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            // What a full disk left of it opens nothing; the accounts log in once more.
            Ok(_) | Err(_) => {}
        }
        let drawn = Key::<XChaCha20Poly1305>::generate();
        let line = Zeroizing::new(drawn.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        files::write(file, line.as_bytes()).map_err(unusable)?;
        Ok(Self::of(&line))
    }

    fn of(lines: &str) -> Self {
        Self(lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(WrappingKey::of).collect())
    }

    /// The key that wraps from now on; `None` if there is none at all, which the settings refuse.
    pub fn current(&self) -> Option<&WrappingKey> {
        self.0.first()
    }

    /// The key of this name.
    pub fn named(&self, id: [u8; 8]) -> Option<&WrappingKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_drawn_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session.key");
        let first = Keyring::open(None, &file).unwrap().current().unwrap().id;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&file).unwrap().len(), 64);
        assert_eq!(Keyring::open(None, &file).unwrap().current().unwrap().id, first);
        fs::write(&file, "").unwrap();
        assert_ne!(Keyring::open(None, &file).unwrap().current().unwrap().id, first);
    }

    #[test]
    fn the_first_line_is_current_and_the_others_are_known() {
        let lines = SecretString::from(format!("{}\n\n {} \n", "b".repeat(32), "a".repeat(32)));
        let ring = Keyring::open(Some(&lines), Path::new("/nowhere")).unwrap();
        let (new, old) = (WrappingKey::of(&"b".repeat(32)), WrappingKey::of(&"a".repeat(32)));
        assert_eq!(ring.current().unwrap().id, new.id);
        assert_eq!(ring.named(old.id).unwrap().key, old.key);
        assert!(ring.named([0; 8]).is_none());
    }
}
