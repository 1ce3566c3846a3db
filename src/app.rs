//! Composition root: the only room that names concrete adapters.
//!
//! Everything else speaks to ports. What is started here is: the spool and the relay in front of the
//! bus, the three consumers and the scheduler behind it, one collector per account, and the web server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{Notify, watch};

mod analysing;
mod backbone;
mod collecting;
mod front;
mod inspection;
mod mirroring;
mod packs;
mod roles;
mod serving;

pub use analysing::analyst;
pub use backbone::{Backbone, Events, Records, open_store};
pub use collecting::{base_url_of, chromium};
pub use front::Front;
pub use inspection::Inspection;
pub use mirroring::{Mirrors, Place, places};
pub use roles::Role;

use self::collecting::Collecting;
use self::mirroring::SHEET_EVERY;
use crate::browser::profile;
use crate::collect::collector::Offers;
use crate::collect::{
    Account, CollectError, Collector, CollectorSettings, Desk, Held, Relay, Spool, Tenure, Vault, bundle,
    outlives_a_start,
};
use crate::config::{AccountConfig, Config, ConfigProblems, Sources};
use crate::consume::{Analyze, Archive, Handler, Journal, Mirroring, Pipeline, Runner, Scheduler};
use crate::domain::{AccountId, AccountState, AccountStatus};
use crate::fault::AnyFault;
use crate::lifecycle::{DataDir, Drained, Lifecycle, LifecycleError, check_crash_points};
use crate::ports::page::Browser;
use crate::ports::{Backlog, Bus, Clock, DueRule, Leases, MirrorState, Queue, Store, SystemClock};
use crate::selectors::{Board, Library, LoadedPack};
use crate::telemetry::occurrences::{LateTask, PassFailed};
use crate::telemetry::{Counters, Occurrence, ProgressSink};

/// The version that people and programs are told.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    /// Who collects which account.
    pub leases: Arc<dyn Leases>,
    /// Which packs are in use.
    pub board: Arc<Board>,
    offers: watch::Sender<Offers>,
    vault: Arc<Vault>,
    mirrors: Mirrors,
    mirror_state: watch::Sender<MirrorState>,
    backbone: Backbone,
    data_dir: DataDir,
    identity: String,
    desk: Arc<Desk>,
}

impl App {
    /// Opens the data directory and everything in it, checked. Nothing runs yet.
    ///
    /// # Errors
    /// The directory is not usable or held by another process; a database is damaged; a server can't be
    /// reached.
    pub async fn open(config: Config) -> Result<Self, AnyFault> {
        Self::open_in(Lifecycle::new(), config).await
    }

