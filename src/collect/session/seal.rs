//! A session as it lies on the disk: sealed with a data key of its account, which is itself wrapped. Pure.
//!
//! ```text
//! "chatferry session 1\n" · id of the wrapping key (8) · nonce (24) · wrapped data key (48)
//!                         · id of the data key (8)     · nonce (24) · sealed session (n + 16)
//! ```
//!
//! Both are XChaCha20-Poly1305 with a random nonce and the associated data
//! `chatferry|v1|<account>|<kind>|<key id>`, so that a changed bit, another account's file and a file with a
//! foreign half are refused alike. A rotation of the wrapping key replaces the first half only.

use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;

use super::keys::{Keyring, WrappingKey};
use crate::domain::AccountId;

const MAGIC: &[u8] = b"chatferry session 1\n";
const ID: usize = 8;
const NONCE: usize = 24;
const WRAPPED: usize = 32 + 16;
/// Everything before the id of the data key.
const HEAD: usize = MAGIC.len() + ID + NONCE + WRAPPED;

/// The key of one account's sessions.
pub struct DataKey {
    id: [u8; ID],
    key: Zeroizing<[u8; 32]>,
}

/// A file that could be opened.
pub struct Opened {
    /// What was sealed.
    pub content: Zeroizing<Vec<u8>>,
    /// The key that it was sealed with.
    pub data_key: DataKey,
    /// It is wrapped with a key that is no longer the current one.
    pub is_old: bool,
}

/// Why a file is refused, as a clause. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too short, or it begins as none of ours does.
    NotOurs,
    /// The wrapping key is not among those that there are.
    UnknownKey,
    /// It is not what was written for this account.
    Changed,
}

impl Refusal {
    /// The clause.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "it is no session file of this version",
            Self::UnknownKey => "it was sealed with a key that is not in CHATFERRY_SESSION_KEY",
            Self::Changed => "it was changed, or belongs to another account",
        }
    }
}

impl DataKey {
    /// A new one.
    pub fn draw() -> Self {
        let (drawn, name) = (Key::<XChaCha20Poly1305>::generate(), XNonce::generate());
        let (mut key, mut id) = (Zeroizing::new([0; 32]), [0; ID]);
        key.copy_from_slice(&drawn);
        id.copy_from_slice(&name[..ID]);
        Self { id, key }
    }
}

fn associated(account: &AccountId, kind: &str, id: &[u8]) -> String {
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("chatferry|v1|{account}|{kind}|{id}")
}

/// Seals `content`; `None` only if it is longer than the cipher can take, which is 256 GB.
fn encrypt(key: &[u8; 32], associated: &str, content: &[u8]) -> Option<Vec<u8>> {
    let nonce = XNonce::generate();
    let payload = Payload { msg: content, aad: associated.as_bytes() };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&nonce, payload).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

fn decrypt(key: &[u8; 32], associated: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
    let payload = Payload { msg: sealed, aad: associated.as_bytes() };
    let nonce = XNonce::try_from(nonce).ok()?;
    XChaCha20Poly1305::new(key.into()).decrypt(&nonce, payload).ok().map(Zeroizing::new)
}

fn head(account: &AccountId, wrapping: &WrappingKey, data_key: &DataKey) -> Option<Vec<u8>> {
    let wrapped = encrypt(&wrapping.key, &associated(account, "data-key", &wrapping.id), data_key.key.as_slice())?;
    Some([MAGIC, &wrapping.id, &wrapped].concat())
}

/// The file of a session.
pub fn seal(account: &AccountId, wrapping: &WrappingKey, data_key: &DataKey, content: &[u8]) -> Option<Vec<u8>> {
    let sealed = encrypt(&data_key.key, &associated(account, "session", &data_key.id), content)?;
    Some([head(account, wrapping, data_key)?.as_slice(), &data_key.id, &sealed].concat())
}

/// The same file, its data key wrapped anew; the sealed session stays byte for byte.
pub fn rewrap(account: &AccountId, wrapping: &WrappingKey, data_key: &DataKey, file: &[u8]) -> Option<Vec<u8>> {
    Some([head(account, wrapping, data_key)?.as_slice(), file.get(HEAD..)?].concat())
}

