//! `analysis.requested` → the analyst → store → `analysis.completed`.
//!
//! The question has a name ([`AnalysisId`]) before it is asked: whoever finds its answer in the store
//! does not ask again, unless the messages that it was made from have changed since. Within this process
//! one conversation is asked about once at a time; another process may ask at the same time, and then one
//! answer stays.
//!
//! | file | what it is |
//! |---|---|
//! | `asking` | asking the analyst, within the budgets |
//! | `case` | a conversation as it was read, and the question about it |
//! | `plan` | what to ask an analyst that remembers; pure |
//! | `kept` | what outlives an answer; pure |
//! | `gate` | which messages need no analysis; pure |
//! | `purse` | what it may cost |
//! | `waiting` | which requests wait for a budget |
//! | `trouble` | whose fault it is if a question is not answered |

mod asking;
mod case;
mod gate;
mod kept;
mod plan;
mod purse;
mod trouble;
mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::Instant;

use self::case::{Case, name};
use self::plan::Plan;
use self::purse::{Purses, SetAside};
use self::trouble::Troubles;
use self::waiting::Halt;
pub use self::waiting::Waiting;
use super::error::ConsumeError;
use super::publish::publish_one;
use super::runner::{Handler, Outcome, Received};
use crate::domain::event::{AnalysisCompleted, AnalysisRequested};
use crate::domain::{
    Analysis, AnalysisId, BudgetLimits, Conversation, ConversationKey, Envelope, Event, Message, Reading, Usage,
    Verdict,
};
use crate::fault::AnyFault;
use crate::ports::{Analyst, Budgets, Bus, Clock, Memory, MessageRange, Queue, Store};
use crate::telemetry::occurrences::{AnalysisCarried, AnswerReused, RepetitionRecognised};
use crate::telemetry::{Counters, Occurrence};

/// The most messages that an analyst is given that reads all of them, the last ones, unless told otherwise.
const HISTORY: usize = 20_000;

/// How many conversations are analysed at once, unless told otherwise.
const PARALLEL: u16 = 4;

/// A lock per conversation that is being asked about.
type Asking = Mutex<HashMap<ConversationKey, Weak<tokio::sync::Mutex<()>>>>;

/// The consumer of `chatferry.analyze`.
pub struct Analyze {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    analyst: Arc<dyn Analyst>,
    clock: Arc<dyn Clock>,
    purses: Option<Purses>,
    parallel: u16,
    history: usize,
    asking: Asking,
    waiting: Arc<Waiting>,
    troubles: Troubles,
    counters: Arc<Counters>,
}

/// What came of a request: the analysis that answers it, and whether it was made for it.
struct Answered {
    id: AnalysisId,
    new: bool,
}

