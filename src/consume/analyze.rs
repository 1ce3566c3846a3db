//! `analysis.requested` → the analyst → store → `analysis.completed`.
//!
//! The question has a name ([`AnalysisId`]) before it is asked: whoever finds its answer in the store
//! does not ask again, unless messages older than the newest have come since and the answer knows fewer. Within this process the same question is never asked twice at once; another
//! process may ask it at the same time, and then the first answer stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::Instant;

use super::error::ConsumeError;
use super::publish::publish_one;
use super::runner::{Handler, Outcome, Received};
use crate::domain::event::{AnalysisCompleted, AnalysisRequested};
use crate::domain::{Analysis, AnalysisId, Envelope, Event, Message, Usage, Verdict};
use crate::fault::AnyFault;
use crate::lifecycle::{CrashPoint, crash_point};
use crate::ports::{Analyst, AnalystRequest, Bus, Clock, MessageRange, Queue, Store};
use crate::telemetry::occurrences::{AnalysisStored, RepetitionRecognised};
use crate::telemetry::{Counters, Occurrence};

/// The most messages that an analyst is given, the last ones, unless told otherwise.
const HISTORY: usize = 20_000;

/// How many conversations are analysed at once, unless told otherwise.
const PARALLEL: u16 = 4;

/// A lock per question that is being asked.
type Questions = Mutex<HashMap<AnalysisId, Weak<tokio::sync::Mutex<()>>>>;

/// The consumer of `chatferry.analyze`.
pub struct Analyze {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    analyst: Arc<dyn Analyst>,
    clock: Arc<dyn Clock>,
    parallel: u16,
    history: usize,
    questions: Questions,
    counters: Arc<Counters>,
}

impl Analyze {
    /// Asks `analyst`, keeps the answer in `store` and tells it on `bus`.
    pub fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        analyst: Arc<dyn Analyst>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let (parallel, history) = (PARALLEL, HISTORY);
        Self { store, bus, analyst, clock, parallel, history, questions: Questions::default(), counters }
    }

    /// The same with another number of conversations at once.
    #[must_use]
    pub fn with_parallel(mut self, parallel: u16) -> Self {
        self.parallel = parallel.max(1);
        self
    }

    /// The same with another cap on the messages that are given to the analyst.
    #[must_use]
    pub const fn with_history(mut self, history: usize) -> Self {
        self.history = history;
        self
    }

    async fn take_in(&self, received: &Received) -> Result<(), AnyFault> {
        let Event::AnalysisRequested(request) = &received.envelope.event else {
            return Err(ConsumeError::Misrouted { queue: self.queue(), kind: received.envelope.event.kind() }.into());
        };
        let (version, model) = (self.analyst.prompt_version(), self.analyst.model());
        let id = AnalysisId::new(&request.conversation, &request.up_to, version, model);
        let question = self.question(id);
        let _asking = question.lock().await;
        let known = self.store.analysis(&id).await?.map_or(0, |analysis| analysis.messages);
        if !self.answer(id, request, known).await? {
            RepetitionRecognised { stage: "analyze", event_id: received.envelope.id }.emit(&self.counters);
        }
        // Also if it was there: the process may have died between saving and publishing.
        let completed =
            AnalysisCompleted { account: request.account.clone(), conversation: request.conversation, analysis: id };
        publish_one(&*self.bus, &Envelope::new(Event::AnalysisCompleted(completed), self.clock.now())).await
    }

    /// Asks, unless an answer that covers `known` messages covers all; true if it was asked.
    async fn answer(&self, id: AnalysisId, request: &AnalysisRequested, known: u64) -> Result<bool, AnyFault> {
        let begun = Instant::now();
        let orphaned = |what| ConsumeError::Orphaned { what, conversation: request.conversation };
        let conversation = self.store.conversation(&request.conversation).await?;
        let conversation = conversation.ok_or_else(|| orphaned("conversation"))?;
        // Said by the count alone nearly always, which saves reading them.
        if known > 0 && known >= conversation.messages.min(self.history as u64) {
            return Ok(false);
        }
        let range = MessageRange { up_to: Some(request.up_to), ..MessageRange::default() };
        let stored = self.store.messages(&request.conversation, range).await?;
        if stored.last().is_none_or(|last| last.message.key != request.up_to) {
            return Err(orphaned("newest message").into());
        }
        let left_out = stored.len().saturating_sub(self.history.max(1));
        let messages: Vec<Message> = stored.into_iter().skip(left_out).map(|stored| stored.message).collect();
        let covered = messages.len() as u64;
        if covered <= known {
            return Ok(false);
        }
        let question = AnalystRequest {
            title: conversation.title,
            prompt_version: self.analyst.prompt_version().to_owned(),
            previous: None,
            messages,
        };
        let reply = self.analyst.analyse(&question).await;
        let verdict = reply.verdict?;
        crash_point(CrashPoint::AnalyzeAnswered);
        let saved = self.store.save_analysis(&self.signed(id, request, covered, verdict, reply.usage)).await?;
        crash_point(CrashPoint::AnalyzeSaved);
        if saved {
            AnalysisStored {
                account: &request.account,
                conversation: request.conversation,
                analysis: id,
                messages: covered,
                left_out: left_out as u64,
                duration: begun.elapsed(),
            }
            .emit(&self.counters);
        }
        Ok(true)
    }

    /// The verdict with the ids, the model and the time.
    fn signed(
        &self,
        id: AnalysisId,
        request: &AnalysisRequested,
        messages: u64,
        verdict: Verdict,
        usage: Usage,
    ) -> Analysis {
        Analysis {
            id,
            account: request.account.clone(),
            conversation: request.conversation,
            up_to: request.up_to,
            messages,
            updates: 0,
            usage,
            verdict,
            model: self.analyst.model().to_owned(),
            prompt_version: self.analyst.prompt_version().to_owned(),
            created_at: self.clock.now(),
        }
    }

    /// The lock of this question; questions that nobody asks any more are forgotten on the way.
    fn question(&self, id: AnalysisId) -> Arc<tokio::sync::Mutex<()>> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.retain(|_, question| question.strong_count() > 0);
        if let Some(question) = questions.get(&id).and_then(Weak::upgrade) {
            return question;
        }
        let question = Arc::new(tokio::sync::Mutex::new(()));
        questions.insert(id, Arc::downgrade(&question));
        question
    }
}

#[async_trait]
impl Handler for Analyze {
    fn queue(&self) -> Queue {
        Queue::Analyze
    }

    fn prefetch(&self) -> u16 {
        self.parallel
    }

    fn batch(&self) -> usize {
        usize::from(self.parallel)
    }

    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault> {
        let outcomes = join_all(batch.iter().map(|received| self.take_in(received))).await;
        Ok(outcomes.into_iter().map(|outcome| outcome.map_or_else(Outcome::Failed, |()| Outcome::Done)).collect())
    }
}
