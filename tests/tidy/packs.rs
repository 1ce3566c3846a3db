//! The packs in `selectors/`: readable, and without a control that writes.

use std::path::Path;

use chatferry::selectors::forbidden::forbidden_word;
use chatferry::selectors::{Library, lint};

use super::source::{files, text};

fn packs() -> Vec<String> {
    files("selectors", ".toml")
}

#[test]
fn every_pack_keeps_the_rules() {
    assert!(packs().len() >= 2);
    let library = Library::open(Path::new("/nonexistent")).unwrap();
    for name in packs() {
        let pack = library.load_named(&name).unwrap_or_else(|error| panic!("{error}"));
        for (key, query) in lint::queries(&pack.pack) {
            for alternative in &query.alternatives {
                for selector in [&alternative.css, &alternative.xpath].into_iter().flatten() {
                    assert_eq!(forbidden_word(selector), None, "{name}: {key}: {selector}");
                }
            }
        }
    }
}

#[test]
fn every_key_of_a_pack_is_explained_and_names_no_control_that_writes() {
    fn keys(value: &serde_json::Value, found: &mut Vec<String>) {
        if let Some(properties) = value.get("properties").and_then(serde_json::Value::as_object) {
            found.extend(properties.keys().cloned());
        }
        match value {
            serde_json::Value::Object(map) => map.values().for_each(|value| keys(value, found)),
            serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let schema: serde_json::Value = serde_json::from_str(&text("selectors/pack.schema.json")).unwrap();
    let mut found = Vec::new();
    keys(&schema, &mut found);
    assert!(found.contains(&"native_id".to_owned()));
    let document = text("docs/packs.md");
    for key in found {
        assert_eq!(forbidden_word(&key), None, "{key}");
        assert!(document.contains(&format!("`{key}`")), "docs/packs.md does not explain `{key}`");
    }
}
