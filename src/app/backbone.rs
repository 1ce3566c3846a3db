//! Bus and store: RabbitMQ and MongoDB where their addresses are set, else SQLite in the data directory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{self, EmbeddedBus, RabbitBus, RabbitSettings};
use crate::config::Config;
use crate::fault::AnyFault;
use crate::lifecycle::LifecycleError;
use crate::ports::{Budgets, Bus, Leases, Store};
use crate::resilience::RetrySchedule;
use crate::sqlite::Database;
use crate::store::mongo::{Topology, TopologyKind};
use crate::store::{self, MongoSettings, MongoStore, SqliteStore};

/// The database file that the embedded bus and store share.
pub(super) const DATABASE: &str = "chatferry.db";

/// A broker that restarts, or is very busy, is back within seconds; one that is not by then is not there.
const CONNECTING: RetrySchedule = RetrySchedule::new(Duration::from_millis(500), Duration::from_secs(5), 3);

/// The bus on its own.
pub struct Events {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// What it is, for a person.
    pub name: &'static str,
    file: Option<Database>,
}

impl Events {
    /// Opens it, and finds out whether it can be used.
    ///
    /// # Errors
    /// A broker that can't be reached or refuses; a database file that is damaged.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, AnyFault> {
        let file = if config.rabbitmq.is_none() { Some(open_database(data_dir)?) } else { None };
        Self::over(config, file).await
    }

    /// Opens what is there already, for commands that would find nothing in a new one.
    ///
    /// # Errors
    /// As [`Events::open`]; `data-dir-unusable` if nothing has been collected yet.
    pub async fn open_existing(config: &Config) -> Result<Self, AnyFault> {
        if config.rabbitmq.is_none() && !config.data_dir.join(DATABASE).exists() {
            return Err(missing(&config.data_dir));
        }
        Self::open(config, &config.data_dir).await
    }

    async fn over(config: &Config, file: Option<Database>) -> Result<Self, AnyFault> {
        match (&config.rabbitmq, file) {
            (Some(rabbitmq), _) => {
                let mut settings = RabbitSettings::new(rabbitmq.url.clone());
                settings.ca_file.clone_from(&rabbitmq.ca);
                Ok(Self { bus: Arc::new(connected(settings).await?), name: "RabbitMQ", file: None })
            }
            (None, Some(file)) => {
                let bus = Arc::new(EmbeddedBus::open(file.clone()).await?);
                Ok(Self { bus, name: "embedded", file: Some(file) })
            }
            (None, None) => Err(missing(&config.data_dir)),
        }
    }

    /// Closes its connections or its file. Nobody may use it any more.
    pub async fn close(self) {
        self.bus.close().await;
        drop(self.bus);
        if let Some(file) = self.file {
            file.close().await;
        }
    }
}

async fn connected(settings: RabbitSettings) -> Result<RabbitBus, AnyFault> {
    let mut attempt = 0;
    loop {
        let fault = match RabbitBus::connect(settings.clone()).await {
            Ok(bus) => return Ok(bus),
            Err(error) => AnyFault::from(error),
        };
        attempt += 1;
        match CONNECTING.delay_for(attempt, fault.class(), fastrand::f64()) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(fault),
        }
    }
}

/// The store on its own, as three ports.
pub struct Records {
    /// Everything that was seen.
    pub store: Arc<dyn Store>,
    /// Who collects which account.
    pub leases: Arc<dyn Leases>,
    /// What analyses may cost.
    pub budgets: Arc<dyn Budgets>,
    mongo: Option<Topology>,
    file: Option<Database>,
}

impl Records {
    /// Opens it, and finds out whether it can be used.
    ///
    /// # Errors
    /// A server that can't be reached or refuses; a database file that is damaged.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, AnyFault> {
        let file = if config.mongodb.is_none() { Some(open_database(data_dir)?) } else { None };
        Self::over(config, file).await
    }

    async fn over(config: &Config, file: Option<Database>) -> Result<Self, AnyFault> {
        match (&config.mongodb, file) {
            (Some(uri), _) => {
                let store = Arc::new(MongoStore::connect(&MongoSettings { uri: uri.clone() }).await?);
                let mongo = Some(store.topology().clone());
                Ok(Self { leases: store.clone(), budgets: store.clone(), store, mongo, file: None })
            }
            (None, Some(file)) => {
                let store = Arc::new(SqliteStore::open(file.clone()));
                Ok(Self { leases: store.clone(), budgets: store.clone(), store, mongo: None, file: Some(file) })
            }
            (None, None) => Err(missing(&config.data_dir)),
        }
    }

    /// What it is, for a person.
    pub fn name(&self) -> String {
        let Some(Topology { kind, version }) = &self.mongo else { return "embedded".to_owned() };
        match kind {
            TopologyKind::ReplicaSet { name } => format!("MongoDB {version}, replica set {name}"),
            TopologyKind::Standalone => format!("MongoDB {version}, a single server"),
            TopologyKind::Sharded => format!("MongoDB {version}, sharded"),
        }
    }

    /// What works and should be otherwise all the same, and what to do about it.
    pub fn warning(&self) -> Option<(String, &'static str)> {
        let mongo = self.mongo.as_ref().filter(|mongo| mongo.kind == TopologyKind::Standalone)?;
        let what = format!("MongoDB {} works, but without a replica set: a short outage is not bridged", mongo.version);
        Some((what, "Start mongod with --replSet and call rs.initiate() once; one member is enough."))
    }

    /// Closes its connections or its file. Nobody may use it any more.
    pub async fn close(self) {
        drop((self.store, self.leases, self.budgets));
        if let Some(file) = self.file {
            file.close().await;
        }
    }
}

/// What every part of the work shares. Where both are embedded they share a file.
pub struct Backbone {
    /// Events.
    pub events: Events,
    /// Everything that was seen.
    pub records: Records,
}

impl Backbone {
    /// Opens both, and finds out whether they can be used.
    ///
    /// # Errors
    /// As [`Events::open`] and [`Records::open`].
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, AnyFault> {
        let is_embedded = config.rabbitmq.is_none() || config.mongodb.is_none();
        let file = if is_embedded { Some(open_database(data_dir)?) } else { None };
        let records = Records::over(config, file.clone()).await?;
        let events = Events::over(config, file).await?;
        Ok(Self { events, records })
    }

    /// Closes connections and files. Nobody may use them any more.
    pub async fn close(self) {
        self.events.close().await;
        self.records.close().await;
    }
}

/// The stored data, for commands that only read it, beside a daemon that runs.
///
/// # Errors
/// The server can't be reached; there is no database yet, or it is damaged or not ours.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, AnyFault> {
    if config.mongodb.is_none() && !config.data_dir.join(DATABASE).exists() {
        return Err(missing(&config.data_dir));
    }
    Ok(Records::open(config, &config.data_dir).await?.store)
}

fn missing(data_dir: &Path) -> AnyFault {
    LifecycleError::NothingThere { path: data_dir.to_owned() }.into()
}

fn open_database(data_dir: &Path) -> Result<Database, AnyFault> {
    let migrations = [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
    Ok(Database::open(&data_dir.join(DATABASE), &migrations)?)
}
