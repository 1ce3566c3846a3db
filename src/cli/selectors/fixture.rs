//! A fixture: a folder with `page.html` and `expected.json`, the rows and verdicts that a pack must give on it;
//! and how two such documents differ.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::pages;
use crate::cli::exit::{self, Failure};
use crate::collect::reading::PageReading;
use crate::config::Config;
use crate::domain::Text;
use crate::ports::page::PageVerdict;
use crate::selectors::LoadedPack;

/// The saved page of a fixture.
const PAGE: &str = "page.html";
/// What it must give.
const EXPECTED: &str = "expected.json";

/// A fixture on disk.
#[derive(Debug)]
pub struct Fixture {
    /// The folder's name.
    pub name: String,
    /// The page.
    pub html: String,
    /// What it must give.
    pub expected: Value,
}

/// Where the fixtures of a pack are, unless said otherwise.
pub fn folder_of(config: &Config, pack: &LoadedPack) -> PathBuf {
    config.selectors_dir.join("fixtures").join(pack.site.as_str())
}

/// Every fixture of a folder, by name. None if there is no such folder.
///
/// # Errors
/// A fixture can't be read.
pub fn load_all(folder: &Path) -> Result<Vec<Fixture>, Failure> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.join(PAGE).is_file()).collect();
    folders.sort();
    folders.iter().map(|folder| load(folder)).collect()
}

fn load(folder: &Path) -> Result<Fixture, Failure> {
    let file = folder.join(EXPECTED);
    let expected = serde_json::from_str(&pages::read(&file)?).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::said(format!("chatferry: {} is no JSON ({place})", file.display()), exit::CONFIG)
    })?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Fixture { name, html: pages::read(&folder.join(PAGE))?, expected })
}

/// Writes a fixture.
///
/// # Errors
/// It can't be written.
pub fn save(folder: &Path, html: &str, expected: &Value) -> Result<(), Failure> {
    pages::write(&folder.join(PAGE), html)?;
    let text = serde_json::to_string_pretty(expected).unwrap_or_default();
    pages::write(&folder.join(EXPECTED), &(text + "\n"))
}

/// A reading as `expected.json` holds it.
pub fn document(reading: &PageReading) -> Value {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.expose().to_owned());
    let list: Vec<Value> = reading
        .list
        .rows
        .iter()
        .map(|row| {
            json!({ "id": row.id, "title": text(&row.title), "last_activity": row.last_activity, "unread": row.unread })
        })
        .collect();
    let thread: Vec<Value> = reading
        .thread
        .rows
        .iter()
        .map(|row| match &row.separator {
            Some(separator) => json!({ "separator": separator.expose() }),
            None => json!({
                "id": row.native_id, "author": text(&row.author), "text": text(&row.text), "sent_at": row.sent_at,
                "own": row.own, "attachments": row.attachments.iter().map(Text::expose).collect::<Vec<_>>(),
            }),
        })
        .collect();
    json!({
        "list": { "verdict": word(reading.list_verdict), "rows": list },
        "thread": { "verdict": word(reading.thread_verdict), "opened": reading.thread.opened, "rows": thread },
    })
}

/// The word for a verdict.
pub const fn word(verdict: PageVerdict) -> &'static str {
    match verdict {
        PageVerdict::Ok => "ok",
        PageVerdict::Empty => "empty",
        PageVerdict::NotRendered => "not rendered",
        PageVerdict::LoggedOut => "logged out",
        PageVerdict::Broken => "broken",
    }
}

/// One way in which a reading is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `missing`, `unexpected` or `changed`.
    pub kind: &'static str,
    /// `list` or `thread`.
    pub part: &'static str,
    /// The row, counted from 1; 0 for the part itself.
    pub row: usize,
    /// The field that changed; none for a whole row.
    pub field: Option<String>,
    /// What was expected.
    pub expected: Value,
    /// What was found.
    pub found: Value,
}

