//! A site's page in terms of the page agent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chromiumoxide::cdp::browser_protocol::emulation::SetScriptExecutionDisabledParams;
use chromiumoxide::cdp::browser_protocol::input::InsertTextParams;
use chromiumoxide::cdp::browser_protocol::page::{
    NavigateParams, RemoveScriptToEvaluateOnNewDocumentParams, ScriptIdentifier, SetDocumentContentParams,
};
use chromiumoxide::cdp::browser_protocol::storage::GetCookiesParams;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::context::{Context, Tasks};
use super::error::{BrowserError, REQUEST_TIMEOUT};
use super::evidence;
use super::observing::{self, Observing};
use super::session::{READ_STORAGE, Stored};
use super::tab::Tab;
use crate::fault::AnyFault;
use crate::ports::SessionState;
use crate::ports::live::PageEvents;
use crate::ports::page::{
    Glance, ListReading, ProbeRow, Scroller, SessionRequest, SitePage, Step, ThreadReading, TrialReport, Until,
    Vocabulary,
};
use crate::selectors::{Alternative, LoadedPack, Pack, Query, lint};
use crate::telemetry::Counters;

/// The page agent's source.
const AGENT: &str = include_str!("agent.js");
/// What makes a copy of a page that may be kept.
const SCRUB: &str = include_str!("scrub.js");
/// The part of it that tells what changes.
const OBSERVER: &str = include_str!("observer.js");
/// Reading ten thousand messages takes a tenth of a second; a slow machine may take far longer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The expression that installs the agent with a pack.
pub(super) fn install_script(pack: &Pack) -> String {
    let mut data = serde_json::to_value(pack).unwrap_or_default();
    // The agent counts in milliseconds.
    data["history"]["wait_ms"] = json!(pack.history.wait.as_millis());
    if let Some(scroll) = &pack.conversations.scroll {
        data["conversations"]["scroll"]["wait_ms"] = json!(scroll.wait.as_millis());
    }
    format!("({AGENT})({data}, ({OBSERVER}))")
}

/// The answer of an act: nothing, or why it could not be done.
#[derive(Deserialize)]
struct Acted {
    error: Option<String>,
}

#[derive(Deserialize)]
struct Waited {
    found: bool,
}

/// An account's page.
#[derive(Debug)]
pub struct ChromiumPage {
    tab: Tab,
    context: Context,
    _tasks: Tasks,
    base_url: Url,
    pack: Arc<LoadedPack>,
    /// What was restored, brought up to date whenever it is asked for.
    stored: Mutex<Stored>,
    /// The script that restores storage, until it has.
    restoring: Mutex<Option<ScriptIdentifier>>,
    counters: Arc<Counters>,
    observing: Mutex<Option<Observing>>,
}

impl ChromiumPage {
    pub(super) fn new(
        tab: Tab,
        context: Context,
        tasks: Tasks,
        request: &SessionRequest,
        (stored, restoring): (Stored, Option<ScriptIdentifier>),
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            tab,
            context,
            _tasks: tasks,
            base_url: request.base_url.clone(),
            pack: request.pack.clone(),
            stored: Mutex::new(stored),
            restoring: Mutex::new(restoring),
            counters,
            observing: Mutex::new(None),
        }
    }

    fn address(&self, step: &'static str, relative: &str) -> Result<Url, BrowserError> {
        self.base_url.join(relative).map_err(|error| BrowserError::Selector {
            step,
            query: relative.to_owned(),
            reason: format!("is no address: {error}"),
        })
    }

    fn unreachable(&self, reason: impl Into<String>) -> BrowserError {
        BrowserError::Unreachable {
            host: self.base_url.host_str().unwrap_or_default().to_owned(),
            reason: reason.into(),
        }
    }

    /// Evaluates an expression beside the agent: the yardstick of the benchmarks. Never called by the
    /// daemon, which runs no script but the agent.
    ///
    /// # Errors
    /// As [`SitePage::thread`].
    #[doc(hidden)]
    pub async fn evaluate(&self, expression: &str) -> Result<String, AnyFault> {
        Ok(self.tab.evaluate_beside("measuring", expression.to_owned(), READ_TIMEOUT).await?)
    }

    /// An act of the agent; `missing` and its like become an error that names the query.
    async fn act(
        &self,
        step: &'static str,
        name: &str,
        argument: serde_json::Value,
        query: String,
    ) -> Result<(), BrowserError> {
        let acted: Acted = match self.tab.call_once(step, name, &argument, REQUEST_TIMEOUT).await {
            // A click that leads elsewhere takes the document with it before it can answer.
            Err(error) if error.is_context_lost() && name != "focus" => return Ok(()),
            result => result?,
        };
        match acted.error.as_deref() {
            None => Ok(()),
            Some(reason) => Err(BrowserError::Selector { step, query, reason: act_reason(reason).to_owned() }),
        }
    }
}