/// A verdict, and what it took.
struct Answer {
    verdict: Verdict,
    usage: Usage,
    set_aside: Option<SetAside>,
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
        let (asking, waiting) = (Asking::default(), Arc::default());
        Self {
            store,
            bus,
            analyst,
            clock,
            purses: None,
            parallel,
            history,
            asking,
            waiting,
            troubles: Troubles::default(),
            counters,
        }
    }

    /// The same with another number of conversations at once.
    #[must_use]
    pub fn with_parallel(mut self, parallel: u16) -> Self {
        self.parallel = parallel.max(1);
        self
    }

    /// The same with another cap on the messages that are given to an analyst that reads all of them.
    #[must_use]
    pub const fn with_history(mut self, history: usize) -> Self {
        self.history = history;
        self
    }

    /// The same with what is consumed counted in `budgets`, and kept within `limits`. An analyst that
    /// consumes nothing asks nobody.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Arc<dyn Budgets>, limits: BudgetLimits) -> Self {
        self.purses = Some(Purses::new(budgets, limits));
        self
    }

    /// Which requests wait for a budget.
    pub fn waiting(&self) -> Arc<Waiting> {
        self.waiting.clone()
    }

    async fn take_in(&self, received: &Received) -> Result<(), Halt> {
        let Event::AnalysisRequested(request) = &received.envelope.event else {
            return Err(ConsumeError::Misrouted { queue: self.queue(), kind: received.envelope.event.kind() }.into());
        };
        if let Some(why) = self.waiting.still(received.envelope.id, self.clock.now()) {
            let conversation = self.store.conversation(&request.conversation).await?;
            let is_overtaken = conversation.is_some_and(|conversation| is_overtaken(request, &conversation));
            return if is_overtaken { Ok(()) } else { Err(Halt::NotYet(why)) };
        }
        let version = self.version(request)?;
        let asking = self.asking(request.conversation);
        let _alone = asking.lock().await;
        let answered = match self.analyst.memory() {
            Memory::Whole => self.whole(request, version).await?,
            Memory::Rolling => self.rolling(request, version).await?,
        };
        let Some(Answered { id, new }) = answered else { return Ok(()) };
        if !new {
            RepetitionRecognised { stage: "analyze", event_id: received.envelope.id }.emit(&self.counters);
        }
        // Also if it was there: the process may have died between saving and publishing.
        Ok(self.tell(request, id).await?)
    }

    /// The version of the question that is named, if the analyst has it. If it has not, an operator who
    /// named it is told so; a request that was made by itself, before the analyst or its questions were
    /// changed, means the version of the day.
    fn version<'a>(&'a self, request: &'a AnalysisRequested) -> Result<&'a str, ConsumeError> {
        let version = request.prompt_version.as_str();
        match () {
            () if self.analyst.knows(version) => Ok(version),
            () if request.reason == AnalysisRequested::OPERATOR => {
                Err(ConsumeError::unknown_version(&*self.analyst, version))
            }
            () => Ok(self.analyst.prompt_version()),
        }
    }

    /// Reads a conversation, up to the message that is named or, `to_the_end`, up to its newest.
    async fn read<'a>(
        &self,
        request: &'a AnalysisRequested,
        version: &'a str,
        to_the_end: bool,
    ) -> Result<Case<'a>, AnyFault> {
        let (begun, read_at) = (Instant::now(), self.clock.now());
        let orphaned = |what| ConsumeError::Orphaned { what, conversation: request.conversation };
        let conversation = self.store.conversation(&request.conversation).await?;
        let conversation = conversation.ok_or_else(|| orphaned("conversation"))?;
        let up_to = (!to_the_end).then_some(request.up_to);
        let range = MessageRange { up_to, ..MessageRange::default() };
        let stored = self.store.messages(&request.conversation, range).await?;
        let messages: Vec<Message> = stored.into_iter().map(|stored| stored.message).collect();
        if !messages.iter().rev().any(|message| message.key == request.up_to) {
            return Err(orphaned("newest message").into());
        }
        Ok(Case { request, version, conversation, messages, read_at, begun })
    }

    /// For an analyst that reads everything each time.
    async fn whole(&self, request: &AnalysisRequested, version: &str) -> Result<Option<Answered>, Halt> {
        let id = AnalysisId::new(&request.conversation, &request.up_to, version, self.analyst.model());
        // Before the messages, so that these are never older than it.
        let known = self.store.analysis(&id).await?;
        let case = self.read(request, version, false).await?;
        let content = plan::content(&case.messages);
        let left_out = case.messages.len().saturating_sub(self.history.max(1));
        let covered = (case.messages.len() - left_out) as u64;
        let is_answered = |known: Analysis| match known.reading.content {
            Some(known) => known == content,
            None => covered <= known.messages,
        };
        if known.is_some_and(is_answered) {
            return Ok(Some(Answered { id, new: false }));
        }
        let question = case.question(None, left_out);
        let Some(answer) = self.ask(&case, &question).await? else { return Ok(None) };
        let reading = Reading { content: Some(content), ..Reading::default() };
        let analysis = Analysis { messages: covered, reading, ..self.signed(&case, answer.verdict, answer.usage) };
        Ok(Some(self.keep(&case, analysis, answer.set_aside, left_out).await?))
    }

    /// For an analyst that remembers. Whatever message the request names, it is read to the end: a request
    /// that has waited does not make those behind it ask again.
    async fn rolling(&self, request: &AnalysisRequested, version: &str) -> Result<Option<Answered>, Halt> {
        // Before the messages, so that these are never older than it.
        let last = self.store.latest_analysis(&request.conversation, self.analyst.model(), version).await?;
        let case = self.read(request, version, true).await?;
        let (goes_on, from, left_out, updates) = match (plan::plan(&case.messages, last.as_ref()), &last) {
            (Plan::Answered, Some(last)) => return Ok(Some(Answered { id: last.id, new: false })),
            (Plan::Carry { unread }, Some(last)) => return Ok(Some(self.carry(&case, last, unread).await?)),
            (Plan::Ask { goes_on, from, left_out, updates }, _) => (goes_on, from, left_out, updates),
            // Only of a last answer can be said that it is enough.
            (Plan::Answered | Plan::Carry { .. }, None) => (false, 0, 0, 0),
        };
        let previous = last.as_ref().filter(|_| goes_on).map(|last| last.verdict.clone());
        let question = case.question(previous, from);
        let name = name(self.analyst.model(), &question);
        let answer = match self.store.answer_to(&name).await? {
            Some(known) => {
                AnswerReused { account: &request.account, conversation: request.conversation }.emit(&self.counters);
                Answer { verdict: known.verdict, usage: Usage::default(), set_aside: None }
            }
            None => match self.ask(&case, &question).await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Ok(None),
                Err(Halt::Failed(fault)) if kept::is_undescribable(fault.code()) => {
                    self.give_up(&case, last.as_ref(), &fault).await?;
                    return Err(Halt::Failed(fault));
                }
                Err(halt) => return Err(halt),
            },
        };
        let verdict = match &last {
            Some(last) if !goes_on => kept::with_findings(answer.verdict, &last.verdict, &case.messages[..from]),
            _ => answer.verdict,
        };
        let reading = Reading { content: Some(plan::content(&case.messages)), question: Some(name), unread: 0 };
        let analysis = Analysis { updates, reading, ..self.signed(&case, verdict, answer.usage) };
        Ok(Some(self.keep(&case, analysis, answer.set_aside, left_out).await?))
    }

    async fn tell(&self, request: &AnalysisRequested, analysis: AnalysisId) -> Result<(), AnyFault> {
        let completed =
            AnalysisCompleted { account: request.account.clone(), conversation: request.conversation, analysis };
        publish_one(&*self.bus, &Envelope::new(Event::AnalysisCompleted(completed), self.clock.now())).await
    }

    /// The last answer again, for a conversation in which nothing new calls for another.
    async fn carry(&self, case: &Case<'_>, last: &Analysis, unread: u64) -> Result<Answered, AnyFault> {
        let new = case.messages.iter().rposition(|message| message.key == last.up_to).map_or(0, |index| index + 1);
        let verdict = gate::carried(&last.verdict, &case.messages[new..]);
        let reading = Reading { content: Some(plan::content(&case.messages)), question: None, unread };
        let analysis = Analysis { updates: last.updates, reading, ..self.signed(case, verdict, Usage::default()) };
        if self.store.save_analysis(&analysis).await? {
            let (account, conversation) = (&case.request.account, case.request.conversation);
            AnalysisCarried { account, conversation, analysis: analysis.id, unread }.emit(&self.counters);
        }
        Ok(Answered { id: analysis.id, new: true })
    }

    /// The verdict with the ids, the model and the time, as of an analysis that covers all messages.
    fn signed(&self, case: &Case<'_>, verdict: Verdict, usage: Usage) -> Analysis {
        let (request, model) = (case.request, self.analyst.model());
        let up_to = case.messages.last().map_or(request.up_to, |last| last.key);
        Analysis {
            id: AnalysisId::new(&request.conversation, &up_to, case.version, model),
            account: request.account.clone(),
            conversation: request.conversation,
            up_to,
            messages: case.messages.len() as u64,
            updates: 0,
            reading: Reading::default(),
            usage,
            verdict,
            model: model.to_owned(),
            prompt_version: case.version.to_owned(),
            created_at: case.read_at,
        }
    }

    /// The lock of this conversation; those that nobody asks about any more are forgotten on the way.
    fn asking(&self, conversation: ConversationKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = asking.get(&conversation).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        asking.insert(conversation, Arc::downgrade(&lock));
        lock
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
        let outcomes = batch.iter().zip(outcomes).map(|(received, outcome)| {
            let id = received.envelope.id;
            self.waiting.end(id);
            let outcome = outcome.map_err(|halt| match halt {
                Halt::Unanswered(fault) => self.troubles.failed(id, fault),
                halt => halt,
            });
            match outcome {
                Ok(()) => {
                    self.troubles.forget(id);
                    Outcome::Done
                }
                Err(Halt::NotYet(why)) => {
                    self.waiting.begin(id, &why);
                    Outcome::NotYet(why.into())
                }
                Err(Halt::Failed(fault) | Halt::Unanswered(fault)) => Outcome::Failed(fault),
            }
        });
        Ok(outcomes.collect())
    }
}

/// Whether a conversation has a newer message than a request names. It is due then, or requested by now: so
/// nothing is lost without this request. An operator's wish is not repeated by anybody.
fn is_overtaken(request: &AnalysisRequested, conversation: &Conversation) -> bool {
    request.reason != AnalysisRequested::OPERATOR && conversation.last_message != Some(request.up_to)
}
