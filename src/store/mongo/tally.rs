//! The row of each conversation: how many messages, which is the last, its title, when it is due.
//!
//! A row must agree with the messages, also after an archiver has died between the two writes and with
//! several archivers on one conversation, and that without a transaction. Two ways lead there:
//!
//! - **adding** (`$inc` in effect): for a conversation to which this batch brought new messages only.
//!   It names the number of recounts that was read before the first insert. No recount since then means
//!   that no count holds the new messages already; what others add meanwhile does no harm, since sums
//!   and maxima may come in any order.
//! - **recounting**: from the messages, for a conversation of which something was there already (a
//!   repetition may be the only trace of an archiver that died after its insert), something was
//!   revised, or whose adding was refused. It names the generation that was read before counting, which
//!   every write to the row raises; if it was overtaken, it counts again. So the last recount has seen
//!   whatever was added before it, and what comes after is refused and recounts in its turn.
//!
//! News is what raises the count: a message that was inserted by an archiver that died makes its
//! conversation due when it is counted at last. So is an edit, which always leads to a recount; one by an
//! archiver that died before it is noticed with the next news.

use std::collections::HashMap;

use jiff::Timestamp;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::bulk::{self, Statement};
use super::error::MongoError;
use super::rows::{ConversationRow, micros};
use super::{all, names};
use crate::domain::ConversationKey;
use crate::domain::event::MessageCaptured;
use crate::ports::{Archived, DueRule};
use crate::store::version::Version;

/// How often others may overtake one recount.
const ROUNDS: usize = 64;

/// A message as the order of a conversation sees it: by position, then by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Last {
    position: i64,
    key: String,
    sent_at: Option<i64>,
}

/// What a batch says of one conversation.
struct Tally {
    account: String,
    native_id: String,
    title: String,
    title_at: i64,
    /// New messages.
    inserted: i64,
    /// Known messages that say something else now.
    edited: i64,
    /// Whether a reader would notice anything.
    changed: bool,
    last: Option<Last>,
    /// Adding is not enough.
    recount: bool,
    /// Recounts there were before the first insert.
    recounts: i64,
}

/// What a batch says of the conversations that it touches.
pub(super) struct Tallies {
    of: HashMap<ConversationKey, Tally>,
}

impl Tallies {
    /// The conversations of these events; their titles are known at once.
    pub(super) fn of<'a>(events: impl Iterator<Item = (&'a MessageCaptured, &'a Version)>) -> Self {
        let mut of: HashMap<ConversationKey, Tally> = HashMap::new();
        for (captured, version) in events {
            let reference = &captured.conversation;
            let title = reference.title.expose();
            let tally = of.entry(reference.key).or_insert_with(|| Tally {
                account: captured.account.to_string(),
                native_id: reference.id.clone(),
                title: title.to_owned(),
                title_at: version.observed_at,
                inserted: 0,
                edited: 0,
                changed: false,
                last: None,
                recount: false,
                recounts: 0,
            });
            if (version.observed_at, title) > (tally.title_at, tally.title.as_str()) {
                tally.title_at = version.observed_at;
                title.clone_into(&mut tally.title);
            }
        }
        Self { of }
    }

    /// Reads how often each conversation was recounted. To be called before anything is inserted.
    pub(super) async fn read(&mut self, database: &Database) -> Result<(), MongoError> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "_id")]
            key: String,
            recounts: i64,
        }
        let rows: Vec<Row> = all(database
            .collection::<Row>(names::CONVERSATIONS)
            .find(doc! { "_id": { "$in": ids(self.of.keys()) } })
            .projection(doc! { "recounts": 1 })
            .await?)
        .await?;
        for row in rows {
            if let Some(tally) = self.of.get_mut(&super::rows::key(&row.key, "conversation key")?) {
                tally.recounts = row.recounts;
            }
        }
        Ok(())
    }

    /// What became of the events of one message; the version that was written, if one was.
    pub(super) fn note(
        &mut self,
        conversation: ConversationKey,
        counts: Archived,
        written: Option<(&MessageCaptured, &Version)>,
    ) {
        let Some(tally) = self.of.get_mut(&conversation) else { return };
        tally.inserted += counts.inserted.cast_signed();
        tally.changed |= counts.inserted + counts.revised > 0;
        if let Some((captured, version)) = written {
            let candidate = Last {
                position: version.position,
                key: captured.message.key.to_string(),
                sent_at: captured.message.sent_at.map(|at| at.as_microsecond()),
            };
            if tally.last.as_ref().is_none_or(|last| *last < candidate) {
                tally.last = Some(candidate);
            }
        }
    }

    /// A known message says something else now.
    pub(super) fn edited(&mut self, conversation: ConversationKey) {
        if let Some(tally) = self.of.get_mut(&conversation) {
            tally.edited += 1;
        }
    }

    /// Adding is not enough for this conversation.
    pub(super) fn recount(&mut self, conversation: ConversationKey) {
        if let Some(tally) = self.of.get_mut(&conversation) {
            tally.recount = true;
        }
    }

    /// Adding is not enough for any of them.
    pub(super) fn recount_all(&mut self) {
        self.of.values_mut().for_each(|tally| tally.recount = true);
    }

    /// Brings the rows up to date; every message of the batch is stored.
    pub(super) async fn write(self, database: &Database, rule: DueRule, now: Timestamp) -> Result<(), MongoError> {
        let due = Due { now: now.as_microsecond(), quiet: micros(rule.quiet), max_wait: micros(rule.max_wait) };
        let (mut recount, add): (Vec<_>, Vec<_>) = self.of.into_iter().partition(|(_, tally)| tally.recount);
        let statements = add.iter().map(|(key, tally)| tally.adding(key, due)).collect();
        let refused = bulk::update(database, names::CONVERSATIONS, statements).await?;
        recount.extend(add.into_iter().enumerate().filter(|(index, _)| refused.contains(index)).map(|(_, one)| one));
        for _ in 0..ROUNDS {
            if recount.is_empty() {
                return Ok(());
            }
            recount = self::recount(database, recount, due).await?;
        }
        Err(MongoError::Contended)
    }
}

