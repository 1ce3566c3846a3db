//! What the spool remembers about accounts that wait for a human, and about orders that outlive a restart.
//!
//! That an account is parked stands in the store. Here stands by what a later start can tell that its cause
//! is mended: a keyed hash of the credentials, never they themselves, and the hash of the pack.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use secrecy::ExposeSecret;

use super::Spool;
use crate::collect::account::Account;
use crate::collect::error::CollectError;
use crate::domain::AccountId;
use crate::sqlite::SqliteError;

/// What an account was tried with when it was parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    salt: [u8; 32],
    credentials: [u8; 32],
    pack: String,
}

impl Tried {
    /// With what this account is tried now.
    pub fn now(account: &Account) -> Self {
        let mut salt = [0; 32];
        salt.fill_with(|| fastrand::u8(..));
        Self { salt, credentials: hash(&salt, account), pack: account.pack.hash.clone() }
    }

    /// True if user name or password are others than then.
    pub fn has_other_credentials(&self, account: &Account) -> bool {
        hash(&self.salt, account) != self.credentials
    }

    /// True if the pack is another than then.
    pub fn has_other_pack(&self, account: &Account) -> bool {
        account.pack.hash != self.pack
    }
}

fn hash(salt: &[u8; 32], account: &Account) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(salt);
    for part in [account.username.expose_secret(), account.password.expose_secret()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Spool {
    /// Notes with what an account was tried when it was parked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_park(&self, account: &AccountId, tried: Tried) -> Result<(), CollectError> {
        let account = account.to_string();
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            connection.execute(
                "INSERT INTO park (account, salt, credentials, pack) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (account) DO UPDATE
                 SET salt = excluded.salt, credentials = excluded.credentials, pack = excluded.pack",
                params![account, tried.salt, tried.credentials, tried.pack],
            )?;
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// With what a parked account was tried, if this spool knows.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tried(&self, account: &AccountId) -> Result<Option<Tried>, CollectError> {
        let account = account.to_string();
        let read = move |connection: &Connection| -> Result<Option<Tried>, SqliteError> {
            let found = connection
                .prepare_cached("SELECT salt, credentials, pack FROM park WHERE account = ?1")?
                .query_row([account], |row| {
                    Ok(Tried { salt: row.get(0)?, credentials: row.get(1)?, pack: row.get(2)? })
                })
                .optional()?;
            Ok(found)
        };
        Ok(self.db.read(read).await?)
    }

    /// Forgets the logins of an account: a human says that it may be tried again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_logins(&self, account: &AccountId) -> Result<(), CollectError> {
        let account = account.to_string();
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            connection.execute("DELETE FROM login WHERE account = ?1", [account])?;
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// Notes that an account is to be read as a whole; `since`: only what was active since then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn want_recollect(&self, account: &AccountId, since: Option<Timestamp>) -> Result<(), CollectError> {
        let (account, since) = (account.to_string(), since.map(Timestamp::as_microsecond));
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            // Of two orders the one that reaches further back.
            connection.execute(
                "INSERT INTO recollect (account, since_us) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE
                 SET since_us = CASE WHEN since_us IS NULL OR excluded.since_us IS NULL THEN NULL
                                     ELSE min(since_us, excluded.since_us) END",
                params![account, since],
            )?;
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// Whether an account is to be read as a whole, and since when.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recollect(&self, account: &AccountId) -> Result<Option<Option<Timestamp>>, CollectError> {
        let account = account.to_string();
        let read = move |connection: &Connection| -> Result<Option<Option<Timestamp>>, SqliteError> {
            let found: Option<Option<i64>> = connection
                .prepare_cached("SELECT since_us FROM recollect WHERE account = ?1")?
                .query_row([account], |row| row.get(0))
                .optional()?;
            Ok(found.map(|since| since.and_then(|at| Timestamp::from_microsecond(at).ok())))
        };
        Ok(self.db.read(read).await?)
    }

    /// Notes that it was; an order for more that came meanwhile stays.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recollected(&self, account: &AccountId, since: Option<Timestamp>) -> Result<(), CollectError> {
        let (account, since) = (account.to_string(), since.map(Timestamp::as_microsecond));
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            let sql = "DELETE FROM recollect WHERE account = ?1 AND since_us IS ?2";
            connection.execute(sql, params![account, since])?;
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;

    use super::*;
    use crate::selectors::Library;

    fn account(password: &str) -> Account {
        let library = Library::open(std::path::Path::new("/nonexistent")).unwrap();
        Account {
            id: "demo/default".parse().unwrap(),
            pack: Arc::new(library.load_named("demo").unwrap()),
            base_url: "http://127.0.0.1:1".parse().unwrap(),
            username: SecretString::from("alex"),
            password: SecretString::from(password),
            terms_acknowledged: true,
            old_profile: "/nonexistent".into(),
        }
    }

    #[tokio::test]
    async fn other_credentials_are_recognised_and_not_one_letter_of_them_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), false).unwrap();
        let first = account("a-Secret-9134");
        spool.note_park(&first.id, Tried::now(&first)).await.unwrap();
        let tried = spool.tried(&first.id).await.unwrap().unwrap();
        assert!(!tried.has_other_credentials(&first) && !tried.has_other_pack(&first));
        assert!(tried.has_other_credentials(&account("a-Secret-9135")));
        spool.close().await;
        let bytes = std::fs::read(folder.path().join("spool.db")).unwrap();
        for secret in ["a-Secret-9134", "alex"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }

    #[tokio::test]
    async fn of_two_orders_to_recollect_the_wider_one_stays_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), false).unwrap();
        let id = "demo/default".parse().unwrap();
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        assert_eq!(spool.recollect(&id).await.unwrap(), None);
        for (order, expected) in [(at(9), at(9)), (at(5), at(5)), (at(7), at(5)), (None, None), (at(7), None)] {
            spool.want_recollect(&id, order).await.unwrap();
            assert_eq!(spool.recollect(&id).await.unwrap(), Some(expected));
        }
        spool.recollected(&id, at(5)).await.unwrap();
        assert_eq!(spool.recollect(&id).await.unwrap(), Some(None), "that was another order");
        spool.recollected(&id, None).await.unwrap();
        assert_eq!(spool.recollect(&id).await.unwrap(), None);
    }
}