/// Opens a file.
///
/// # Errors
/// [`Refusal`].
pub fn open(account: &AccountId, ring: &Keyring, file: &[u8]) -> Result<Opened, Refusal> {
    let rest = file.strip_prefix(MAGIC).ok_or(Refusal::NotOurs)?;
    let (wrapping_id, rest) = rest.split_first_chunk::<ID>().ok_or(Refusal::NotOurs)?;
    let (wrapped, rest) = rest.split_first_chunk::<{ NONCE + WRAPPED }>().ok_or(Refusal::NotOurs)?;
    let (id, sealed) = rest.split_first_chunk::<ID>().ok_or(Refusal::NotOurs)?;
    let wrapping = ring.named(*wrapping_id).ok_or(Refusal::UnknownKey)?;
    let unwrapped = decrypt(&wrapping.key, &associated(account, "data-key", wrapping_id), wrapped);
    let unwrapped = unwrapped.ok_or(Refusal::Changed)?;
    let mut key = Zeroizing::new([0; 32]);
    if unwrapped.len() != key.len() {
        return Err(Refusal::Changed);
    }
    key.copy_from_slice(&unwrapped);
    let content = decrypt(&key, &associated(account, "session", id), sealed).ok_or(Refusal::Changed)?;
    let is_old = ring.current().is_some_and(|current| current.id != *wrapping_id);
    Ok(Opened { content, data_key: DataKey { id: *id, key }, is_old })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::SecretString;

    use super::*;

    fn ring(lines: &[&str]) -> Keyring {
        let lines: Vec<String> = lines.iter().map(|line| line.repeat(32)).collect();
        Keyring::open(Some(&SecretString::from(lines.join("\n"))), Path::new("/nowhere")).unwrap()
    }

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn refusal(account: &AccountId, ring: &Keyring, file: &[u8]) -> Option<Refusal> {
        open(account, ring, file).err()
    }

    #[test]
    fn any_changed_bit_is_refused() {
        let (ring, account) = (ring(&["a"]), account("demo/default"));
        let file = seal(&account, ring.current().unwrap(), &DataKey::draw(), b"cookies").unwrap();
        assert_eq!(open(&account, &ring, &file).unwrap().content.as_slice(), b"cookies");
        for bit in 0..file.len() * 8 {
            let mut changed = file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(refusal(&account, &ring, &changed).is_some(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(refusal(&account, &ring, &file[..length]).is_some(), "cut to {length}");
        }
    }

    #[test]
    fn what_belongs_to_another_account_is_refused_whole_and_in_halves() {
        let (ring, one, other) = (ring(&["a"]), account("demo/one"), account("demo/other"));
        let current = ring.current().unwrap();
        let ours = seal(&one, current, &DataKey::draw(), b"ours").unwrap();
        let theirs = seal(&other, current, &DataKey::draw(), b"theirs").unwrap();
        assert_eq!(refusal(&one, &ring, &theirs), Some(Refusal::Changed));
        let mixed = [&ours[..HEAD], &theirs[HEAD..]].concat();
        assert_eq!(refusal(&one, &ring, &mixed), Some(Refusal::Changed));
        assert_eq!(refusal(&other, &ring, &mixed), Some(Refusal::Changed));
    }

    #[test]
    fn a_rotation_wraps_anew_and_leaves_the_session_as_it_is() {
        let account = account("demo/default");
        let (before, between, after) = (ring(&["a"]), ring(&["b", "a"]), ring(&["b"]));
        let file = seal(&account, before.current().unwrap(), &DataKey::draw(), b"cookies").unwrap();
        assert!(!open(&account, &before, &file).unwrap().is_old);
        assert_eq!(refusal(&account, &after, &file), Some(Refusal::UnknownKey));
        let opened = open(&account, &between, &file).unwrap();
        assert!(opened.is_old);
        let rotated = rewrap(&account, between.current().unwrap(), &opened.data_key, &file).unwrap();
        assert_eq!(file[HEAD..], rotated[HEAD..]);
        assert_ne!(file[..HEAD], rotated[..HEAD]);
        assert_eq!(open(&account, &after, &rotated).unwrap().content.as_slice(), b"cookies");
        assert_eq!(refusal(&account, &before, &rotated), Some(Refusal::UnknownKey));
    }

    #[test]
    fn the_same_session_never_looks_the_same_twice() {
        let (ring, account, key) = (ring(&["a"]), account("demo/default"), DataKey::draw());
        let seal = || seal(&account, ring.current().unwrap(), &key, b"cookies").unwrap();
        assert_ne!(seal()[HEAD + ID..], seal()[HEAD + ID..]);
    }
}
