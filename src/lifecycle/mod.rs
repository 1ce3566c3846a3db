//! How the process stops: soft stop → drain with one deadline → hard stop; and, in test builds, how it
//! dies at a named point.
//!
//! Every task is spawned here, under a name, so that the last log line can say who was late. A task
//! listens to [`Lifecycle::soft`] between two steps (take on nothing new, finish what is in hand) and to
//! [`Lifecycle::hard`] within a step that may last (let go at once).
//!
//! Must never: wait without a deadline, lose the news that a task panicked, or write down what it
//! panicked with (that may hold chat text).

pub mod crash;
pub mod data_dir;
pub mod error;
pub mod room;
pub mod service;
pub mod socket;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crash::{CrashPoint, browser_kill_point, check_crash_points, crash_point, poison_point};
pub use data_dir::DataDir;
pub use error::LifecycleError;
pub use room::Room;
pub use socket::SocketPlace;

use crate::fault::Code;

/// How long tasks may take to notice the hard stop before they are dropped.
const HARD_GRACE: Duration = Duration::from_secs(2);

/// The life of the process, shared by all its tasks; a clone is the same life.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// Cancelled when nothing new may be taken on.
    pub soft: CancellationToken,
    /// Cancelled when work in hand must be let go.
    pub hard: CancellationToken,
    /// The soft stop of the whole, where this is a part of it.
    whole: CancellationToken,
    tracker: TaskTracker,
    roll: Arc<Roll>,
}

/// Who runs, and who fell.
#[derive(Debug, Default)]
struct Roll {
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Running>>,
    panicked: Mutex<Vec<String>>,
    stopped_over: OnceLock<Code>,
}

#[derive(Debug)]
struct Running {
    name: Cow<'static, str>,
    abort: AbortHandle,
}

/// How a drain ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Tasks that still ran when the deadline passed or a second signal came, in the order of spawning.
    pub late: Vec<String>,
    /// Tasks that panicked during this life.
    pub panicked: Vec<String>,
    /// The fault that stopped this life, if it was one.
    pub fault: Option<Code>,
}

impl Drained {
    /// True if every task ended by itself, in time.
    pub const fn is_clean(&self) -> bool {
        self.late.is_empty() && self.panicked.is_empty()
    }
}

