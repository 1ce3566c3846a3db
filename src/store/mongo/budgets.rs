//! The purses: a document each, which holds what was consumed and every reservation, so that one write to
//! one document decides whether a reservation fits. By the server's own clock (`$$NOW`), as leases are.
//!
//! There is no transaction over several purses, nor over a purse and an analysis, since a single server
//! has none. The order makes up for it: everywhere set aside before anything is consumed, the analysis
//! kept before the consumption is counted, and what is set aside goes only with the write that counts. A
//! process that dies between two writes leaves a reservation, which counts in full. So no purse ever holds
//! too little.

use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::error::MongoError;
use super::names;
use super::records::{RACES, is_duplicate};
use super::rows::micros;
use crate::domain::{Balance, Purse, Usage};
use crate::ports::{Draw, Reservation, Reserved};

#[derive(Deserialize)]
struct PurseRow {
    #[serde(default)]
    calls: i64,
    #[serde(default)]
    input_tokens: i64,
    #[serde(default)]
    output_tokens: i64,
    #[serde(default)]
    cost_micros: i64,
    #[serde(default)]
    held: Vec<HeldRow>,
    /// The server's time at the last write, or of the reading.
    now: Option<DateTime>,
}

#[derive(Deserialize)]
struct HeldRow {
    id: String,
    until: DateTime,
    calls: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_micros: i64,
}

const FIELDS: [&str; 4] = ["calls", "input_tokens", "output_tokens", "cost_micros"];

fn usage(values: [i64; 4]) -> Usage {
    let [calls, input_tokens, output_tokens, cost_micros] = values;
    Usage {
        calls: u32::try_from(calls).unwrap_or(u32::MAX),
        input_tokens: input_tokens.cast_unsigned(),
        output_tokens: output_tokens.cast_unsigned(),
        cost_micros: cost_micros.cast_unsigned(),
    }
}

