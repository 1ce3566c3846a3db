//! `.env.example`, generated from the table so that it can't fall behind.

use std::fmt::Write as _;

use super::table::{self, AccountField, Presence, Setting};

const HEAD: &str = "\
# Settings of chatferry. Copy this file to .env, keep it to yourself (chmod 600 .env), and fill in what
# you need: without any of it chatferry runs, and collects nothing.
#
# A command-line flag goes before the environment, the environment before this file, and this file
# before chatferry.toml. `chatferry config show` says which value holds and where it came from;
# `chatferry config check` names everything that is wrong.
#
# Put values with spaces, #, $, quotes or backslashes in single quotes.
# Generated: chatferry config env-example > .env.example

# ---- Account --------------------------------------------------------------------------------------
# Put the name of the site's selector pack in place of MEETME: capitals, with _ for -.
# This describes one account per site; more of them are [[account]] tables in chatferry.toml.
";

/// The text of `.env.example`: every setting in force with its meaning, how to come by a value, and its
/// default; every line is a comment or empty, so that the copy changes nothing until it is edited.
pub fn env_example() -> String {
    let mut text = HEAD.to_owned();
    for field in table::ACCOUNT_FIELDS {
        account_field(&mut text, field);
    }
    text.push_str(
        "\n# ---- Program --------------------------------------------------------------------------------------\n",
    );
    let in_force = || table::settings().filter(|setting| setting.presence == Presence::InForce);
    for setting in in_force().filter(|setting| !setting.environment_only) {
        program_setting(&mut text, setting);
    }
    text.push_str(
        "\n# ---- Only where the daemon is started, never in this file -----------------------------------------\n",
    );
    for Setting { variable, help, obtain, .. } in in_force().filter(|setting| setting.environment_only) {
        // Writing to a String can't fail; the result is dropped on purpose, here and below.
        let _ = write!(text, "\n# {variable}\n# {help}\n# {obtain}\n");
    }
    text
}

fn account_field(text: &mut String, field: &AccountField) {
    let AccountField { suffix, key, secret, example, help, obtain, .. } = field;
    let _ = write!(text, "\n# {help}\n# How to obtain: {obtain}\n");
    if *secret {
        let _ =
            writeln!(text, "# Or MEETME_{suffix}_FILE=/path/of/a/file of mode 0600. In [[account]]: {key}, {key}_file");
    } else {
        let _ = writeln!(text, "# In [[account]]: {key}");
    }
    let _ = writeln!(text, "#MEETME_{suffix}={example}");
}

fn program_setting(text: &mut String, setting: &Setting) {
    let Setting { variable, aliases, key, flag, kind, default, computed, secret, help, obtain, .. } = setting;
    let _ = write!(text, "\n# {help}\n# Hint: {obtain}\n# Expected: {}. In chatferry.toml: {key}", kind.expected());
    if let Some(flag) = flag {
        let _ = write!(text, "; as a flag: {flag}");
    }
    if !aliases.is_empty() {
        let _ = write!(text, "; also as {}", aliases.join(", "));
    }
    if *secret {
        let _ = write!(text, "\n# Or {variable}_FILE=/path/of/a/file of mode 0600");
    }
    if let Some(computed) = computed {
        let _ = write!(text, "\n# Default: {computed}");
    }
    let _ = write!(text, "\n#{variable}={}\n", default.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    #[test]
    fn the_committed_file_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == env_example(),
            "{path} is out of date; regenerate it: cargo run -- config env-example > .env.example"
        );
    }

    #[test]
    fn the_example_can_be_used_as_it_is_and_with_every_line_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let dotenv = dir.path().join(".env");
        let load = |text: &str| {
            std::fs::write(&dotenv, text).unwrap();
            let sources = Sources { dotenv: Some(dotenv.clone()), ..Sources::default() };
            Config::load(sources, |_| vec!["meetme".parse().unwrap()])
        };
        assert!(load(&env_example()).unwrap().accounts.is_empty());
        let is_setting = |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_uppercase());
        let filled: String = env_example()
            .lines()
            .map(|line| if is_setting(line) { &line[1..] } else { line })
            .map(|line| {
                if line.ends_with("NAME=") || line.ends_with("WORD=") {
                    format!("{line}x\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        let config = load(&filled).unwrap();
        assert_eq!(config.accounts.len(), 1);
        assert_eq!(filled.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).count(), 57);
    }
}
