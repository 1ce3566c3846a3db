//! Health for machines: is it alive, can it commit, has it started, and how is it.
//!
//! Liveness asks no dependency: a supervisor that restarts the daemon because the database is away makes
//! a second outage out of the first. Readiness asks only what a commit needs.

use jiff::Timestamp;
use serde::Serialize;

use super::WebState;
use super::headline::{Health, Judgement, Part, judge};
use super::survey::{PartName, Survey};
use super::when::span;

/// The body of `/health`.
#[derive(Debug, Serialize)]
pub(super) struct HealthReport {
    pub status: Health,
    pub headline: String,
    pub parts: Vec<Part>,
    pub started_at: Timestamp,
    pub uptime_seconds: u64,
    pub uptime: String,
    pub version: &'static str,
}

impl HealthReport {
    /// The report on a survey.
    pub fn new(survey: &Survey, state: &WebState) -> Self {
        let judgement = judge(survey);
        let (headline, _) = judgement.headline(survey);
        let Judgement { status, parts, .. } = judgement;
        let uptime_seconds = u64::try_from(survey.at.as_second() - state.started.as_second()).unwrap_or(0);
        Self {
            status,
            headline,
            parts,
            started_at: state.started,
            uptime_seconds,
            uptime: span(uptime_seconds),
            version: state.version,
        }
    }
}

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    /// The store answers a read and the data directory takes a write.
    pub ready: bool,
    /// Every part, also those that readiness does not hang on.
    pub parts: Vec<Part>,
}

impl Readiness {
    /// The readiness seen in a survey.
    pub fn new(survey: &Survey) -> Self {
        let ready = !survey.is_silent(PartName::Store) && !survey.is_silent(PartName::DataDir);
        Self { ready, parts: super::headline::parts(survey) }
    }
}
