//! Holding an account: however many processes share the work, one at a time collects it, for as long as
//! it renews its lease in the store.
//!
//! The lease keeps two browsers from logging in at once; it does not keep the data right. That is the
//! epoch's work: a process that slept through the end of its lease (a paused machine, F41) learns of it
//! late, and what it still writes carries an old epoch and is refused.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::error::CollectError;
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::lifecycle::Lifecycle;
use crate::ports::{Lease, Leases};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::{AccountHeldElsewhere, LeaseChanged};
use crate::telemetry::{Counters, Occurrence};

/// A lease is renewed so often in its time; a renewal that fails leaves one more try, then the work lets go.
const RENEWALS: u32 = 4;
/// How long the work may take to let go after its lease was lost, at most; and never longer than the part of
/// the lease that is left then.
const LET_GO: Duration = Duration::from_secs(10);
/// Waits while the store can't be asked.
const SETBACKS: RetrySchedule = RetrySchedule::endless(Duration::from_millis(500), Duration::from_secs(15));

/// An account in hand.
#[derive(Debug, Clone)]
pub struct Held {
    /// The epoch of its lease; `None` if nobody else can be there (a dry run).
    pub epoch: Option<u64>,
    /// Cancelled when the account must be let go: by a stop, or because the lease is lost.
    pub stop: CancellationToken,
    /// Cancelled when the lease is lost, and by nothing else.
    pub lost: CancellationToken,
}

/// Takes leases for one process and keeps them.
#[derive(Clone)]
pub struct Tenure {
    /// Where leases are kept.
    pub leases: Arc<dyn Leases>,
    /// This process, by the name of its data directory: after a crash it takes up its own leases again.
    pub owner: String,
    /// How long a lease lasts without a renewal.
    pub ttl: Duration,
    /// When to stop.
    pub lifecycle: Lifecycle,
    /// Counts.
    pub counters: Arc<Counters>,
}

impl Tenure {
    /// Runs `work` whenever the account is ours, until the stop. The work must end when it is told to
    /// let go, and is begun anew when the account is ours again.
    pub async fn keep<W, F>(&self, account: &AccountId, work: W)
    where
        W: Fn(Held) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        let mut setbacks = 0;
        let mut is_told = false;
        while !self.lifecycle.is_stopping() {
            let wait = match self.acquire(account).await {
                Ok(Taken::Ours(term)) => {
                    (setbacks, is_told) = (0, false);
                    self.hold(term, &work).await;
                    Duration::ZERO
                }
                Ok(Taken::Elsewhere(holder)) => {
                    setbacks = 0;
                    if !is_told {
                        AccountHeldElsewhere { account, holder: holder.as_deref() }.emit(&self.counters);
                    }
                    is_told = true;
                    self.ttl / RENEWALS
                }
                Err(fault) => {
                    setbacks += 1;
                    LeaseChanged { account, epoch: None, what: "can't be asked for", fault: Some(&fault) }
                        .emit(&self.counters);
                    SETBACKS.delay(setbacks, None, fastrand::f64()).unwrap_or_default()
                }
            };
            // Cancel-safe: neither arm holds anything.
            tokio::select! {
                () = self.lifecycle.soft.cancelled() => (),
                () = tokio::time::sleep(wait) => (),
            }
        }
    }

    /// Runs `work` once under the account's lease.
    ///
    /// # Errors
    /// `account-held` if another process collects it; those of the store.
    pub async fn once<W, F, T>(&self, account: &AccountId, work: W) -> Result<T, AnyFault>
    where
        W: FnOnce(Held) -> F,
        F: Future<Output = Result<T, AnyFault>>,
    {
        let term = match self.acquire(account).await? {
            Taken::Ours(term) => term,
            Taken::Elsewhere(holder) => {
                let holder = holder.unwrap_or_else(|| "another process".to_owned());
                return Err(CollectError::HeldElsewhere { account: account.to_string(), holder }.into());
            }
        };
        let stop = self.lifecycle.soft.child_token();
        let lost = CancellationToken::new();
        let working = work(Held { epoch: Some(term.lease.epoch), stop: stop.clone(), lost: lost.clone() });
        let lease = term.lease.clone();
        tokio::pin!(working);
        // Not cancel-safe on the right, and never dropped there: the work is waited for in both arms.
        let outcome = tokio::select! {
            outcome = &mut working => outcome,
            () = self.renew_until_lost(term) => {
                lost.cancel();
                stop.cancel();
                working.await
            }
        };
        self.release(&lease).await;
        outcome
    }

    async fn hold<W, F>(&self, term: Term, work: &W)
    where
        W: Fn(Held) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        let lease = term.lease.clone();
        let account = &lease.account;
        LeaseChanged { account, epoch: Some(lease.epoch), what: "taken", fault: None }.emit(&self.counters);
        let stop = self.lifecycle.soft.child_token();
        let lost = CancellationToken::new();
        let working = work(Held { epoch: Some(lease.epoch), stop: stop.clone(), lost: lost.clone() });
        tokio::pin!(working);
        tokio::select! {
            () = &mut working => {
                self.release(&lease).await;
            }
            () = self.renew_until_lost(term) => {
                LeaseChanged { account, epoch: Some(lease.epoch), what: "lost", fault: None }.emit(&self.counters);
                lost.cancel();
                stop.cancel();
                // Longer than a step of the browser may take. What is dropped then closes its browser.
                let _ = timeout(LET_GO.min(self.ttl / RENEWALS), working).await;
            }
        }
    }

    async fn acquire(&self, account: &AccountId) -> Result<Taken, AnyFault> {
        // Before the question, so that the lease seems shorter to us than to the store, never longer.
        let asked = Instant::now();
        match self.leases.acquire(account, &self.owner, self.ttl).await? {
            Some(lease) => Ok(Taken::Ours(self.term(lease, asked))),
            None => Ok(Taken::Elsewhere(self.leases.holder(account).await?.map(|lease| lease.owner))),
        }
    }

    /// The last part of a lease is left for letting go: when it ends, no browser of ours may be there.
    fn term(&self, lease: Lease, asked: Instant) -> Term {
        Term { lease, ends: asked + self.ttl - self.ttl / RENEWALS }
    }

    /// Renews the lease again and again; ends when it is lost or has run out.
    async fn renew_until_lost(&self, mut term: Term) {
        loop {
            tokio::time::sleep(self.ttl / RENEWALS).await;
            let asked = Instant::now();
            // An answer that comes after the end is worth nothing.
            let renewed = tokio::select! {
                renewed = self.leases.renew(&term.lease, self.ttl) => renewed,
                () = sleep_until(term.ends) => return,
            };
            match renewed {
                Ok(Some(lease)) => term = self.term(lease, asked),
                Ok(None) => return,
                Err(fault) => {
                    let Lease { account, epoch, .. } = &term.lease;
                    let what = "could not be renewed";
                    LeaseChanged { account, epoch: Some(*epoch), what, fault: Some(&fault) }.emit(&self.counters);
                    if Instant::now() >= term.ends {
                        return;
                    }
                }
            }
        }
    }

    /// Gives the lease back, so that the next one need not wait for its end.
    async fn release(&self, lease: &Lease) {
        if let Ok(Err(fault)) = timeout(self.ttl / RENEWALS, self.leases.release(lease)).await {
            let Lease { account, epoch, .. } = lease;
            LeaseChanged { account, epoch: Some(*epoch), what: "could not be given back", fault: Some(&fault) }
                .emit(&self.counters);
        }
    }
}

