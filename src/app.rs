//! Composition root: the only file that names concrete adapters.
//!
//! Everything else speaks to ports. What is started here is: the spool and the relay in front of the
//! bus, the three consumers and the scheduler behind it, one collector per account, and the web server.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::Notify;
use url::Url;

use crate::ai::Extractive;
use crate::browser::{Chromium, ChromiumSettings, profile};
use crate::bus::{self, EmbeddedBus};
use crate::collect::{Account, Collector, CollectorSettings, Relay, Spool};
use crate::config::{AccountConfig, Config, ConfigProblems, Sources};
use crate::consume::{Analyze, Archive, Handler, Mirroring, Pipeline, Runner, Scheduler};
use crate::domain::{AccountId, AccountState, AccountStatus};
use crate::fault::AnyFault;
use crate::lifecycle::{DataDir, Drained, Lifecycle, check_crash_points, data_dir};
use crate::mirror::{Workbook, workbook};
use crate::ports::page::Browser;
use crate::ports::{Analyst, Backlog, Bus, Clock, DueRule, Mirror, Store, SystemClock};
use crate::selectors::{Library, LoadedPack, PackError};
use crate::sqlite::Database;
use crate::store::{self, SqliteStore};
use crate::telemetry::occurrences::{HttpListening, LateTask, PassFailed};
use crate::telemetry::{Counters, Occurrence, ProgressSink};
use crate::web::{self, WebState};

/// The version that people and programs are told.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The database file that the embedded bus and store share.
const DATABASE: &str = "chatferry.db";

/// Reads the settings. Packs decide which `<SITE>_USERNAME` variables mean something; a folder of
/// packs that can't be read is reported where a pack is used.
///
/// # Errors
/// Everything that is wrong with the settings.
pub fn load_config(sources: Sources) -> Result<Config, ConfigProblems> {
    Config::load(sources, Library::sites_of)
}

/// Everything that runs, put together.
pub struct App {
    /// The settings.
    pub config: Config,
    /// When to stop.
    pub lifecycle: Lifecycle,
    /// Counts.
    pub counters: Arc<Counters>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The spool.
    pub spool: Arc<Spool>,
    /// Starts browsers.
    pub browser: Arc<dyn Browser>,
    /// The packs there are.
    pub library: Library,
    database: Database,
    data_dir: DataDir,
}

impl App {
    /// Opens the data directory and everything in it, checked. Nothing runs yet.
    ///
    /// # Errors
    /// The directory is not usable or held by another process; a database is damaged.
    pub async fn open(config: Config) -> Result<Self, AnyFault> {
        check_crash_points()?;
        let data_dir = DataDir::open(&config.data_dir)?;
        let library = Library::open(&config.selectors_dir)?;
        let counters = Arc::new(Counters::default());
        let database = open_database(data_dir.path())?;
        let spool = Arc::new(Spool::open(data_dir.path(), config.dry_run)?);
        Ok(Self {
            lifecycle: Lifecycle::new(),
            clock: Arc::new(SystemClock),
            store: Arc::new(SqliteStore::open(database.clone())),
            bus: Arc::new(EmbeddedBus::open(database.clone()).await?),
            browser: Arc::new(chromium(&config, data_dir.path(), counters.clone())),
            counters,
            spool,
            library,
            database,
            data_dir,
            config,
        })
    }

    /// The account of a setting, with its pack.
    ///
    /// # Errors
    /// The pack is missing or breaks rules.
    pub fn account(&self, config: &AccountConfig) -> Result<Account, AnyFault> {
        self.account_with(config, self.library.load(config.id.site())?)
    }

