//! The AsyncAPI document of the events, made from the types and the topology, so that it can't say
//! anything else than they do.
//!
//! Its schemas are in the dialect that AsyncAPI tools read (draft 7), and it refers to nothing outside
//! itself. The bodies that [`Envelope`] writes are validated against it.

use chatferry::bus::topology::{ATTEMPT_HEADER, EXCHANGE};
use chatferry::domain::event::{
    AccountChanged, AnalysisCompleted, AnalysisRequested, MessageCaptured, SelectorsDrifted,
};
use chatferry::domain::{Envelope, EventType, SiteId, envelope};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::events::sample;
use super::generated::{REFERENCE, is_fresh};

/// Where the document stands.
fn path() -> String {
    format!("{REFERENCE}/asyncapi.json")
}

/// `chatferry.message.captured.v1` as a name of the document: `messageCapturedV1`.
fn name(kind: EventType) -> String {
    let mut name = String::new();
    for (index, word) in kind.topic().split('.').enumerate() {
        let (first, rest) = word.split_at(1);
        name += &if index == 0 { first.to_owned() } else { first.to_uppercase() };
        name += rest;
    }
    name
}

/// What it is about, in one sentence. An exhaustive match: a new type of event says what it is.
const fn summary(kind: EventType) -> &'static str {
    match kind {
        EventType::MessageCaptured => "A message was seen in the page, for the first time or changed.",
        EventType::AnalysisRequested => "A conversation is due for analysis.",
        EventType::AnalysisCompleted => "An analysis of a conversation was stored.",
        EventType::AccountChanged => "An account came into another state.",
        EventType::SelectorsDrifted => "A selector of a pack no longer matches as it should.",
    }
}

/// The reference to the schema of an event's data, which is put into the generator.
fn data(kind: EventType, generator: &mut SchemaGenerator) -> Value {
    match kind {
        EventType::MessageCaptured => generator.subschema_for::<MessageCaptured>(),
        EventType::AnalysisRequested => generator.subschema_for::<AnalysisRequested>(),
        EventType::AnalysisCompleted => generator.subschema_for::<AnalysisCompleted>(),
        EventType::AccountChanged => generator.subschema_for::<AccountChanged>(),
        EventType::SelectorsDrifted => generator.subschema_for::<SelectorsDrifted>(),
    }
    .to_value()
}

const ABOUT: &str = "\
What chatferry tells the world. Any program may bind a queue of its own to the exchange and read: chatferry neither \
knows nor minds. Never consume from the queues named chatferry.*, which would take events away from chatferry itself.

Stable: the types with their version, the ids, the routing keys, and every field named here. A version may gain \
optional fields and new words in an enumeration; a reader passes over what it does not know. Whatever else would \
change becomes a new type with the next version, published beside the old one for a time.

Delivery is at least once, and not in order. The id is made of the fact: an event that comes twice has the same id. Of \
two events about one message the higher revision holds, whichever comes last.

The body may hold chat text and names of people; headers and routing keys never do.";

fn channel(kind: EventType) -> Value {
    let topic = kind.topic();
    json!({
        "address": format!("{topic}.{{site}}"),
        "title": kind.as_str(),
        "summary": summary(kind),
        "description": format!(
            "Bind a queue of your own to the exchange `{EXCHANGE}` with `{topic}.*` for all sites, or with the name \
             of a site in place of the star."
        ),
        "servers": [{ "$ref": "#/servers/broker" }, { "$ref": "#/servers/brokerWithTls" }],
        "parameters": { "site": { "$ref": "#/components/parameters/site" } },
        "messages": { name(kind): { "$ref": format!("#/components/messages/{}", name(kind)) } },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": { "name": EXCHANGE, "type": "topic", "durable": true, "autoDelete": false },
            "bindingVersion": "0.3.0",
        } },
    })
}

fn operation(kind: EventType) -> Value {
    let channel = format!("#/channels/{}", name(kind));
    json!({
        "action": "send",
        "summary": summary(kind),
        "channel": { "$ref": channel },
        "messages": [{ "$ref": format!("{channel}/messages/{}", name(kind)) }],
        "bindings": { "amqp": { "deliveryMode": 2, "mandatory": true, "bindingVersion": "0.3.0" } },
    })
}

fn message(kind: EventType, data: Value) -> Value {
    json!({
        "name": kind.as_str(),
        "title": kind.as_str(),
        "summary": summary(kind),
        "contentType": envelope::CONTENT_TYPE,
        "headers": { "$ref": "#/components/schemas/Headers" },
        "payload": { "allOf": [
            { "$ref": "#/components/schemas/CloudEvent" },
            { "type": "object", "properties": { "type": { "const": kind.as_str() }, "data": data } },
        ] },
        "examples": [{ "name": kind.topic(), "payload": sample(kind, "full") }],
    })
}

