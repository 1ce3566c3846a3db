//! Waits until everything that was collected has arrived: for `collect --once` and the demo.
//!
//! A message moves in one direction through the stages, and each stage shows it until the next one does
//! (publish before mark, store before acknowledge). So one look at the stages in that order that finds
//! all of them empty proves that nothing is on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::analyze::Waiting;
use super::error::ConsumeError;
use super::mirror::Mirroring;
use super::scheduler::Scheduler;
use crate::fault::{AnyFault, Code};
use crate::lifecycle::Lifecycle;
use crate::ports::{Backlog, Bus, Queue, Store};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::PipelineDrained;
use crate::telemetry::{Counters, Occurrence};

/// Between two looks: a broker has no signal for "empty", and in the demo this is what is waited too long.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// After a look that failed.
const SETBACKS: RetrySchedule = RetrySchedule::endless(Duration::from_millis(200), Duration::from_secs(5));

/// Where something can be on its way, in the order of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// In the spool.
    Spool,
    /// In this queue, waiting, waiting to be tried again, or in a consumer's hands.
    Queue(Queue),
    /// In the store, not yet requested for analysis.
    Scheduler,
    /// In the store, not yet shown.
    Mirror,
}

impl Stage {
    /// The order of the flow.
    pub const FLOW: [Self; 6] = [
        Self::Spool,
        Self::Queue(Queue::Archive),
        Self::Scheduler,
        Self::Queue(Queue::Analyze),
        Self::Queue(Queue::Mirror),
        Self::Mirror,
    ];

    /// The word used in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Queue(queue) => queue.as_str(),
            Self::Scheduler => "scheduler",
            Self::Mirror => "mirror",
        }
    }
}

/// How the waiting ended.
#[derive(Debug)]
pub enum Quiet {
    /// Everything has arrived, or is among the dead letters.
    Yes,
    /// The deadline passed, or a stop was asked for, with something on its way.
    No {
        /// The first stage that was not empty; the mirror, with a permanent fault, if only that waits for a human.
        stage: Stage,
        /// How much was there: events, or 1 for "something".
        left: u64,
        /// What the last look failed with, if it did.
        fault: Option<AnyFault>,
    },
}

/// All that a message passes, from the spool to the mirror.
pub struct Pipeline {
    /// What the relay has not yet published.
    pub spool: Arc<dyn Backlog>,
    /// The queues.
    pub bus: Arc<dyn Bus>,
    /// What is due.
    pub store: Arc<dyn Store>,
    /// Makes due what has news.
    pub scheduler: Arc<Scheduler>,
    /// Shows the rest.
    pub mirror: Arc<Mirroring>,
    /// Which analyses wait for a budget: those are not waited for.
    pub waiting: Arc<Waiting>,
    /// A stop ends the waiting.
    pub lifecycle: Lifecycle,
    /// Counts.
    pub counters: Arc<Counters>,
}

impl Pipeline {
    /// Waits, up to `deadline`, until everything collected is stored, analysed and mirrored. News that
    /// would become due later are due now. The consumers must be running. Analyses that wait for a budget
    /// are not waited for: once they are all that is left, that is said with `ai-budget`.
    ///
    /// # Errors
    /// Permanent or critical faults of a part; retryable ones are waited out.
    pub async fn drained(&self, deadline: Duration) -> Result<Quiet, AnyFault> {
        let begun = Instant::now();
        let end = begun.checked_add(deadline).unwrap_or_else(|| begun + Duration::from_secs(86_400 * 365));
        let mut last = (Stage::Spool, 0, None);
        let mut setbacks = 0;
        loop {
            let mut wait = LOOK_EVERY;
            // Cancel-safe: a look changes nothing that a second one would not change again.
            match timeout_at(end, self.first_busy()).await {
                Ok((_, Ok(0))) => {
                    PipelineDrained { duration: begun.elapsed() }.emit(&self.counters);
                    return Ok(Quiet::Yes);
                }
                Ok((stage, Err(fault))) if fault.code() == Code::AiBudget => {
                    let (left, _) = self.waiting.count();
                    return Ok(Self::busy((stage, left, Some(fault))));
                }
                Ok((stage, Ok(left))) => {
                    setbacks = 0;
                    last = (stage, left, None);
                }
                Ok((stage, Err(fault))) if fault.class().is_retryable() => {
                    setbacks += 1;
                    let chance = fastrand::f64();
                    wait = wait.max(SETBACKS.delay_for(setbacks, fault.class(), chance).unwrap_or_default());
                    last = (stage, last.1, Some(fault));
                }
                // All has arrived but there, and the report of it must not be lost over that.
                Ok((stage @ Stage::Mirror, Err(fault))) if self.mirror.waits_for_human() => {
                    return Ok(Self::busy((stage, 1, Some(fault))));
                }
                Ok((_, Err(fault))) => return Err(fault),
                Err(_) => return Ok(Self::busy(last)),
            }
            // Cancel-safe: no arm holds anything.
            tokio::select! {
                () = self.lifecycle.soft.cancelled() => return Ok(Self::busy(last)),
                () = tokio::time::sleep_until(end) => return Ok(Self::busy(last)),
                () = tokio::time::sleep(wait) => (),
            }
        }
    }

    fn busy((stage, left, fault): (Stage, u64, Option<AnyFault>)) -> Quiet {
        Quiet::No { stage, left, fault }
    }

    /// The first stage that is not empty and how much is in it; 0 if all are empty.
    async fn first_busy(&self) -> (Stage, Result<u64, AnyFault>) {
        let mut postponed = None;
        for stage in Stage::FLOW {
            match self.look(stage).await {
                Ok(0) => (),
                Err(fault) if fault.code() == Code::AiBudget => postponed = Some((stage, Err(fault))),
                other => return (stage, other),
            }
        }
        postponed.unwrap_or((Stage::Mirror, Ok(0)))
    }

    async fn look(&self, stage: Stage) -> Result<u64, AnyFault> {
        match stage {
            Stage::Spool => self.spool.pending().await,
            Stage::Queue(queue) => {
                let depths = self.bus.depths().await?;
                let left =
                    depths.iter().filter(|depth| depth.queue == queue).map(|depth| depth.ready + depth.in_flight).sum();
                match self.waiting.count() {
                    (waiting, Some(why)) if queue == Queue::Analyze && left > 0 && waiting >= left => {
                        Err(ConsumeError::Postponed { why }.into())
                    }
                    _ => Ok(left),
                }
            }
            Stage::Scheduler => {
                // Only now that the archive is empty: earlier, a conversation would be analysed in pieces.
                if self.store.next_due().await?.is_some() {
                    self.scheduler.flush().await?;
                }
                Ok(0)
            }
            Stage::Mirror => {
                if !self.mirror.is_current().await? {
                    self.mirror.rebuild().await?;
                }
                Ok(0)
            }
        }
    }
}