fn values(usage: Usage) -> [(&'static str, i64); 4] {
    let values = [
        i64::from(usage.calls),
        usage.input_tokens.cast_signed(),
        usage.output_tokens.cast_signed(),
        usage.cost_micros.cast_signed(),
    ];
    [(FIELDS[0], values[0]), (FIELDS[1], values[1]), (FIELDS[2], values[2]), (FIELDS[3], values[3])]
}

impl PurseRow {
    /// The balance as if this reservation had not been made.
    fn without(&self, id: &str) -> Balance {
        let now = self.now.unwrap_or(DateTime::MIN);
        let mut balance = Balance {
            spent: usage([self.calls, self.input_tokens, self.output_tokens, self.cost_micros]),
            ..Balance::default()
        };
        for held in self.held.iter().filter(|held| held.id != id) {
            let most = usage([held.calls, held.input_tokens, held.output_tokens, held.cost_micros]);
            if held.until > now {
                balance.held += most;
                balance.holders += 1;
            } else {
                balance.spent += most;
            }
        }
        balance
    }
}

/// In every purse or in none, unless the process dies meanwhile: what it leaves counts.
pub(super) async fn reserve(
    database: &Database,
    reservation: &Reservation,
    draws: &[Draw],
    most: Usage,
    ttl: Duration,
) -> Result<Reserved, MongoError> {
    let mut balances = Vec::with_capacity(draws.len());
    for (index, draw) in draws.iter().enumerate() {
        let row = set_aside(database, &reservation.id, draw, most, ttl).await?;
        let balance = row.without(&reservation.id);
        if !row.held.iter().any(|held| held.id == reservation.id) {
            for earlier in &draws[..index] {
                give_back(database, &earlier.purse, &reservation.id).await?;
            }
            return Ok(Reserved::Refused { purse: draw.purse.clone(), balance });
        }
        balances.push(balance);
    }
    Ok(Reserved::Granted(balances))
}

async fn set_aside(
    database: &Database,
    id: &str,
    draw: &Draw,
    most: Usage,
    ttl: Duration,
) -> Result<PurseRow, MongoError> {
    let purses = database.collection::<PurseRow>(names::SPENDING);
    let mut mine = doc! { "id": id, "until": { "$add": ["$$NOW", micros(ttl) / 1000] } };
    mine.extend(values(most).map(|(name, value)| (name.to_owned(), Bson::from(value))));
    let held = doc! { "$ifNull": ["$held", []] };
    let others = doc! { "$filter": { "input": &held, "cond": { "$ne": ["$$this.id", id] } } };
    let forget_at = DateTime::from_millis(draw.purse.forgotten().as_millisecond());
    let update = vec![
        doc! { "$set": { "others": others, "now": "$$NOW", "forget_at": forget_at } },
        doc! { "$set": { "held": { "$cond": [admits(draw, most), { "$concatArrays": ["$others", [mine]] }, held] } } },
        doc! { "$unset": "others" },
    ];
    for _ in 0..RACES {
        let written = purses
            .find_one_and_update(doc! { "_id": draw.purse.id() }, update.clone())
            .upsert(true)
            .return_document(ReturnDocument::After)
            .await;
        match written {
            Ok(row) => return row.ok_or(MongoError::Unreadable("purse")),
            // Somebody else made the document.
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(MongoError::Contended)
}

/// [`crate::domain::Allowance::admits`] in the server's words; `$others` are the reservations of others.
fn admits(draw: &Draw, most: Usage) -> Document {
    let live = doc! { "$gt": ["$$this.until", "$$NOW"] };
    let is_alone = doc! { "$eq": [{ "$size": { "$filter": { "input": "$others", "cond": &live } } }, 0] };
    let limits = [
        (draw.allowance.tokens, &FIELDS[1..3], most.tokens()),
        (draw.allowance.cost_micros, &FIELDS[3..4], most.cost_micros),
    ];
    let mut conditions = Vec::new();
    for (limit, fields, most) in limits {
        let Some(limit) = limit else { continue };
        let sum = |of: &str| -> Vec<Bson> {
            fields.iter().map(|field| Bson::from(doc! { "$ifNull": [format!("{of}{field}"), 0_i64] })).collect()
        };
        let one = doc! { "$add": sum("$$this.") };
        let reduced = |cond: Option<&Document>| {
            let input = match cond {
                Some(cond) => Bson::from(doc! { "$filter": { "input": "$others", "cond": { "$not": [cond] } } }),
                None => Bson::from("$others"),
            };
            doc! { "$sum": { "$map": { "input": input, "in": &one } } }
        };
        let counted = doc! { "$add": sum("$") };
        let all = doc! { "$add": [&counted, reduced(None), most.cast_signed()] };
        let spent = doc! { "$add": [&counted, reduced(Some(&live))] };
        let limit = limit.cast_signed();
        conditions.push(doc! { "$or": [
            { "$lte": [all, limit] },
            { "$and": [&is_alone, { "$lt": [spent, limit] }] },
        ] });
    }
    doc! { "$and": conditions }
}

async fn give_back(database: &Database, purse: &Purse, id: &str) -> Result<(), MongoError> {
    let back = doc! { "$pull": { "held": { "id": id } } };
    database.collection::<Document>(names::SPENDING).update_one(doc! { "_id": purse.id() }, back).await?;
    Ok(())
}

/// Counted only where it is still set aside: so a repetition counts nothing twice.
pub(super) async fn settle(database: &Database, reservation: &Reservation, used: Usage) -> Result<(), MongoError> {
    let purses = database.collection::<Document>(names::SPENDING);
    let mut counted = Document::new();
    counted.extend(values(used).map(|(name, value)| (name.to_owned(), Bson::from(value))));
    for purse in &reservation.purses {
        let held = doc! { "_id": purse.id(), "held.id": &reservation.id };
        let update = doc! { "$inc": &counted, "$pull": { "held": { "id": &reservation.id } } };
        purses.update_one(held, update).await?;
    }
    Ok(())
}

pub(super) async fn balance(database: &Database, purse: &Purse) -> Result<Balance, MongoError> {
    let purses = database.collection::<Document>(names::SPENDING);
    let stages = [doc! { "$match": { "_id": purse.id() } }, doc! { "$set": { "now": "$$NOW" } }];
    let rows: Vec<PurseRow> = super::all(purses.aggregate(stages).with_type::<PurseRow>().await?).await?;
    Ok(rows.first().map(|row| row.without("")).unwrap_or_default())
}
