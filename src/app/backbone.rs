//! Bus and store: RabbitMQ and MongoDB where their addresses are set, else SQLite in the data directory.

use std::path::Path;
use std::sync::Arc;

use crate::bus::{self, EmbeddedBus, RabbitBus, RabbitSettings};
use crate::config::Config;
use crate::fault::AnyFault;
use crate::lifecycle::LifecycleError;
use crate::ports::{Bus, Leases, Store};
use crate::sqlite::Database;
use crate::store::mongo::{Topology, TopologyKind};
use crate::store::{self, MongoSettings, MongoStore, SqliteStore};

/// The database file that the embedded bus and store share.
const DATABASE: &str = "chatferry.db";

/// What every part of the work shares.
pub struct Backbone {
    /// Events.
    pub bus: Arc<dyn Bus>,
    /// Everything that was seen.
    pub store: Arc<dyn Store>,
    /// Who collects which account.
    pub leases: Arc<dyn Leases>,
    /// The file of those that are embedded.
    database: Option<Database>,
    is_rabbitmq: bool,
    mongo: Option<Topology>,
}

impl Backbone {
    /// Opens both, and finds out whether they can be used.
    ///
    /// # Errors
    /// A server that can't be reached or refuses; a database file that is damaged.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, AnyFault> {
        let is_embedded = config.rabbitmq.is_none() || config.mongodb.is_none();
        let database = if is_embedded { Some(open_database(data_dir)?) } else { None };
        let Stored { store, leases, mongo } = open_store_in(config, database.as_ref()).await?;
        let bus = open_bus_in(config, database.as_ref()).await?;
        Ok(Self { bus, store, leases, database, is_rabbitmq: config.rabbitmq.is_some(), mongo })
    }

    /// What the bus is, for a person.
    pub const fn bus_name(&self) -> &'static str {
        if self.is_rabbitmq { "RabbitMQ" } else { "embedded" }
    }

    /// What the store is, for a person.
    pub fn store_name(&self) -> String {
        let Some(Topology { kind, version }) = &self.mongo else { return "embedded".to_owned() };
        match kind {
            TopologyKind::ReplicaSet { name } => format!("MongoDB {version}, replica set {name}"),
            TopologyKind::Standalone => format!("MongoDB {version}, a single server"),
            TopologyKind::Sharded => format!("MongoDB {version}, sharded"),
        }
    }

    /// What works and should be otherwise all the same, and what to do about it.
    pub fn store_warning(&self) -> Option<(String, &'static str)> {
        let mongo = self.mongo.as_ref().filter(|mongo| mongo.kind == TopologyKind::Standalone)?;
        let what = format!("MongoDB {} works, but without a replica set: a short outage is not bridged", mongo.version);
        Some((what, "Start mongod with --replSet and call rs.initiate() once; one member is enough."))
    }

    /// Closes connections and files. Nobody may use them any more.
    pub async fn close(self) {
        self.bus.close().await;
        drop((self.bus, self.store, self.leases));
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// The bus alone, for commands that must work while the store is away.
pub struct LoneBus {
    /// Events.
    pub bus: Arc<dyn Bus>,
    database: Option<Database>,
}

impl LoneBus {
    /// Opens it, and finds out whether it can be used.
    ///
    /// # Errors
    /// As [`Backbone::open`], of the bus.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, AnyFault> {
        let database = if config.rabbitmq.is_none() { Some(open_database(data_dir)?) } else { None };
        Ok(Self { bus: open_bus_in(config, database.as_ref()).await?, database })
    }

    /// Closes the connection or the file.
    pub async fn close(self) {
        self.bus.close().await;
        drop(self.bus);
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

async fn open_bus_in(config: &Config, database: Option<&Database>) -> Result<Arc<dyn Bus>, AnyFault> {
    match (&config.rabbitmq, database) {
        (Some(rabbitmq), _) => {
            let mut settings = RabbitSettings::new(rabbitmq.url.clone());
            settings.ca_file.clone_from(&rabbitmq.ca);
            Ok(Arc::new(RabbitBus::connect(settings).await?))
        }
        (None, Some(database)) => Ok(Arc::new(EmbeddedBus::open(database.clone()).await?)),
        (None, None) => Err(missing(&config.data_dir)),
    }
}

/// The stored data, for commands that only read it, beside a daemon that runs.
///
/// # Errors
/// The server can't be reached; there is no database yet, or it is damaged or not ours.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, AnyFault> {
    let database = match &config.mongodb {
        Some(_) => None,
        None if config.data_dir.join(DATABASE).exists() => Some(open_database(&config.data_dir)?),
        None => return Err(missing(&config.data_dir)),
    };
    Ok(open_store_in(config, database.as_ref()).await?.store)
}

/// The store as two ports, and what MongoDB is if it is that.
struct Stored {
    store: Arc<dyn Store>,
    leases: Arc<dyn Leases>,
    mongo: Option<Topology>,
}

async fn open_store_in(config: &Config, database: Option<&Database>) -> Result<Stored, AnyFault> {
    match (&config.mongodb, database) {
        (Some(uri), _) => {
            let store = Arc::new(MongoStore::connect(&MongoSettings { uri: uri.clone() }).await?);
            let mongo = Some(store.topology().clone());
            Ok(Stored { leases: store.clone(), store, mongo })
        }
        (None, Some(database)) => {
            let store = Arc::new(SqliteStore::open(database.clone()));
            Ok(Stored { leases: store.clone(), store, mongo: None })
        }
        (None, None) => Err(missing(&config.data_dir)),
    }
}

fn missing(data_dir: &Path) -> AnyFault {
    let source = std::io::Error::new(std::io::ErrorKind::NotFound, "nothing has been collected there yet");
    LifecycleError::DataDir { path: data_dir.to_owned(), source }.into()
}

fn open_database(data_dir: &Path) -> Result<Database, AnyFault> {
    let migrations = [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
    Ok(Database::open(&data_dir.join(DATABASE), &migrations)?)
}
