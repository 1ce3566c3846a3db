//! The Google sheet: which one, who writes it, and where Google is.
//!
//! The key file is looked at when settings are read, so that a wrong file is named before anything starts. What it
//! holds never appears in a problem: neither the key nor a piece of its JSON, which a parser's own message would quote.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::secret;

/// Where the Sheets API is.
pub const SHEETS_API: &str = "https://sheets.googleapis.com/";

/// A sheet, and who writes it.
#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// The spreadsheet's id.
    pub sheet_id: String,
    /// The service account.
    pub account: ServiceAccount,
    /// The API's address; ends in a slash.
    pub api: Url,
}

/// The key of a service account.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// Its address, with which a sheet is shared.
    pub email: String,
    /// Its private key, PEM.
    pub private_key: SecretString,
    /// Which of its keys this is.
    pub key_id: Option<String>,
    /// Where tokens are had.
    pub token_uri: String,
    /// The file that all of this stands in.
    pub path: PathBuf,
}

/// What is wrong with a key file: complaint, what was expected, how to mend it.
pub(super) type KeyProblem = (String, &'static str, String);

/// What a key file should be, as it continues "expected ...".
const EXPECTED: &str = "the JSON key of a service account, as Google's console hands it out";

/// The id in a sheet's address, or the id itself.
pub(super) fn sheet_id(text: &str) -> Option<String> {
    let id = match text.split_once("/spreadsheets/") {
        Some((_, path)) => {
            // `/spreadsheets/u/1/d/<id>/edit#gid=0` where somebody has several Google accounts.
            let mut parts = path.split(['/', '?', '#']);
            parts.find(|part| *part == "d")?;
            parts.next()?
        }
        None => text,
    };
    let fits =
        (20..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    fits.then(|| id.to_owned())
}

/// Another address of the API: https, or plain http on this machine; no user name, query or fragment.
pub(super) fn api_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !is_plain || !is_safe(&url) {
        return None;
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

/// Tokens and chats go there: not in the clear over a network.
fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// The fields of a key file that matter. Every other file of Google's that people take for one has a type of its own.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    installed: Option<serde::de::IgnoredAny>,
    web: Option<serde::de::IgnoredAny>,
}

/// Reads a service account's key.
pub(super) fn read_key(path: &Path) -> Result<ServiceAccount, KeyProblem> {
    let place = path.display();
    let text = secret::read(path).map_err(|refusal| {
        let fix = match refusal {
            secret::Refusal::TooOpen(_) => refusal.fix(path),
            _ => format!("create a key for the service account (docs/sheet.md) and put its JSON file at {place}"),
        };
        (refusal.complaint(), EXPECTED, fix)
    })?;
    let anew = format!("create a key for the service account (docs/sheet.md) and put its JSON file at {place}");
    let wrong = |complaint: &str| (complaint.to_owned(), EXPECTED, anew.clone());
    // The parser's sentence would quote what it found.
    let file: KeyFile =
        serde_json::from_str(text.expose_secret()).map_err(|_| wrong("the file is no JSON object of a key"))?;
    match file.kind.as_deref() {
        Some("service_account") => {}
        Some("authorized_user") => {
            return Err(wrong(
                "the file holds a person's own login (authorized_user): it ends after seven days while the consent screen is in testing, and with every change of password",
            ));
        }
        Some("external_account" | "impersonated_service_account") => {
            return Err(wrong("the file describes an identity of another provider, which chatferry can't use"));
        }
        _ if file.installed.is_some() || file.web.is_some() => {
            return Err(wrong("the file is an OAuth client, which needs a person at a browser"));
        }
        _ => return Err(wrong("the file's type is not service_account")),
    }
    let filled = |value: Option<String>, name: &str| {
        value.filter(|text| !text.trim().is_empty()).ok_or_else(|| wrong(&format!("{name} is missing in the file")))
    };
    let email = filled(file.client_email, "client_email")?;
    let private_key = filled(file.private_key, "private_key").map(SecretString::from)?;
    let token_uri = filled(file.token_uri, "token_uri")?;
    if !email.contains('@') || email.contains(char::is_whitespace) {
        return Err(wrong("client_email is no address"));
    }
    let pem = private_key.expose_secret().trim();
    if !pem.starts_with("-----BEGIN") || !pem.ends_with("PRIVATE KEY-----") {
        return Err(wrong("private_key is no PEM key: it may have been cut or changed"));
    }
    if !Url::parse(&token_uri).is_ok_and(|url| is_safe(&url)) {
        return Err(wrong("token_uri is no https address"));
    }
    Ok(ServiceAccount { email, private_key, key_id: file.private_key_id, token_uri, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ID: &str = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";

    #[test]
    fn an_id_is_found_in_what_people_paste() {
        for text in [
            ID.to_owned(),
            format!("https://docs.google.com/spreadsheets/d/{ID}"),
            format!("https://docs.google.com/spreadsheets/d/{ID}/edit?usp=sharing#gid=0"),
            format!("https://docs.google.com/spreadsheets/u/1/d/{ID}/edit#gid=12"),
            format!("docs.google.com/spreadsheets/d/{ID}/"),
        ] {
            assert_eq!(sheet_id(&text).as_deref(), Some(ID), "{text}");
        }
        for bad in [
            "",
            "short",
            "https://docs.google.com/document/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
            "with blanks in an id that is long",
        ] {
            assert_eq!(sheet_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn another_api_may_be_plain_only_on_this_machine() {
        for (text, address) in [
            ("http://127.0.0.1:9", Some("http://127.0.0.1:9/")),
            ("http://[::1]:9/x", Some("http://[::1]:9/x/")),
            ("http://localhost:9/", Some("http://localhost:9/")),
            ("https://proxy.example/sheets", Some("https://proxy.example/sheets/")),
            ("http://proxy.example/", None),
            ("https://u:p@proxy.example/", None),
            ("https://proxy.example/?a=b", None),
            ("proxy", None),
        ] {
            assert_eq!(api_url(text).map(String::from).as_deref(), address, "{text}");
        }
    }

    fn refused(content: &str, mode: u32) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        match read_key(&path) {
            Ok(key) => {
                assert!(!format!("{key:?}").contains("canary"), "{key:?}");
                "ok".to_owned()
            }
            Err((complaint, _, fix)) => {
                let told = format!("{complaint}; {fix}");
                assert!(!told.contains("canary") && told.contains(&path.display().to_string()), "{told}");
                complaint
            }
        }
    }

    const PEM: &str = "-----BEGIN PRIVATE KEY-----\\ncanary\\n-----END PRIVATE KEY-----\\n";

    #[test]
    fn a_file_that_is_no_key_is_refused_with_what_is_wrong_and_none_of_its_content() {
        let key = |token: &str, email: &str| {
            format!(
                r#"{{"type":"service_account","client_email":"{email}","private_key":"{PEM}","token_uri":"{token}"}}"#
            )
        };
        let good = key("https://oauth2.googleapis.com/token", "a@b.iam.gserviceaccount.com");
        assert_eq!(refused(&good, 0o600), "ok");
        assert_eq!(refused(&good, 0o400), "ok");
        for (content, mode, part) in [
            (good.as_str(), 0o644, "mode is 0644"),
            ("", 0o600, "empty"),
            ("canary", 0o600, "no JSON"),
            (r#"{"type":"authorized_user","refresh_token":"canary"}"#, 0o600, "seven days"),
            (r#"{"type":"external_account"}"#, 0o600, "another provider"),
            (r#"{"installed":{"client_secret":"canary"}}"#, 0o600, "OAuth client"),
            (r#"{"type":"canary"}"#, 0o600, "not service_account"),
            (r#"{"type":"service_account","client_email":"a@b","token_uri":"x"}"#, 0o600, "private_key is missing"),
            (r#"{"type":"service_account","private_key":"canary","token_uri":"x"}"#, 0o600, "client_email is missing"),
            (&key("http://oauth.example/token", "a@b"), 0o600, "token_uri"),
            (&key("https://t/", "canary"), 0o600, "no address"),
            (&good.replace("-----BEGIN", "BEGIN"), 0o600, "no PEM"),
        ] {
            let complaint = refused(content, mode);
            assert!(complaint.contains(part), "{content}: {complaint}");
        }
    }
}
