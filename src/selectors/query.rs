//! One thing to find in a page: an ordered list of alternatives, the first that matches wins.
//!
//! In TOML a query may be written four ways, from the shortest to the fullest:
//!
//! ```toml
//! text = ".message-text"                                     # one CSS selector
//! text = { css = ".message-text", regex = "^> (.*)" }         # one alternative
//! text = [".message-text", { attr = "data-text" }]            # several, in order
//! text = { any = [".message-text"], required = false }        # with properties of the query
//! ```

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How the value is read from the element that was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// The text of the element: `<br>` and blocks become line breaks, pictures their `alt`.
    #[default]
    Text,
    /// What a person sees of it (`innerText`): slower, leaves out hidden parts.
    Visible,
}

/// One way to find a thing.
///
/// `css`, `xpath` and `text` say which element (at most one of them; none: the row itself); `attr`
/// reads an attribute instead of the text; `regex` keeps the first capture group of the value, or all
/// that matched, and an alternative whose `regex` does not match has not matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// A CSS selector; open shadow roots are searched too. `:scope` is the row itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub css: Option<String>,
    /// An XPath 1.0 expression that gives elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xpath: Option<String>,
    /// The innermost element whose trimmed text is exactly this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Read this attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attr: Option<String>,
    /// Keep the first capture group (without one: the match). Syntax common to Rust and JavaScript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// How the text is read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read: Reading,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Alternative {
    /// An alternative that is a CSS selector and nothing more.
    pub fn css(selector: impl Into<String>) -> Self {
        Self { css: Some(selector.into()), ..Self::default() }
    }

    /// The alternative in one line, for reports.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        for (name, value) in [("css", &self.css), ("xpath", &self.xpath), ("text", &self.text)] {
            if let Some(value) = value {
                parts.push(if name == "css" { value.clone() } else { format!("{name} {value}") });
            }
        }
        if let Some(attr) = &self.attr {
            parts.push(format!("@{attr}"));
        }
        if let Some(regex) = &self.regex {
            parts.push(format!("/{regex}/"));
        }
        parts.join(" ")
    }
}

/// One thing to find.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    /// The alternatives in order; never empty in a pack that was loaded.
    #[serde(rename = "any")]
    pub alternatives: Vec<Alternative>,
    /// Whether a row without it is a sign of a changed layout; `None`: as the field's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// A row without it takes the value of the row before.
    #[serde(skip_serializing_if = "is_default")]
    pub carry: bool,
}

impl Query {
    /// A query of one CSS selector.
    pub fn css(selector: impl Into<String>) -> Self {
        Self { alternatives: vec![Alternative::css(selector)], ..Self::default() }
    }
}

/// The fullest form: properties of the query beside `any` or beside one alternative's own keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    any: Option<Vec<Spelled>>,
    required: Option<bool>,
    #[serde(default)]
    carry: bool,
    css: Option<String>,
    xpath: Option<String>,
    text: Option<String>,
    attr: Option<String>,
    regex: Option<String>,
    #[serde(default)]
    read: Reading,
}

/// An alternative, spelled as a bare CSS selector or in full.
struct Spelled(Alternative);

impl<'de> Deserialize<'de> for Spelled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpelledVisitor;
        impl<'de> Visitor<'de> for SpelledVisitor {
            type Value = Spelled;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CSS selector or a table with css, xpath, text or attr")
            }
            fn visit_str<E>(self, css: &str) -> Result<Spelled, E> {
                Ok(Spelled(Alternative::css(css)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Spelled, A::Error> {
                Alternative::deserialize(MapAccessDeserializer::new(map)).map(Spelled)
            }
        }
        deserializer.deserialize_any(SpelledVisitor)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QueryVisitor;
        impl<'de> Visitor<'de> for QueryVisitor {
            type Value = Query;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CSS selector, an alternative, a list of alternatives, or a table with `any`")
            }
            fn visit_str<E>(self, css: &str) -> Result<Query, E> {
                Ok(Query::css(css))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Query, A::Error> {
                let mut query = Query::default();
                while let Some(Spelled(alternative)) = seq.next_element()? {
                    query.alternatives.push(alternative);
                }
                Ok(query)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Query, A::Error> {
                let full = Full::deserialize(MapAccessDeserializer::new(map))?;
                let own = Alternative {
                    css: full.css,
                    xpath: full.xpath,
                    text: full.text,
                    attr: full.attr,
                    regex: full.regex,
                    read: full.read,
                };
                let alternatives = match full.any {
                    Some(any) if own == Alternative::default() => any.into_iter().map(|Spelled(a)| a).collect(),
                    Some(_) => {
                        return Err(A::Error::custom(
                            "`any` stands beside css, xpath, text, attr or regex: put these into the list",
                        ));
                    }
                    None => vec![own],
                };
                Ok(Query { alternatives, required: full.required, carry: full.carry })
            }
        }
        deserializer.deserialize_any(QueryVisitor)
    }
}

impl JsonSchema for Query {
    fn schema_name() -> Cow<'static, str> {
        "Query".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let alternative = generator.subschema_for::<Alternative>();
        let reading = generator.subschema_for::<Reading>();
        let spelled = json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, alternative] });
        json_schema!({
            "description": "One thing to find: a CSS selector, an alternative, a list of alternatives in order, or a table with `any`.",
            "anyOf": [
                { "type": "string", "minLength": 1, "description": "A CSS selector." },
                { "type": "array", "minItems": 1, "items": spelled },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "any": { "type": "array", "minItems": 1, "items": spelled },
                        "required": { "type": "boolean", "description": "Whether a row without it is a sign of a changed layout." },
                        "carry": { "type": "boolean", "description": "A row without it takes the value of the row before." },
                        "css": { "type": "string" },
                        "xpath": { "type": "string" },
                        "text": { "type": "string" },
                        "attr": { "type": "string" },
                        "regex": { "type": "string" },
                        "read": reading
                    }
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        query: Query,
    }

    fn parse(toml: &str) -> Result<Query, String> {
        toml::from_str::<Holder>(toml).map(|h| h.query).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn the_four_spellings_mean_the_same() {
        let short = parse(r#"query = ".a""#).unwrap();
        for spelling in [r#"query = [".a"]"#, r#"query = { css = ".a" }"#, r#"query = { any = [".a"] }"#] {
            assert_eq!(parse(spelling).unwrap(), short, "{spelling}");
        }
        let full =
            parse(r#"query = { any = [{ attr = "x", regex = "(\\d+)" }], required = false, carry = true }"#).unwrap();
        assert_eq!(full.required, Some(false));
        assert!(full.carry);
        assert_eq!(full.alternatives[0].describe(), "@x /(\\d+)/");
    }

    #[test]
    fn what_is_misspelled_is_refused() {
        assert!(parse(r#"query = { cs = ".a" }"#).unwrap_err().contains("unknown field `cs`"));
        assert!(parse(r#"query = [{ any = [".a"] }]"#).unwrap_err().contains("unknown field `any`"));
        assert!(parse(r#"query = { any = [".a"], css = ".b" }"#).unwrap_err().contains("put these into the list"));
        assert!(parse("query = 7").unwrap_err().contains("a CSS selector"));
    }
}
