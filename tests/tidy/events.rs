//! Version 1 of the events, frozen: bodies that were once published must keep parsing, and readers who
//! were written against the schemas of that day must keep understanding what is published today.
//!
//! The files in `tests/tidy/events/v1` never change. A new field gets no place in them; a new version of
//! a type gets a folder of its own.

use chatferry::domain::{Envelope, EventType};
use chatferry::fault::Code;
use serde_json::Value;

use super::generated::schema;
use super::none_of;
use super::source::text;

const FROZEN: &str = "tests/tidy/events/v1";

/// A body as version 1 published it: `full` with every field, `least` with none that may be missing.
pub fn sample(kind: EventType, form: &str) -> Value {
    serde_json::from_str(&text(&format!("{FROZEN}/{kind}.{form}.json"))).unwrap()
}

#[test]
fn bodies_of_version_1_are_read_and_written_as_they_were() {
    for kind in EventType::ALL {
        for form in ["full", "least"] {
            let body = sample(kind, form);
            let envelope =
                Envelope::parse(body.to_string().as_bytes()).unwrap_or_else(|e| panic!("{kind}, {form}: {e}"));
            assert_eq!(envelope.event.kind(), kind);
            // The definition of the id is part of the version: another one would double every event.
            assert_eq!(envelope.event.id(), envelope.id, "{kind}, {form}");
            let written: Value = serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
            let lost = differences(&body, &written, "");
            none_of(&lost, "A field of version 1 is lost or changed; that takes a new version of the type.");
        }
    }
}

/// Every value of the old body that the new one does not hold.
fn differences(old: &Value, new: &Value, at: &str) -> Vec<String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .flat_map(|(name, value)| {
                differences(value, new.get(name).unwrap_or(&Value::Null), &format!("{at}/{name}"))
            })
            .collect(),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            old.iter().zip(new).flat_map(|(old, new)| differences(old, new, &format!("{at}/*"))).collect()
        }
        _ if old == new => Vec::new(),
        _ => vec![format!("{at}: {old} became {new}")],
    }
}

#[test]
fn codes_of_version_1_are_still_known() {
    let known = text(&format!("{FROZEN}/codes.txt"));
    let lost = known.lines().map(str::to_owned).filter(|name| Code::parse(name).is_none());
    none_of(&lost.collect::<Vec<_>>(), "`account.changed` may hold it: keep the code, or make a new version.");
}

#[test]
fn readers_and_bodies_of_version_1_fit_the_schemas_of_today() {
    for kind in EventType::ALL {
        let frozen: Value = serde_json::from_str(&text(&format!("{FROZEN}/{kind}.schema.json"))).unwrap();
        let today = schema(kind).to_value();
        none_of(
            &breaches((&frozen, &frozen), (&today, &today), &kind.to_string()),
            "That takes a new version of the type.",
        );
    }
}

/// The schema, or what it refers to within its document.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(schema, |path| root.pointer(path).unwrap_or_else(|| panic!("{path} leads nowhere")))
}

/// The words in a list of the schema, in order: `required`, `type`, or the constants of `oneOf`.
fn words(schema: &Value, list: &str) -> Vec<String> {
    let text = |value: &Value| value.get("const").unwrap_or(value).as_str().map(str::to_owned);
    match schema.get(list) {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// What of the frozen schema today's breaks, for those who read and for what was written.
fn breaches(frozen: (&Value, &Value), today: (&Value, &Value), at: &str) -> Vec<String> {
    let (old, new) = (resolved(frozen.0, frozen.1), resolved(today.0, today.1));
    let mut found = Vec::new();
    if words(old, "type") != words(new, "type") {
        found.push(format!("{at}: the type is {:?}, it was {:?}", words(new, "type"), words(old, "type")));
    }
    let lost = words(old, "oneOf").into_iter().filter(|word| !words(new, "oneOf").contains(word));
    found.extend(lost.map(|word| format!("{at}: {word:?} is no longer a word of it")));
    let (was, is) = (words(old, "required"), words(new, "required"));
    found.extend(was.iter().filter(|name| !is.contains(name)).map(|name| format!("{at}/{name} may now be missing")));
    found.extend(is.iter().filter(|name| !was.contains(name)).map(|name| format!("{at}/{name} is now required")));
    for (name, property) in old.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let at = format!("{at}/{name}");
        match new.get("properties").and_then(|properties| properties.get(name)) {
            Some(there) => found.extend(breaches((frozen.0, property), (today.0, there), &at)),
            None => found.push(format!("{at} is gone")),
        }
    }
    if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
        found.extend(breaches((frozen.0, old), (today.0, new), &format!("{at}/*")));
    }
    found
}

/// Something done to a schema.
type Cut<'a> = &'a dyn Fn(&mut Value);

#[test]
fn a_breach_is_found() {
    let frozen = schema(EventType::MessageCaptured).to_value();
    let after = |change: Cut<'_>| {
        let mut today = frozen.clone();
        change(&mut today);
        breaches((&frozen, &frozen), (&today, &today), "").len()
    };
    assert_eq!(after(&|_| ()), 0);
    assert_eq!(after(&|today| today["properties"]["later"] = serde_json::json!({ "type": "string" })), 0);
    let cuts: [(&str, Cut<'_>); 6] = [
        ("a field is gone", &|today| drop(today["properties"].as_object_mut().unwrap().remove("revision"))),
        ("one more is required", &|today| today["required"].as_array_mut().unwrap().push("revision".into())),
        ("one may be missing", &|today| drop(today["required"].as_array_mut().unwrap().pop())),
        ("another type, behind a reference", &|today| today["$defs"]["Text"]["type"] = "object".into()),
        ("a word less", &|today| drop(today["$defs"]["Origin"]["oneOf"].as_array_mut().unwrap().pop())),
        ("of a list's items", &|today| {
            drop(today["$defs"]["Attachment"]["properties"].as_object_mut().unwrap().remove("url"));
        }),
    ];
    for (what, change) in cuts {
        assert!(after(change) > 0, "{what}");
    }
    let lost = differences(&serde_json::json!({ "a": [1, 2] }), &serde_json::json!({ "a": [1, 3], "b": 1 }), "");
    assert_eq!(lost, ["/a/*: 2 became 3"]);
}
