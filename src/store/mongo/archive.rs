//! Taking captured messages in: look, insert what is new, replace what is older, then bring the
//! conversations up to date ([`super::tally`]).
//!
//! No transaction: a duplicate key would abort it, and the whole is idempotent without one. Looking
//! first keeps duplicates out of the insert (one in a hundred costs it 40 % of its speed). What another
//! archiver inserts or changes meanwhile is noticed (11000) and looked at again, so that the greater
//! [`Version`] stays whatever the order.
//!
//! It looks with read concern `majority`: a message that is there but could still be rolled back
//! (written by an archiver that died before its majority) must not be taken for a duplicate and
//! acknowledged.

use std::collections::HashMap;

use jiff::Timestamp;
use mongodb::Database;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;

use super::bulk::{self, Statement};
use super::error::{DUPLICATE_KEY, MongoError};
use super::tally::Tallies;
use super::{names, rows};
use crate::domain::MessageKey;
use crate::domain::event::MessageCaptured;
use crate::ports::{Archived, DueRule};
use crate::store::version::Version;

/// How often a message may have been changed by others between looking and writing. Each time one of
/// them got through, so that this many archivers can work on one message at once.
const ROUNDS: usize = 64;

/// A batch with everything that needs no server: done once, however many attempts it takes.
pub(super) struct Batch<'a> {
    events: Vec<(&'a MessageCaptured, Version)>,
    /// Places in `events` by key, in the order of the batch.
    keys: Vec<(MessageKey, Vec<usize>)>,
}

impl<'a> Batch<'a> {
    pub(super) fn of(captured: &'a [MessageCaptured]) -> Self {
        let events: Vec<_> = captured.iter().map(|captured| (captured, Version::of(captured))).collect();
        let mut places: HashMap<MessageKey, usize> = HashMap::with_capacity(captured.len());
        let mut keys: Vec<(MessageKey, Vec<usize>)> = Vec::with_capacity(captured.len());
        for (index, captured) in captured.iter().enumerate() {
            let place = *places.entry(captured.message.key).or_insert_with(|| {
                keys.push((captured.message.key, Vec::with_capacity(1)));
                keys.len() - 1
            });
            keys[place].1.push(index);
        }
        Self { events, keys }
    }

    /// How many events it holds.
    pub(super) const fn len(&self) -> usize {
        self.events.len()
    }

    /// What the events of one key do to the version that is stored: the counts, and which event is to
    /// be written in the end, if any.
    fn replay(&self, places: &[usize], known: Option<&Version>) -> (Archived, Option<usize>) {
        let (mut now, mut counts, mut winner) = (known.copied(), Archived::default(), None);
        for &place in places {
            let version = self.events[place].1;
            match now {
                None => counts.inserted += 1,
                Some(now) if version <= now => {
                    counts.duplicates += 1;
                    continue;
                }
                Some(now) if version.revises(&now) => counts.revised += 1,
                Some(_) => counts.duplicates += 1,
            }
            (now, winner) = (Some(version), Some(place));
        }
        (counts, winner)
    }
}

/// One attempt at the whole batch. `again`: an earlier attempt may have written a part of it.
pub(super) async fn archive(
    database: &Database,
    batch: &Batch<'_>,
    rule: DueRule,
    now: Timestamp,
    again: bool,
) -> Result<Archived, MongoError> {
    let mut archived = Archived::default();
    let mut tallies = Tallies::of(batch.events.iter().map(|(captured, version)| (*captured, version)));
    // How often the conversations were recounted is read before anything is inserted: see `tally`.
    let first = futures::future::try_join(look(database, batch.keys.iter()), tallies.read(database)).await?;
    let mut known = first.0;
    let mut open: Vec<&(MessageKey, Vec<usize>)> = batch.keys.iter().collect();
    for _ in 0..ROUNDS {
        let mut inserts = Inserts::default();
        let mut updates = Updates::default();
        for entry in open {
            let (key, places) = entry;
            let stored = known.get(key);
            let (counts, winner) = batch.replay(places, stored);
            let conversation = batch.events[places[0]].0.conversation.key;
            if stored.is_some() {
                tallies.recount(conversation);
            }
            let Some(winner) = winner else {
                tallies.note(conversation, counts, None);
                add(&mut archived, counts);
                continue;
            };
            let (captured, version) = &batch.events[winner];
            let edits = stored.is_some_and(|stored| stored.content != version.content);
            let write = Write { entry, counts, captured, version, edits };
            match stored {
                None => {
                    // The origin stays: it says which path brought the message in first.
                    let origin = batch.events[places[0]].0.origin;
                    inserts.documents.push(rows::message_document(captured, version, origin));
                    inserts.writes.push(write);
                }
                Some(stored) => {
                    updates.statements.push(revision(captured, version, stored));
                    updates.writes.push(write);
                }
            }
        }
        let (refused_inserts, refused_updates) =
            futures::future::try_join(inserts.run(database), updates.run(database)).await?;
        open = Vec::new();
        for (writes, refused) in [(inserts.writes, refused_inserts), (updates.writes, refused_updates)] {
            let mut refused = refused.into_iter().peekable();
            for (index, write) in writes.into_iter().enumerate() {
                let conversation = write.captured.conversation.key;
                if refused.next_if_eq(&index).is_some() {
                    tallies.recount(conversation);
                    open.push(write.entry);
                } else {
                    tallies.note(conversation, write.counts, Some((write.captured, write.version)));
                    if write.edits {
                        tallies.edited(conversation);
                    }
                    add(&mut archived, write.counts);
                }
            }
        }
        if open.is_empty() {
            if again {
                tallies.recount_all();
            }
            tallies.write(database, rule, now).await?;
            return Ok(archived);
        }
        known = look(database, open.iter().copied()).await?;
    }
    Err(MongoError::Contended)
}

