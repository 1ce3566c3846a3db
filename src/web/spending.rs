//! What analyses cost, as the page tells it: the month's purse, and those of accounts that are nearly empty.

use jiff::Timestamp;
use serde::Serialize;

use super::headline::Cause;
use super::rows::Tone;
use crate::domain::budget::WARNING;
use crate::domain::{Allowance, Balance, Owner, Purse};
use crate::fault::Code;

/// A purse with what may be drawn from it.
#[derive(Debug, Clone)]
pub(super) struct PurseReading {
    pub purse: Purse,
    pub allowance: Allowance,
    pub balance: Balance,
}

/// What was consumed this month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Spending {
    /// Requests to the service.
    pub calls: u32,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// In millionths of the currency of the prices.
    pub cost_micros: u64,
    /// How much of the budget that is; `null` without one.
    pub percent: Option<u64>,
    /// When the next month begins.
    pub until: Option<Timestamp>,
}

impl PurseReading {
    /// How much of the month's budget is used, in percent, if this is its purse and it has a limit.
    pub fn of_month(&self) -> Option<u64> {
        let is_limited = matches!(self.purse.owner, Owner::Everything) && !self.allowance.is_unlimited();
        is_limited.then(|| self.percent())
    }

    fn percent(&self) -> u64 {
        self.allowance.percent(&self.balance.spent)
    }

    /// What is wrong, if anything is.
    pub fn cause(&self) -> Option<Cause> {
        let percent = self.percent();
        if percent < WARNING {
            return None;
        }
        let whose = match &self.purse.owner {
            Owner::Everything => "the month's budget for analyses".to_owned(),
            Owner::Account(account) => format!("the day's budget for analyses of {account}"),
            Owner::Conversation(conversation) => format!("the day's budget for analyses of {conversation}"),
        };
        let until = self.purse.ends().strftime("%Y-%m-%d %H:%M UTC");
        let sentence = if percent < 100 {
            format!("{percent} % of {whose} is used; it lasts until {until}.")
        } else {
            format!("All of {whose} is used: analyses wait until {until}, capture goes on.")
        };
        let (code, action) = (Some(Code::AiBudget.as_str()), Some(Code::AiBudget.action().to_owned()));
        Some(Cause { tone: Tone::Warn, code, sentence, action })
    }
}

impl Spending {
    /// That of the month among these.
    pub fn of_month(readings: &[PurseReading]) -> Option<Self> {
        let month = readings.iter().find(|reading| reading.purse.owner == Owner::Everything)?;
        let spent = month.balance.spent;
        Some(Self {
            calls: spent.calls,
            input_tokens: spent.input_tokens,
            output_tokens: spent.output_tokens,
            cost_micros: spent.cost_micros,
            percent: (!month.allowance.is_unlimited()).then(|| month.percent()),
            until: Some(month.purse.ends()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Usage;

    fn reading(spent: u64, limit: Option<u64>) -> PurseReading {
        PurseReading {
            purse: Purse::of_month("2026-11-21T10:00:00Z".parse().unwrap()),
            allowance: Allowance { tokens: limit, cost_micros: None },
            balance: Balance {
                spent: Usage { calls: 3, input_tokens: spent, ..Usage::default() },
                ..Balance::default()
            },
        }
    }

    #[test]
    fn a_budget_is_a_cause_from_four_fifths_on() {
        assert_eq!(reading(799, Some(1000)).cause(), None);
        assert_eq!(reading(u64::MAX, None).cause(), None);
        let near = reading(800, Some(1000)).cause().unwrap();
        assert_eq!(
            near.sentence,
            "80 % of the month's budget for analyses is used; it lasts until 2026-12-01 00:00 UTC."
        );
        let over = reading(1000, Some(1000)).cause().unwrap();
        assert!(over.sentence.contains("analyses wait until 2026-12-01 00:00 UTC") && over.code == Some("ai-budget"));
    }

    #[test]
    fn the_month_is_told_with_or_without_a_limit() {
        let told = Spending::of_month(&[reading(500, Some(1000))]).unwrap();
        assert_eq!((told.calls, told.input_tokens, told.percent), (3, 500, Some(50)));
        assert_eq!(Spending::of_month(&[reading(500, None)]).unwrap().percent, None);
        assert_eq!(Spending::of_month(&[]), None);
    }
}
