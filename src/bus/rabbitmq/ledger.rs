//! What is on its way in this process: more than a broker can tell.
//!
//! A broker counts what waits in a queue. It does not say what it has sent and we have not read yet, nor
//! what is just being dead-lettered from a retry queue; for that moment an event is in no count, and a
//! queue looks empty that is not. So the events that this process published or was given are remembered
//! until they are settled for good.
//!
//! The memory is believed only while nobody else takes from the queue (others settle without telling us),
//! and only while something moves: after [`STILL`] without any change, the broker's count is the truth.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::declare::Level;
use crate::domain::EventId;
use crate::ports::{Queue, QueueDepth};

/// How many events are remembered per queue; beyond it none are added.
const MEMORY: usize = 200_000;

/// Longer than anything is on a wire; a connection that is silent for so long is given up anyway.
const STILL: Duration = Duration::from_secs(10);

/// The memory of all queues.
#[derive(Debug)]
pub(super) struct Ledger([Mutex<Page>; Queue::ALL.len()]);

#[derive(Debug)]
struct Page {
    subscriptions: usize,
    held: u64,
    events: HashMap<EventId, Place>,
    changed: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Published, or handed out, or on the way between.
    Moving,
    /// Waiting in a retry queue, by our order.
    Delayed,
}

impl Default for Ledger {
    fn default() -> Self {
        let page = |_| Mutex::new(Page { subscriptions: 0, held: 0, events: HashMap::new(), changed: Instant::now() });
        Self(std::array::from_fn(page))
    }
}

impl Ledger {
    fn page(&self, queue: Queue) -> MutexGuard<'_, Page> {
        let index = match queue {
            Queue::Archive => 0,
            Queue::Analyze => 1,
            Queue::Mirror => 2,
        };
        let mut page = self.0[index].lock().unwrap_or_else(PoisonError::into_inner);
        page.changed = Instant::now();
        page
    }

    /// A subscription of ours begins.
    pub fn subscribed(&self, queue: Queue) {
        self.page(queue).subscriptions += 1;
    }

    /// A subscription of ours ends with `held` deliveries in hand; they come again.
    pub fn unsubscribed(&self, queue: Queue, held: usize) {
        let mut page = self.page(queue);
        page.subscriptions = page.subscriptions.saturating_sub(1);
        page.held = page.held.saturating_sub(held as u64);
    }

    /// An event is about to be published. Before it is: afterwards it may already be settled. Nothing is
    /// remembered for queues that others consume.
    pub fn expect(&self, queue: Queue, id: EventId) {
        let mut page = self.page(queue);
        if page.subscriptions > 0 && page.events.len() < MEMORY {
            page.events.entry(id).or_insert(Place::Moving);
        }
    }

    /// An event was handed out.
    pub fn handed_out(&self, queue: Queue, id: EventId) {
        let mut page = self.page(queue);
        page.held += 1;
        if page.events.len() < MEMORY {
            page.events.insert(id, Place::Moving);
        }
    }

    /// A delivery left the hands for its queue or for a retry queue; its event comes again.
    pub fn put_back(&self, queue: Queue, id: EventId, delayed: bool) {
        let mut page = self.page(queue);
        page.held = page.held.saturating_sub(1);
        if let Some(place) = page.events.get_mut(&id) {
            *place = if delayed { Place::Delayed } else { Place::Moving };
        }
    }

    /// A delivery was settled for good.
    pub fn settled(&self, queue: Queue, id: EventId) {
        let mut page = self.page(queue);
        page.held = page.held.saturating_sub(1);
        page.events.remove(&id);
    }

    /// A publication failed; its owner still has the event.
    pub fn forget(&self, queue: Queue, id: EventId) {
        self.page(queue).events.remove(&id);
    }

    /// How full the queues are, from what the broker counts in each (in the order of [`Queue::ALL`]) and
    /// in all retry queues together.
    pub fn depths(&self, levels: &[Level], delayed: u64) -> Vec<QueueDepth> {
        let mut pages: Vec<MutexGuard<'_, Page>> =
            self.0.iter().map(|page| page.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let ours: Vec<u64> = pages.iter().map(|page| page.delayed()).collect();
        // Ordered by another process, or before a restart: a broker does not tell for which queue.
        let strange = delayed.saturating_sub(ours.iter().sum());
        let mut depths = Vec::with_capacity(Queue::ALL.len());
        for (index, queue) in Queue::ALL.into_iter().enumerate() {
            let (page, level) = (&mut pages[index], levels.get(index).copied().unwrap_or_default());
            let counted = level.ready + ours[index].min(delayed) + strange;
            let unseen = (page.events.len() as u64).saturating_sub(counted + page.held);
            let is_believed = level.consumers <= page.subscriptions && page.changed.elapsed() < STILL;
            if unseen > 0 && !is_believed {
                page.events.clear();
            }
            let unseen = if is_believed { unseen } else { 0 };
            let consumers = u64::try_from(level.consumers).ok();
            depths.push(QueueDepth { queue, ready: counted + unseen, in_flight: page.held, consumers });
        }
        depths
    }
}

