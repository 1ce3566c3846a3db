//! What analyses cost, and which were not made because of that. Target: `chatferry::economy`.

use std::time::Duration;

use tracing::{debug, warn};

use super::{Occurrence, milliseconds};
use crate::domain::{AccountId, AnalysisId, ConversationKey, Usage};
use crate::fault::Code;
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// An analyst was asked, whatever came of it.
#[derive(Debug)]
pub struct AnalystAsked<'o> {
    /// The account that sees the conversation.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// What it consumed.
    pub usage: Usage,
    /// Whether something came of it.
    pub answered: bool,
}

impl Occurrence for AnalystAsked<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, usage, answered } = self;
        add(&counters.ai_cost_micros, usage.cost_micros);
        debug!(
            target: "chatferry::economy",
            {
                account.id = %account, conversation.id = %conversation, answered, calls = usage.calls,
                tokens.input = usage.input_tokens, tokens.output = usage.output_tokens, cost_micros = usage.cost_micros,
            },
            "analyst asked"
        );
    }
}

/// Nothing in the new messages called for an analysis: the last one was carried forward.
#[derive(Debug)]
pub struct AnalysisCarried<'o> {
    /// The account that sees the conversation.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// The analysis.
    pub analysis: AnalysisId,
    /// Messages that the analyst has not read.
    pub unread: u64,
}

impl Occurrence for AnalysisCarried<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, analysis, unread } = self;
        add(&counters.analyses_carried, 1);
        debug!(
            target: "chatferry::economy",
            { account.id = %account, conversation.id = %conversation, analysis.id = %analysis, messages.unread = unread },
            "analysis carried forward"
        );
    }
}

/// The very question was asked before: its answer was used again.
#[derive(Debug)]
pub struct AnswerReused<'o> {
    /// The account that sees the conversation.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
}

impl Occurrence for AnswerReused<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation } = self;
        add(&counters.answers_reused, 1);
        debug!(
            target: "chatferry::economy",
            { account.id = %account, conversation.id = %conversation },
            "answer used again"
        );
    }
}

/// An analysis waits for its budget.
#[derive(Debug)]
pub struct AnalysisPostponed<'o> {
    /// The account that sees the conversation.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// The budget's name.
    pub budget: &'o str,
    /// How long until the next look.
    pub wait: Duration,
}

impl Occurrence for AnalysisPostponed<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, budget, wait } = self;
        add(&counters.analyses_postponed, 1);
        debug!(
            target: "chatferry::economy",
            {
                account.id = %account, conversation.id = %conversation, budget.id = budget,
                wait_ms = milliseconds(wait), error.code = Code::AiBudget.as_str(),
            },
            "analysis waits for its budget"
        );
    }
}

/// A budget is nearly used up, or is. Told once for each by a process.
#[derive(Debug)]
pub struct BudgetStrained<'o> {
    /// The budget's name.
    pub budget: &'o str,
    /// How much of it is spent.
    pub percent: u64,
    /// What is spent.
    pub spent: Usage,
}

impl Occurrence for BudgetStrained<'_> {
    fn emit(self, counters: &Counters) {
        let Self { budget, percent, spent } = self;
        add(&counters.budget_warnings, 1);
        let (code, tokens, cost_micros) = (Code::AiBudget, spent.tokens(), spent.cost_micros);
        if percent < 100 {
            warn!(
                target: "chatferry::economy",
                { budget.id = budget, percent, tokens, cost_micros, error.code = code.as_str() },
                "budget is nearly used up"
            );
        } else {
            warn!(
                target: "chatferry::economy",
                { budget.id = budget, percent, tokens, cost_micros, error.code = code.as_str(), action = code.action() },
                "budget is used up; analyses wait, capture goes on"
            );
        }
    }
}
