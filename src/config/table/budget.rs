//! What analyses by a service may cost.

use super::rows::ROW;
use super::{Kind, Setting};

const NONE: Option<&str> = Some("no limit");
const DAY: &str = "A UTC day; what is used up waits until the next one, and capture goes on.";
const MONTH: &str = "A UTC month; what is used up waits until the next one, and capture goes on.";

/// Tokens per conversation and day.
pub static CONVERSATION_DAY_TOKENS: Setting = Setting {
    variable: "AI_BUDGET_CONVERSATION_DAY_TOKENS",
    key: "ai.budget.conversation_day_tokens",
    kind: Kind::Tokens,
    computed: NONE,
    help: "The most tokens, of questions and answers together, for one conversation on one day.",
    obtain: DAY,
    ..ROW
};

/// Money per conversation and day.
pub static CONVERSATION_DAY_COST: Setting = Setting {
    variable: "AI_BUDGET_CONVERSATION_DAY_COST",
    key: "ai.budget.conversation_day_cost",
    kind: Kind::Money,
    computed: NONE,
    help: "The most that one conversation may cost on one day, in the currency of the prices.",
    obtain: DAY,
    ..ROW
};

/// Tokens per account and day.
pub static ACCOUNT_DAY_TOKENS: Setting = Setting {
    variable: "AI_BUDGET_ACCOUNT_DAY_TOKENS",
    key: "ai.budget.account_day_tokens",
    kind: Kind::Tokens,
    computed: NONE,
    help: "The most tokens, of questions and answers together, for one account on one day.",
    obtain: DAY,
    ..ROW
};

/// Money per account and day.
pub static ACCOUNT_DAY_COST: Setting = Setting {
    variable: "AI_BUDGET_ACCOUNT_DAY_COST",
    key: "ai.budget.account_day_cost",
    kind: Kind::Money,
    computed: NONE,
    help: "The most that one account may cost on one day, in the currency of the prices.",
    obtain: DAY,
    ..ROW
};

/// Tokens per month.
pub static MONTH_TOKENS: Setting = Setting {
    variable: "AI_BUDGET_MONTH_TOKENS",
    key: "ai.budget.month_tokens",
    kind: Kind::Tokens,
    computed: NONE,
    help: "The most tokens, of questions and answers together, in one month.",
    obtain: MONTH,
    ..ROW
};

/// Money per month.
pub static MONTH_COST: Setting = Setting {
    variable: "AI_BUDGET_MONTH_COST",
    key: "ai.budget.month_cost",
    kind: Kind::Money,
    computed: NONE,
    help: "The most that all analyses may cost in one month, in the currency of the prices.",
    obtain: MONTH,
    ..ROW
};

/// All of them.
pub const ALL: [&Setting; 6] = [
    &CONVERSATION_DAY_TOKENS,
    &CONVERSATION_DAY_COST,
    &ACCOUNT_DAY_TOKENS,
    &ACCOUNT_DAY_COST,
    &MONTH_TOKENS,
    &MONTH_COST,
];
