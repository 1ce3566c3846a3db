//! What an analysis may cost: set aside before it is made, counted after it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::waiting::Halt;
use crate::consume::error::ConsumeError;
use crate::domain::budget::WARNING;
use crate::domain::event::AnalysisRequested;
use crate::domain::{Allowance, Analysis, Balance, BudgetLimits, Purse, Usage};
use crate::fault::AnyFault;
use crate::ports::{Budgets, Draw, Reservation, Reserved};
use crate::telemetry::occurrences::{AnalysisPostponed, BudgetStrained};
use crate::telemetry::{Counters, Occurrence};

/// How long an analysis may take. What is set aside for longer is of a process that died.
const LONGEST: Duration = Duration::from_secs(900);

/// How soon a budget is looked at again that is used up: it may have been raised.
const USED_UP: Duration = Duration::from_secs(600);

/// How soon one is looked at again that analyses under way may leave something of.
const IN_USE: Duration = Duration::from_secs(1);

/// The limits, and where it is counted what is left of them.
pub(super) struct Purses {
    budgets: Arc<dyn Budgets>,
    limits: BudgetLimits,
    /// What people were told of: the name of a purse, and whether it was used up.
    told: Mutex<HashSet<(String, bool)>>,
}

/// What is set aside for one analysis.
pub(super) struct SetAside {
    reservation: Reservation,
    draws: Vec<(Draw, Balance)>,
}

impl Purses {
    pub(super) fn new(budgets: Arc<dyn Budgets>, limits: BudgetLimits) -> Self {
        Self { budgets, limits, told: Mutex::default() }
    }

    /// Sets aside what this analysis can consume at most.
    ///
    /// # Errors
    /// `ai-budget` if that is more than is left; those of the store.
    pub(super) async fn reserve(
        &self,
        request: &AnalysisRequested,
        most: Usage,
        now: Timestamp,
        counters: &Counters,
    ) -> Result<SetAside, Halt> {
        let draws = self.draws(request, now);
        let reservation = Reservation::new(&draws);
        match self.budgets.reserve(&reservation, &draws, most, LONGEST).await? {
            Reserved::Granted(balances) => {
                Ok(SetAside { reservation, draws: draws.into_iter().zip(balances).collect() })
            }
            Reserved::Refused { purse, balance } => {
                let allowance =
                    draws.iter().find(|draw| draw.purse == purse).map_or_else(Allowance::default, |d| d.allowance);
                self.tell(&purse, allowance, &balance.spent, counters);
                let budget = purse.id();
                let until = purse.ends();
                let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                let is_used_up = allowance.is_used_up(&balance.spent) || balance.holders == 0;
                let after = if is_used_up { left.clamp(IN_USE * 2, USED_UP) } else { IN_USE };
                let error = if is_used_up {
                    ConsumeError::OverBudget { purse, until, after }
                } else {
                    ConsumeError::BudgetInUse { purse, after }
                };
                let (account, conversation) = (&request.account, request.conversation);
                AnalysisPostponed { account, conversation, budget: &budget, wait: after }.emit(counters);
                Err(Halt::NotYet(error))
            }
        }
    }

    /// Counts what was consumed, and keeps the analysis that came of it, if one did; true if it stays.
    pub(super) async fn settle(
        &self,
        set_aside: &SetAside,
        used: Usage,
        analysis: Option<&Analysis>,
        counters: &Counters,
    ) -> Result<bool, AnyFault> {
        let saved = self.budgets.settle(&set_aside.reservation, used, analysis).await?;
        for (draw, before) in &set_aside.draws {
            let mut spent = before.spent;
            spent += used;
            self.tell(&draw.purse, draw.allowance, &spent, counters);
        }
        Ok(saved)
    }

    /// The purses of an analysis: the account's day and the month always, so that what was spent can be
    /// told; the conversation's day only if there is a limit, since there are so many of them.
    fn draws(&self, request: &AnalysisRequested, now: Timestamp) -> Vec<Draw> {
        let BudgetLimits { conversation_day, account_day, month } = self.limits;
        let of_account = Purse::of_account(request.account.clone(), now);
        let mut draws = vec![
            Draw { purse: Purse::of_month(now), allowance: month },
            Draw { purse: of_account, allowance: account_day },
        ];
        if !conversation_day.is_unlimited() {
            let purse = Purse::of_conversation(request.conversation, now);
            draws.push(Draw { purse, allowance: conversation_day });
        }
        draws
    }

    /// Says once that a purse is nearly used up, and once that it is.
    fn tell(&self, purse: &Purse, allowance: Allowance, spent: &Usage, counters: &Counters) {
        let percent = allowance.percent(spent);
        if percent < WARNING {
            return;
        }
        let budget = purse.id();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Purses of the past are not asked for again; this only bounds what is remembered.
        if told.len() > 10_000 {
            told.clear();
        }
        if told.insert((budget.clone(), percent >= 100)) {
            drop(told);
            BudgetStrained { budget: &budget, percent, spent: *spent }.emit(counters);
        }
    }
}