    /// The account of a setting, read with this pack.
    ///
    /// # Errors
    /// The pack's address is none.
    pub fn account_with(&self, config: &AccountConfig, pack: LoadedPack) -> Result<Account, AnyFault> {
        let base_url = match &config.base_url {
            Some(url) => url.clone(),
            None => base_url_of(&pack.pack.site.base_url, &pack.name)?,
        };
        Ok(Account {
            id: config.id.clone(),
            pack: Arc::new(pack),
            base_url,
            username: config.username.clone(),
            password: config.password.clone(),
            terms_acknowledged: config.terms_acknowledged,
            profile: profile::profile_of(self.data_dir.path(), &config.id),
        })
    }

    /// Every account that is not paused, or the one that is asked for; and what keeps the others from
    /// being collected: a pack that is missing or breaks rules stops the accounts of its own site.
    pub fn accounts(&self, only: Option<&AccountId>) -> (Vec<Arc<Account>>, Vec<(AccountId, AnyFault)>) {
        let wanted = |account: &&AccountConfig| only.map_or(!account.paused, |id| account.id == *id);
        let mut accounts = Vec::new();
        let mut faults = Vec::new();
        for config in self.config.accounts.iter().filter(wanted) {
            match self.account(config) {
                Ok(account) => accounts.push(Arc::new(account)),
                Err(fault) => {
                    PassFailed { account: &config.id, fault: &fault }.emit(&self.counters);
                    faults.push((config.id.clone(), fault));
                }
            }
        }
        (accounts, faults)
    }

    /// Makes it known that an account waits for a human before it could be collected at all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn park(&self, account: AccountId, fault: &AnyFault) -> Result<(), AnyFault> {
        let now = self.clock.now();
        let status = AccountStatus {
            account,
            state: AccountState::Parked,
            since: now,
            code: Some(fault.code()),
            sentence: format!("{}.", fault.chain()),
            action: Some(fault.action()),
            expires_at: now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now),
            last_pass_at: None,
        };
        self.store.save_account(&status, None).await
    }

    /// The collector of an account.
    pub fn collector(&self, account: Arc<Account>, progress: ProgressSink) -> Collector {
        Collector {
            account,
            browser: self.browser.clone(),
            spool: self.spool.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            lifecycle: self.lifecycle.clone(),
            counters: self.counters.clone(),
            progress,
            settings: CollectorSettings {
                login_budget: self.config.collect.login_budget,
                pass_interval: self.config.collect.pass_interval,
                dry_run: self.config.dry_run,
            },
            status: Mutex::new(None),
        }
    }

    /// Starts relay, consumers, scheduler and mirror. `mirror_every`: the shortest time between two
    /// writes of the mirror.
    pub fn start_pipeline(&self, mirror_every: Duration) -> Pipeline {
        let life = &self.lifecycle;
        let analyst: Arc<dyn Analyst> = Arc::new(Extractive::new());
        let mirror: Arc<dyn Mirror> = Arc::new(Workbook::new(self.data_dir.path()));
        let news = Arc::new(Notify::new());
        let rule = DueRule { quiet: self.config.analysis.quiet, max_wait: self.config.analysis.max_wait };
        let (store, bus, clock, counters) =
            (self.store.clone(), self.bus.clone(), self.clock.clone(), self.counters.clone());
        let archive = Archive::new(store.clone(), clock.clone(), rule, news.clone(), counters.clone());
        let version = analyst.prompt_version();
        let scheduler =
            Arc::new(Scheduler::new(store.clone(), bus.clone(), clock.clone(), news, version, counters.clone()));
        let analyze = Analyze::new(store.clone(), bus.clone(), analyst, clock.clone(), counters.clone());
        let mirroring = Mirroring::new(store.clone(), bus.clone(), mirror, clock, life.clone(), counters.clone());
        let mirroring = Arc::new(mirroring.with_times(mirror_every, workbook::HEARTBEAT));
        // Two of them: while one waits for the disk, the other reads the next batch, and what both have
        // ready shares a commit. The order in which batches are stored does not matter to the store.
        let archive: Arc<dyn Handler> = Arc::new(archive);
        let handlers: [Arc<dyn Handler>; 4] = [archive.clone(), archive, Arc::new(analyze), mirroring.clone()];
        for handler in handlers {
            Runner::new(bus.clone(), handler, life.clone(), counters.clone()).spawn();
        }
        scheduler.clone().spawn(life);
        mirroring.clone().spawn_reconcile();
        let relay = Relay {
            spool: self.spool.clone(),
            bus: bus.clone(),
            store: store.clone(),
            lifecycle: life.clone(),
            counters: counters.clone(),
        };
        life.spawn("relay", async move { relay.run().await });
        let spool: Arc<dyn Backlog> = self.spool.clone();
        Pipeline { spool, bus, store, scheduler, mirror: mirroring, lifecycle: life.clone(), counters }
    }

    /// Starts the web server; it listens when this returns.
    ///
    /// # Errors
    /// `http-address-unusable`.
    pub async fn start_web(&self) -> Result<std::net::SocketAddr, AnyFault> {
        let listener = web::bind(self.config.http_addr).await?;
        let address = listener.local_addr().unwrap_or(self.config.http_addr);
        let path = self.data_dir.path().to_owned();
        let unusable = move || {
            data_dir::check_writable(&path)
                .map_err(|source| crate::lifecycle::LifecycleError::DataDir { path: path.clone(), source }.into())
        };
        let state = WebState {
            store: self.store.clone(),
            bus: self.bus.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            writable: Arc::new(unusable),
            started: self.clock.now(),
            version: VERSION,
            workbook: Some(self.workbook()),
        };
        let (stop, counters) = (self.lifecycle.soft.clone(), self.counters.clone());
        self.lifecycle.spawn("web", async move {
            HttpListening { addr: address }.emit(&counters);
            if let Err(error) = web::serve(listener, state, stop).await {
                tracing::error!(error.reason = %error, "the web server ended");
            }
        });
        Ok(address)
    }

    /// Where the workbook is.
    pub fn workbook(&self) -> std::path::PathBuf {
        self.data_dir.path().join(workbook::XLSX)
    }

    /// Stops softly, waits for all tasks, closes the files. Says who was late and who panicked.
    pub async fn close(self) -> Drained {
        let drained = self.lifecycle.drain(self.config.drain_timeout).await;
        self.spool.close().await;
        drop((self.store, self.bus));
        self.database.close().await;
        for task in &drained.late {
            LateTask { task }.emit(&self.counters);
        }
        drained
    }
}

