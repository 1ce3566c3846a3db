//! What describes an account, as variables with the prefix of its site and as keys of `[[account]]`.

use super::Kind;

/// One variable of an account, after the prefix of its site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountField {
    /// The end of the variable: `PASSWORD` of `MEETME_PASSWORD`.
    pub suffix: &'static str,
    /// The key in an `[[account]]` table.
    pub key: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Never shown; `<VARIABLE>_FILE` or `<key>_file` may name a file that holds it.
    pub secret: bool,
    /// An example value, if one helps.
    pub example: &'static str,
    /// What it is, in one sentence.
    pub help: &'static str,
    /// How to come by a value.
    pub obtain: &'static str,
}

/// The user name on the site.
pub static USERNAME: AccountField = AccountField {
    suffix: "USERNAME",
    key: "username",
    kind: Kind::Text,
    secret: true,
    example: "",
    help: "The user name that you log in with.",
    obtain: "Your own account on the site.",
};

/// The password on the site.
pub static PASSWORD: AccountField = AccountField {
    suffix: "PASSWORD",
    key: "password",
    kind: Kind::Text,
    secret: true,
    example: "",
    help: "The password of that account.",
    obtain: "Your own account on the site; put it in single quotes.",
};

/// The site's address, where it is not the pack's.
pub static BASE_URL: AccountField = AccountField {
    suffix: "BASE_URL",
    key: "base_url",
    kind: Kind::Url,
    secret: false,
    example: "https://chat.example.org/",
    help: "The site's address, if it is another than the selector pack says.",
    obtain: "For sites that anyone can install.",
};

/// Whether the owner has read the site's terms.
pub static TERMS_ACKNOWLEDGED: AccountField = AccountField {
    suffix: "TERMS_ACKNOWLEDGED",
    key: "terms_acknowledged",
    kind: Kind::Bool,
    secret: false,
    example: "false",
    help: "true says that you have read the site's terms and may read your own account by machine.",
    obtain: "Read the terms; packs marked as unverified are used only with it.",
};

/// Whether the password may go over an unencrypted connection to another machine.
pub static ALLOW_PLAINTEXT: AccountField = AccountField {
    suffix: "ALLOW_PLAINTEXT",
    key: "allow_plaintext",
    kind: Kind::Bool,
    secret: false,
    example: "false",
    help: "true allows an http:// address on another machine, where anyone on the way can read the password.",
    obtain: "Only in a network of your own.",
};

/// The fields that an account has as variables.
pub static ACCOUNT_FIELDS: [&AccountField; 5] =
    [&USERNAME, &PASSWORD, &BASE_URL, &TERMS_ACKNOWLEDGED, &ALLOW_PLAINTEXT];
