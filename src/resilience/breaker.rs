//! A circuit breaker: closed while calls go well, open when too many fail or drag on, half-open when it
//! tries whether they go well again.
//!
//! What counts is the share of failures and of slow calls among the calls of a sliding window, and only
//! where there were enough of them to speak of a share. A call that was let through before the state
//! changed says nothing about the new state: its permit carries the number of the state it belongs to.

use std::time::{Duration, Instant};

/// The window is kept in so many pieces; the oldest falls out whole.
const PIECES: usize = 10;

/// When a breaker opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// How far back calls count.
    pub window: Duration,
    /// Fewer calls in the window than this open nothing.
    pub least: u32,
    /// Open at this share of failures, from 0 to 1.
    pub failures: f64,
    /// Open at this share of slow calls, from 0 to 1.
    pub slow_calls: f64,
    /// A call that takes longer is slow.
    pub slow: Duration,
    /// How long it stays open.
    pub rest: Duration,
    /// So many calls are let through half-open; if all go well it closes, if one fails it opens again.
    pub trials: u32,
}

/// Leave to call, and for which state it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    state: u64,
}

/// What the breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets all through.
    Closed,
    /// Lets none through.
    Open,
    /// Lets a few through to see.
    HalfOpen,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    calls: u32,
    failed: u32,
    slow: u32,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { under_way: u32, well: u32 },
}

