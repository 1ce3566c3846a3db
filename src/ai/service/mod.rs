//! An AI service as the analyst: OpenAI's language or Anthropic's, the vendor or a server of one's own.
//!
//! | file | what it is |
//! |---|---|
//! | `prompt`, `question`, `schema` | what is asked: instructions, the chat inside a boundary, the form of the answer |
//! | `mask` | placeholders for private data, and back |
//! | `dialect`, `openai`, `anthropic`, `limits` | the two languages |
//! | `endpoint`, `keys`, `refusal`, `wait` | one try over HTTP, and what went wrong with it |
//! | `gate`, `allowance`, `ladder` | when it may be asked, how often again, in which form |
//! | `parse`, `verify`, `contain` | what is taken from an answer: what fits, and gives nothing away |
//! | `tokens` | what it costs |
//!
//! What strangers wrote can at most change what is said of their own conversation: the model has no tools, sees one
//! conversation, and its answer passes `verify`. Who spoke last, which links and which amounts were mentioned is never
//! asked: that is counted here.

mod allowance;
mod anthropic;
mod contain;
mod dialect;
mod endpoint;
mod gate;
mod keys;
mod ladder;
mod limits;
mod mask;
mod openai;
mod parse;
mod prompt;
mod question;
mod refusal;
mod schema;
mod tokens;
mod verdict;
mod verify;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::time::{Instant, timeout};

use self::allowance::{Allowance, MOST_CHARGED};
use self::dialect::{Ask, Completion, Finish, Role};
use self::endpoint::Endpoint;
use self::gate::Gate;
use self::ladder::{Ladder, Rung};
use self::mask::Mask;
use self::prompt::Prompts;
use self::question::{Marks, Question};
use super::error::{AiError, Flaw, Lost};
use crate::config::{AiSettings, Price};
use crate::domain::{Usage, Verdict};
use crate::fault::AnyFault;
use crate::ports::{Analyst, AnalystRequest, Clock, Memory, Reply};
use crate::telemetry::metrics::catalogue as m;
use crate::telemetry::occurrences::{AiAsked, AiFormSettled, AiLeftAlone};
use crate::telemetry::{Counters, Occurrence};

/// The clocks may differ by so much.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);
/// Who tries out a service waits no longer for one token.
const PROBING: Duration = Duration::from_secs(30);
/// Of an answer that can't be used, so many characters are shown to the model again.
const SHOWN_AGAIN: usize = 8_000;

/// An AI service.
pub struct AiService {
    settings: AiSettings,
    prompts: Prompts,
    version: String,
    endpoint: Endpoint,
    gate: Gate,
    ladder: Ladder,
    counters: Arc<Counters>,
}

/// What an answer was taken from, and what it has cost so far.
struct Account {
    usage: Usage,
    allowance: Allowance,
}

