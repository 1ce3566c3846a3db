//! Accounts: one per site from variables, any number from `[[account]]` tables.
//!
//! An account is taken whole or refused: half an account would be one that silently never collects.

use secrecy::{ExposeSecret, SecretString};
use url::Url;
use validator::{ValidateLength, ValidateNonControlCharacter, ValidateUrl};

use super::file::AccountTable;
use super::layers::{Found, Layers, Names};
use super::nearest::rename_or_remove;
use super::table::{self, AccountField};
use super::value::parse_bool;
use super::{Origin, Problem};
use crate::domain::{AccountId, SiteId};

/// The longest user name or password, in characters; a longer one is a file read by mistake.
const LONGEST: u64 = 1024;

/// Keys that an `[[account]]` table may hold.
const KEYS: [&str; 10] = [
    "site",
    "label",
    "username",
    "username_file",
    "password",
    "password_file",
    "base_url",
    "terms_acknowledged",
    "allow_plaintext",
    "paused",
];

/// One credential on one site.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// `site/label`.
    pub id: AccountId,
    /// The user name: personal, so it is kept like a secret and shown masked.
    pub username: SecretString,
    /// The password.
    pub password: SecretString,
    /// The site's address, if it is another than the pack says: `https`, or `http` on this machine or
    /// where the owner allowed it; without credentials, query and fragment.
    pub base_url: Option<Url>,
    /// The owner has read the site's terms.
    pub terms_acknowledged: bool,
    /// Not to be collected until it is resumed.
    pub paused: bool,
    /// Where the password stands.
    pub origin: Origin,
}

/// What was written about one account.
struct Draft {
    id: AccountId,
    /// Where the account begins, for problems that are about the whole of it.
    origin: Option<Origin>,
    /// How a field is called there.
    name: Box<dyn Fn(&AccountField) -> String>,
    username: Option<Found>,
    password: Option<Found>,
    base_url: Option<Found>,
    terms_acknowledged: Option<Found>,
    allow_plaintext: Option<Found>,
    paused: Option<Found>,
}

/// The variables that accounts of these sites may use.
pub(super) fn variables(sites: &[SiteId]) -> Vec<String> {
    let of_field = |site: &SiteId, field: &AccountField| {
        let variable = variable(site, field);
        let file = field.secret.then(|| format!("{variable}_FILE"));
        std::iter::once(variable).chain(file).collect::<Vec<_>>()
    };
    sites.iter().flat_map(|site| table::ACCOUNT_FIELDS.into_iter().flat_map(move |f| of_field(site, f))).collect()
}

fn variable(site: &SiteId, field: &AccountField) -> String {
    format!("{}_{}", site.env_prefix(), field.suffix)
}

/// All accounts; what is wrong with one goes to `problems`.
pub(super) fn read(layers: &Layers, sites: &[SiteId], problems: &mut Vec<Problem>) -> Vec<AccountConfig> {
    let mut accounts: Vec<AccountConfig> = Vec::new();
    let variables = sites.iter().filter_map(|site| from_variables(layers, site, problems)).collect::<Vec<_>>();
    let tables = layers.file.accounts.iter().filter_map(|t| from_table(layers, t, sites, problems)).collect::<Vec<_>>();
    let mut seen: Vec<(AccountId, Option<Origin>)> = Vec::new();
    for draft in variables.into_iter().chain(tables) {
        if let Some((id, first)) = seen.iter().find(|(id, _)| *id == draft.id) {
            let first = first.as_ref().map(|origin| format!(", first by {origin}")).unwrap_or_default();
            let problem = Problem::new(format!("account {id}"), draft.origin, format!("is described twice{first}"));
            problems.push(problem.expected("one account per site and label").fix("give one of them another label"));
            continue;
        }
        seen.push((draft.id.clone(), draft.origin.clone()));
        accounts.extend(draft.finish(problems));
    }
    accounts
}

