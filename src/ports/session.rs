//! The logged-in state of an account in a browser, as something that can be kept.
//!
//! Whoever holds it is logged in as the owner, so it is a secret: nothing here prints it, and its memory is
//! overwritten when it is dropped. What is in it only the browser knows; everybody else keeps it or compares it.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};

/// Cookies and storage of one account, as the browser wrote them down.
#[derive(Clone)]
pub struct SessionState(SecretSlice<u8>);

impl SessionState {
    /// What a browser wrote down, or what was read back of it.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the browser that restores it and for the vault that seals it.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl PartialEq for SessionState {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SessionState {}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionState(••••)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_nothing_of_itself() {
        let state = SessionState::new(b"canary".to_vec());
        assert!(!format!("{state:?}").contains("canary"));
        assert_eq!(state, SessionState::new(b"canary".to_vec()));
        assert_ne!(state, SessionState::new(b"canarz".to_vec()));
    }
}