fn add(sum: &mut Archived, more: Archived) {
    sum.inserted += more.inserted;
    sum.revised += more.revised;
    sum.duplicates += more.duplicates;
}

struct Write<'a> {
    entry: &'a (MessageKey, Vec<usize>),
    counts: Archived,
    captured: &'a MessageCaptured,
    version: &'a Version,
    /// It says something else than what is stored.
    edits: bool,
}

#[derive(Default)]
struct Inserts<'a> {
    documents: Vec<RawDocumentBuf>,
    writes: Vec<Write<'a>>,
}

impl Inserts<'_> {
    /// Inserts them; the indexes of those that somebody else inserted first, in order.
    async fn run(&mut self, database: &Database) -> Result<Vec<usize>, MongoError> {
        if self.documents.is_empty() {
            return Ok(Vec::new());
        }
        let messages = database.collection::<RawDocumentBuf>(names::MESSAGES);
        let outcome = messages.insert_many(&self.documents).ordered(false).await;
        self.documents.clear();
        let Err(error) = outcome else { return Ok(Vec::new()) };
        if let ErrorKind::InsertMany(many) = error.kind.as_ref() {
            let errors = many.write_errors.as_deref().unwrap_or_default();
            // Without a majority it is not known what stays: then all is looked at again.
            if many.write_concern_error.is_none()
                && !errors.is_empty()
                && errors.iter().all(|error| error.code == DUPLICATE_KEY)
            {
                let mut refused: Vec<usize> = errors.iter().map(|error| error.index).collect();
                refused.sort_unstable();
                return Ok(refused);
            }
        }
        Err(error.into())
    }
}

#[derive(Default)]
struct Updates<'a> {
    statements: Vec<Statement>,
    writes: Vec<Write<'a>>,
}

impl Updates<'_> {
    async fn run(&mut self, database: &Database) -> Result<Vec<usize>, MongoError> {
        let mut refused = bulk::update(database, names::MESSAGES, std::mem::take(&mut self.statements)).await?;
        refused.sort_unstable();
        Ok(refused)
    }
}

/// Puts a version in the place of the one that was seen, and of no other.
fn revision(captured: &MessageCaptured, version: &Version, stored: &Version) -> Statement {
    let message = &captured.message;
    let state = |version: &Version| {
        doc! {
            "position": version.position,
            "revision": i64::from(version.revision),
            "content": Binary { subtype: BinarySubtype::Generic, bytes: version.content.to_vec() },
            "observed_at": version.observed_at,
        }
    };
    let urls: Vec<Bson> = message.attachments.iter().map(|one| Bson::from(one.url.expose())).collect();
    let mut set = state(version);
    set.extend(doc! {
        "direction": message.direction.as_str(),
        "author": message.author.expose(),
        "sent_at": message.sent_at.map(|at| at.as_microsecond()),
        "sent_at_precision": message.sent_at_precision.as_str(),
        "native_id": message.native_id.as_deref(),
        "attachments": urls,
        "text": message.text.expose(),
    });
    let mut filter = doc! { "_id": message.key.to_string() };
    filter.extend(state(stored));
    // Should somebody have erased the message meanwhile, it comes back whole.
    let whole = doc! { "conversation": captured.conversation.key.to_string(), "origin": captured.origin.as_str() };
    Statement { filter, update: Bson::Document(doc! { "$set": set, "$setOnInsert": whole }) }
}

/// The stored versions of these messages.
async fn look(
    database: &Database,
    keys: impl Iterator<Item = &(MessageKey, Vec<usize>)>,
) -> Result<HashMap<MessageKey, Version>, MongoError> {
    let ids: Vec<Bson> = keys.map(|(key, _)| Bson::String(key.to_string())).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let fields: Document = doc! { "revision": 1, "observed_at": 1, "content": 1, "position": 1 };
    let mut found = database
        .collection::<RawDocumentBuf>(names::MESSAGES)
        .find(doc! { "_id": { "$in": ids } })
        .projection(fields)
        .batch_size(100_000)
        .await?;
    let mut known = HashMap::new();
    while found.advance().await? {
        let document = found.current();
        let id = document.get_str("_id").map_err(|_| MongoError::Unreadable("message key"))?;
        known.insert(rows::key(id, "message key")?, rows::version(document)?);
    }
    Ok(known)
}