fn act_reason(word: &str) -> &str {
    match word {
        "missing" => "is not in the page",
        "writes" => "is a control that writes; chatferry only reads",
        "no input" => "is no input field that can be filled in",
        "no focus" => "can't be focused",
        "not filled" => "did not take the text",
        other => other,
    }
}

fn describe(query: &Query) -> String {
    query.alternatives.iter().map(Alternative::describe).collect::<Vec<_>>().join(" | ")
}

const fn word(scroller: Scroller) -> &'static str {
    match scroller {
        Scroller::List => "list",
        Scroller::History => "history",
    }
}

/// A conversation id as a part of an address: everything but unreserved characters is escaped.
fn escaped(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[async_trait]
impl SitePage for ChromiumPage {
    async fn open(&self, address: &str) -> Result<(), AnyFault> {
        const STEP: &str = "opening an address";
        let url = self.address(STEP, address)?;
        let answer = self.tab.execute(STEP, NavigateParams::new(url.as_str()), REQUEST_TIMEOUT).await?;
        if let Some(reason) = answer.error_text {
            return Err(self.unreachable(reason).into());
        }
        // Once is enough: from now on the storage is the page's own affair.
        if let Some(script) = self.restoring.lock().await.take() {
            self.tab.execute(STEP, RemoveScriptToEvaluateOnNewDocumentParams::new(script), REQUEST_TIMEOUT).await?;
        }
        let glance: Glance = self.tab.call(STEP, "glance", &json!({}), REQUEST_TIMEOUT).await?;
        if glance.status >= 500 {
            return Err(self.unreachable(format!("HTTP {}", glance.status)).into());
        }
        Ok(())
    }

    async fn wait(&self, until: Until<'_>, limit: Duration) -> Result<Glance, AnyFault> {
        let (name, wanted, step) = match until {
            Until::List => ("list", None, "waiting for the conversation list"),
            Until::Outcome => ("outcome", None, "waiting for the outcome of the login"),
            Until::Answered => ("answered", None, "waiting for what the site says to the code"),
            Until::Thread(proof) => ("thread", Some(proof), "waiting for the conversation"),
        };
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let argument = json!({ "until": name, "wanted": wanted, "ms": left.as_millis() });
            match self.tab.call_once(step, "wait", &argument, left + REQUEST_TIMEOUT).await {
                // The page moved on: what was waited for may come on the next one.
                Err(error) if error.is_context_lost() && tokio::time::Instant::now() < deadline + REQUEST_TIMEOUT => {}
                result => return Ok(result?),
            }
        }
    }

    async fn wait_for(&self, query: &Query, limit: Duration) -> Result<(), AnyFault> {
        const STEP: &str = "waiting for a step of the login";
        let argument = json!({ "query": query, "ms": limit.as_millis() });
        let waited: Waited = self.tab.call(STEP, "waitFor", &argument, limit + REQUEST_TIMEOUT).await?;
        if waited.found {
            return Ok(());
        }
        Err(BrowserError::Selector { step: STEP, query: describe(query), reason: "did not appear".to_owned() }.into())
    }

    async fn fill(&self, query: &Query, value: &str) -> Result<(), AnyFault> {
        const STEP: &str = "filling in the login";
        self.act(STEP, "focus", json!({ "query": query }), describe(query)).await?;
        // As typed: the value never becomes part of a script.
        self.tab.execute(STEP, InsertTextParams::new(value), REQUEST_TIMEOUT).await?;
        self.act(STEP, "filled", json!({ "query": query, "length": value.chars().count() }), describe(query)).await?;
        Ok(())
    }

    async fn click(&self, query: &Query) -> Result<(), AnyFault> {
        Ok(self.act("clicking in the login", "click", json!({ "query": query }), describe(query)).await?)
    }

    async fn list(&self) -> Result<ListReading, AnyFault> {
        Ok(self.tab.call("reading the conversation list", "list", &json!({}), READ_TIMEOUT).await?)
    }

    async fn open_conversation(&self, id: &str) -> Result<(), AnyFault> {
        const STEP: &str = "opening a conversation";
        let open = &self.pack.pack.conversations.open;
        let address = open
            .address
            .as_ref()
            .map(|template| self.address(STEP, &template.replace("{id}", &escaped(id))))
            .transpose()?;
        let argument = json!({ "id": id, "address": address.as_ref().map(Url::as_str) });
        Ok(self.act(STEP, "openConversation", argument, "the row of the conversation".to_owned()).await?)
    }

    async fn thread(&self) -> Result<ThreadReading, AnyFault> {
        Ok(self.tab.call("reading the conversation", "thread", &json!({}), READ_TIMEOUT).await?)
    }

    async fn rewind(&self, scroller: Scroller) -> Result<(), AnyFault> {
        let argument = json!({ "which": word(scroller) });
        let _: serde_json::Value = self.tab.call("scrolling back", "rewind", &argument, REQUEST_TIMEOUT).await?;
        Ok(())
    }

    async fn step(&self, scroller: Scroller) -> Result<Step, AnyFault> {
        let pack = &self.pack.pack;
        let wait = match scroller {
            Scroller::List => pack.conversations.scroll.as_ref().map_or(Duration::ZERO, |scroll| scroll.wait),
            Scroller::History => pack.history.wait,
        };
        Ok(self.tab.call("scrolling on", "step", &json!({ "which": word(scroller) }), wait + REQUEST_TIMEOUT).await?)
    }

    async fn probe(&self) -> Result<Vec<ProbeRow>, AnyFault> {
        Ok(self.tab.call("probing the page", "probe", &probe_argument(&self.pack.pack), READ_TIMEOUT).await?)
    }

    async fn show_html(&self, html: &str) -> Result<(), AnyFault> {
        const STEP: &str = "showing a saved page";
        self.tab.execute(STEP, SetScriptExecutionDisabledParams::new(true), REQUEST_TIMEOUT).await?;
        let frame = self.tab.main_frame(STEP).await?;
        self.tab.execute(STEP, SetDocumentContentParams::new(frame, html), READ_TIMEOUT).await?;
        Ok(())
    }

    async fn scrubbed(&self, keep: &Vocabulary) -> Result<String, AnyFault> {
        const STEP: &str = "copying the page";
        let expression = format!("({SCRUB})({})", json!(keep));
        Ok(self.tab.evaluate_beside(STEP, expression, READ_TIMEOUT).await?)
    }

    async fn skeleton(&self) -> Result<String, AnyFault> {
        Ok(evidence::skeleton(&self.tab).await?)
    }

    async fn screenshot(&self, masked: bool) -> Result<Vec<u8>, AnyFault> {
        Ok(evidence::screenshot(&self.tab, masked).await?)
    }

    fn kill(&self) {
        self.context.running().kill();
    }

    async fn close(self: Box<Self>) {
        self.context.close().await;
    }

    async fn session(&self) -> Result<SessionState, AnyFault> {
        const STEP: &str = "writing the session down";
        let get = GetCookiesParams::builder().browser_context_id(self.context.id().clone()).build();
        let cookies = self.context.running().execute(STEP, get, REQUEST_TIMEOUT).await?.cookies;
        let told = self.tab.evaluate_beside(STEP, READ_STORAGE.to_owned(), REQUEST_TIMEOUT).await?;
        let mut stored = self.stored.lock().await;
        stored.set_cookies(cookies);
        stored.set_storage(&told);
        Ok(stored.state())
    }

    fn retiring(&self) -> CancellationToken {
        self.context.running().retiring.clone()
    }

    async fn trial(&self, pack: &LoadedPack) -> Result<TrialReport, AnyFault> {
        const STEP: &str = "trying a pack";
        // A world of one name is one world, and an agent stays what it was: each trial has a name of its own.
        let world = format!("chatferry-trial-{:x}", fastrand::u64(..));
        let context = self.tab.install_beside(STEP, world, install_script(&pack.pack)).await?;
        let (tab, none) = (&self.tab, json!({}));
        let probe: Vec<ProbeRow> = tab.call_in(context, STEP, "probe", &probe_argument(&pack.pack)).await?;
        if probe.iter().any(|row| !row.errors.is_empty()) {
            return Ok(TrialReport { probe, ..TrialReport::default() });
        }
        Ok(TrialReport {
            probe,
            glance: tab.call_in(context, STEP, "glance", &none).await?,
            list: tab.call_in(context, STEP, "list", &none).await?,
            thread: tab.call_in(context, STEP, "thread", &none).await?,
        })
    }

    async fn observe(&self) -> Result<PageEvents, AnyFault> {
        self.unobserve().await?;
        let (observing, events) = observing::begin(&self.tab, &self.pack.pack, self.counters.clone()).await?;
        *self.observing.lock().await = Some(observing);
        Ok(events)
    }

    async fn unobserve(&self) -> Result<(), AnyFault> {
        match self.observing.lock().await.take() {
            Some(observing) => Ok(observing.end(&self.tab).await?),
            None => Ok(()),
        }
    }
}

/// Every query of a pack, for the agent to try.
fn probe_argument(pack: &Pack) -> serde_json::Value {
    let queries: Vec<serde_json::Value> =
        lint::queries(pack).into_iter().map(|(key, query)| json!({ "key": key, "query": query })).collect();
    json!({ "queries": queries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_not_break_out_of_its_place_in_the_address() {
        assert_eq!(escaped("k3f9-17"), "k3f9-17");
        assert_eq!(escaped("../a?b#c/ü"), "..%2Fa%3Fb%23c%2F%C3%BC");
    }

    #[test]
    fn the_agent_gets_its_pack_as_data() {
        let pack: Pack = toml::from_str(include_str!("../../selectors/demo.toml")).unwrap();
        let script = install_script(&pack);
        assert!(script.contains(r#""wait_ms":5000"#));
        assert!(!script.contains("undefined-field"));
    }
}
