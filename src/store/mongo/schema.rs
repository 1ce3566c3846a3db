//! The collections: their validators and indexes, by version.
//!
//! Every step can be repeated and may run in two processes at once. Steps only add: an index or a
//! validator of an earlier version is changed by a later step, never in place.
//!
//! Deliberately absent: an index for text search on `messages.text` (an entry per distinct word: with
//! 14 words per message archiving took three times as long, and nothing of ours searches there; an
//! operator who wants one creates it with `default_language: "none"`), and TTL indexes (messages are the record itself, an
//! account's epoch must outlive its lease, and a closed gap is evidence). Only purses are forgotten so, long
//! after their period.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;

use super::names;

/// The newest version that this program knows.
pub(super) const VERSION: i64 = 3;

/// The version from which the notes of mirrors name their target. It adds no collection.
pub(super) const TARGETS: i64 = 3;

/// A collection with the shape of its documents and its indexes.
pub(super) struct Collection {
    pub name: &'static str,
    pub validator: Document,
    pub indexes: Vec<IndexModel>,
}

/// What a version adds.
pub(super) fn step(version: i64) -> Vec<Collection> {
    match version {
        1 => first(),
        2 => economy(),
        _ => Vec::new(),
    }
}

fn first() -> Vec<Collection> {
    let covered = doc! { "conversation": 1, "messages": -1, "created_at": -1, "_id": -1 };
    vec![
        Collection {
            name: names::ACCOUNTS,
            // Only `_id` is required: a change of hands may leave its fence before the first state.
            validator: shape(
                &[],
                &[
                    ("fence", LONG),
                    ("epoch", LONG),
                    ("since", LONG),
                    ("state", TEXT),
                    ("sentence", TEXT),
                    ("expires_at", LONG),
                ],
            ),
            indexes: Vec::new(),
        },
        Collection {
            name: names::CONVERSATIONS,
            validator: shape(
                &[
                    ("account", TEXT),
                    ("native_id", TEXT),
                    ("title", TEXT),
                    ("title_at", LONG),
                    ("messages", LONG),
                    ("updated_at", LONG),
                    ("generation", LONG),
                    ("recounts", LONG),
                ],
                &[
                    ("last_key", TEXT_OR_NULL),
                    ("last_position", LONG_OR_NULL),
                    ("last_sent_at", LONG_OR_NULL),
                    ("first_new_at", LONG),
                    ("due_at", LONG),
                ],
            ),
            indexes: vec![
                index("conversations_newest", doc! { "last_sent_at": -1, "_id": 1 }, None),
                index("conversations_of_account", doc! { "account": 1, "last_sent_at": -1, "_id": 1 }, None),
                index(
                    "conversations_due",
                    doc! { "due_at": 1, "_id": 1 },
                    Some(doc! { "due_at": { "$exists": true } }),
                ),
            ],
        },
        Collection {
            name: names::MESSAGES,
            validator: shape(
                &[
                    ("conversation", TEXT),
                    ("position", LONG),
                    ("revision", LONG),
                    ("content", BINARY),
                    ("observed_at", LONG),
                    ("origin", TEXT),
                    ("direction", TEXT),
                    ("author", TEXT),
                    ("sent_at_precision", TEXT),
                    ("text", TEXT),
                ],
                &[("sent_at", LONG_OR_NULL), ("native_id", TEXT_OR_NULL), ("attachments", ARRAY)],
            ),
            indexes: vec![index(names::MESSAGES_IN_ORDER, doc! { "conversation": 1, "position": 1, "_id": 1 }, None)],
        },
        Collection {
            name: names::ANALYSES,
            validator: shape(ANALYSIS, &[]),
            indexes: vec![index("analyses_latest", covered, None)],
        },
        Collection {
            name: names::GAPS,
            validator: shape(
                &[
                    ("account", TEXT),
                    ("conversation", TEXT),
                    ("reason", TEXT),
                    ("open", BOOL),
                    ("since", LONG),
                    ("epoch", LONG),
                ],
                &[("seen_from", LONG_OR_NULL), ("closed_at", LONG)],
            ),
            indexes: vec![
                index("gaps_open", doc! { "since": 1, "conversation": 1, "reason": 1 }, Some(doc! { "open": true })),
                index("gaps_of_account", doc! { "account": 1 }, None),
            ],
        },
        Collection { name: names::MIRROR_ROWS, validator: shape(&[("hash", BINARY)], &[]), indexes: Vec::new() },
        Collection {
            name: names::LEASES,
            validator: shape(&[("epoch", LONG), ("until", DATE)], &[("owner", TEXT_OR_NULL)]),
            indexes: Vec::new(),
        },
    ]
}

/// What analyses cost, and which question each of them answers.
fn economy() -> Vec<Collection> {
    let counts = [("calls", LONG), ("input_tokens", LONG), ("output_tokens", LONG), ("cost_micros", LONG)];
    let past = IndexOptions::builder().name("spending_forgotten".to_owned()).expire_after(Duration::ZERO).build();
    let forgotten = IndexModel::builder().keys(doc! { "forget_at": 1 }).options(past).build();
    let question =
        index("analyses_of_question", doc! { "question": 1 }, Some(doc! { "question": { "$exists": true } }));
    vec![
        Collection {
            name: names::SPENDING,
            validator: shape(&[("forget_at", DATE), ("held", ARRAY)], &counts),
            indexes: vec![forgotten],
        },
        Collection { name: names::ANALYSES, validator: shape(ANALYSIS, &[]), indexes: vec![question] },
    ]
}

/// What an analysis must hold.
const ANALYSIS: &[(&str, &[&str])] = &[
    ("conversation", TEXT),
    ("up_to", TEXT),
    ("messages", LONG),
    ("created_at", LONG),
    ("account", TEXT),
    ("verdict", OBJECT),
    ("model", TEXT),
    ("prompt_version", TEXT),
];

const LONG: &[&str] = &["long"];
const TEXT: &[&str] = &["string"];
const BOOL: &[&str] = &["bool"];
const DATE: &[&str] = &["date"];
const ARRAY: &[&str] = &["array"];
const OBJECT: &[&str] = &["object"];
const BINARY: &[&str] = &["binData"];
const LONG_OR_NULL: &[&str] = &["long", "null"];
const TEXT_OR_NULL: &[&str] = &["string", "null"];

/// A JSON Schema: these fields must be there, those may be; other fields are left alone, so that an
/// older program can still write beside a newer one's additions.
fn shape(required: &[(&str, &[&str])], optional: &[(&str, &[&str])]) -> Document {
    let mut properties = doc! { "_id": { "bsonType": "string" } };
    for (name, kinds) in required.iter().chain(optional) {
        let kinds: Vec<Bson> = kinds.iter().map(|kind| Bson::from(*kind)).collect();
        properties.insert(*name, doc! { "bsonType": kinds });
    }
    let names = std::iter::once("_id").chain(required.iter().map(|(name, _)| *name));
    let names: Vec<Bson> = names.map(Bson::from).collect();
    doc! { "$jsonSchema": { "bsonType": "object", "required": names, "properties": properties } }
}

fn index(name: &str, keys: Document, partial: Option<Document>) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).partial_filter_expression(partial).build();
    IndexModel::builder().keys(keys).options(options).build()
}