fn from_variables(layers: &Layers, site: &SiteId, problems: &mut Vec<Problem>) -> Option<Draft> {
    let before = problems.len();
    let mut find = |field: &AccountField| {
        let variable = variable(site, field);
        layers.find(Names { variable: &variable, aliases: &[], key: None, secret: field.secret }, problems)
    };
    let (username, password) = (find(&table::USERNAME), find(&table::PASSWORD));
    let (base_url, terms_acknowledged) = (find(&table::BASE_URL), find(&table::TERMS_ACKNOWLEDGED));
    let allow_plaintext = find(&table::ALLOW_PLAINTEXT);
    let all = [&username, &password, &base_url, &terms_acknowledged, &allow_plaintext];
    let origin = all.into_iter().flatten().next().map(|found| found.origin.clone())?;
    if problems.len() > before {
        // A value that could not be read is not a value that is missing: one report is enough.
        return None;
    }
    let site = site.clone();
    Some(Draft {
        id: AccountId::default_of(site.clone()),
        origin: Some(origin),
        name: Box::new(move |field| variable(&site, field)),
        username,
        password,
        base_url,
        terms_acknowledged,
        allow_plaintext,
        paused: None,
    })
}

fn from_table(layers: &Layers, table: &AccountTable, sites: &[SiteId], problems: &mut Vec<Problem>) -> Option<Draft> {
    let origin = layers.file.origin(table.line);
    let before = problems.len();
    for (key, leaf) in table.leaves.iter().filter(|(key, _)| !KEYS.contains(&key.as_str())) {
        let problem =
            Problem::new(format!("account.{key}"), Some(layers.file.origin(leaf.line)), "there is no such key");
        problems.push(problem.expected(format!("one of {}", KEYS.join(", "))).fix(rename_or_remove(key, KEYS)));
    }
    let mut find = |key: &str| {
        let leaf = table.leaves.get(key)?;
        layers.leaf(&format!("account.{key}"), leaf, problems)
    };
    let (site, label) = (find("site"), find("label"));
    let (username, username_file) = (find("username"), find("username_file"));
    let (password, password_file) = (find("password"), find("password_file"));
    let (base_url, terms_acknowledged) = (find("base_url"), find("terms_acknowledged"));
    let (allow_plaintext, paused) = (find("allow_plaintext"), find("paused"));
    let mut either = |key: &str, value: Option<Found>, file: Option<Found>| match (value, file) {
        (Some(_), Some(file)) => {
            let complaint = format!("{key} and {key}_file are both set");
            let problem = Problem::new(format!("account.{key}"), Some(file.origin), complaint);
            problems.push(problem.expected("one of the two").fix(format!("remove {key} or {key}_file")));
            None
        }
        (value, None) => value,
        (None, Some(file)) => layers.secret_file(&format!("account.{key}_file"), file, problems),
    };
    let username = either("username", username, username_file);
    let password = either("password", password, password_file);
    let id = account_id(site, label, &origin, sites, problems);
    if problems.len() > before {
        return None;
    }
    Some(Draft {
        id: id?,
        origin: Some(origin),
        name: Box::new(|field| format!("account.{}", field.key)),
        username,
        password,
        base_url,
        terms_acknowledged,
        allow_plaintext,
        paused,
    })
}

fn account_id(
    site: Option<Found>,
    label: Option<Found>,
    origin: &Origin,
    sites: &[SiteId],
    problems: &mut Vec<Problem>,
) -> Option<AccountId> {
    let known = || sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(", ");
    let Some(site) = site else {
        let problem = Problem::new("account.site", Some(origin.clone()), "is missing");
        problems.push(problem.expected(format!("one of {}", known())).fix("add site = \"...\""));
        return None;
    };
    let name = site.text.expose_secret();
    let Some(site) = sites.iter().find(|known| known.as_str() == name) else {
        // Quoted only if it has the form of a site's name: anything may have been pasted here.
        let quoted = name.parse::<SiteId>().map_or_else(|_| "this name".to_owned(), |id| format!("{:?}", id.as_str()));
        let problem = Problem::new("account.site", Some(site.origin), format!("no selector pack has a site {quoted}"));
        let fix = rename_or_remove(name, sites.iter().map(SiteId::as_str));
        problems.push(problem.expected(format!("one of {}", known())).fix(fix));
        return None;
    };
    let Some(label) = label else { return Some(AccountId::default_of(site.clone())) };
    AccountId::new(site.clone(), label.text.expose_secret())
        .map_err(|_| {
            let problem = Problem::new("account.label", Some(label.origin), "can't be used as a label");
            let problem = problem.expected("1 to 64 letters, digits, '-', '_' or '.'");
            problems.push(problem.fix("choose a short name, such as \"second\""));
        })
        .ok()
}

