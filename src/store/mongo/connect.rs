//! From a URI to a database: options, the kind of deployment, and what it is.
//!
//! The pool, timeouts, TLS and compression come from the URI, as the ecosystem writes them; here only
//! what it leaves out is filled in. What durability needs is not the URI's to choose: writes wait for
//! the majority's journal, reads see what a majority has, from the primary.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};
use secrecy::{ExposeSecret, SecretString};

use super::error::MongoError;

/// Longest wait for a server that can take the call, unless the URI says otherwise: an election takes
/// this long, and each of several attempts may wait anew.
const SERVER_SELECTION: Duration = Duration::from_secs(5);
/// Longest wait for a connection, unless the URI says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// Oldest release that is tested.
const OLDEST: u32 = 6;

/// How to reach MongoDB.
#[derive(Debug, Clone)]
pub struct MongoSettings {
    /// `mongodb[+srv]://user:password@host[,host]/database?options`.
    pub uri: SecretString,
}

/// The kind of deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopologyKind {
    /// A replica set: what is meant for production, also with a single member.
    ReplicaSet {
        /// Its name.
        name: String,
    },
    /// A single server without replication: no retryable writes, and nothing but its disk to lose.
    Standalone,
    /// Routers before shards.
    Sharded,
}

/// What the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The kind of deployment.
    pub kind: TopologyKind,
    /// The server's version, as in `7.0.14`.
    pub version: String,
}

/// A client on the database that the URI names. Nothing is asked of a server yet, but for the names
/// behind `mongodb+srv`.
pub(super) async fn client(settings: &MongoSettings) -> Result<(Client, String), MongoError> {
    let parsed = ClientOptions::parse(settings.uri.expose_secret()).await;
    let mut options = parsed.map_err(|error| match error.kind.as_ref() {
        // The message of a bad argument may quote the URI.
        ErrorKind::InvalidArgument { .. } => MongoError::BadUri("it is no MongoDB connection string"),
        _ => error.into(),
    })?;
    let name = options.default_database.clone().filter(|name| !name.is_empty());
    let name =
        name.ok_or(MongoError::BadUri("it names no database: write it behind the host, as in …:27017/chatferry"))?;
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
    options.connect_timeout.get_or_insert(CONNECT);
    options.app_name.get_or_insert_with(|| "chatferry".to_owned());
    let client = Client::with_options(options).map_err(|error| match error.kind.as_ref() {
        ErrorKind::InvalidArgument { .. } => MongoError::BadUri("its options contradict each other"),
        _ => error.into(),
    })?;
    Ok((client, name))
}

/// The database, as every part of the store uses it.
pub(super) fn database(client: &Client, name: &str, kind: &TopologyKind) -> Database {
    // Without replication nothing is ever rolled back: what is there may be read.
    let read = match kind {
        TopologyKind::Standalone => ReadConcern::local(),
        TopologyKind::ReplicaSet { .. } | TopologyKind::Sharded => ReadConcern::majority(),
    };
    let options = DatabaseOptions::builder()
        .read_concern(read)
        .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    client.database_with_options(name, options)
}

/// Asks the server what it is.
pub(super) async fn topology(client: &Client, name: &str) -> Result<Topology, MongoError> {
    let database = client.database(name);
    let hello = database.run_command(doc! { "hello": 1 }).await?;
    let build = database.run_command(doc! { "buildInfo": 1 }).await?;
    let version = build.get_str("version").unwrap_or("unknown").to_owned();
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_some_and(|major: u32| major < OLDEST) {
        return Err(MongoError::TooOld);
    }
    Ok(Topology { kind: kind(&hello), version })
}

fn kind(hello: &Document) -> TopologyKind {
    match hello.get_str("setName") {
        Ok(name) => TopologyKind::ReplicaSet { name: name.to_owned() },
        Err(_) if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") => TopologyKind::Sharded,
        Err(_) => TopologyKind::Standalone,
    }
}
