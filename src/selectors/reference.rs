//! The reference of the pack format as Markdown, generated from the JSON Schema and so from the types: keys,
//! what they mean, what holds when they are left out. `docs/packs.md` explains the same with examples.

use std::fmt::Write as _;

use schemars::schema_for;
use serde_json::Value;

use super::pack::Pack;

/// The document; committed as `docs/reference/packs.md`.
pub fn pack_reference() -> String {
    let schema = schema_for!(Pack).to_value();
    let mut text = String::from(
        "# Keys of a selector pack\n\nGenerated from the types by `chatferry selectors docs`. [packs.md](../packs.md) explains\nthem with examples. ● must be there.\n",
    );
    section(&mut text, "The file", &schema);
    let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
    for (name, definition) in &definitions {
        section(&mut text, name, definition);
    }
    text
}

fn section(text: &mut String, title: &str, schema: &Value) {
    let _ = write!(text, "\n## {title}\n\n");
    if let Some(description) = schema["description"].as_str() {
        let _ = writeln!(text, "{}\n", sentence(description));
    }
    let rows = keys(schema);
    if rows.is_empty() {
        return;
    }
    text.push_str("| Key | Value | If left out | Meaning |\n|---|---|---|---|\n");
    for [key, value, default, meaning] in rows {
        let _ = writeln!(text, "| {key} | {value} | {default} | {meaning} |");
    }
}

/// Keys of a table, or the values of a choice.
fn keys(schema: &Value) -> Vec<[String; 4]> {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let mut rows: Vec<_> = choices
        .flat_map(|choice| match (choice["const"].as_str(), choice["properties"].is_object()) {
            (Some(value), _) => vec![[format!("`{value}`"), String::new(), String::new(), meaning(choice)]],
            (None, true) => table(choice)
                .into_iter()
                .map(|[key, value, _, _]| [key, value, String::new(), meaning(choice)])
                .collect(),
            (None, false) => Vec::new(),
        })
        .collect();
    rows.extend(schema["anyOf"].as_array().into_iter().flatten().flat_map(table));
    rows.extend(table(schema));
    rows
}

fn table(schema: &Value) -> Vec<[String; 4]> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let is_required = |key: &str| required.iter().any(|name| name == key);
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(key, property)| {
            let mark = if is_required(key) { " ●" } else { "" };
            let default = match &property["default"] {
                Value::Null => String::new(),
                Value::Object(_) => "as below".to_owned(),
                default => format!("`{default}`"),
            };
            [format!("`{key}`{mark}"), kind(property), default, meaning(property)]
        })
        .collect()
}

fn meaning(schema: &Value) -> String {
    schema["description"].as_str().map(sentence).unwrap_or_default()
}

/// What may stand there.
fn kind(property: &Value) -> String {
    if let Some(name) = property["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(choices) = property["anyOf"].as_array() {
        let kinds: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(kind).collect();
        return kinds.join(" or ");
    }
    match &property["type"] {
        Value::String(word) if word == "array" => format!("list of {}", kind(&property["items"])),
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

/// One line that can stand in a table.
fn sentence(description: &str) -> String {
    description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_schema_is_in_the_reference_with_its_meaning() {
        let text = pack_reference();
        let schema: Value = serde_json::from_str(&super::super::schema::pack_schema()).unwrap();
        for definition in schema["$defs"].as_object().unwrap().values() {
            for key in definition["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
                assert!(text.contains(&format!("| `{key}`")), "{key}");
            }
        }
        assert!(text.contains("| `row` ● | [Query](#query) |"), "{text}");
    }
}