/// The metadata around every event. Held against real bodies by `every_body_fits_the_document`.
fn cloud_event() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "CloudEvents 1.0, structured JSON.",
        "properties": {
            "specversion": { "const": "1.0" },
            "id": {
                "type": "string",
                "pattern": "^[0-9a-f]{32}$",
                "description": "Made of the fact: the same fact told twice has the same id.",
            },
            "source": text("Whose account saw it: /sites/<site>/accounts/<label>."),
            "type": { "type": "string", "enum": EventType::ALL.map(EventType::as_str) },
            "subject": text("The key of the message or conversation, the account, or the query of a pack."),
            "time": { "type": "string", "format": "date-time", "description": "When it was noticed." },
            "datacontenttype": { "const": "application/json" },
            "data": { "type": "object" },
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
    })
}

fn headers() -> Value {
    json!({
        "type": "object",
        "description": "AMQP headers. All may be missing, and none holds chat text.",
        "properties": {
            ATTEMPT_HEADER: {
                "type": "integer",
                "minimum": 0,
                "description": "Failed deliveries to one of chatferry's own consumers; of no use to others.",
            },
            "traceparent": { "type": "string", "description": "W3C trace context of the publisher." },
        },
    })
}

/// The whole document.
fn document() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let kinds = EventType::ALL.map(|kind| (kind, data(kind, &mut generator)));
    let mut schemas = generator.take_definitions(true);
    schemas.insert("CloudEvent".to_owned(), cloud_event());
    schemas.insert("Headers".to_owned(), headers());
    let named = |part: &dyn Fn(EventType) -> Value| -> Map<String, Value> {
        EventType::ALL.iter().map(|kind| (name(*kind), part(*kind))).collect()
    };
    let messages: Map<String, Value> =
        kinds.into_iter().map(|(kind, data)| (name(kind), message(kind, data))).collect();
    let server = |protocol: &str, port: u16| {
        json!({
            "host": "{host}",
            "protocol": protocol,
            "protocolVersion": "0.9.1",
            "description": "The broker that RABBITMQ_URL names.",
            "variables": { "host": { "default": format!("localhost:{port}"), "description": "Host and port." } },
        })
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "chatferry events",
            "version": "1.0.0",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": envelope::CONTENT_TYPE,
        "servers": { "broker": server("amqp", 5672), "brokerWithTls": server("amqps", 5671) },
        "channels": named(&channel),
        "operations": named(&operation),
        "components": {
            "messages": messages,
            "parameters": { "site": {
                "description": "The name of the site's selector pack: 1 to 32 lower-case letters, digits or '-'.",
                "examples": ["meetme"],
            } },
            "schemas": schemas,
        },
    })
}

#[test]
fn the_document_is_fresh() {
    is_fresh(&path(), &(serde_json::to_string_pretty(&document()).unwrap() + "\n"));
}

#[test]
fn every_type_has_its_channel_operation_and_message() {
    let document = document();
    let site: SiteId = "demo".parse().unwrap();
    for kind in EventType::ALL {
        let name = name(kind);
        let channel = &document["channels"][&name];
        let address = channel["address"].as_str().unwrap();
        assert_eq!(address.replace("{site}", site.as_str()), envelope::routing_key(kind, &site));
        assert_eq!(channel["bindings"]["amqp"]["exchange"]["name"], EXCHANGE);
        let operation = &document["operations"][&name];
        assert_eq!(operation["channel"]["$ref"], format!("#/channels/{name}"));
        let told = operation["messages"][0]["$ref"].as_str().unwrap();
        assert_eq!(resolve(&document, resolve(&document, pointer(&document, told)))["name"], kind.as_str());
    }
    for part in ["channels", "operations"] {
        assert_eq!(document[part].as_object().unwrap().len(), EventType::ALL.len(), "{part}");
    }
}

/// What `#/a/b` names, or a failed test.
fn pointer<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let path = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
    document.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// The value, or what it refers to.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    value.get("$ref").and_then(Value::as_str).map_or(value, |reference| pointer(document, reference))
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 4 * EventType::ALL.len(), "{found:?}");
    for reference in found {
        pointer(&document, reference);
    }
}

/// The schema of a message's body, with the document's schemas in reach.
fn body_schema(document: &Value, kind: EventType) -> jsonschema::Validator {
    let mut schema = document["components"]["messages"][name(kind)]["payload"].clone();
    schema["components"] = json!({ "schemas": document["components"]["schemas"] });
    jsonschema::draft7::new(&schema).unwrap()
}

#[test]
fn every_body_fits_the_document() {
    let document = document();
    for kind in EventType::ALL {
        let schema = body_schema(&document, kind);
        for form in ["full", "least"] {
            let envelope = Envelope::parse(sample(kind, form).to_string().as_bytes()).unwrap();
            let body: Value = serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
            let errors: Vec<String> = schema.iter_errors(&body).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{kind}, {form}: {errors:?}");
            // Each attribute that is written is told of, and a body without one does not fit.
            for field in body.as_object().unwrap().keys() {
                assert!(!cloud_event()["properties"][field].is_null(), "{kind} has {field}, which is not described");
                let mut less = body.clone();
                less.as_object_mut().unwrap().remove(field);
                assert!(!schema.is_valid(&less), "{kind} without {field} passes");
            }
        }
        for other in EventType::ALL.into_iter().filter(|other| *other != kind) {
            assert!(!schema.is_valid(&sample(other, "full")), "{other} passes as {kind}");
        }
    }
}
