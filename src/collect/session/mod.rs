//! Sessions that survive a restart: kept sealed, one file for each account, and never anything else.
//!
//! | file | what it holds |
//! |---|---|
//! | `seal` | what a file looks like; sealing, opening, rotating; pure |
//! | [`keys`] | the wrapping keys, and where they come from |
//! | `files` | writing a file as a whole |
//! | [`error`] | what can go wrong |
//!
//! A vault belongs to one data directory, and that to one process. What is in a session only the browser
//! knows. A file that can't be opened is never used in part, and never a reason not to collect: it costs a
//! login, within the budget.

pub mod error;
mod files;
pub mod keys;
mod seal;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;
use tokio::task::spawn_blocking;

pub use self::error::VaultError;
use self::keys::Keyring;
use self::seal::{DataKey, Opened};
use crate::domain::AccountId;
use crate::ports::SessionState;

/// The sessions of all accounts, sealed.
pub struct Vault {
    folder: PathBuf,
    ring: Keyring,
}

impl Vault {
    /// The vault of a data directory, with the keys of the setting or one of its own.
    ///
    /// # Errors
    /// [`VaultError::Folder`].
    pub fn open(data_dir: &Path, keys: Option<&SecretString>) -> Result<Self, VaultError> {
        let folder = data_dir.join("sessions");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| VaultError::Folder { path: folder.clone(), source })?;
        Ok(Self { folder, ring: Keyring::open(keys, &data_dir.join("session.key"))? })
    }

    fn path(&self, account: &AccountId) -> PathBuf {
        self.folder.join(format!("{}@{}", account.label(), account.site()))
    }

    /// The session of an account, if one is kept. If it is wrapped with a key from before a rotation, it is
    /// wrapped anew.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`], [`VaultError::Refused`].
    pub fn load(&self, account: &AccountId) -> Result<Option<SessionState>, VaultError> {
        let Some((file, opened)) = self.opened(account)? else { return Ok(None) };
        if opened.is_old
            && let Some(rewrapped) =
                self.ring.current().and_then(|key| seal::rewrap(account, key, &opened.data_key, &file))
        {
            // Not now, then the next time: what was opened is good either way.
            let _ = files::write(&self.path(account), &rewrapped);
        }
        Ok(Some(SessionState::new(opened.content.to_vec())))
    }

    fn opened(&self, account: &AccountId) -> Result<Option<(Vec<u8>, Opened)>, VaultError> {
        let file = match fs::read(self.path(account)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(VaultError::Unreadable { account: account.clone(), source }),
        };
        match seal::open(account, &self.ring, &file) {
            Ok(opened) => Ok(Some((file, opened))),
            Err(refusal) => Err(VaultError::Refused { account: account.clone(), refusal }),
        }
    }

    /// Keeps the session of an account, in place of an earlier one.
    ///
    /// # Errors
    /// [`VaultError::Unwritable`]; the earlier one is still there then.
    pub fn save(&self, account: &AccountId, session: &SessionState) -> Result<(), VaultError> {
        let unwritable = |source| VaultError::Unwritable { account: account.clone(), source };
        let known = self.opened(account).ok().flatten();
        let data_key = known.map_or_else(DataKey::draw, |(_, opened)| opened.data_key);
        let key = self.ring.current().ok_or_else(|| unwritable(io::ErrorKind::NotFound.into()))?;
        let file = seal::seal(account, key, &data_key, session.expose());
        let file = file.ok_or_else(|| unwritable(io::ErrorKind::FileTooLarge.into()))?;
        files::write(&self.path(account), &file).map_err(unwritable)
    }

    /// Removes the session of an account, and with it its data key.
    ///
    /// # Errors
    /// [`VaultError::Unwritable`].
    pub fn forget(&self, account: &AccountId) -> Result<(), VaultError> {
        files::remove(&self.path(account)).map_err(|source| VaultError::Unwritable { account: account.clone(), source })
    }
}

/// The session of one account: what the vault holds of it, and whether that is worth anything.
pub struct AccountSession {
    vault: Arc<Vault>,
    account: AccountId,
    /// What the vault holds; `None` while nobody is logged in.
    kept: Mutex<Option<SessionState>>,
    is_logged_in: AtomicBool,
    is_lost: AtomicBool,
    /// Of a page on which something is only tried: what comes of it must not replace what is kept.
    is_trial: AtomicBool,
}

impl AccountSession {
    /// Of this account.
    pub const fn new(vault: Arc<Vault>, account: AccountId) -> Self {
        Self {
            vault,
            account,
            kept: Mutex::new(None),
            is_logged_in: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
            is_trial: AtomicBool::new(false),
        }
    }

    /// The same account's session for a trial: it begins with what the vault holds, and changes nothing there
    /// before the trial is [believed](Self::believe).
    pub fn for_trial(&self) -> Self {
        Self { is_trial: AtomicBool::new(true), ..Self::new(self.vault.clone(), self.account.clone()) }
    }

    /// The trial went well: what it is logged in with is the account's from now on.
    pub fn believe(&self) {
        self.is_trial.store(false, Ordering::Relaxed);
    }

