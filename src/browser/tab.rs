//! One DevTools page: commands that always end, and the page agent in its isolated world.
//!
//! A command to a crashed renderer never returns (facts of Chromium 156), so each is raced against the
//! crash events, the end of the browser and a deadline.

use std::time::Duration;

use chromiumoxide::Page;
use chromiumoxide::cdp::IntoEventKind;
use chromiumoxide::cdp::browser_protocol::page::{CreateIsolatedWorldParams, GetFrameTreeParams};
use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, ExecutionContextId};
use chromiumoxide::error::CdpError;
use chromiumoxide::listeners::EventStream;
use chromiumoxide::types::Command;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::error::{BrowserError, REQUEST_TIMEOUT};

/// The name of the isolated world, seen only in DevTools.
pub(super) const WORLD: &str = "chatferry";

/// How long a page that was late may take to show that it is only slow.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How the page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// As far as we know, well.
    Alive,
    /// Its renderer crashed.
    Crashed,
    /// It answers nothing any more: a script of its own does not end.
    Hung,
    /// The browser is gone.
    BrowserGone,
}

/// A page and the way to speak to it.
#[derive(Debug)]
pub struct Tab {
    page: Page,
    alive: watch::Sender<Life>,
    life: watch::Receiver<Life>,
    /// The agent with its pack: an expression that installs it.
    install: String,
    world: Mutex<Option<ExecutionContextId>>,
}

/// What the agent answers: a value, or that it threw.
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<T> {
    Ok(T),
    Thrown(String),
}

fn read_answer<T: DeserializeOwned>(step: &'static str, answer: &str) -> Result<T, BrowserError> {
    // The parser's own words could quote the page, so they are dropped.
    let unreadable =
        |_| BrowserError::Protocol { step, reason: "an answer of the page agent that can't be read".to_owned() };
    match serde_json::from_str(answer).map_err(unreadable)? {
        Answer::Ok(value) => Ok(value),
        Answer::Thrown(reason) => Err(BrowserError::Selector { step, query: "the pack".to_owned(), reason }),
    }
}

impl Tab {
    /// A tab whose agent is installed by evaluating `install`.
    pub fn new(page: Page, alive: watch::Sender<Life>, life: watch::Receiver<Life>, install: String) -> Self {
        Self { page, alive, life, install, world: Mutex::new(None) }
    }

    /// False once the renderer has crashed or hangs, or the browser is gone.
    pub fn is_alive(&self) -> bool {
        *self.life.borrow() == Life::Alive
    }

    /// Events of one kind, from now on.
    ///
    /// # Errors
    /// [`BrowserError::Gone`] if nobody is there to tell any.
    pub(super) async fn events<E: IntoEventKind>(&self, step: &'static str) -> Result<EventStream<E>, BrowserError> {
        self.page.event_listener::<E>().await.map_err(|error| BrowserError::from_cdp(step, error))
    }

    /// How the page is, as it changes.
    pub(super) fn life(&self) -> watch::Receiver<Life> {
        self.life.clone()
    }

    /// Sends one command and waits for its answer, at most `limit`.
    ///
    /// # Errors
    /// [`BrowserError`]: crash, end of the browser, deadline, or DevTools' own refusal.
    pub async fn execute<C: Command>(
        &self,
        step: &'static str,
        command: C,
        limit: Duration,
    ) -> Result<C::Response, BrowserError> {
        let mut life = self.life.clone();
        // Cancel-safe: an answer that is not waited for is dropped by the handler.
        tokio::select! {
            biased;
            end = life.wait_for(|life| *life != Life::Alive) => return Err(match end.map(|life| *life) {
                Ok(Life::Crashed) => BrowserError::Crashed { step },
                Ok(Life::Hung) => BrowserError::Hung { step },
                _ => BrowserError::Gone { step },
            }),
            answer = self.page.execute(command) => match answer {
                Ok(answer) => return Ok(answer.result),
                // The crate's own deadline, 30 s, which may come just before ours.
                Err(CdpError::Timeout) => {}
                Err(error) => return Err(BrowserError::from_cdp(step, error)),
            },
            () = sleep_until(Instant::now() + limit) => {}
        }
        // Slow, or never again? A page that does not even say what 1 is will answer nothing else either.
        if !matches!(timeout(PING_TIMEOUT, self.page.execute(EvaluateParams::new("1"))).await, Ok(Ok(_))) {
            self.alive.send_if_modified(|life| {
                let was_alive = *life == Life::Alive;
                if was_alive {
                    *life = Life::Hung;
                }
                was_alive
            });
            return Err(BrowserError::Hung { step });
        }
        Err(BrowserError::Timeout { step, after: limit })
    }