    /// As [`App::open`], in a life that has begun before.
    ///
    /// # Errors
    /// As [`App::open`].
    pub async fn open_in(lifecycle: Lifecycle, config: Config) -> Result<Self, AnyFault> {
        check_crash_points()?;
        let data_dir = DataDir::open(&config.data_dir)?;
        let library = Library::open(&config.selectors_dir)?;
        let counters = Arc::new(Counters::default());
        let identity = data_dir.identity()?;
        let mirrors = Mirrors::open(&config).await?;
        let backbone = Backbone::open(&config, data_dir.path()).await?;
        let spool = Arc::new(Spool::open(data_dir.path(), config.dry_run)?);
        let configured = config.accounts.iter().map(|account| account.id.clone()).collect();
        let leases = backbone.records.leases.clone();
        let desk = Arc::new(Desk::new(leases.clone(), identity.clone(), spool.clone(), configured));
        Ok(Self {
            desk,
            lifecycle,
            clock: Arc::new(SystemClock),
            store: backbone.records.store.clone(),
            bus: backbone.events.bus.clone(),
            leases,
            browser: Arc::new(chromium(&config, data_dir.path(), counters.clone())),
            counters,
            vault: Arc::new(Vault::open(data_dir.path(), config.session_key.as_ref())?),
            spool,
            library,
            board: Arc::new(Board::new(Board::folder_in(data_dir.path()))),
            offers: watch::Sender::default(),
            mirrors,
            mirror_state: watch::Sender::default(),
            backbone,
            data_dir,
            identity,
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
            old_profile: profile::profile_of(self.data_dir.path(), &config.id),
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

    /// Makes it known that an account waits for a human before it could be collected at all; unless
    /// another process collects it, whose word it is how the account does.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn park(&self, account: AccountId, fault: &AnyFault) -> Result<(), AnyFault> {
        if self.leases.holder(&account).await?.is_some_and(|lease| lease.owner != self.identity) {
            return Ok(());
        }
        // What a human must do first stays true, whatever else is wrong.
        let known = self.store.accounts().await?;
        if known.iter().any(|status| status.account == account && outlives_a_start(status)) {
            return Ok(());
        }
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

    /// Takes and keeps the leases of accounts for this process.
    pub fn tenure(&self) -> Tenure {
        Tenure {
            leases: self.leases.clone(),
            owner: self.identity.clone(),
            ttl: self.config.collect.lease_ttl,
            lifecycle: self.lifecycle.clone(),
            counters: self.counters.clone(),
        }
    }

    /// An account in hand for something that writes nothing, and so takes no lease.
    ///
    /// # Errors
    /// `account-held` if another process collects it; those of the store.
    pub async fn visit(&self, account: &AccountId) -> Result<Held, AnyFault> {
        match self.leases.holder(account).await? {
            Some(lease) if lease.owner != self.identity => {
                Err(CollectError::HeldElsewhere { account: account.to_string(), holder: lease.owner }.into())
            }
            _ => Ok(Held {
                epoch: None,
                stop: self.lifecycle.soft.child_token(),
                lost: tokio_util::sync::CancellationToken::new(),
            }),
        }
    }

    /// What every collector works with.
    fn collecting(&self) -> Collecting {
        Collecting {
            browser: self.browser.clone(),
            spool: self.spool.clone(),
            vault: self.vault.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            lifecycle: self.lifecycle.clone(),
            counters: self.counters.clone(),
            settings: CollectorSettings {
                login_budget: self.config.collect.login_budget,
                pass_interval: self.config.collect.pass_interval,
                reconcile_interval: self.config.collect.reconcile_interval,
                stale_after: self.config.collect.stale_after,
                dry_run: self.config.dry_run,
            },
            board: self.board.clone(),
            offers: self.offers.subscribe(),
            desk: self.desk.clone(),
            failures: self.data_dir.path().join(bundle::FOLDER),
        }
    }

    /// The collector of an account in hand.
    pub fn collector(&self, account: Arc<Account>, held: Held, progress: ProgressSink) -> Collector {
        self.collecting().collector(account, held, progress)
    }

    /// Collects an account as a task of the lifecycle, whenever its lease can be had.
    pub fn keep_collecting(&self, account: Arc<Account>) {
        let (collecting, tenure, id) = (self.collecting(), self.tenure(), account.id.clone());
        // Orders are taken from now on, whether or not the lease can be had.
        self.desk.mailbox(&id);
        self.lifecycle.spawn(format!("collect {id}"), async move {
            let account = Mutex::new(account);
            let work = |held| collecting.keep(&account, held);
            tenure.keep(&id, work).await;
        });
    }

    /// Starts what these roles need of relay, consumers, scheduler and mirror. `mirror_every`: the shortest
    /// time between two writes of the mirror.
    ///
    /// # Errors
    /// `data-dir-unusable`: the journals of what is in hand can't be made. `config-invalid`: a prompt can't be used.
    pub fn start_pipeline(&self, roles: &[Role], mirror_every: Duration) -> Result<Pipeline, AnyFault> {
        let life = &self.lifecycle;
        let analyst = analyst(&self.config, self.clock.clone(), self.counters.clone())?;
        let mirror = self.mirrors.mirror(self.data_dir.path());
        let news = Arc::new(Notify::new());
        let rule = DueRule { quiet: self.config.analysis.quiet, max_wait: self.config.analysis.max_wait };
        let (store, bus, clock, counters) =
            (self.store.clone(), self.bus.clone(), self.clock.clone(), self.counters.clone());
        let archive = Archive::new(store.clone(), clock.clone(), rule, news.clone(), counters.clone());
        let version = analyst.prompt_version();
        let scheduler =
            Arc::new(Scheduler::new(store.clone(), bus.clone(), clock.clone(), news, version, counters.clone()));
        let budgets = self.backbone.records.budgets.clone();
        let mut analyze = Analyze::new(store.clone(), bus.clone(), analyst, clock.clone(), counters.clone())
            .with_budgets(budgets.clone(), self.config.budgets);
        if let Some(ai) = &self.config.ai {
            analyze = analyze.with_parallel(u16::try_from(ai.concurrency).unwrap_or(u16::MAX));
        }
        let waiting = analyze.waiting();
        let mirroring = Mirroring::new(store.clone(), bus.clone(), mirror, clock, life.clone(), counters.clone());
        let mirroring = mirroring.with_state(self.mirror_state.clone()).with_budgets(budgets, self.config.budgets);
        let mirror_every = if self.mirrors.sheet.is_some() { mirror_every.max(SHEET_EVERY) } else { mirror_every };
        let mirroring = Arc::new(mirroring.with_times(mirror_every, self.mirrors.look_every()));
        if roles.contains(&Role::Archive) {
            // Two of them: while one waits for the store, the other reads the next batch, and what both have
            // ready shares a commit. The order in which batches are stored does not matter to the store.
            let archive: Arc<dyn Handler> = Arc::new(archive);
            self.consume(Queue::Archive, [archive.clone(), archive])?;
        }
        if roles.contains(&Role::Analyze) {
            self.consume(Queue::Analyze, [Arc::new(analyze) as Arc<dyn Handler>])?;
            scheduler.clone().spawn(life);
        }
        if roles.contains(&Role::Mirror) {
            match self.mirrors.sheet.clone() {
                None => {
                    self.consume(Queue::Mirror, [mirroring.clone() as Arc<dyn Handler>])?;
                    mirroring.clone().spawn_reconcile();
                }
                Some(sheet) => self.keep_sheet(sheet, mirroring.clone())?,
            }
        }
        // Whatever the roles: an earlier life may have left something in the spool.
        let relay = Relay {
            spool: self.spool.clone(),
            bus: bus.clone(),
            store: store.clone(),
            lifecycle: life.clone(),
            counters: counters.clone(),
        };
        life.spawn("relay", async move { relay.run().await });
        let spool: Arc<dyn Backlog> = self.spool.clone();
        Ok(Pipeline { spool, bus, store, scheduler, mirror: mirroring, waiting, lifecycle: life.clone(), counters })
    }

    /// The journal of what the consumers of a queue have in hand.
    fn journal(&self, queue: Queue) -> Result<Arc<Journal>, AnyFault> {
        let folder = self.data_dir.path().join("in-hand");
        let journal = std::fs::create_dir_all(&folder).and_then(|()| Journal::open(&folder.join(queue.as_str())));
        Ok(Arc::new(journal.map_err(|source| LifecycleError::DataDir { path: folder, source })?))
    }

    /// Starts the consumers of one queue, which share the journal of what is in hand.
    fn consume<const N: usize>(&self, queue: Queue, handlers: [Arc<dyn Handler>; N]) -> Result<(), AnyFault> {
        let journal = self.journal(queue)?;
        for handler in handlers {
            let mut runner = Runner::new(self.bus.clone(), handler, self.lifecycle.clone(), self.counters.clone());
            if queue == Queue::Analyze {
                runner = runner.with_schedule(analysing::SERVICE);
            }
            runner.with_journal(journal.clone()).spawn();
        }
        Ok(())
    }

    /// Stops softly, waits for all tasks, closes the files. Says who was late and who panicked.
    pub async fn close(self) -> Drained {
        let drained = self.lifecycle.drain(self.config.drain_timeout).await;
        self.spool.close().await;
        drop((self.store, self.bus, self.leases, self.desk));
        self.backbone.close().await;
        for task in &drained.late {
            LateTask { task }.emit(&self.counters);
        }
        drained
    }
}
