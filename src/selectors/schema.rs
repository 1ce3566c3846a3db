//! The JSON Schema of a pack, generated from its types, so that editors complete and check it.

use super::pack::Pack;

/// The schema as a JSON document that ends in a line break; committed as
/// `selectors/pack.schema.json`.
pub fn pack_schema() -> String {
    let mut schema = schemars::schema_for!(Pack);
    schema.insert("title".to_owned(), "chatferry selector pack, version 1".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_fresh_and_accepts_the_packs() {
        let committed = include_str!("../../selectors/pack.schema.json");
        assert_eq!(committed, pack_schema(), "run: chatferry selectors schema > selectors/pack.schema.json");
        let schema: serde_json::Value = serde_json::from_str(committed).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for text in [include_str!("../../selectors/demo.toml"), include_str!("../../selectors/meetme.toml")] {
            let pack: serde_json::Value = toml::from_str(text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&pack).map(|e| e.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new());
            let mut misspelled = pack;
            misspelled["messages"]["rwo"] = "x".into();
            assert!(!validator.is_valid(&misspelled));
        }
    }
}
