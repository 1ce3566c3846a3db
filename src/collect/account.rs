//! An account as its collector needs it: credentials, pack, address.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::domain::AccountId;
use crate::selectors::LoadedPack;

/// One account, ready to be collected.
#[derive(Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// How to read its site.
    pub pack: Arc<LoadedPack>,
    /// The address that all others are relative to.
    pub base_url: Url,
    /// The user name or e-mail address.
    pub username: SecretString,
    /// The password.
    pub password: SecretString,
    /// The owner has read the site's terms.
    pub terms_acknowledged: bool,
    /// Where versions before the vault kept its login in a browser profile; removed once a session is saved.
    pub old_profile: PathBuf,
}

impl Account {
    /// The user name, for comparing it with authors in the page.
    pub fn username(&self) -> &str {
        self.username.expose_secret()
    }
}
