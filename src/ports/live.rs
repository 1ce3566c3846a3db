//! What a page tells by itself: news arrives here, nobody asks for it.
//!
//! The channel is bounded. What a slow reader loses is never lost for good: the reader is told that it
//! lagged, and reads the page as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::page::{Glance, ListRow, ThreadReading};

/// Events that may wait for a reader who is busy with the one before.
const WAITING: usize = 256;

/// One thing that the page told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageEvent {
    /// The end of the open conversation, from a little before the first row that changed.
    Thread {
        /// The rows; they begin somewhere in the middle.
        tail: ThreadReading,
        /// When the change stood in the page, by the page's clock.
        appeared_at: Option<Timestamp>,
    },
    /// Rows of the conversation list that are new or changed.
    List(Vec<ListRow>),
    /// The login form, a challenge or a lock can be seen.
    Markers(Glance),
    /// Something was too large or came too fast to be told: read the page.
    Lagged,
}

/// The page's side.
#[derive(Debug, Clone)]
pub struct PageVoice {
    events: mpsc::Sender<PageEvent>,
    lagged: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl PageVoice {
    /// Tells an event; if nobody takes them fast enough, that is told instead.
    pub fn tell(&self, event: PageEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            self.lagged.store(true, Ordering::Release);
        }
    }

    /// Notes that the site answered something: a response, or a frame of a socket.
    pub fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until nobody listens any more.
    pub async fn unheard(&self) {
        self.events.closed().await;
    }
}

/// The reader's side.
#[derive(Debug)]
pub struct PageEvents {
    events: mpsc::Receiver<PageEvent>,
    lagged: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl PageEvents {
    /// Both sides of a new channel.
    pub fn channel() -> (PageVoice, Self) {
        let (sender, events) = mpsc::channel(WAITING);
        let (lagged, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let voice = PageVoice { events: sender, lagged: lagged.clone(), answers: answers.clone() };
        (voice, Self { events, lagged, answers })
    }

    /// The next event; `None` once the page has come to its end. Cancel-safe: an event that is not taken
    /// stays.
    pub async fn next(&mut self) -> Option<PageEvent> {
        let event = self.events.recv().await?;
        Some(self.unless_lagged(event))
    }

    /// An event that waits already.
    pub fn waiting(&mut self) -> Option<PageEvent> {
        let event = self.events.try_recv().ok()?;
        Some(self.unless_lagged(event))
    }

    fn unless_lagged(&mut self, event: PageEvent) -> PageEvent {
        if !self.lagged.swap(false, Ordering::AcqRel) {
            return event;
        }
        // All of it is in the page, which is read as a whole now.
        while self.events.try_recv().is_ok() {}
        PageEvent::Lagged
    }

    /// How often the site has answered since this channel was made.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_who_is_too_slow_is_told_so_once() {
        let (voice, mut events) = PageEvents::channel();
        for _ in 0..=WAITING {
            voice.tell(PageEvent::List(Vec::new()));
        }
        assert_eq!(events.next().await, Some(PageEvent::Lagged));
        assert_eq!(events.waiting(), None, "what the page holds is not told twice");
        voice.tell(PageEvent::List(Vec::new()));
        assert_eq!(events.next().await, Some(PageEvent::List(Vec::new())));
        drop(voice);
        assert_eq!(events.next().await, None);
    }
}
