//! An analyst that remembers, and what it is asked with.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::rig::{Rig, captured, conversation, received, requested};
use crate::consume::{Analyze, Handler, Outcome};
use crate::domain::event::{AnalysisRequested, MessageCaptured};
use crate::domain::{
    Allowance, Analysis, BudgetLimits, Direction, Envelope, Event, Priority, Sentiment, Text, Usage, Verdict,
};
use crate::fault::{AnyFault, Fault};
use crate::ports::{Analyst, AnalystRequest, Memory, Reply};
use crate::store::SqliteStore;

/// An analyst that remembers, answers at a constant length, and counts four characters to a token.
#[derive(Default)]
pub struct Remembering {
    pub given: Mutex<Vec<AnalystRequest>>,
    /// What comes of the next calls; then answers.
    faults: Mutex<VecDeque<AnyFault>>,
}

impl Remembering {
    pub fn calls(&self) -> usize {
        self.given.lock().unwrap().len()
    }

    pub fn last(&self) -> AnalystRequest {
        self.given.lock().unwrap().last().unwrap().clone()
    }

    pub fn fail(&self, fault: impl Fault + Copy, times: usize) {
        self.faults.lock().unwrap().extend((0..times).map(|_| fault.into()));
    }
}

/// Instructions (600 tokens), the last answer, and the messages.
pub fn input(request: &AnalystRequest) -> u64 {
    let previous = request.previous.as_ref().map_or(0, |verdict| serde_json::to_string(verdict).unwrap().len());
    let messages: usize = request.messages.iter().map(|message| message.text.expose().len() + 40).sum();
    600 + (previous + messages) as u64 / 4
}

#[async_trait]
impl Analyst for Remembering {
    fn model(&self) -> &str {
        "remembering"
    }
    fn prompt_version(&self) -> &str {
        "2"
    }
    fn prompt_versions(&self) -> Vec<String> {
        vec!["1".to_owned(), "2".to_owned()]
    }
    fn knows(&self, version: &str) -> bool {
        ["1", "2"].contains(&version)
    }
    fn memory(&self) -> Memory {
        Memory::Rolling
    }
    fn most(&self, request: &AnalystRequest) -> Usage {
        Usage { calls: 1, input_tokens: input(request), output_tokens: 500, cost_micros: 0 }
    }
    async fn analyse(&self, request: &AnalystRequest) -> Reply {
        self.given.lock().unwrap().push(request.clone());
        tokio::task::yield_now().await;
        let usage = Usage { calls: 1, input_tokens: input(request), output_tokens: 200, cost_micros: 0 };
        let verdict = match self.faults.lock().unwrap().pop_front() {
            Some(fault) => Err(fault),
            None => Ok(Verdict {
                summary: Text::new(format!("{:0800}", self.given.lock().unwrap().len())),
                topics: Vec::new(),
                language: None,
                sentiment: Sentiment::Neutral,
                priority: Priority::High,
                last_speaker: Some(Direction::In),
                needs_reply: true,
                needs_reply_reason: Some("question".to_owned()),
                links: Vec::new(),
                money: Vec::new(),
                risk_flags: Vec::new(),
                open_questions: Vec::new(),
                follow_up: None,
            }),
        };
        Reply { verdict, usage }
    }
}

pub fn analyze(rig: &Rig, analyst: &Arc<Remembering>) -> Analyze {
    Analyze::new(rig.store.clone(), rig.bus(), analyst.clone(), rig.clock.clone(), Arc::default())
}

pub fn limited(rig: &Rig, analyst: &Arc<Remembering>, limits: BudgetLimits) -> Analyze {
    analyze(rig, analyst).with_budgets(purses(rig), limits)
}

pub fn purses(rig: &Rig) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::with_clock(rig.database.clone(), rig.clock.clone()))
}

pub fn tokens(tokens: u64) -> Allowance {
    Allowance { tokens: Some(tokens), cost_micros: None }
}

/// A message of 40 tokens.
pub fn said(thread: u32, number: u32) -> MessageCaptured {
    let mut captured = captured(thread, number);
    captured.message.text = Text::new(format!("{number:0120}"));
    captured
}

pub fn says(thread: u32, number: u32, direction: Direction, text: &str) -> MessageCaptured {
    let mut captured = captured(thread, number);
    (captured.message.direction, captured.message.text) = (direction, Text::from(text));
    captured
}

pub fn by(version: &str, reason: &str, thread: u32, up_to: u32) -> Envelope {
    let Event::AnalysisRequested(request) = requested(thread, up_to).event else { unreachable!() };
    let request = AnalysisRequested { prompt_version: version.to_owned(), reason: reason.to_owned(), ..request };
    Envelope::new(Event::AnalysisRequested(request), "2026-11-02T10:00:00Z".parse().unwrap())
}

pub async fn done(analyze: &Analyze, envelope: Envelope) {
    let outcomes = analyze.consume(&[received(envelope)]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Done]), "{outcomes:?}");
}

pub async fn latest(rig: &Rig, thread: u32) -> Analysis {
    rig.store.latest_analyses().await.unwrap().remove(&conversation(thread)).unwrap()
}