enum Taken {
    Ours(Term),
    /// By whom, if the store still knew.
    Elsewhere(Option<String>),
}

/// A lease, and when the work must begin to let go, on this machine's monotonic clock.
struct Term {
    lease: Lease,
    ends: Instant,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use jiff::Timestamp;

    use super::*;
    use crate::fault::Code;

    const TTL: Duration = Duration::from_secs(30);

    /// Leases of one account: who has it and since which epoch; renewals can be made to fail.
    #[derive(Default)]
    struct Scene {
        held: Mutex<Option<(String, u64)>>,
        away: Mutex<bool>,
        released: AtomicU32,
    }

    impl Scene {
        fn lease(&self, owner: &str, epoch: u64) -> Lease {
            Lease { account: account(), owner: owner.to_owned(), epoch, until: Timestamp::UNIX_EPOCH }
        }
        fn take(&self, owner: &str) {
            let mut held = self.held.lock().unwrap();
            let epoch = held.as_ref().map_or(1, |(_, epoch)| epoch + 1);
            *held = Some((owner.to_owned(), epoch));
        }
    }

    #[async_trait]
    impl Leases for Scene {
        async fn acquire(&self, _: &AccountId, owner: &str, _: Duration) -> Result<Option<Lease>, AnyFault> {
            if self.held.lock().unwrap().is_none() {
                self.take(owner);
            }
            let held = self.held.lock().unwrap().clone();
            Ok(held.filter(|(holder, _)| holder == owner).map(|(owner, epoch)| self.lease(&owner, epoch)))
        }
        async fn renew(&self, lease: &Lease, _: Duration) -> Result<Option<Lease>, AnyFault> {
            if *self.away.lock().unwrap() {
                return Err(CollectError::Stopped.into());
            }
            let held = self.held.lock().unwrap().clone();
            Ok((held == Some((lease.owner.clone(), lease.epoch))).then(|| lease.clone()))
        }
        async fn release(&self, _: &Lease) -> Result<(), AnyFault> {
            self.released.fetch_add(1, Ordering::SeqCst);
            *self.held.lock().unwrap() = None;
            Ok(())
        }
        async fn holder(&self, _: &AccountId) -> Result<Option<Lease>, AnyFault> {
            Ok(self.held.lock().unwrap().clone().map(|(owner, epoch)| self.lease(&owner, epoch)))
        }
    }

