//! What happens between us and an AI service. Target: `chatferry::ai`.
//!
//! Nothing here has a place for a question or an answer: models, codes and numbers only.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Occurrence, milliseconds};
use crate::domain::Usage;
use crate::fault::Code;
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// A request to an AI service has ended.
#[derive(Debug)]
pub struct AiAsked<'o> {
    /// Which model was asked.
    pub model: &'o str,
    /// How the form of the answer was asked for.
    pub form: &'static str,
    /// Why there is no answer, if there is none.
    pub failure: Option<Code>,
    /// What it consumed.
    pub usage: Usage,
    /// How long it took.
    pub duration: Duration,
}

impl Occurrence for AiAsked<'_> {
    fn emit(self, counters: &Counters) {
        let Self { model, form, failure, usage, duration } = self;
        add(&counters.ai_calls, 1);
        add(&counters.ai_failures, u64::from(failure.is_some()));
        add(&counters.ai_input_tokens, usage.input_tokens);
        add(&counters.ai_output_tokens, usage.output_tokens);
        debug!(
            target: "chatferry::ai",
            {
                ai.model = model, ai.form = form, error.code = failure.map(Code::as_str),
                input_tokens = usage.input_tokens, output_tokens = usage.output_tokens,
                cost_micros = usage.cost_micros, duration_ms = milliseconds(duration)
            },
            "AI service asked"
        );
    }
}

/// The form was found in which an AI service takes questions, and it is another one than before.
#[derive(Debug)]
pub struct AiFormSettled<'o> {
    /// Which model.
    pub model: &'o str,
    /// The form.
    pub form: &'static str,
}

impl Occurrence for AiFormSettled<'_> {
    fn emit(self, _counters: &Counters) {
        let Self { model, form } = self;
        info!(
            target: "chatferry::ai",
            { ai.model = model, ai.form = form },
            "AI service takes another form of question"
        );
    }
}

/// Too many calls failed or dragged on: the service is left alone for a while.
#[derive(Debug)]
pub struct AiLeftAlone<'o> {
    /// Which model.
    pub model: &'o str,
    /// The last failure; none if the calls were slow.
    pub failure: Option<Code>,
}

impl Occurrence for AiLeftAlone<'_> {
    fn emit(self, counters: &Counters) {
        let Self { model, failure } = self;
        add(&counters.ai_rests, 1);
        warn!(
            target: "chatferry::ai",
            { ai.model = model, error.code = failure.map(Code::as_str) },
            "AI service is left alone for a while"
        );
    }
}
