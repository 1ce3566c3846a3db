//! The toml file, flattened into dotted keys with the line of each.
//!
//! The values are kept as text: a setting means the same whether it stands in the environment or in
//! the file. Parser messages are fixed sentences; the parser's own rendering, which quotes the line, is
//! never used.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use toml::de::{DeTable, DeValue};

use super::{Origin, Place, Problem};

/// One value of the file.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The value as text, which may be a secret; `None` for lists, tables and dates.
    pub text: Option<SecretString>,
    /// It is a table without anything in it.
    pub is_empty_table: bool,
    /// The line on which it begins, counted from 1.
    pub line: usize,
}

/// Values by dotted key.
pub(super) type Leaves = BTreeMap<String, Leaf>;

/// One `[[account]]` table.
#[derive(Debug)]
pub(super) struct AccountTable {
    /// Its line.
    pub line: usize,
    /// Its values.
    pub leaves: Leaves,
}

/// A toml file.
#[derive(Debug, Default)]
pub(super) struct TomlFile {
    /// Its name without the folder.
    pub name: String,
    /// Its folder, from which relative paths in it begin.
    pub folder: PathBuf,
    /// Everything but accounts.
    pub leaves: Leaves,
    /// The accounts, in the order of the file.
    pub accounts: Vec<AccountTable>,
    /// Others than the owner may read it.
    pub is_open: bool,
}

impl TomlFile {
    /// The place of a line.
    pub(super) fn origin(&self, line: usize) -> Origin {
        Origin::of(Place::File { name: self.name.clone(), line })
    }
}

/// Whether others than its owner may read the file.
pub(super) fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Reads the file named by the flag, which must exist, or else the first candidate that does.
pub(super) fn read(named: Option<&Path>, candidates: &[PathBuf], problems: &mut Vec<Problem>) -> TomlFile {
    let candidates = named.map_or_else(|| candidates.to_vec(), |path| vec![path.to_owned()]);
    for path in candidates {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let mut file = parse(&Zeroizing::new(text), &path, problems);
                file.is_open = is_open(&path);
                return file;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {}
            Err(error) => {
                let origin = named.map(|_| Origin::of(Place::Flag("--config")));
                let complaint = format!("can't be read ({})", error.kind());
                problems.push(
                    Problem::new(path.display().to_string(), origin, complaint)
                        .expected("a toml file in UTF-8 that the daemon's user can read")
                        .fix("correct the path or the file's permissions"),
                );
                return TomlFile::default();
            }
        }
    }
    TomlFile::default()
}

fn parse(text: &str, path: &Path, problems: &mut Vec<Problem>) -> TomlFile {
    let mut file = TomlFile {
        name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        ..TomlFile::default()
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            problems.push(
                Problem::new(&file.name, Some(file.origin(line)), error.message())
                    .expected("toml")
                    .fix("correct the line; nothing of the file is used until it can be read whole"),
            );
        }
        return file;
    }
    let mut root = table.into_inner();
    if let Some((key, accounts)) = root.remove_entry("account") {
        let line = line_of(text, key.span().start);
        match accounts.into_inner() {
            DeValue::Array(tables) if tables.iter().all(|item| matches!(item.get_ref(), DeValue::Table(_))) => {
                for item in tables {
                    let line = line_of(text, item.span().start);
                    if let DeValue::Table(table) = item.get_ref() {
                        let mut leaves = Leaves::new();
                        flatten(text, "", table, &mut leaves);
                        file.accounts.push(AccountTable { line, leaves });
                    }
                }
            }
            _ => problems.push(
                Problem::new("account", Some(file.origin(line)), "is not a list of tables")
                    .expected("[[account]] tables")
                    .fix("write [[account]] with two brackets, once for each account"),
            ),
        }
    }
    flatten(text, "", &root, &mut file.leaves);
    file
}

fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, leaves: &mut Leaves) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let scalar = match value.get_ref() {
            // An empty table is kept as a leaf, so that an unknown one is noticed.
            DeValue::Table(inner) if !inner.is_empty() => {
                flatten(text, &path, inner, leaves);
                continue;
            }
            DeValue::String(string) => Some(SecretString::from(string.as_ref())),
            DeValue::Integer(integer) => Some(integer.to_string().into()),
            DeValue::Float(float) => Some(float.to_string().into()),
            DeValue::Boolean(switch) => Some(switch.to_string().into()),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        let is_empty_table = matches!(value.get_ref(), DeValue::Table(_));
        leaves.insert(path, Leaf { text: scalar, is_empty_table, line: line_of(text, key.span().start) });
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn parsed(text: &str) -> (TomlFile, Vec<Problem>) {
        let mut problems = Vec::new();
        let file = parse(text, Path::new("/etc/chatferry.toml"), &mut problems);
        (file, problems)
    }

    #[test]
    fn keys_are_dotted_and_know_their_line() {
        let text =
            "dry_run = true\n[analysis]\n# wait\nquiet = \"5s\"\n[http]\n[[account]]\nsite = \"demo\"\n[[account]]\n";
        let (file, problems) = parsed(text);
        assert_eq!(problems, []);
        let found: Vec<_> = file
            .leaves
            .iter()
            .map(|(key, leaf)| (key.as_str(), leaf.text.as_ref().map(|t| t.expose_secret().to_owned()), leaf.line))
            .collect();
        let expected =
            [("analysis.quiet", Some("5s".to_owned()), 4), ("dry_run", Some("true".to_owned()), 1), ("http", None, 5)];
        assert_eq!(found, expected);
        assert_eq!(file.accounts.iter().map(|a| (a.line, a.leaves.len())).collect::<Vec<_>>(), [(6, 1), (8, 0)]);
        assert_eq!(file.accounts[0].leaves["site"].line, 7);
    }

    #[test]
    fn all_syntax_errors_are_named_by_line_and_none_quotes_it() {
        let (_, problems) = parsed("a = canary\nb = 1\n[c\nd = \"canary\npassword = 'canary'\nb = 2\n");
        let lines: Vec<_> = problems.iter().map(|p| p.origin.as_ref().unwrap().to_string()).collect();
        assert!(lines.contains(&"chatferry.toml line 1".to_owned()), "{lines:?}");
        assert!(lines.contains(&"chatferry.toml line 3".to_owned()), "{lines:?}");
        assert!(!format!("{problems:?}").contains("canary"), "{problems:?}");
    }

    #[test]
    fn a_single_account_table_is_a_problem() {
        let (file, problems) = parsed("[account]\nsite = \"demo\"\n");
        assert!(file.accounts.is_empty());
        assert_eq!(problems[0].subject, "account");
    }
}