impl Draft {
    /// The account, if nothing about it is wrong.
    fn finish(self, problems: &mut Vec<Problem>) -> Option<AccountConfig> {
        let before = problems.len();
        let Self { id, origin, name, username, password, base_url, terms_acknowledged, allow_plaintext, paused } = self;
        for (field, other, found) in
            [(&table::USERNAME, &table::PASSWORD, &username), (&table::PASSWORD, &table::USERNAME, &password)]
        {
            let text = found.as_ref().map(|found| found.text.expose_secret()).unwrap_or_default();
            if text.is_empty() {
                let problem = Problem::new(name(field), origin.clone(), format!("account {id} has no {}", field.key));
                let fix = format!("set {}, or remove {} and the rest of the account", name(field), name(other));
                problems.push(problem.expected("a user name and a password").fix(fix));
            } else if !text.validate_length(None, Some(LONGEST), None) || !text.validate_non_control_character() {
                let origin = found.as_ref().map(|found| found.origin.clone());
                let problem = Problem::new(name(field), origin, "is too long, or holds control characters");
                let expected = format!("at most {LONGEST} characters on one line");
                problems.push(problem.expected(expected).fix("set it anew"));
            }
        }
        let mut switch = |found: Option<Found>, subject: String| {
            let found = found?;
            let switch = parse_bool(found.text.expose_secret().trim());
            if switch.is_none() {
                let problem = Problem::new(subject, Some(found.origin), "is neither true nor false");
                problems.push(problem.expected(table::Kind::Bool.expected()).fix("write true or false"));
            }
            switch
        };
        let terms_acknowledged = switch(terms_acknowledged, name(&table::TERMS_ACKNOWLEDGED)).unwrap_or(false);
        let allow_plaintext = switch(allow_plaintext, name(&table::ALLOW_PLAINTEXT)).unwrap_or(false);
        let paused = switch(paused, "account.paused".to_owned()).unwrap_or(false);
        let base_url = base_url.and_then(|found| {
            site_url(found.text.expose_secret().trim(), allow_plaintext)
                .map_err(|(complaint, fix)| {
                    let problem = Problem::new(name(&table::BASE_URL), Some(found.origin), complaint);
                    problems.push(problem.expected(table::Kind::Url.expected()).fix(fix));
                })
                .ok()
        });
        if problems.len() > before {
            return None;
        }
        let (username, password) = (username?, password?);
        let (origin, password) = (password.origin, password.text);
        Some(AccountConfig { id, username: username.text, password, base_url, terms_acknowledged, paused, origin })
    }
}

/// The address of a site, or what is wrong with it and how to mend it; the address is never quoted.
fn site_url(text: &str, allow_plaintext: bool) -> Result<Url, (&'static str, &'static str)> {
    let not_an_address = ("is not an address", "write it as https://chat.example.org/");
    if !text.validate_url() {
        return Err(not_an_address);
    }
    let url = Url::parse(text).map_err(|_| not_an_address)?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(not_an_address);
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(("holds a user name, a query or a fragment", "leave only scheme, host, port and path"));
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !loopback && !allow_plaintext {
        let complaint = "would send the password unencrypted to another machine";
        return Err((complaint, "use https://, or set allow_plaintext for a network of your own"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_unencrypted_to_this_machine_only() {
        for good in ["https://a.example/chat/", "http://127.0.0.1:9000", "http://localhost/", "http://[::1]:1/"] {
            assert!(site_url(good, false).is_ok(), "{good}");
        }
        for bad in ["http://192.168.1.2/", "http://localhost.example/", "ftp://a.example/", "a.example", ""] {
            assert!(site_url(bad, false).is_err(), "{bad}");
        }
        assert!(site_url("http://192.168.1.2/", true).is_ok());
        for bad in ["https://u:p@a.example/", "https://a.example/?k=v", "https://a.example/#x", "file:///etc"] {
            assert!(site_url(bad, true).is_err(), "{bad}");
        }
    }
}