/// Counts these conversations and writes what differs; those that were overtaken.
async fn recount(
    database: &Database,
    tallies: Vec<(ConversationKey, Tally)>,
    due: Due,
) -> Result<Vec<(ConversationKey, Tally)>, MongoError> {
    let keys = ids(tallies.iter().map(|(key, _)| key));
    // In this order: a row that is read after the count could hide what was added between.
    let rows: Vec<ConversationRow> =
        all(database.collection(names::CONVERSATIONS).find(doc! { "_id": { "$in": &keys } }).await?).await?;
    let rows: HashMap<&str, &ConversationRow> = rows.iter().map(|row| (row.key.as_str(), row)).collect();
    let counted = count(database, keys).await?;
    let mut statements = Vec::new();
    let mut waiting = Vec::new();
    for (key, tally) in tallies {
        let id = key.to_string();
        let row = rows.get(id.as_str()).copied();
        let (messages, last) = counted.get(&id).cloned().unwrap_or((0, None));
        if row.is_none_or(|row| tally.differs(row, messages, last.as_ref())) {
            statements.push(tally.counting(&id, row.map_or(0, |row| row.generation), messages, last.as_ref(), due));
            waiting.push((key, tally));
        }
    }
    let refused = bulk::update(database, names::CONVERSATIONS, statements).await?;
    let overtaken = waiting.into_iter().enumerate().filter(|(index, _)| refused.contains(index));
    Ok(overtaken.map(|(_, one)| one).collect())
}

/// How many messages each conversation has, and its last. The count reads the index
/// `messages_in_order` alone; only the last messages themselves are fetched.
async fn count(database: &Database, keys: Vec<Bson>) -> Result<HashMap<String, (i64, Option<Last>)>, MongoError> {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(rename = "_id")]
        conversation: String,
        messages: i64,
        last: Place,
    }
    #[derive(Deserialize)]
    struct Place {
        position: i64,
        key: String,
    }
    #[derive(Deserialize)]
    struct Sent {
        #[serde(rename = "_id")]
        key: String,
        sent_at: Option<i64>,
    }
    let messages = database.collection::<Sent>(names::MESSAGES);
    let counted: Vec<Counted> = all(messages
        .aggregate([
            doc! { "$match": { "conversation": { "$in": keys } } },
            doc! { "$group": {
                "_id": "$conversation",
                "messages": { "$sum": 1_i64 },
                // Documents are compared field by field, in this order.
                "last": { "$max": { "position": "$position", "key": "$_id" } },
            } },
        ])
        .hint(mongodb::options::Hint::Name(names::MESSAGES_IN_ORDER.to_owned()))
        .with_type::<Counted>()
        .await?)
    .await?;
    let lasts: Vec<Bson> = counted.iter().map(|one| Bson::from(one.last.key.as_str())).collect();
    let sent: Vec<Sent> =
        all(messages.find(doc! { "_id": { "$in": lasts } }).projection(doc! { "sent_at": 1 }).await?).await?;
    let sent: HashMap<String, Option<i64>> = sent.into_iter().map(|one| (one.key, one.sent_at)).collect();
    Ok(counted
        .into_iter()
        .map(|one| {
            let sent_at = sent.get(&one.last.key).copied().flatten();
            let last = Last { position: one.last.position, key: one.last.key, sent_at };
            (one.conversation, (one.messages, Some(last)))
        })
        .collect())
}

/// When news makes a conversation due, in microseconds.
#[derive(Clone, Copy)]
struct Due {
    now: i64,
    quiet: i64,
    max_wait: i64,
}

