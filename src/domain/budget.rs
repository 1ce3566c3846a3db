//! What analyses may cost: limits per conversation, account and month, and the purses in which it is
//! counted.
//!
//! Periods are UTC days and months, so that two machines agree when one ends. Pure: who counts, and how
//! two that ask at once are kept apart, is the store's.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{AccountId, ConversationKey, Usage};

/// From which share of a limit on people are told, in percent.
pub const WARNING: u64 = 80;

/// A limit, in tokens or in money or in both; without either there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Tokens of questions and answers together.
    pub tokens: Option<u64>,
    /// Millionths of the currency in which the prices are set.
    pub cost_micros: Option<u64>,
}

/// Every limit there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Of one conversation on one day.
    pub conversation_day: Allowance,
    /// Of one account on one day.
    pub account_day: Allowance,
    /// Of everything in one month.
    pub month: Allowance,
}

/// How full a purse is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// What was consumed. What a process had set aside that did not come back counts in full: nobody knows
    /// whether it was consumed.
    pub spent: Usage,
    /// What is set aside for analyses under way.
    pub held: Usage,
    /// How many analyses that is.
    pub holders: u64,
}

impl Allowance {
    /// True if there is no limit.
    pub const fn is_unlimited(&self) -> bool {
        self.tokens.is_none() && self.cost_micros.is_none()
    }

    /// Whether so much more may be set aside: it must fit, or be the only one under way with something
    /// left. So a limit is passed by less than one analysis however many ask at once, and one that is
    /// smaller than the largest conceivable answer does not stop everything.
    pub fn admits(&self, balance: &Balance, most: Usage) -> bool {
        let admits = |limit: Option<u64>, of: fn(&Usage) -> u64| {
            let Some(limit) = limit else { return true };
            let spent = of(&balance.spent);
            let sum = spent.saturating_add(of(&balance.held)).saturating_add(of(&most));
            sum <= limit || (balance.holders == 0 && spent < limit)
        };
        admits(self.tokens, Usage::tokens) && admits(self.cost_micros, |usage| usage.cost_micros)
    }

    /// How much of the limit is spent, in percent of the scarcer of the two; 0 without a limit.
    pub fn percent(&self, spent: &Usage) -> u64 {
        let percent = |limit: Option<u64>, spent: u64| match limit {
            None => 0,
            Some(0) => 100,
            Some(limit) => u64::try_from(u128::from(spent) * 100 / u128::from(limit)).unwrap_or(u64::MAX),
        };
        percent(self.tokens, spent.tokens()).max(percent(self.cost_micros, spent.cost_micros))
    }

    /// Whether nothing is left.
    pub fn is_used_up(&self, spent: &Usage) -> bool {
        self.percent(spent) >= 100
    }
}

/// Whose purse.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// One conversation's.
    Conversation(ConversationKey),
    /// One account's.
    Account(AccountId),
    /// The one for everything.
    Everything,
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A UTC day.
    Day,
    /// A UTC month.
    Month,
}

/// What is counted together: one owner's consumption in one period.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Purse {
    /// Whose.
    pub owner: Owner,
    /// For how long.
    pub period: Period,
    /// Its first day.
    pub begins: Date,
}

impl Purse {
    /// That of a conversation on the day of `now`.
    pub fn of_conversation(conversation: ConversationKey, now: Timestamp) -> Self {
        Self { owner: Owner::Conversation(conversation), period: Period::Day, begins: day(now) }
    }

    /// That of an account on the day of `now`.
    pub fn of_account(account: AccountId, now: Timestamp) -> Self {
        Self { owner: Owner::Account(account), period: Period::Day, begins: day(now) }
    }

    /// That of everything in the month of `now`.
    pub fn of_month(now: Timestamp) -> Self {
        Self { owner: Owner::Everything, period: Period::Month, begins: day(now).first_of_month() }
    }

    /// Its name in the store: `account/meetme/default/2026-11-21`, `all/2026-11`.
    pub fn id(&self) -> String {
        let owner = match &self.owner {
            Owner::Conversation(key) => format!("conversation/{key}"),
            Owner::Account(account) => format!("account/{account}"),
            Owner::Everything => "all".to_owned(),
        };
        match self.period {
            Period::Day => format!("{owner}/{}", self.begins),
            Period::Month => format!("{owner}/{:04}-{:02}", self.begins.year(), self.begins.month()),
        }
    }

    /// When the next one begins.
    pub fn ends(&self) -> Timestamp {
        let next = match self.period {
            Period::Day => self.begins.checked_add(1.day()),
            Period::Month => self.begins.checked_add(1.month()),
        };
        start(next.unwrap_or(Date::MAX))
    }

