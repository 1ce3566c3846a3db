//! The same trouble again and again is told five times a minute, then counted: a disk must not fill, and a
//! reader not drown, because something fails in a loop. Pure; the caller gives the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So often in one window a line is written.
const OFTEN: u32 = 5;
/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(60);
/// So many different lines are remembered; beyond that windows that are over are forgotten.
const KINDS: usize = 1000;

/// What makes two lines the same: the message, and what its texts say.
pub(super) type Kind = String;

/// What is remembered of the lines of the last minute.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<Kind, Window>);

#[derive(Debug)]
struct Window {
    begun: Instant,
    lines: u32,
}

impl Repeats {
    /// Whether to write this line; and if so, how many of its kind were left out before it.
    pub(super) fn admit(&mut self, kind: Kind, now: Instant) -> Option<u32> {
        if self.0.len() >= KINDS {
            self.0.retain(|_, window| now.duration_since(window.begun) < WINDOW);
        }
        let window = self.0.entry(kind).or_insert(Window { begun: now, lines: 0 });
        let left_out = window.lines.saturating_sub(OFTEN);
        if now.duration_since(window.begun) >= WINDOW {
            *window = Window { begun: now, lines: 1 };
            return Some(left_out);
        }
        window.lines += 1;
        (window.lines <= OFTEN).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(message: &str) -> Kind {
        message.to_owned()
    }

    #[test]
    fn five_in_a_minute_and_then_their_number() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let first: Vec<_> = (0..8).map(|n| repeats.admit(kind("failed"), at(n))).collect();
        assert_eq!(first, [Some(0), Some(0), Some(0), Some(0), Some(0), None, None, None]);
        assert_eq!(repeats.admit(kind("other"), at(9)), Some(0), "another line is no repetition");
        assert_eq!(repeats.admit(kind("failed"), at(61)), Some(3));
        assert_eq!(repeats.admit(kind("failed"), at(62)), Some(0));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        for n in 0..5_000 {
            repeats.admit(kind(&n.to_string()), begin + Duration::from_secs(n));
        }
        assert!(repeats.0.len() <= KINDS, "{}", repeats.0.len());
    }
}
