//! Hearing what the page tells by itself: a binding in the agent's world, and a script that sets the
//! observer up again in every document that takes the place of the one before.
//!
//! The page's own scripts see neither. A telling that can't be read is counted and passed over: the
//! reader is told that it lagged, and reads the page.

use std::pin::pin;
use std::sync::Arc;

use chromiumoxide::cdp::browser_protocol::network::{EventResponseReceived, EventWebSocketFrameReceived};
use chromiumoxide::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, RemoveScriptToEvaluateOnNewDocumentParams, ScriptIdentifier,
};
use chromiumoxide::cdp::js_protocol::runtime::{AddBindingParams, EventBindingCalled};
use futures::StreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::error::{BrowserError, REQUEST_TIMEOUT};
use super::page::install_script;
use super::tab::{Life, Tab, WORLD};
use crate::ports::live::{PageEvent, PageEvents, PageVoice};
use crate::ports::page::{Glance, ListRow, ThreadReading};
use crate::selectors::Pack;
use crate::telemetry::occurrences::TellingUnreadable;
use crate::telemetry::{Counters, Occurrence};

const STEP: &str = "watching the page";
/// The name of the binding, as the observer calls it.
const BINDING: &str = "chatferryTell";

/// A page that is being observed.
#[derive(Debug)]
pub(super) struct Observing {
    script: ScriptIdentifier,
    /// Ends with the page's events, by itself.
    _heard: AbortOnDropHandle<()>,
}

/// One telling of the observer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    /// When the change stood in the page, in milliseconds of its clock.
    at: Option<f64>,
    thread: Option<ThreadReading>,
    list: Option<Vec<ListRow>>,
    markers: Option<Glance>,
    lagged: bool,
}

/// Sets the observer up, in this document and in every next one.
pub(super) async fn begin(
    tab: &Tab,
    pack: &Pack,
    counters: Arc<Counters>,
) -> Result<(Observing, PageEvents), BrowserError> {
    let (voice, events) = PageEvents::channel();
    let tellings = tab.events::<EventBindingCalled>(STEP).await?;
    let responses = tab.events::<EventResponseReceived>(STEP).await?;
    let frames = tab.events::<EventWebSocketFrameReceived>(STEP).await?;
    let mut life = tab.life();
    let heard = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut answers = pin!(futures::stream::select(responses.map(drop), frames.map(drop)));
        let mut tellings = pin!(tellings);
        loop {
            // Cancel-safe: streams lose nothing when another arm wins.
            tokio::select! {
                biased;
                _ = life.wait_for(|life| *life != Life::Alive) => break,
                () = voice.unheard() => break,
                Some(event) = tellings.next() => {
                    if event.name == BINDING {
                        pass_on(&event.payload, &voice, &counters);
                    }
                }
                Some(()) = answers.next() => voice.answered(),
                else => break,
            }
        }
    }));
    let mut binding = AddBindingParams::new(BINDING);
    binding.execution_context_name = Some(WORLD.to_owned());
    tab.execute(STEP, binding, REQUEST_TIMEOUT).await?;
    // Frames inside the page are none of ours.
    let source =
        format!("if (window === window.top) {{ {}; globalThis.chatferry('observe', {{}}); }}", install_script(pack));
    let mut script = AddScriptToEvaluateOnNewDocumentParams::new(source);
    script.world_name = Some(WORLD.to_owned());
    let script = tab.execute(STEP, script, REQUEST_TIMEOUT).await?.identifier;
    let _: serde_json::Value = tab.call(STEP, "observe", &json!({}), REQUEST_TIMEOUT).await?;
    Ok((Observing { script, _heard: heard }, events))
}

impl Observing {
    /// Ends it; what was told until now can still be taken.
    pub(super) async fn end(self, tab: &Tab) -> Result<(), BrowserError> {
        tab.execute(STEP, RemoveScriptToEvaluateOnNewDocumentParams::new(self.script), REQUEST_TIMEOUT).await?;
        let _: serde_json::Value = tab.call(STEP, "unobserve", &json!({}), REQUEST_TIMEOUT).await?;
        Ok(())
    }
}

/// The parser's own words could quote the page, so they are dropped.
fn pass_on(payload: &str, voice: &PageVoice, counters: &Counters) {
    let Ok(told) = serde_json::from_str::<Told>(payload) else {
        TellingUnreadable { bytes: payload.len() }.emit(counters);
        voice.tell(PageEvent::Lagged);
        return;
    };
    let Told { at, thread, list, markers, lagged } = told;
    let appeared_at = at.and_then(moment);
    // The row first: its message then shows that what it says is stored.
    if let Some(rows) = list {
        voice.tell(PageEvent::List(rows));
    }
    if let Some(tail) = thread {
        voice.tell(PageEvent::Thread { tail, appeared_at });
    }
    if let Some(glance) = markers {
        voice.tell(PageEvent::Markers(glance));
    }
    if lagged {
        voice.tell(PageEvent::Lagged);
    }
}

/// A moment of the page's clock, which counts milliseconds with a fraction.
#[allow(clippy::cast_possible_truncation)] // saturates, and no clock is that far off
fn moment(milliseconds: f64) -> Option<Timestamp> {
    Timestamp::from_microsecond((milliseconds * 1000.0) as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_can_not_be_read_is_counted_and_makes_the_reader_look() {
        let (voice, mut events) = PageEvents::channel();
        let counters = Counters::default();
        pass_on("{\"thread\":", &voice, &counters);
        assert_eq!(events.next().await, Some(PageEvent::Lagged));
        assert_eq!(counters.snapshot().tellings_unreadable, 1);
        pass_on(
            r#"{"at":1500.25,"thread":{"opened":"7","rows":[["1","Mia","hello"]],"matches":{}}}"#,
            &voice,
            &counters,
        );
        let Some(PageEvent::Thread { tail, appeared_at }) = events.next().await else { panic!("no thread") };
        assert_eq!((tail.rows.len(), appeared_at), (1, Timestamp::from_microsecond(1_500_250).ok()));
    }
}