    fn account() -> AccountId {
        "demo/default".parse().unwrap()
    }

    fn tenure(scene: &Arc<Scene>) -> Tenure {
        let leases: Arc<dyn Leases> = scene.clone();
        Tenure { leases, owner: "me".to_owned(), ttl: TTL, lifecycle: Lifecycle::new(), counters: Arc::default() }
    }

    /// Keeps the account in a task; what the work was given, in order.
    fn keeping(tenure: &Tenure) -> Arc<Mutex<Vec<Held>>> {
        let given: Arc<Mutex<Vec<Held>>> = Arc::default();
        let (task, seen) = (tenure.clone(), Arc::clone(&given));
        tenure.lifecycle.spawn("keep", async move {
            let work = |held: Held| {
                seen.lock().unwrap().push(held.clone());
                async move { held.stop.cancelled().await }
            };
            task.keep(&account(), work).await;
        });
        given
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("in vain: {what}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_while_the_lease_is_renewed_and_a_stop_gives_it_back() {
        let scene = Arc::new(Scene::default());
        let tenure = tenure(&scene);
        let given = keeping(&tenure);
        tokio::time::sleep(TTL * 20).await;
        assert_eq!(given.lock().unwrap().len(), 1);
        assert!(!given.lock().unwrap()[0].stop.is_cancelled());
        assert!(tenure.lifecycle.drain(TTL).await.is_clean());
        assert_eq!(scene.released.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_of_another_is_waited_for_and_a_lost_one_is_let_go() {
        let scene = Arc::new(Scene::default());
        scene.take("other");
        let tenure = tenure(&scene);
        let given = keeping(&tenure);
        tokio::time::sleep(TTL * 3).await;
        assert!(given.lock().unwrap().is_empty());
        *scene.held.lock().unwrap() = None;
        until("it is taken", || given.lock().unwrap().len() == 1).await;
        scene.take("other");
        until("it is let go", || given.lock().unwrap()[0].stop.is_cancelled()).await;
        assert_eq!(scene.released.load(Ordering::SeqCst), 0, "it is not ours to give back");
        scene.take("me");
        until("it is taken again", || given.lock().unwrap().len() == 2).await;
        assert_eq!(given.lock().unwrap()[1].epoch, Some(3));
        assert!(tenure.lifecycle.drain(TTL).await.is_clean());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_is_no_loss_and_a_loss_during_a_stop_is_one() {
        let scene = Arc::new(Scene::default());
        let tenure = tenure(&scene);
        let given: Arc<Mutex<Vec<Held>>> = Arc::default();
        let (task, seen) = (tenure.clone(), Arc::clone(&given));
        tenure.lifecycle.spawn("keep", async move {
            let work = |held: Held| {
                seen.lock().unwrap().push(held.clone());
                // It takes its time to let go, as a last write does.
                async move { held.lost.cancelled().await }
            };
            task.keep(&account(), work).await;
        });
        until("it is taken", || given.lock().unwrap().len() == 1).await;
        let held = given.lock().unwrap()[0].clone();
        tenure.lifecycle.soft.cancel();
        tokio::time::sleep(TTL).await;
        assert!(held.stop.is_cancelled() && !held.lost.is_cancelled(), "it is still ours");
        scene.take("other");
        until("it is lost", || held.lost.is_cancelled()).await;
        assert!(tenure.lifecycle.drain(TTL).await.is_clean());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_for_longer_than_the_lease_ends_the_work() {
        let scene = Arc::new(Scene::default());
        let tenure = tenure(&scene);
        let given = keeping(&tenure);
        until("it is taken", || given.lock().unwrap().len() == 1).await;
        let begun = Instant::now();
        *scene.away.lock().unwrap() = true;
        until("it is let go", || given.lock().unwrap()[0].stop.is_cancelled()).await;
        // Paused time: no clock of the machine is in this.
        assert!(begun.elapsed() >= TTL / RENEWALS && begun.elapsed() <= TTL, "{:?}", begun.elapsed());
        assert!(tenure.lifecycle.drain(TTL).await.is_clean());
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_pass_does_not_wait_for_another_process() {
        let scene = Arc::new(Scene::default());
        let tenure = tenure(&scene);
        let epoch = tenure.once(&account(), async |held| Ok(held.epoch)).await.unwrap();
        assert_eq!((epoch, scene.released.load(Ordering::SeqCst)), (Some(1), 1));
        scene.take("other");
        let refused = tenure.once(&account(), async |_| Ok(())).await.unwrap_err();
        assert_eq!(refused.code(), Code::AccountHeld);
        assert!(refused.to_string().contains("other"), "{refused}");
    }
}