    /// Calls the agent; on a document that took the place of the old one, calls it again there.
    ///
    /// Only for calls that may be repeated: reading and waiting.
    ///
    /// # Errors
    /// As [`Tab::execute`]; [`BrowserError::Selector`] if a selector of the pack is none.
    pub async fn call<T: DeserializeOwned>(
        &self,
        step: &'static str,
        name: &str,
        argument: &impl Serialize,
        limit: Duration,
    ) -> Result<T, BrowserError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.call_once(step, name, argument, left).await {
                Err(error) if error.is_context_lost() && Instant::now() < deadline => {}
                result => return result,
            }
        }
    }

    /// Calls the agent once.
    ///
    /// # Errors
    /// As [`Tab::call`], and [`BrowserError::ContextLost`] if the document was replaced meanwhile.
    pub async fn call_once<T: DeserializeOwned>(
        &self,
        step: &'static str,
        name: &str,
        argument: &impl Serialize,
        limit: Duration,
    ) -> Result<T, BrowserError> {
        let unwritable = |_| BrowserError::Protocol { step, reason: "an argument that can't be written".to_owned() };
        let argument = serde_json::to_string(argument).map_err(unwritable)?;
        let context = self.world(step).await?;
        let expression = format!("globalThis.chatferry({name:?}, {argument})");
        let begun = Instant::now();
        let answer = self.evaluate(step, expression, context, limit).await;
        tracing::trace!(
            browser.call = name,
            duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "agent called"
        );
        if answer.as_ref().is_err_and(BrowserError::is_context_lost) {
            *self.world.lock().await = None;
        }
        read_answer(step, &answer?)
    }

    /// Evaluates an expression in the agent's world, exactly as a call of the agent is; its value must
    /// be a string.
    ///
    /// # Errors
    /// As [`Tab::call_once`].
    pub(super) async fn evaluate_beside(
        &self,
        step: &'static str,
        expression: String,
        limit: Duration,
    ) -> Result<String, BrowserError> {
        let context = self.world(step).await?;
        self.evaluate(step, expression, context, limit).await
    }

    /// Installs another agent in a world of its own, on the document as it is now; [`Tab::call_in`] calls it.
    /// It ends with the document.
    ///
    /// # Errors
    /// As [`Tab::execute`].
    pub(super) async fn install_beside(
        &self,
        step: &'static str,
        world: String,
        install: String,
    ) -> Result<ExecutionContextId, BrowserError> {
        let mut create = CreateIsolatedWorldParams::new(self.main_frame(step).await?);
        create.world_name = Some(world);
        let context = self.execute(step, create, REQUEST_TIMEOUT).await?.execution_context_id;
        self.evaluate(step, install, context, REQUEST_TIMEOUT).await?;
        Ok(context)
    }

    /// Calls the agent that was installed in this world.
    ///
    /// # Errors
    /// As [`Tab::call_once`].
    pub(super) async fn call_in<T: DeserializeOwned>(
        &self,
        context: ExecutionContextId,
        step: &'static str,
        name: &str,
        argument: &serde_json::Value,
    ) -> Result<T, BrowserError> {
        let expression = format!("globalThis.chatferry({name:?}, {argument})");
        read_answer(step, &self.evaluate(step, expression, context, REQUEST_TIMEOUT).await?)
    }

    /// The id of the main frame.
    ///
    /// # Errors
    /// As [`Tab::execute`].
    pub async fn main_frame(
        &self,
        step: &'static str,
    ) -> Result<chromiumoxide::cdp::browser_protocol::page::FrameId, BrowserError> {
        let tree = self.execute(step, GetFrameTreeParams::default(), REQUEST_TIMEOUT).await?;
        Ok(tree.frame_tree.frame.id)
    }

    /// The isolated world of the current document with the agent in it, made if need be.
    async fn world(&self, step: &'static str) -> Result<ExecutionContextId, BrowserError> {
        let mut world = self.world.lock().await;
        if let Some(context) = *world {
            return Ok(context);
        }
        let mut create = CreateIsolatedWorldParams::new(self.main_frame(step).await?);
        create.world_name = Some(WORLD.to_owned());
        let context = self.execute(step, create, REQUEST_TIMEOUT).await?.execution_context_id;
        self.evaluate(step, self.install.clone(), context, REQUEST_TIMEOUT).await?;
        *world = Some(context);
        Ok(context)
    }

    async fn evaluate(
        &self,
        step: &'static str,
        expression: String,
        context: ExecutionContextId,
        limit: Duration,
    ) -> Result<String, BrowserError> {
        let mut evaluate = EvaluateParams::new(expression);
        evaluate.context_id = Some(context);
        evaluate.await_promise = Some(true);
        evaluate.return_by_value = Some(true);
        let answer = self.execute(step, evaluate, limit).await?;
        if let Some(exception) = answer.exception_details {
            // Text and line of the agent's own source; the exception's message stays behind.
            let reason =
                format!("the page agent threw at line {}, column {}", exception.line_number, exception.column_number);
            return Err(BrowserError::Protocol { step, reason });
        }
        match answer.result.value {
            Some(serde_json::Value::String(text)) => Ok(text),
            _ => Ok("null".to_owned()),
        }
    }
}