impl AiService {
    /// The service of these settings. Asks nothing yet. The process must have chosen its crypto provider before, as
    /// `main` does.
    ///
    /// # Errors
    /// `config-invalid`: a prompt can't be used or is not there, or no certificates are found.
    pub fn new(settings: AiSettings, clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Result<Self, AiError> {
        let prompts = Prompts::load(&settings.prompts_dir, settings.is_prompts_dir_set)?;
        let version = settings.prompt_version.clone().unwrap_or_else(|| prompt::NEWEST.to_owned());
        if !prompts.has(&version) {
            let why = "there is no such file and no such built-in prompt";
            return Err(AiError::PromptUnusable { what: prompt::named(&version), why });
        }
        Ok(Self {
            endpoint: Endpoint::new(&settings, clock)?,
            gate: Gate::new(settings.concurrency, settings.requests_per_minute, settings.timeout),
            ladder: Ladder::new(settings.provider),
            settings,
            prompts,
            version,
            counters,
        })
    }

    fn prices(&self) -> (Price, Price) {
        (self.settings.price_input, self.settings.price_output)
    }

    fn question(&self, request: &AnalystRequest, mask: &mut Mask) -> Result<Question, AiError> {
        let marks = Marks::draw();
        let system = self.prompts.filled(&request.prompt_version, &marks.canary, &marks.boundary);
        let system = system.ok_or_else(|| AiError::PromptUnknown { version: request.prompt_version.clone() })?;
        Ok(Question::new(request, system, marks, mask, u64::from(self.settings.context_tokens)))
    }

    async fn read(&self, request: &AnalystRequest, account: &mut Account) -> Result<Verdict, AiError> {
        let mut mask = Mask::new(self.settings.mask);
        let question = self.question(request, &mut mask)?;
        let mut turns = vec![(Role::User, question.user.clone())];
        let first = self.ask(&question, &turns, account).await?;
        let flaw = match verdict::of(&first, &question, request, &mask, self.settings.max_output_tokens) {
            Err(AiError::Invalid(flaw)) => flaw,
            other => return other,
        };
        turns.push((Role::Assistant, shown_again(&first)));
        turns.push((Role::User, complaint(flaw)));
        let second = self.ask(&question, &turns, account).await?;
        verdict::of(&second, &question, request, &mask, self.settings.max_output_tokens)
    }

    /// Asks in the form that this service takes, from the strictest down.
    async fn ask(
        &self,
        question: &Question,
        turns: &[(Role, String)],
        account: &mut Account,
    ) -> Result<Completion, AiError> {
        let mut rungs = self.ladder.rungs_left().peekable();
        loop {
            let Some(rung) = rungs.next() else { return Err(AiError::Interrupted) };
            let system = question.instructions(rung);
            let ask = self.worded(&system, turns, Some(rung), self.settings.max_output_tokens);
            match self.patiently(&ask, rungs.peek().is_none(), account).await {
                Ok(completion) => {
                    if self.ladder.settle_on(rung) {
                        AiFormSettled { model: &self.settings.model, form: rung.as_str() }.emit(&self.counters);
                    }
                    return Ok(completion);
                }
                Err(error) if rungs.peek().is_some() && refusal::may_be_the_form(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn worded<'a>(&'a self, system: &'a str, turns: &'a [(Role, String)], rung: Option<Rung>, limit: u32) -> Ask<'a> {
        let AiSettings { model, temperature, top_p, .. } = &self.settings;
        Ask { model, system, turns, rung, limit, temperature: *temperature, top_p: *top_p }
    }

    /// Asks in one form, again where that may help. `is_last`: no other form is left, so that a refusal of the
    /// question is trouble.
    async fn patiently(&self, ask: &Ask<'_>, is_last: bool, account: &mut Account) -> Result<Completion, AiError> {
        loop {
            let (outcome, _) = self.once(ask, is_last, account).await;
            let Err(error) = outcome else { return outcome };
            match account.allowance.next(&error, fastrand::f64()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn once(
        &self,
        ask: &Ask<'_>,
        is_last: bool,
        account: &mut Account,
    ) -> (Result<Completion, AiError>, Option<SignedDuration>) {
        let pass = match self.gate.enter().await {
            Ok(pass) => pass,
            Err(error) => return (Err(error), None),
        };
        let begun = Instant::now();
        let tried = self.endpoint.ask(ask).await;
        let consumed = self.consumed(ask, &tried.outcome);
        account.usage += consumed;
        AiAsked {
            model: &self.settings.model,
            form: ask.rung.map_or("none", Rung::as_str),
            failure: tried.outcome.as_ref().err().map(crate::fault::Fault::code),
            usage: consumed,
            duration: begun.elapsed(),
        }
        .emit(&self.counters);
        let opened =
            pass.leave(&tried.outcome, is_last || !tried.outcome.as_ref().is_err_and(refusal::may_be_the_form));
        self.counters.series().set(&m::BREAKER, &["ai"], self.gate.openness());
        if opened {
            AiLeftAlone {
                model: &self.settings.model,
                failure: tried.outcome.as_ref().err().map(crate::fault::Fault::code),
            }
            .emit(&self.counters);
        }
        (tried.outcome, tried.ahead)
    }

    /// What a try consumed: as the service counts it, or as we reckon where it does not say.
    fn consumed(&self, ask: &Ask<'_>, outcome: &Result<Completion, AiError>) -> Usage {
        let asked = || {
            let said: u64 = ask.turns.iter().map(|(_, text)| tokens::likely(text)).sum();
            said + tokens::likely(ask.system)
        };
        match outcome {
            Ok(Completion { tokens: Some((input, output)), .. }) => tokens::usage(*input, *output, self.prices()),
            Ok(Completion { text, .. }) => tokens::usage(asked(), tokens::likely(text), self.prices()),
            Err(error) if error.may_cost() => tokens::usage(asked(), 0, self.prices()),
            Err(AiError::CutOff { limit }) => tokens::usage(asked(), u64::from(*limit), self.prices()),
            Err(_) => tokens::usage(0, 0, self.prices()),
        }
    }
}

/// The answer that can't be used, for the model to mend.
fn shown_again(completion: &Completion) -> String {
    let text: String = parse::without_thinking(&completion.text).trim().chars().take(SHOWN_AGAIN).collect();
    if text.is_empty() { "{}".to_owned() } else { text }
}

fn complaint(flaw: Flaw) -> String {
    format!(
        "That answer can't be used: {flaw}. Answer again with one JSON object and nothing else, with exactly the fields \
         that the instructions name. The rules for every field hold as before."
    )
}

#[async_trait]
impl Analyst for AiService {
    fn model(&self) -> &str {
        &self.settings.model
    }

    fn prompt_version(&self) -> &str {
        &self.version
    }

    fn knows(&self, prompt_version: &str) -> bool {
        self.prompts.has(prompt_version)
    }

    fn prompt_versions(&self) -> Vec<String> {
        self.prompts.versions()
    }

    fn memory(&self) -> Memory {
        Memory::Rolling
    }

    fn most(&self, request: &AnalystRequest) -> Usage {
        let Ok(question) = self.question(request, &mut Mask::new(self.settings.mask)) else { return Usage::default() };
        let limit = u64::from(self.settings.max_output_tokens);
        let calls = u64::from(MOST_CHARGED);
        // Each call may be the repair, which holds the answer before it and the complaint.
        let repair = limit.min(4 * SHOWN_AGAIN as u64) + 200;
        let (input, output) = (calls * (question.tokens_at_most() + repair), calls * limit);
        Usage { calls: MOST_CHARGED, ..tokens::usage(input, output, self.prices()) }
    }

    async fn analyse(&self, request: &AnalystRequest) -> Reply {
        let mut account = Account { usage: Usage::default(), allowance: Allowance::new() };
        let verdict = self.read(request, &mut account).await.map_err(AnyFault::from);
        Reply { verdict, usage: account.usage }
    }

    async fn probe(&self) -> Result<(), AnyFault> {
        let mut account = Account { usage: Usage::default(), allowance: Allowance::new() };
        let turns = [(Role::User, "Say ok.".to_owned())];
        let ask = self.worded("Answer with one word.", &turns, None, 1);
        let Ok((outcome, ahead)) = timeout(PROBING, self.once(&ask, true, &mut account)).await else {
            let host = self.settings.host().to_owned();
            return Err(AiError::Unreachable { host, lost: Lost::Timeout, after: None }.into());
        };
        match outcome {
            // One token is too little for most models: that they say so is all that is asked.
            Ok(Completion { finish: Finish::Done | Finish::Cut | Finish::Refused, .. })
            | Err(AiError::CutOff { .. } | AiError::Refused) => {}
            Err(error) => return Err(error.into()),
        }
        let apart = ahead.unwrap_or_default();
        if apart.abs() > CLOCKS_APART {
            return Err(AiError::ClockOff { minutes: apart.as_mins() }.into());
        }
        Ok(())
    }
}