impl Due {
    /// When the news that waits began.
    fn first_new_at(self) -> Bson {
        or("$first_new_at", self.now)
    }

    fn due_at(self) -> Bson {
        let longest = doc! { "$add": [self.first_new_at(), self.max_wait] };
        Bson::Document(doc! { "$min": [longest, self.now + self.quiet] })
    }
}

impl Tally {
    /// Whether a row needs to be written after all.
    fn differs(&self, row: &ConversationRow, messages: i64, last: Option<&Last>) -> bool {
        let stored = row.last_key.as_ref().map(|key| Last {
            position: row.last_position.unwrap_or(i64::MIN),
            key: key.clone(),
            sent_at: row.last_sent_at,
        });
        self.changed
            || row.messages != messages
            || stored.as_ref() != last
            || (self.title_at, &self.title) > (row.title_at, &row.title)
    }

    fn adding(&self, key: &ConversationKey, due: Due) -> Statement {
        let mut set = self.naming();
        set.extend(doc! {
            "messages": { "$add": [or("$messages", 0), self.inserted] },
            "updated_at": { "$max": ["$updated_at", due.now] },
            "first_new_at": due.first_new_at(),
            "due_at": due.due_at(),
            "generation": { "$add": [or("$generation", 0), 1_i64] },
        });
        if let Some(last) = &self.last {
            // A field that is missing is less than any value.
            let newer = later("$last_position", Bson::from(last.position), "$last_key", Bson::from(last.key.as_str()));
            set.extend(doc! {
                "last_position": choose(&newer, last.position, "$last_position"),
                "last_key": choose(&newer, last.key.as_str(), "$last_key"),
                "last_sent_at": choose(&newer, last.sent_at, "$last_sent_at"),
            });
        }
        let filter = doc! { "_id": key.to_string(), "recounts": self.recounts };
        Statement { filter, update: Bson::Array(vec![doc! { "$set": set }.into()]) }
    }

    fn counting(&self, id: &str, generation: i64, messages: i64, last: Option<&Last>, due: Due) -> Statement {
        let news = doc! { "$or": [self.edited > 0, { "$gt": [messages, or("$messages", 0)] }] };
        let noticed = doc! { "$or": [self.changed, &news, { "$and": [self.retitles(), { "$ne": ["$title", literal(&self.title)] }] }] };
        let mut set = self.naming();
        set.extend(doc! {
            "messages": messages,
            "edits": { "$add": [or("$edits", 0), self.edited] },
            "last_position": last.map(|last| last.position),
            "last_key": last.map(|last| last.key.as_str()),
            "last_sent_at": last.and_then(|last| last.sent_at),
            "updated_at": choose(&noticed, doc! { "$max": ["$updated_at", due.now] }, or("$updated_at", due.now)),
            "first_new_at": choose(&news, due.first_new_at(), "$first_new_at"),
            "due_at": choose(&news, due.due_at(), "$due_at"),
            "generation": generation + 1,
            "recounts": { "$add": [or("$recounts", 0), 1_i64] },
        });
        let filter = doc! { "_id": id, "generation": generation };
        Statement { filter, update: Bson::Array(vec![doc! { "$set": set }.into()]) }
    }

    /// Whose it is, and its latest title.
    fn naming(&self) -> Document {
        let retitles = self.retitles();
        doc! {
            "account": or("$account", literal(&self.account)),
            "native_id": or("$native_id", literal(&self.native_id)),
            "title": choose(&retitles, literal(&self.title), "$title"),
            "title_at": choose(&retitles, self.title_at, "$title_at"),
        }
    }

    fn retitles(&self) -> Document {
        later("$title_at", Bson::from(self.title_at), "$title", literal(&self.title))
    }
}

/// A text as itself: without this, one that begins with `$` would be read as the name of a field.
fn literal(text: &str) -> Bson {
    Bson::Document(doc! { "$literal": text })
}

/// A field, or this if it is missing.
fn or(field: &str, otherwise: impl Into<Bson>) -> Bson {
    let otherwise = match otherwise.into() {
        Bson::Int32(number) => Bson::Int64(number.into()),
        other => other,
    };
    Bson::Document(doc! { "$ifNull": [field, otherwise] })
}

fn choose(condition: &Document, then: impl Into<Bson>, otherwise: impl Into<Bson>) -> Bson {
    Bson::Document(doc! { "$cond": [condition.clone(), then.into(), otherwise.into()] })
}

/// True if the pair of values is greater than the pair of fields.
fn later(first: &str, value: Bson, second: &str, tie: Bson) -> Document {
    doc! { "$or": [
        { "$lt": [first, value.clone()] },
        { "$and": [{ "$eq": [first, value] }, { "$lt": [second, tie] }] },
    ] }
}

fn ids<'a>(keys: impl Iterator<Item = &'a ConversationKey>) -> Vec<Bson> {
    keys.map(|key| Bson::String(key.to_string())).collect()
}
