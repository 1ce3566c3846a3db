//! `/metrics`: what was counted, and what a survey sees at this moment.
//!
//! A dependency that does not answer shows as `chatferry_part_up 0`; its other numbers stay what they were,
//! so that an alert about a queue can tell "empty" from "not known" by asking for both.

use super::WebState;
use super::survey::{PartName, Survey};
use crate::domain::AccountState;
use crate::telemetry::metrics::{Series, catalogue as m};

/// The Prometheus text format.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const PARTS: [PartName; 4] = [PartName::Store, PartName::Bus, PartName::Spool, PartName::DataDir];

/// All metrics as text.
pub(super) fn numbers(survey: &Survey, state: &WebState) -> String {
    let series = state.counters.series();
    let set = |metric, values: &[&str], value: f64| series.set(metric, values, value);
    set(&m::BUILD, &[state.version], 1.0);
    for part in PARTS {
        set(&m::PART_UP, &[part.as_str()], flag(survey.ailment(part).is_none()));
    }
    for account in survey.accounts.iter().flatten() {
        let id = account.account.to_string();
        for state in AccountState::ALL {
            set(&m::ACCOUNT_STATE, &[&id, state.as_str()], flag(account.state == state));
        }
        set(&m::ACCOUNT_OUTDATED, &[&id], flag(account.expires_at < survey.at));
        if let Some(at) = account.last_pass_at {
            set(&m::LAST_SUCCESS, &[&id], seconds(at));
        }
    }
    if let Ok(gaps) = &survey.gaps {
        set(&m::GAPS_OPEN, &[], count(gaps.len() as u64));
    }
    if let Ok(pending) = survey.pending {
        set(&m::SPOOL_PENDING, &[], count(pending));
    }
    if let Ok(oldest) = survey.oldest {
        set(&m::SPOOL_OLDEST, &[], oldest.map_or(0.0, seconds));
    }
    set(&m::BLOCKED, &[], flag(survey.flowing.is_err()));
    for depth in survey.depths.iter().flatten() {
        let queue = depth.queue.as_str().trim_start_matches("chatferry.");
        set(&m::QUEUE_MESSAGES, &[queue], count(depth.ready + depth.in_flight));
        if let Some(consumers) = depth.consumers {
            set(&m::QUEUE_CONSUMERS, &[queue], count(consumers));
        }
    }
    if let Ok(dead) = survey.dead_letters {
        set(&m::DEAD, &[], count(dead));
    }
    if let Ok(room) = &survey.writable {
        for (database, size) in &room.sizes {
            set(&m::DB_SIZE, &[database], count(*size));
        }
    }
    for standing in state.packs.standings() {
        set(&m::PACK_GENERATION, &[standing.site.as_str()], count(standing.generation));
    }
    if let Some(month) = survey.purses.iter().flatten().find_map(super::spending::PurseReading::of_month) {
        set(&m::BUDGET_USED, &["month"], count(month) / 100.0);
    }
    if let Some(at) = survey.mirrored_at {
        set(&m::MIRROR_LAST, &[], seconds(at));
    }
    state.counters.render()
}

/// What can be said before any part has answered.
pub(super) fn numbers_before(version: &str) -> String {
    let series = Series::default();
    series.set(&m::BUILD, &[version], 1.0);
    for part in PARTS {
        series.set(&m::PART_UP, &[part.as_str()], 0.0);
    }
    series.render()
}

const fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Numbers of this kind stay far below 2^53, where a float is exact.
#[allow(clippy::cast_precision_loss)]
const fn count(n: u64) -> f64 {
    n as f64
}

fn seconds(at: jiff::Timestamp) -> f64 {
    std::time::Duration::try_from(at.as_duration()).map_or(0.0, |since| since.as_secs_f64())
}
