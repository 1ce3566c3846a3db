//! Keeping an account that flips to and fro from telling everybody each time: pure, the clock injected.
//!
//! What an account is, is always stored. What is held back are events and warnings of passing states that
//! were told often enough within a short time. What a human must act on is never held back.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::AccountState;
use crate::fault::Code;

/// Within this time …
const WINDOW: Duration = Duration::from_secs(600);
/// … one and the same state is told so often.
const TOLD: usize = 3;

/// A state with its cause: what an event tells.
pub type Face = (AccountState, Option<Code>);

/// What is to be done about a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It says what was told last.
    Known,
    /// Tell it; so many changes were held back since the last one that was told.
    Told {
        /// How many.
        held: u64,
    },
    /// Hold it back.
    Held {
        /// True for the first one: say that this happens.
        first: bool,
    },
}

/// What was told lately.
#[derive(Debug, Default)]
pub struct Flaps {
    recent: VecDeque<(Instant, Face)>,
    current: Option<Face>,
    told: Option<Face>,
    held: u64,
}

impl Flaps {
    /// As after a start, when this was told in an earlier life.
    pub fn after(face: Face) -> Self {
        Self { current: Some(face), told: Some(face), ..Self::default() }
    }

    /// Weighs the state that an account has now. It may be asked again and again about one state: what was
    /// held back is told once it has become calm.
    pub fn weigh(&mut self, face: Face, now: Instant) -> Weight {
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.recent.pop_front();
        }
        let is_change = self.current != Some(face);
        self.current = Some(face);
        if !is_change && self.told == Some(face) {
            return Weight::Known;
        }
        let is_passing = !matches!(face.0, AccountState::Parked | AccountState::Stopped | AccountState::Stale);
        let often = self.recent.iter().filter(|(_, known)| *known == face).count();
        if is_passing && often >= TOLD {
            if !is_change {
                return Weight::Known;
            }
            self.held += 1;
            return Weight::Held { first: self.held == 1 };
        }
        self.recent.push_back((now, face));
        self.told = Some(face);
        Weight::Told { held: std::mem::take(&mut self.held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Face = (AccountState::Live, None);
    const AWAY: Face = (AccountState::Backoff, Some(Code::SiteUnreachable));
    const PARKED: Face = (AccountState::Parked, Some(Code::Captcha));
    const TELL: Weight = Weight::Told { held: 0 };

    #[test]
    fn the_fourth_time_is_held_back_and_said_once() {
        let (mut flaps, mut now) = (Flaps::default(), Instant::now());
        let mut weights = Vec::new();
        for _ in 0..5 {
            for face in [LIVE, AWAY] {
                weights.push(flaps.weigh(face, now));
                now += Duration::from_secs(10);
            }
        }
        assert_eq!(weights[..6], [TELL; 6]);
        assert_eq!(weights[6], Weight::Held { first: true });
        assert_eq!(weights[7..], [Weight::Held { first: false }; 3]);
        assert_eq!(flaps.weigh(PARKED, now), Weight::Told { held: 4 }, "a human must act at once");
    }

    #[test]
    fn a_state_that_lasts_is_told_once_and_what_was_held_back_when_it_is_calm() {
        let (mut flaps, begun) = (Flaps::default(), Instant::now());
        for face in [LIVE, AWAY, LIVE, AWAY, LIVE, AWAY] {
            assert_eq!(flaps.weigh(face, begun), TELL);
        }
        assert_eq!(flaps.weigh(LIVE, begun), Weight::Held { first: true });
        assert_eq!(flaps.weigh(LIVE, begun + WINDOW / 2), Weight::Known);
        let calm = begun + WINDOW + Duration::from_secs(1);
        assert_eq!(flaps.weigh(LIVE, calm), Weight::Told { held: 1 });
        assert_eq!(flaps.weigh(LIVE, calm), Weight::Known);
    }

    #[test]
    fn what_an_earlier_life_told_is_no_news() {
        let mut flaps = Flaps::after(PARKED);
        assert_eq!(flaps.weigh(PARKED, Instant::now()), Weight::Known);
        assert_eq!(flaps.weigh(LIVE, Instant::now()), TELL);
    }
}