impl Page {
    fn delayed(&self) -> u64 {
        self.events.values().filter(|place| **place == Place::Delayed).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventType;

    fn id(n: u8) -> EventId {
        EventId::of(EventType::MessageCaptured, &[&[n]])
    }

    fn archive(ledger: &Ledger, ready: u64, consumers: usize, delayed: u64) -> (u64, u64) {
        let depth = ledger.depths(&[Level { ready, consumers }], delayed)[0];
        (depth.ready, depth.in_flight)
    }

    #[tokio::test]
    async fn what_no_count_shows_is_still_there() {
        let ledger = Ledger::default();
        ledger.subscribed(Queue::Archive);
        ledger.expect(Queue::Archive, id(1));
        assert_eq!(archive(&ledger, 1, 1, 0), (1, 0), "the broker shows it");
        assert_eq!(archive(&ledger, 0, 1, 0), (1, 0), "on the wire");
        ledger.handed_out(Queue::Archive, id(1));
        assert_eq!(archive(&ledger, 0, 1, 0), (0, 1));
        ledger.put_back(Queue::Archive, id(1), true);
        assert_eq!(archive(&ledger, 0, 1, 1), (1, 0), "in the retry queue");
        assert_eq!(archive(&ledger, 0, 1, 0), (1, 0), "on the way back");
        assert_eq!(archive(&ledger, 1, 1, 0), (1, 0), "back");
        ledger.handed_out(Queue::Archive, id(1));
        ledger.settled(Queue::Archive, id(1));
        assert_eq!(archive(&ledger, 0, 1, 0), (0, 0));
    }

    #[tokio::test]
    async fn a_retry_that_another_process_ordered_may_be_anybodys() {
        let ledger = Ledger::default();
        ledger.subscribed(Queue::Archive);
        ledger.handed_out(Queue::Archive, id(1));
        ledger.put_back(Queue::Archive, id(1), true);
        let levels = [Level { ready: 0, consumers: 1 }, Level::default(), Level::default()];
        let consumers: Vec<Option<u64>> = ledger.depths(&levels, 1).iter().map(|depth| depth.consumers).collect();
        assert_eq!(consumers, [Some(1), Some(0), Some(0)]);
        let ready: Vec<u64> = ledger.depths(&levels, 1).iter().map(|depth| depth.ready).collect();
        assert_eq!(ready, [1, 0, 0], "ours is known");
        let ready: Vec<u64> = ledger.depths(&levels, 2).iter().map(|depth| depth.ready).collect();
        assert_eq!(ready, [2, 1, 1], "the other is counted everywhere");
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_may_have_taken_or_never_moves_is_not_believed() {
        let ledger = Ledger::default();
        ledger.subscribed(Queue::Archive);
        ledger.expect(Queue::Archive, id(1));
        assert_eq!(archive(&ledger, 0, 2, 0), (0, 0), "a second consumer");
        ledger.expect(Queue::Archive, id(1));
        assert_eq!(archive(&ledger, 0, 1, 0), (1, 0));
        tokio::time::advance(STILL).await;
        assert_eq!(archive(&ledger, 0, 1, 0), (0, 0), "it was taken behind our back");
        ledger.unsubscribed(Queue::Archive, 0);
        ledger.expect(Queue::Archive, id(2));
        assert_eq!(archive(&ledger, 0, 0, 0), (0, 0), "nobody here consumes it");
    }
}