/// One breaker; time comes in as an argument and must not run backwards.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: BreakerSettings,
    phase: Phase,
    /// Counts the changes of phase.
    state: u64,
    /// Piece of the window → what came of its calls.
    pieces: [(u64, Tally); PIECES],
    began: Option<Instant>,
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(settings: BreakerSettings) -> Self {
        let nothing = (0, Tally { calls: 0, failed: 0, slow: 0 });
        Self { settings, phase: Phase::Closed, state: 0, pieces: [nothing; PIECES], began: None }
    }

    /// Leave to call at `now`; every permit is given back by [`Self::record`] or [`Self::forget`].
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn admit(&mut self, now: Instant) -> Result<Permit, Duration> {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(until - now);
            }
            self.enter(Phase::HalfOpen { under_way: 0, well: 0 });
        }
        if let Phase::HalfOpen { under_way, well } = &mut self.phase {
            if *under_way + *well >= self.settings.trials.max(1) {
                return Err(self.settings.rest);
            }
            *under_way += 1;
        }
        Ok(Permit { state: self.state })
    }

    /// Tells how a call went that took `took` and ended at `now`.
    pub fn record(&mut self, permit: Permit, now: Instant, went_well: bool, took: Duration) {
        if permit.state != self.state {
            return;
        }
        let is_slow = took > self.settings.slow;
        match self.phase {
            Phase::Closed => {
                self.count(now, !went_well, is_slow);
                if self.is_too_much(now) {
                    self.open(now);
                }
            }
            Phase::HalfOpen { .. } if !went_well || is_slow => self.open(now),
            Phase::HalfOpen { under_way, well } => {
                let (under_way, well) = (under_way.saturating_sub(1), well + 1);
                if well >= self.settings.trials.max(1) {
                    self.pieces = [(0, Tally::default()); PIECES];
                    self.enter(Phase::Closed);
                } else {
                    self.phase = Phase::HalfOpen { under_way, well };
                }
            }
            Phase::Open { .. } => {}
        }
    }

    /// Gives a permit back whose call says nothing: it was given up half-way.
    pub fn forget(&mut self, permit: Permit) {
        if let (true, Phase::HalfOpen { under_way, .. }) = (permit.state == self.state, &mut self.phase) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// What it does at `now`.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.state += 1;
    }

    fn open(&mut self, now: Instant) {
        let until = now.checked_add(self.settings.rest).unwrap_or(now);
        self.enter(Phase::Open { until });
    }

    /// The number of the piece of the window that `now` falls into, counted from 1.
    fn piece(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        let length = (self.settings.window / PIECES as u32).max(Duration::from_millis(1));
        let passed = now.saturating_duration_since(began).as_nanos() / length.as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX - 1) + 1
    }

    fn count(&mut self, now: Instant, has_failed: bool, is_slow: bool) {
        let piece = self.piece(now);
        let (number, tally) = &mut self.pieces[usize::try_from(piece % PIECES as u64).unwrap_or(0)];
        if *number != piece {
            (*number, *tally) = (piece, Tally::default());
        }
        tally.calls += 1;
        tally.failed += u32::from(has_failed);
        tally.slow += u32::from(is_slow);
    }

    fn is_too_much(&mut self, now: Instant) -> bool {
        let piece = self.piece(now);
        let oldest = piece.saturating_sub(PIECES as u64 - 1);
        let mut sum = Tally::default();
        for (_, tally) in self.pieces.iter().filter(|(number, _)| *number != 0 && *number >= oldest) {
            sum.calls += tally.calls;
            sum.failed += tally.failed;
            sum.slow += tally.slow;
        }
        let reaches = |part: u32, share: f64| f64::from(part) >= share * f64::from(sum.calls);
        sum.calls >= self.settings.least.max(1)
            && ((sum.failed > 0 && reaches(sum.failed, self.settings.failures))
                || (sum.slow > 0 && reaches(sum.slow, self.settings.slow_calls)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        window: Duration::from_secs(60),
        least: 10,
        failures: 0.5,
        slow_calls: 0.8,
        slow: Duration::from_secs(30),
        rest: Duration::from_secs(20),
        trials: 2,
    };
    const QUICK: Duration = Duration::from_millis(10);

    /// Calls once at `now`, if it is let through.
    fn call(breaker: &mut Breaker, now: Instant, went_well: bool, took: Duration) -> Result<(), Duration> {
        let permit = breaker.admit(now)?;
        breaker.record(permit, now, went_well, took);
        Ok(())
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(SETTINGS);
        for _ in 0..10 {
            call(&mut breaker, now, false, QUICK).unwrap();
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
        breaker
    }

    #[test]
    fn slow_calls_open_it_as_failures_do() {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        for n in 0..10 {
            assert_eq!(breaker.state(now), BreakerState::Closed);
            call(&mut breaker, now, true, Duration::from_secs(if n < 2 { 1 } else { 31 })).unwrap();
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    #[test]
    fn half_open_lets_a_few_through_and_closes_when_all_of_them_go_well() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now), Err(Duration::from_secs(20)));
        let later = now + Duration::from_secs(20);
        let (one, two) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_err(), "a third trial");
        breaker.record(one, later, true, QUICK);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        breaker.record(two, later, true, QUICK);
        assert_eq!(breaker.state(later), BreakerState::Closed);
        // What went wrong before it opened is forgotten.
        call(&mut breaker, later, false, QUICK).unwrap();
        assert_eq!(breaker.state(later), BreakerState::Closed);
    }

    #[test]
    fn one_trial_that_fails_or_drags_on_opens_it_again() {
        for (went_well, took) in [(false, QUICK), (true, Duration::from_secs(31))] {
            let now = Instant::now();
            let mut breaker = opened(now);
            let later = now + Duration::from_secs(20);
            call(&mut breaker, later, went_well, took).unwrap();
            assert_eq!(breaker.admit(later), Err(Duration::from_secs(20)));
        }
    }

    #[test]
    fn a_trial_that_was_given_up_makes_room_for_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + Duration::from_secs(20);
        let (one, _two) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
        breaker.forget(one);
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn what_was_let_through_before_it_opened_says_nothing_about_later() {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        let late = breaker.admit(now).unwrap();
        for _ in 0..10 {
            call(&mut breaker, now, false, QUICK).unwrap();
        }
        let later = now + Duration::from_secs(20);
        let trial = breaker.admit(later).unwrap();
        breaker.record(late, later, false, QUICK);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        breaker.forget(trial);
    }

    proptest! {
        #[test]
        fn it_opens_only_over_a_share_of_enough_calls_in_the_window(
            calls in proptest::collection::vec((0u64..20_000, any::<bool>(), any::<bool>()), 1..120),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(SETTINGS);
            let mut made: Vec<(Instant, bool, bool)> = Vec::new();
            for (pause, went_well, is_slow) in calls {
                now += Duration::from_millis(pause);
                let took = if is_slow { Duration::from_secs(31) } else { QUICK };
                prop_assert!(call(&mut breaker, now, went_well, took).is_ok());
                made.push((now, !went_well, is_slow));
                if breaker.state(now) == BreakerState::Open {
                    // The window is exact to one of its pieces.
                    let recent: Vec<_> = made.iter().filter(|(at, ..)| now - *at <= SETTINGS.window).collect();
                    prop_assert!(recent.len() >= 10);
                    let count = |part: fn(&(Instant, bool, bool)) -> bool| recent.iter().filter(|c| part(c)).count();
                    let (failed, slow) = (count(|call| call.1), count(|call| call.2));
                    prop_assert!(failed > 0 || slow > 0);
                    return Ok(());
                }
            }
        }

        #[test]
        fn all_failures_open_it_at_the_least_number_and_none_never_do(calls in 10u32..200, gap in 0u64..5_000) {
            let mut now = Instant::now();
            let (mut bad, mut good) = (Breaker::new(SETTINGS), Breaker::new(SETTINGS));
            let mut refused_at = None;
            for n in 0..calls {
                now += Duration::from_millis(gap);
                prop_assert!(call(&mut good, now, true, QUICK).is_ok());
                if refused_at.is_none() && call(&mut bad, now, false, QUICK).is_err() {
                    refused_at = Some(n);
                }
            }
            // Ten calls of the window are enough, and 5 s apart twelve of them are in it.
            prop_assert!(calls == 10 || refused_at == Some(10), "{:?}", refused_at);
            prop_assert_eq!(good.state(now), BreakerState::Closed);
        }

        #[test]
        fn it_never_stays_open_longer_than_its_rest_nor_lets_more_than_the_trials_through(
            steps in proptest::collection::vec((0u64..30_000, 0u8..4), 1..80),
        ) {
            let mut now = Instant::now();
            let mut breaker = opened(now);
            let mut under_way: Vec<Permit> = Vec::new();
            for (pause, what) in steps {
                now += Duration::from_millis(pause);
                match (what, under_way.pop()) {
                    (0, Some(permit)) => breaker.record(permit, now, true, QUICK),
                    (1, Some(permit)) => breaker.record(permit, now, false, QUICK),
                    (2, Some(permit)) => breaker.forget(permit),
                    (_, left) => {
                        under_way.extend(left);
                        let before = breaker.state(now);
                        match breaker.admit(now) {
                            Ok(permit) => {
                                prop_assert!(before != BreakerState::Open);
                                under_way.push(permit);
                            }
                            Err(wait) => prop_assert!(wait <= SETTINGS.rest && !wait.is_zero()),
                        }
                    }
                }
                let trials = under_way.iter().filter(|permit| permit.state == breaker.state).count();
                prop_assert!(breaker.state(now) != BreakerState::HalfOpen || trials <= 2);
            }
        }
    }
}