/// The stored data, for commands that only read it, beside a daemon that runs.
///
/// # Errors
/// The database is damaged or not ours.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, AnyFault> {
    let path = config.data_dir.join(DATABASE);
    if !path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "nothing has been collected there yet");
        return Err(crate::lifecycle::LifecycleError::DataDir { path: config.data_dir.clone(), source }.into());
    }
    Ok(Arc::new(SqliteStore::open(open_database(&config.data_dir)?)))
}

fn open_database(data_dir: &Path) -> Result<Database, AnyFault> {
    let migrations = [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
    Ok(Database::open(&data_dir.join(DATABASE), &migrations)?)
}

/// Chromium as the settings want it.
pub fn chromium(config: &Config, data_dir: &Path, counters: Arc<Counters>) -> Chromium {
    Chromium::new(
        ChromiumSettings {
            executable: config.browser.chromium.clone(),
            headful: !config.browser.headless,
            no_sandbox: config.browser.no_sandbox,
            data_dir: data_dir.to_owned(),
        },
        counters,
    )
}

/// The address of a pack; the lint has seen it, so this fails for no pack that was loaded.
///
/// # Errors
/// [`PackError::Invalid`].
pub fn base_url_of(text: &str, pack: &str) -> Result<Url, PackError> {
    Url::parse(text).map_err(|error| PackError::Invalid {
        name: pack.to_owned(),
        problems: vec![crate::selectors::PackProblem {
            key: "site.base_url".to_owned(),
            line: None,
            sentence: error.to_string(),
        }],
    })
}