    /// When nobody asks for it any more: a month after a day, a year after a month.
    pub fn forgotten(&self) -> Timestamp {
        let kept = match self.period {
            Period::Day => self.begins.checked_add(32.days()),
            Period::Month => self.begins.checked_add(13.months()),
        };
        start(kept.unwrap_or(Date::MAX))
    }

    /// What it is called in a sentence: "the day's budget of this conversation".
    pub const fn words(&self) -> &'static str {
        match self.owner {
            Owner::Conversation(_) => "the day's budget of this conversation",
            Owner::Account(_) => "the day's budget of this account",
            Owner::Everything => "the month's budget",
        }
    }
}

fn day(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

fn start(day: Date) -> Timestamp {
    day.to_datetime(Time::midnight()).to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn tokens(tokens: u64) -> Usage {
        Usage { calls: 1, input_tokens: tokens, ..Usage::default() }
    }

    #[test]
    fn periods_are_utc_days_and_months() {
        let account: AccountId = "demo/default".parse().unwrap();
        let late = at("2026-12-31T23:59:59.999Z");
        let day = Purse::of_account(account.clone(), late);
        assert_eq!((day.id().as_str(), day.ends()), ("account/demo/default/2026-12-31", at("2027-01-01T00:00:00Z")));
        assert_ne!(day, Purse::of_account(account, day.ends()));
        let month = Purse::of_month(late);
        assert_eq!((month.id().as_str(), month.ends()), ("all/2026-12", at("2027-01-01T00:00:00Z")));
        let key = ConversationKey::from_bytes([7; 16]);
        assert_eq!(Purse::of_conversation(key, late).id(), format!("conversation/{key}/2026-12-31"));
        assert_eq!(Purse::of_month(at("2026-02-10T00:00:00Z")).ends(), at("2026-03-01T00:00:00Z"));
        assert!(month.forgotten() > month.ends() && day.forgotten() > day.ends());
        assert!(Purse::of_month(Timestamp::MAX).ends() <= Timestamp::MAX);
    }

    #[test]
    fn the_scarcer_of_two_units_counts() {
        let allowance = Allowance { tokens: Some(1000), cost_micros: Some(50) };
        assert_eq!(allowance.percent(&Usage { input_tokens: 100, cost_micros: 40, ..Usage::default() }), 80);
        assert!(allowance.is_used_up(&Usage { output_tokens: 1000, ..Usage::default() }));
        assert_eq!(Allowance::default().percent(&tokens(u64::MAX)), 0);
        assert!(Allowance { tokens: Some(0), cost_micros: None }.is_used_up(&Usage::default()));
    }

    #[test]
    fn the_last_one_may_pass_the_limit_alone() {
        let allowance = Allowance { tokens: Some(100), cost_micros: None };
        let balance = |spent, held, holders| Balance { spent: tokens(spent), held: tokens(held), holders };
        assert!(allowance.admits(&balance(40, 40, 2), tokens(20)));
        assert!(!allowance.admits(&balance(40, 41, 2), tokens(20)));
        assert!(allowance.admits(&balance(99, 0, 0), tokens(5000)));
        assert!(!allowance.admits(&balance(99, 1, 1), tokens(5000)));
        assert!(!allowance.admits(&balance(100, 0, 0), tokens(1)));
    }

    proptest! {
        /// Whatever is asked for in whatever order, and as long as nothing consumes more than was set aside
        /// for it, less than one more than the limit is spent.
        #[test]
        fn a_limit_is_passed_by_less_than_one(
            limit in 1u64..2_000,
            steps in proptest::collection::vec((1u64..500, 0u64..500, any::<bool>()), 1..200),
        ) {
            let allowance = Allowance { tokens: Some(limit), cost_micros: None };
            let (mut spent, mut held): (u64, Vec<(u64, u64)>) = (0, Vec::new());
            for (most, used, asks) in steps {
                if asks {
                    let holding = held.iter().map(|(most, _)| most).sum();
                    let balance = Balance { spent: tokens(spent), held: tokens(holding), holders: held.len() as u64 };
                    if allowance.admits(&balance, tokens(most)) {
                        held.push((most, used.min(most)));
                    }
                } else if let Some((_, used)) = held.pop() {
                    spent += used;
                }
            }
            spent += held.iter().map(|(_, used)| used).sum::<u64>();
            prop_assert!(spent < limit + 500);
        }
    }
}
