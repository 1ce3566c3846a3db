//! What consumers have in hand, written down before they begin: the defence against an event that
//! kills the process (F15).
//!
//! A broker that takes deliveries back from a dead process can't say which of them killed it, and counts
//! the death against all. This file can: what it names at the next start was in hand when the process
//! ended. Such events are suspects. They are taken one at a time, so that the next death accuses one event
//! only, and after [`DEATHS`] deaths an event becomes a dead letter unseen.
//!
//! Written without fsync: it must outlive the process, and the page cache does. After a power cut it may
//! be older than the truth, which costs a death more and loses nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::EventId;

/// After so many deaths of the process with an event in hand, the event is not tried again.
pub const DEATHS: u32 = 3;

/// The journal of one queue's consumers; they share it.
#[derive(Debug)]
pub struct Journal {
    state: Mutex<State>,
    /// Held while a suspect is in hand.
    pub(super) alone: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// How often the process died with this event in hand.
    suspects: HashMap<EventId, u32>,
    /// In hand now, and how many consumers have it there.
    in_hand: HashMap<EventId, u32>,
    /// Others that were seen while suspects were looked for.
    others: usize,
}

impl Journal {
    /// Opens or makes the file; what it says was in hand is suspect from now on.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        // A torn line, or one of a later version, accuses nobody.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut suspects = HashMap::new();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Some((deaths, id)) = line.split_once(' ') else { continue };
            if let (Ok(deaths), Ok(id)) = (deaths.parse::<u32>(), id.parse::<EventId>()) {
                let known = suspects.entry(id).or_insert(0);
                *known = deaths.max(*known);
            }
        }
        let state = State { file, suspects, in_hand: HashMap::new(), others: 0 };
        let journal = Self { state: Mutex::new(state), alone: tokio::sync::Mutex::new(()) };
        journal.state().write()?;
        Ok(journal)
    }

    /// True while there are suspects to be looked for: take events one at a time.
    pub fn is_wary(&self) -> bool {
        self.state().suspects.values().any(|deaths| *deaths < DEATHS)
    }

    /// How often the process died with this event in hand.
    pub fn deaths(&self, id: EventId) -> u32 {
        self.state().suspects.get(&id).copied().unwrap_or(0)
    }

    /// These are in hand now: each counts a death more unless [`Journal::returned`] follows.
    ///
    /// # Errors
    /// Those of the file system; the defence is then weaker, and nothing else.
    pub fn taken(&self, ids: &[EventId]) -> io::Result<()> {
        let mut state = self.state();
        for id in ids {
            *state.in_hand.entry(*id).or_insert(0) += 1;
        }
        state.write()
    }

    /// These came back from the handler, whatever came of them: they are no suspects.
    ///
    /// # Errors
    /// As [`Journal::taken`].
    pub fn returned(&self, ids: &[EventId]) -> io::Result<()> {
        let mut state = self.state();
        for id in ids {
            state.put_down(*id);
            state.others += usize::from(state.suspects.remove(id).is_none());
        }
        state.write()
    }

    /// These were let go unfinished, by a stop: they are as suspect as they were.
    ///
    /// # Errors
    /// As [`Journal::taken`].
    pub fn let_go(&self, ids: &[EventId]) -> io::Result<()> {
        let mut state = self.state();
        ids.iter().for_each(|id| state.put_down(*id));
        state.write()
    }

    /// Gives the search up once more than `limit` others came and no suspect: another process took them.
    /// Those that are to become dead letters stay known.
    pub fn give_up_after(&self, limit: usize) {
        let mut state = self.state();
        if state.others > limit {
            state.suspects.retain(|_, deaths| *deaths >= DEATHS);
            state.others = 0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put_down(&mut self, id: EventId) {
        if let Some(hands) = self.in_hand.get_mut(&id) {
            *hands -= 1;
            if *hands == 0 {
                self.in_hand.remove(&id);
            }
        }
    }

    /// What a death now would mean. Written over what was there and cut afterwards: a death in between
    /// leaves lines of both.
    fn write(&self) -> io::Result<()> {
        let mut text = String::with_capacity(48 * (self.in_hand.len() + self.suspects.len()));
        let mut line = |deaths: u32, id: &EventId| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{deaths} {id}");
        };
        for id in self.in_hand.keys() {
            line(self.suspects.get(id).copied().unwrap_or(0) + 1, id);
        }
        for (id, deaths) in self.suspects.iter().filter(|(id, _)| !self.in_hand.contains_key(id)) {
            line(*deaths, id);
        }
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventType;

    fn id(n: u8) -> EventId {
        EventId::of(EventType::AnalysisRequested, &[&[n]])
    }

    /// The journal as the next process finds it.
    fn died(path: &Path, journal: Journal) -> Journal {
        drop(journal);
        Journal::open(path).unwrap()
    }

    #[test]
    fn what_was_in_hand_at_a_death_is_suspect_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = Journal::open(&path).unwrap();
        assert!(!journal.is_wary());
        journal.taken(&[id(1), id(2)]).unwrap();
        journal.returned(&[id(1)]).unwrap();
        journal.taken(&[id(3)]).unwrap();
        let journal = died(&path, journal);
        assert_eq!([1, 2, 3, 4].map(|n| journal.deaths(id(n))), [0, 1, 1, 0]);
        assert!(journal.is_wary());
        journal.taken(&[id(2)]).unwrap();
        let journal = died(&path, journal);
        assert_eq!([2, 3].map(|n| journal.deaths(id(n))), [2, 1], "only the one in hand is accused again");
        journal.taken(&[id(3)]).unwrap();
        journal.returned(&[id(3)]).unwrap();
        journal.taken(&[id(2)]).unwrap();
        let journal = died(&path, journal);
        assert_eq!([2, 3].map(|n| journal.deaths(id(n))), [DEATHS, 0]);
        assert!(!journal.is_wary(), "it is not looked for any more, only refused");
    }

    #[test]
    fn a_stop_accuses_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = Journal::open(&path).unwrap();
        journal.taken(&[id(1), id(2)]).unwrap();
        journal.let_go(&[id(1), id(2)]).unwrap();
        let journal = died(&path, journal);
        assert!(!journal.is_wary());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn the_same_event_in_two_hands_is_in_hand_until_both_have_put_it_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = Journal::open(&path).unwrap();
        journal.taken(&[id(1)]).unwrap();
        journal.taken(&[id(1)]).unwrap();
        journal.let_go(&[id(1)]).unwrap();
        assert_eq!(died(&path, journal).deaths(id(1)), 1);
    }

    #[test]
    fn suspects_that_never_come_are_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        std::fs::write(&path, format!("1 {}\n3 {}\ntorn 00", id(1), id(2))).unwrap();
        let journal = Journal::open(&path).unwrap();
        for n in 10..14 {
            journal.taken(&[id(n)]).unwrap();
            journal.returned(&[id(n)]).unwrap();
            journal.give_up_after(3);
            assert_eq!(journal.is_wary(), n < 13);
        }
        assert_eq!(journal.deaths(id(2)), 3);
    }
}