impl Lifecycle {
    /// A life in which nobody asked for a stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as a task of this life. If it panics, the panic is logged by the task's name and
    /// the process stops softly: a supervisor starts it anew, which is better than a process that lives
    /// on with one part silently missing.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let id = self.roll.next.fetch_add(1, Ordering::Relaxed);
        let task = tokio::spawn(future);
        lock(&self.roll.running).insert(id, Running { name: name.clone(), abort: task.abort_handle() });
        let (roll, soft) = (Arc::clone(&self.roll), self.soft.clone());
        self.tracker.spawn(async move {
            let ended = task.await;
            lock(&roll.running).remove(&id);
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!(task.name = %name, "a task panicked; the process stops");
                lock(&roll.panicked).push(name.into_owned());
                soft.cancel();
            }
        });
    }

    /// A part of this life that ends with `soft`, which should be a child of this life's own soft stop; what stops the
    /// part over a fault stops the whole.
    #[must_use]
    pub fn part(&self, soft: CancellationToken) -> Self {
        Self { soft, whole: self.soft.clone(), ..self.clone() }
    }

    /// Asks every task to take on nothing new.
    pub fn stop(&self) {
        self.soft.cancel();
        self.whole.cancel();
    }

    /// As [`Lifecycle::stop`], because of a fault: the first one becomes the exit code.
    pub fn stop_over(&self, code: Code) {
        // Later faults follow from the first, or from the stop.
        let _ = self.roll.stopped_over.set(code);
        self.stop();
    }

    /// True once a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// The tasks that run now, in the order of spawning.
    pub fn running(&self) -> Vec<String> {
        lock(&self.roll.running).values().map(|task| task.name.clone().into_owned()).collect()
    }

    /// The tasks that panicked so far.
    pub fn panicked(&self) -> Vec<String> {
        lock(&self.roll.panicked).clone()
    }

    /// Stops softly, waits up to `deadline` for all tasks, then stops hard, waits briefly, and drops
    /// those that still run. A hard stop from outside (the second signal) ends the waiting at once.
    ///
    /// Not to be called from a task of this life: it would wait for itself.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.soft.cancel();
        self.tracker.close();
        // Cancel-safe: waiting for the tracker and for a token leave nothing behind when dropped.
        let in_time = tokio::select! {
            ended = tokio::time::timeout(deadline, self.tracker.wait()) => ended.is_ok(),
            () = self.hard.cancelled() => false,
        };
        let late = if in_time { Vec::new() } else { self.running() };
        self.hard.cancel();
        if !late.is_empty() {
            tracing::warn!(tasks = late.join(", "), "tasks were late and are let go");
            if tokio::time::timeout(HARD_GRACE, self.tracker.wait()).await.is_err() {
                lock(&self.roll.running).values().for_each(|task| task.abort.abort());
                // A task in blocking code can't be dropped; waiting longer for it would be in vain.
                let _ = tokio::time::timeout(HARD_GRACE, self.tracker.wait()).await;
            }
        }
        Drained { late, panicked: self.panicked(), fault: self.roll.stopped_over.get().copied() }
    }

    /// Registers for SIGTERM and SIGINT at once and gives the future that waits for them: the first
    /// signal is the soft stop, the second the hard one, and with that the future ends. It belongs
    /// beside the tasks of this life, not among them: it has no end of its own.
    ///
    /// # Errors
    /// [`LifecycleError::Signals`] if the system refuses the registration.
    pub fn on_signals(&self) -> Result<impl Future<Output = ()> + Send + 'static + use<>, LifecycleError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(LifecycleError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(LifecycleError::Signals)?;
        let (soft, hard) = (self.soft.clone(), self.hard.clone());
        Ok(async move {
            for (stop, sentence) in [(soft, "stopping; a second signal stops at once"), (hard, "stopping at once")] {
                // Cancel-safe: a signal that was not yet received stays pending in its stream.
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!(signal = name, "{sentence}");
                stop.cancel();
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here can panic while it holds a lock, so what a poisoned lock holds is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_alone_but_a_fault_in_it_ends_the_whole() {
        let life = Lifecycle::new();
        let part = life.part(life.soft.child_token());
        part.soft.cancel();
        assert!(part.is_stopping() && !life.is_stopping());
        life.part(life.soft.child_token()).stop_over(Code::Internal);
        assert!(life.is_stopping());
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_heed_the_soft_stop_are_not_late() {
        let life = Lifecycle::new();
        let soft = life.soft.clone();
        life.spawn("polite", async move { soft.cancelled().await });
        assert_eq!(life.running(), ["polite"]);
        let drained = life.drain(Duration::from_secs(20)).await;
        assert!(drained.is_clean(), "{drained:?}");
        assert!(life.running().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_late_are_named_and_let_go() {
        let life = Lifecycle::new();
        let (soft, hard) = (life.soft.clone(), life.hard.clone());
        life.spawn("polite", async move { soft.cancelled().await });
        life.spawn("slow", async move { hard.cancelled().await });
        life.spawn("deaf", std::future::pending());
        let drained = life.drain(Duration::from_secs(20)).await;
        assert_eq!(drained.late, ["slow", "deaf"]);
        assert!(life.running().is_empty(), "even the deaf one is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_fault_that_stops_is_remembered() {
        let life = Lifecycle::new();
        life.stop_over(Code::DataCorrupt);
        life.stop_over(Code::Internal);
        assert!(life.is_stopping());
        let drained = life.drain(Duration::from_secs(1)).await;
        assert_eq!(drained.fault, Some(Code::DataCorrupt));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hard_stop_from_outside_ends_the_waiting() {
        let life = Lifecycle::new();
        life.spawn("deaf", std::future::pending());
        let hard = life.hard.clone();
        let begun = tokio::time::Instant::now();
        let (drained, ()) = tokio::join!(life.drain(Duration::from_secs(3600)), async move { hard.cancel() });
        assert_eq!(drained.late, ["deaf"]);
        assert!(begun.elapsed() < Duration::from_secs(60), "paused time: the deadline was not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_named_and_stops_the_process_softly() {
        let life = Lifecycle::new();
        life.spawn("fragile", async { panic!("with chat text") });
        tokio::time::timeout(Duration::from_secs(10), life.soft.cancelled()).await.unwrap();
        let drained = life.drain(Duration::from_secs(1)).await;
        assert_eq!(drained, Drained { late: vec![], panicked: vec!["fragile".to_owned()], fault: None });
    }

    #[tokio::test]
    async fn the_first_signal_is_soft_and_the_second_hard() {
        let life = Lifecycle::new();
        let signals = tokio::spawn(life.on_signals().unwrap());
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
        tokio::time::timeout(Duration::from_secs(10), life.soft.cancelled()).await.unwrap();
        assert!(!life.hard.is_cancelled());
        rustix::process::kill_process(own, rustix::process::Signal::INT).unwrap();
        tokio::time::timeout(Duration::from_secs(10), life.hard.cancelled()).await.unwrap();
        signals.await.unwrap();
    }
}