/// Compares two documents. As many rows are compared one by one; else it is told which are gone and which
/// are new.
pub fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    for part in ["list", "thread"] {
        let (old, new) = (&expected[part], &found[part]);
        for field in ["verdict", "opened"] {
            push_changed(&mut differences, (part, 0), field, &old[field], &new[field]);
        }
        let rows = |side: &Value| side["rows"].as_array().cloned().unwrap_or_default();
        let (old, new) = (rows(old), rows(new));
        if old.len() == new.len() {
            for (index, (old, new)) in old.iter().zip(&new).enumerate() {
                for field in fields(old, new) {
                    push_changed(&mut differences, (part, index + 1), &field, &old[&field], &new[&field]);
                }
            }
        } else {
            let one_sided = |kind, rows: &[Value], other: &[Value]| -> Vec<Difference> {
                let mut rest = other.to_vec();
                let alone = rows.iter().enumerate().filter(|(_, row)| {
                    let place = rest.iter().position(|candidate| is_same(row, candidate));
                    place.map(|place| rest.swap_remove(place)).is_none()
                });
                alone
                    .map(|(index, row)| {
                        let (expected, found) =
                            if kind == "missing" { (row.clone(), Value::Null) } else { (Value::Null, row.clone()) };
                        Difference { kind, part, row: index + 1, field: None, expected, found }
                    })
                    .collect()
            };
            differences.extend(one_sided("missing", &old, &new));
            differences.extend(one_sided("unexpected", &new, &old));
        }
    }
    differences
}

/// The same row: by its id where it has one.
fn is_same(one: &Value, other: &Value) -> bool {
    if one["id"].is_null() { one == other } else { one["id"] == other["id"] }
}

fn fields(old: &Value, new: &Value) -> Vec<String> {
    let keys = |row: &Value| row.as_object().map(|row| row.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut fields = keys(old);
    fields.extend(keys(new).into_iter().filter(|key| old.get(key).is_none()));
    fields
}

fn push_changed(into: &mut Vec<Difference>, place: (&'static str, usize), field: &str, old: &Value, new: &Value) {
    if old != new {
        let (part, row) = place;
        let field = Some(field.to_owned());
        into.push(Difference { kind: "changed", part, row, field, expected: old.clone(), found: new.clone() });
    }
}

impl Difference {
    /// As JSON, its values as they are or only their shape.
    pub fn json(&self, masked: bool) -> Value {
        let shown = |value: &Value| if masked { mask(value) } else { value.clone() };
        json!({ "kind": self.kind, "part": self.part, "row": self.row, "field": self.field,
            "expected": shown(&self.expected), "found": shown(&self.found) })
    }

    /// A line for a person.
    pub fn line(&self, masked: bool) -> String {
        let shown = |value: &Value| (if masked { mask(value) } else { value.clone() }).to_string();
        let place = if self.row == 0 { self.part.to_owned() } else { format!("{} row {}", self.part, self.row) };
        match &self.field {
            Some(field) => {
                format!(
                    "{:<10} {place}: {field}: {} instead of {}",
                    self.kind,
                    shown(&self.found),
                    shown(&self.expected)
                )
            }
            None => {
                let row = if self.found.is_null() { &self.expected } else { &self.found };
                format!("{:<10} {place}: {}", self.kind, shown(row))
            }
        }
    }
}

/// The shape of a value: what stands in a live page is chat text.
fn mask(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(Text::new(text.as_str()).masked(40)),
        Value::Array(list) => list.iter().map(mask).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), mask(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(rows: &Value) -> Value {
        json!({ "list": { "verdict": "ok", "rows": [] }, "thread": { "verdict": "ok", "opened": "7", "rows": rows } })
    }

    #[test]
    fn rows_are_missing_unexpected_or_changed_in_a_field() {
        let old = thread(&json!([{ "id": "1", "text": "a" }, { "id": "2", "text": "b" }]));
        assert_eq!(differences(&old, &old), []);
        let changed = differences(&old, &thread(&json!([{ "id": "1", "text": "a" }, { "id": "2", "text": "c" }])));
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].line(false), r#"changed    thread row 2: text: "c" instead of "b""#);
        let lost = differences(&old, &thread(&json!([{ "id": "2", "text": "b" }])));
        assert_eq!(lost.iter().map(|d| (d.kind, d.row)).collect::<Vec<_>>(), [("missing", 1)]);
        let more = json!([{ "id": "1", "text": "a" }, { "id": "9", "text": "secret" }, { "id": "2", "text": "b" }]);
        let gained = differences(&old, &thread(&more));
        assert_eq!(gained.iter().map(|d| (d.kind, d.row)).collect::<Vec<_>>(), [("unexpected", 2)]);
        assert!(!gained[0].line(true).contains("secret") && !gained[0].json(true).to_string().contains("secret"));
    }

    #[test]
    fn equal_rows_without_an_id_are_counted() {
        let twice = thread(&json!([{ "id": null, "text": "ok" }, { "id": null, "text": "ok" }]));
        let once = thread(&json!([{ "id": null, "text": "ok" }]));
        assert_eq!(differences(&twice, &once).len(), 1);
    }
}