    /// What was kept, read from the disk.
    ///
    /// # Errors
    /// As [`Vault::load`].
    pub async fn load(&self) -> Result<Option<SessionState>, VaultError> {
        let account = self.account.clone();
        let loaded = self.on_disk(move |vault| vault.load(&account)).await?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&loaded);
        Ok(loaded)
    }

    /// Keeps the session as it is now, unless it is kept like this already.
    ///
    /// # Errors
    /// As [`Vault::save`].
    pub async fn save(&self, session: SessionState) -> Result<(), VaultError> {
        let is_kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&session);
        if is_kept || self.is_trial.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (account, saved) = (self.account.clone(), session.clone());
        self.on_disk(move |vault| vault.save(&account, &saved)).await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(())
    }

    /// The site has ended it: it must not be tried again.
    ///
    /// # Errors
    /// As [`Vault::forget`].
    pub async fn forget(&self) -> Result<(), VaultError> {
        self.is_logged_in.store(false, Ordering::Relaxed);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.is_trial.load(Ordering::Relaxed) {
            return Ok(());
        }
        let account = self.account.clone();
        self.on_disk(move |vault| vault.forget(&account)).await
    }

    /// The page has shown that we are in.
    pub fn is_in(&self) {
        self.is_logged_in.store(true, Ordering::Relaxed);
    }

    /// Whether the page was logged in when it last said so: else there is nothing worth keeping.
    pub fn is_worth_keeping(&self) -> bool {
        self.is_logged_in.load(Ordering::Relaxed)
    }

    /// What trying the kept session has shown.
    pub fn proved(&self, holds: bool) {
        self.is_lost.store(!holds, Ordering::Relaxed);
    }

    /// Whether a restart is known to cost a login.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let vault = self.vault.clone();
        let unwritable = || VaultError::Unwritable {
            account: self.account.clone(),
            source: io::Error::other("the program is being stopped"),
        };
        spawn_blocking(move || work(&vault)).await.unwrap_or_else(|_| Err(unwritable()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::fault::{Code, Fault};

    fn keys(lines: &[&str]) -> SecretString {
        SecretString::from(lines.iter().map(|line| line.repeat(32)).collect::<Vec<_>>().join("\n"))
    }

    fn state(text: &str) -> SessionState {
        SessionState::new(text.as_bytes().to_vec())
    }

    #[test]
    fn what_is_kept_is_read_back_and_lies_there_unreadable_for_others() {
        let data = tempfile::tempdir().unwrap();
        let account: AccountId = "demo/default".parse().unwrap();
        let vault = Vault::open(data.path(), None).unwrap();
        assert!(vault.load(&account).unwrap().is_none());
        vault.save(&account, &state("canary one")).unwrap();
        vault.save(&account, &state("canary two")).unwrap();
        let again = Vault::open(data.path(), None).unwrap();
        assert_eq!(again.load(&account).unwrap(), Some(state("canary two")));
        let path = vault.path(&account);
        let file = fs::read(&path).unwrap();
        assert!(!file.windows(6).any(|part| part == b"canary"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "something is left beside it");
        vault.forget(&account).unwrap();
        vault.forget(&account).unwrap();
        assert!(vault.load(&account).unwrap().is_none());
    }

    #[test]
    fn the_file_of_another_account_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let (one, other): (AccountId, AccountId) = ("demo/one".parse().unwrap(), "demo/other".parse().unwrap());
        let vault = Vault::open(data.path(), None).unwrap();
        vault.save(&one, &state("one")).unwrap();
        vault.save(&other, &state("other")).unwrap();
        fs::copy(vault.path(&other), vault.path(&one)).unwrap();
        let error = vault.load(&one).unwrap_err();
        assert_eq!(error.code(), Code::SessionUnreadable);
        assert!(error.to_string().contains("belongs to another account"), "{error}");
        // The next login replaces it.
        vault.save(&one, &state("anew")).unwrap();
        assert_eq!(vault.load(&one).unwrap(), Some(state("anew")));
    }

    #[test]
    fn a_rotation_costs_no_login_and_a_lost_key_only_one() {
        let data = tempfile::tempdir().unwrap();
        let account: AccountId = "demo/default".parse().unwrap();
        Vault::open(data.path(), Some(&keys(&["a"]))).unwrap().save(&account, &state("kept")).unwrap();
        let between = Vault::open(data.path(), Some(&keys(&["b", "a"]))).unwrap();
        let before = fs::read(between.path(&account)).unwrap();
        assert_eq!(between.load(&account).unwrap(), Some(state("kept")));
        let rotated = fs::read(between.path(&account)).unwrap();
        // Magic, id, nonce and wrapped key; after them not a byte has changed.
        let head = 20 + 8 + 24 + 48;
        assert!(before[..head] != rotated[..head] && before[head..] == rotated[head..]);
        let after = Vault::open(data.path(), Some(&keys(&["b"]))).unwrap();
        assert_eq!(after.load(&account).unwrap(), Some(state("kept")));
        let stranger = Vault::open(data.path(), Some(&keys(&["c"]))).unwrap();
        let error = stranger.load(&account).unwrap_err();
        assert_eq!(error.code(), Code::SessionUnreadable);
        assert!(error.to_string().contains("CHATFERRY_SESSION_KEY"), "{error}");
        assert!(!data.path().join("session.key").exists(), "the owner's key is the only one");
    }
}
