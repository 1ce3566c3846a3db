//! `config show`, `config check`: what holds, who says so, and what is wrong. Pure: text from values.
//!
//! Nothing here can print a secret, because neither a [`Config`]'s listing nor a problem holds one; user
//! names are masked.

use std::fmt::Write as _;

use serde_json::json;

use crate::config::{AccountConfig, Config, ConfigProblems, MASK, count, masked_name};

/// The effective settings with the origin of each: a table for people, or one JSON document.
pub fn render_show(config: &Config, json: bool) -> String {
    if json {
        let accounts: Vec<_> = config.accounts.iter().map(account_json).collect();
        let document = json!({ "settings": config.listing, "accounts": accounts, "warnings": config.warnings });
        return format!("{document}\n");
    }
    let name = config.listing.iter().map(|listed| listed.variable.len()).max().unwrap_or(0);
    let value =
        config.listing.iter().map(|listed| listed.value.chars().count()).filter(|n| *n <= 48).max().unwrap_or(0);
    let mut text = String::new();
    // Writing to a String can't fail; the result is dropped on purpose, here and below.
    for listed in &config.listing {
        let _ = writeln!(text, "{:name$}  {:value$}  {}", listed.variable, listed.value, listed.origin);
    }
    text.push('\n');
    if config.accounts.is_empty() {
        text.push_str("no accounts\n");
    }
    for account in &config.accounts {
        let _ = write!(text, "account {}  username {}  password {MASK}", account.id, masked_name(&account.username));
        if let Some(url) = &account.base_url {
            let _ = write!(text, "  base_url {url}");
        }
        if account.terms_acknowledged {
            text.push_str("  terms acknowledged");
        }
        if account.paused {
            text.push_str("  paused");
        }
        let _ = writeln!(text, "  {}", account.origin);
    }
    text + &warnings(config)
}

/// What `config check` says when nothing is wrong.
pub fn render_ok(config: &Config, json: bool) -> String {
    if json {
        return format!("{}\n", json!({ "ok": true, "problems": [], "warnings": config.warnings }));
    }
    let accounts = config.accounts.len();
    let plural = if accounts == 1 { "" } else { "s" };
    format!("the settings are in order: {accounts} account{plural}\n") + &warnings(config)
}

/// Everything that is wrong, for people: what, where, what was expected, how to mend it.
pub fn render_problems(problems: &ConfigProblems) -> String {
    let mut text = format!("{} with the settings\n", count(problems.0.len()));
    for problem in &problems.0 {
        let _ = write!(text, "\n{}", problem.subject);
        if let Some(origin) = &problem.origin {
            let _ = write!(text, "  ({origin})");
        }
        let _ = write!(
            text,
            "\n  wrong:    {}\n  expected: {}\n  fix:      {}\n",
            problem.complaint, problem.expected, problem.fix
        );
    }
    text
}

/// Everything that is wrong, as one JSON document.
pub fn render_problems_json(problems: &ConfigProblems) -> String {
    format!("{}\n", json!({ "ok": false, "problems": problems.0 }))
}

fn account_json(account: &AccountConfig) -> serde_json::Value {
    json!({
        "id": account.id,
        "username": masked_name(&account.username),
        "password": MASK,
        "base_url": account.base_url.as_ref().map(url::Url::as_str),
        "terms_acknowledged": account.terms_acknowledged,
        "paused": account.paused,
        "origin": account.origin,
    })
}

fn warnings(config: &Config) -> String {
    config.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

#[cfg(test)]
mod tests;
