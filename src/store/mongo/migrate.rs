//! Brings a database up to the version that this program knows, or refuses one from the future.
//!
//! Nobody holds a lock: every step can be repeated, and the server orders what two processes ask at
//! once. What it answers while another is at it (117, 12587) is tried again like a step-down.

use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind};
use serde::Deserialize;

use super::error::MongoError;
use super::schema::{self, Collection};
use super::{all, mirrored, names};

/// The component under which the versions are recorded, as in the embedded file.
const COMPONENT: &str = "store";
/// `NamespaceExists`.
const EXISTS: i32 = 48;

/// Applies what is missing, in order.
pub(super) async fn run(database: &Database) -> Result<(), MongoError> {
    #[derive(Deserialize)]
    struct Applied {
        version: i64,
    }
    let migrations = database.collection::<Applied>(names::SCHEMA_MIGRATIONS);
    let applied: Vec<Applied> = all(migrations.find(doc! { "component": COMPONENT }).await?).await?;
    let found = applied.iter().map(|one| one.version).max().unwrap_or(0);
    if found > schema::VERSION {
        return Err(MongoError::NewerSchema { found, known: schema::VERSION });
    }
    for version in found + 1..=schema::VERSION {
        for collection in schema::step(version) {
            prepare(database, collection).await?;
        }
        if version == schema::TARGETS {
            mirrored::forget_nameless(database).await?;
        }
        let record =
            doc! { "$setOnInsert": { "component": COMPONENT, "version": version, "applied_at": DateTime::now() } };
        let id = doc! { "_id": format!("{COMPONENT}-{version}") };
        migrations.update_one(id, record).upsert(true).await?;
    }
    Ok(())
}

async fn prepare(database: &Database, collection: Collection) -> Result<(), MongoError> {
    let Collection { name, validator, indexes } = collection;
    if let Err(error) = database.create_collection(name).await
        && !is_there(&error)
    {
        return Err(error.into());
    }
    // run_command and not an option of creating: a collection of an earlier version has to get it too.
    database
        .run_command(doc! {
            "collMod": name, "validator": validator, "validationLevel": "strict", "validationAction": "error",
            "writeConcern": { "w": "majority", "j": true },
        })
        .await?;
    if !indexes.is_empty() {
        database.collection::<Document>(name).create_indexes(indexes).await?;
    }
    Ok(())
}

fn is_there(error: &Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == EXISTS)
}
