//! Whether an account that looks well is still fed. Pure: the time is given.
//!
//! Two signs, because each alone can be missing. The page *shows* news (a higher badge, a later activity)
//! and the message does not come; or the page shows nothing at all for far longer than is usual for this
//! account, while the site goes on answering.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fault::Code;
use crate::ports::page::ListRow;

/// Intervals between messages that are remembered.
const RECENT: usize = 256;
/// Fewer than these are no habit.
const ENOUGH: usize = 20;
/// Days whose longest silence is remembered: a week with its nights and its weekend.
const DAYS: usize = 8;
/// A silence must be this much longer than any usual one.
const FAR: u32 = 2;

/// How long an account is usually silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Habit {
    /// The latest intervals between two messages, in milliseconds.
    recent: VecDeque<u64>,
    /// The longest interval of each of the latest days, in milliseconds, by the day since 1970.
    longest: VecDeque<(i64, u64)>,
    /// When the latest message was stored.
    last: Option<Timestamp>,
}

impl Habit {
    /// A message was stored.
    pub fn heard(&mut self, now: Timestamp) {
        if let Some(interval) = self.last.and_then(|last| u64::try_from(last.duration_until(now).as_millis()).ok()) {
            self.recent.push_back(interval);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
            let day = now.as_second().div_euclid(24 * 3600);
            match self.longest.back_mut() {
                Some((last, longest)) if *last == day => *longest = (*longest).max(interval),
                _ => self.longest.push_back((day, interval)),
            }
            if self.longest.len() > DAYS {
                self.longest.pop_front();
            }
        }
        self.last = Some(now);
    }

    /// A silence longer than this is unusual; `None` while no habit is known.
    fn limit(&self) -> Option<Duration> {
        if self.recent.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<u64> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let high = sorted[(sorted.len() - 1) * 99 / 100];
        let longest = self.longest.iter().map(|(_, longest)| *longest).max().unwrap_or(0);
        Some(Duration::from_millis(high.max(longest)) * FAR)
    }
}

/// What one row of the list says of news.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shown {
    unread: u64,
    activity: Option<Timestamp>,
}

impl Shown {
    fn of(row: &ListRow) -> Self {
        Self { unread: unread(row), activity: row.last_activity.as_deref().and_then(moment) }
    }

    /// True if this shows news that `before` did not.
    fn is_news_after(self, before: Self) -> bool {
        self.unread > before.unread || matches!((self.activity, before.activity), (Some(a), Some(b)) if a > b)
    }
}

/// The number in a row's unread badge; a badge without a number is a dot, and stands for one.
pub fn unread(row: &ListRow) -> u64 {
    let badge = row.unread.as_deref().map(str::trim).filter(|badge| !badge.is_empty());
    let number = |badge: &str| badge.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
    badge.map_or(0, |badge| number(badge).unwrap_or(1))
}

/// A time that needs no guess: RFC 3339, or seconds or milliseconds since 1970.
fn moment(raw: &str) -> Option<Timestamp> {
    let raw = raw.trim();
    match raw.parse::<i64>() {
        Ok(number) if number > 100_000_000_000 => Timestamp::from_millisecond(number).ok(),
        Ok(number) if number > 100_000_000 => Timestamp::from_second(number).ok(),
        Ok(_) => None,
        Err(_) => raw.parse().ok(),
    }
}

/// News that a row shows.
#[derive(Debug, Clone, Copy)]
struct Pending {
    since: Timestamp,
    /// The row's time, if that is all that speaks for it.
    activity: Option<Timestamp>,
}

/// What is stored of one conversation.
#[derive(Debug, Clone, Copy)]
struct Fed {
    /// When messages of it were last stored as they came.
    at: Timestamp,
    /// When its newest message was sent, if the page says so.
    newest: Option<Timestamp>,
}

/// A row may be told so long after the messages that it speaks of.
const TRAILS: SignedDuration = SignedDuration::from_secs(10);
/// How much a row's time may differ from that of the message it stands for: many show whole minutes.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Watches over one account while it is watched.
#[derive(Debug)]
pub struct Staleness {
    after: Duration,
    habit: Habit,
    shown: HashMap<String, Shown>,
    /// Conversations whose row shows news that is not stored.
    pending: HashMap<String, Pending>,
    /// What is known to be stored of each conversation.
    fed: HashMap<String, Fed>,
    /// Since when silence counts: the latest message, or the beginning of the watch.
    silent_since: Timestamp,
    begun: Timestamp,
    answers: u64,
    answered_at: Option<Timestamp>,
}

impl Staleness {
    /// A watch that begins now. `after`: how long news may be shown without being stored.
    pub fn new(after: Duration, habit: Habit, now: Timestamp) -> Self {
        Self {
            after,
            habit,
            shown: HashMap::new(),
            pending: HashMap::new(),
            fed: HashMap::new(),
            silent_since: now,
            begun: now,
            answers: 0,
            answered_at: None,
        }
    }

    /// The habit as it is by now.
    pub const fn habit(&self) -> &Habit {
        &self.habit
    }

    /// A row as the page shows it now.
    pub fn shows(&mut self, row: &ListRow, now: Timestamp) {
        let Some(id) = &row.id else { return };
        let shown = Shown::of(row);
        let before = self.shown.insert(id.clone(), shown);
        let fed = self.fed.get(id).copied();
        match before {
            Some(before) if shown.is_news_after(before) => {
                let is_badge = shown.unread > before.unread;
                let trails = fed.is_some_and(|fed| fed.at.duration_until(now) < TRAILS);
                let activity = shown.activity.filter(|_| !is_badge);
                if trails || activity.is_some_and(|at| is_stored(at, fed)) {
                    return;
                }
                let pending = self.pending.entry(id.clone()).or_insert(Pending { since: now, activity });
                if is_badge {
                    pending.activity = None;
                }
            }
            // Taken back by the page: nothing is shown that is not stored.
            Some(before) if before.is_news_after(shown) && shown.unread == 0 => {
                self.pending.remove(id);
            }
            _ => {}
        }
    }

    /// A row as it was when its conversation was read: the measure for what is news.
    pub fn is_read(&mut self, row: &ListRow) {
        if let Some(id) = &row.id {
            self.shown.insert(id.clone(), Shown::of(row));
        }
    }

    /// New messages of a conversation were stored, as they came.
    pub fn stored(&mut self, conversation: &str, newest: Option<Timestamp>, now: Timestamp) {
        self.habit.heard(now);
        self.found(conversation, newest, now);
        // A row may follow its message; one that rises after a pass is news of its own.
        if let Some(fed) = self.fed.get_mut(conversation) {
            fed.at = now;
        }
    }

    /// A pass found new messages of a conversation.
    pub fn found(&mut self, conversation: &str, newest: Option<Timestamp>, now: Timestamp) {
        self.pending.remove(conversation);
        self.knows(conversation, newest);
        self.silent_since = now;
    }

    /// A conversation was read, and holds nothing new.
    pub fn knows(&mut self, conversation: &str, newest: Option<Timestamp>) {
        let fed = self.fed.entry(conversation.to_owned()).or_insert(Fed { at: Timestamp::MIN, newest });
        fed.newest = newest.max(fed.newest);
        let fed = *fed;
        if self.pending.get(conversation).is_some_and(|news| news.activity.is_some_and(|at| is_stored(at, Some(fed)))) {
            self.pending.remove(conversation);
        }
    }

    /// How often the site has answered, counted from anywhere.
    pub fn answered(&mut self, answers: u64, now: Timestamp) {
        if answers > self.answers {
            self.answered_at = Some(now);
        }
        // A count that begins anew is no answer.
        self.answers = answers;
    }

    /// True if the site has not answered for long either: then it may simply have nothing to say.
    pub fn is_site_silent(&self, now: Timestamp) -> bool {
        is_over(self.answered_at.unwrap_or(self.begun), self.after, now)
    }

    /// True if news waits for half of its time: early enough to look for it before the account is called stale.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.pending.values().any(|news| is_over(news.since, self.after / 2, now))
    }

    /// Why the account looks stale now, if it does.
    pub fn suspicion(&self, now: Timestamp) -> Option<Code> {
        if self.pending.values().any(|news| is_over(news.since, self.after, now)) {
            return Some(Code::StaleNews);
        }
        let quiet = self.habit.limit()?.max(self.after);
        let is_answering = self.answered_at.is_some_and(|at| at > self.silent_since) && !self.is_site_silent(now);
        (is_answering && is_over(self.silent_since, quiet, now)).then_some(Code::StaleQuiet)
    }
}

/// True if what was sent at this time is stored.
fn is_stored(activity: Timestamp, fed: Option<Fed>) -> bool {
    let newest = fed.and_then(|fed| fed.newest?.checked_add(SLACK).ok());
    newest.is_some_and(|newest| activity <= newest)
}

fn is_over(since: Timestamp, limit: Duration, now: Timestamp) -> bool {
    since.duration_until(now) >= SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn row(unread: Option<&str>, activity: Option<&str>) -> ListRow {
        ListRow {
            id: Some("7".to_owned()),
            title: None,
            last_activity: activity.map(str::to_owned),
            unread: unread.map(str::to_owned),
            digest: "".into(),
        }
    }

    fn begun() -> Staleness {
        let mut watch = Staleness::new(Duration::from_secs(60), Habit::default(), at(0));
        watch.shows(&row(None, Some("2026-10-03T10:00:00Z")), at(0));
        watch
    }

    #[test]
    fn news_that_is_shown_and_not_stored_is_stale_after_its_time() {
        for news in [row(Some("1"), None), row(Some("•"), None), row(None, Some("2026-10-03T10:00:01Z"))] {
            let mut watch = begun();
            watch.shows(&news, at(10));
            watch.shows(&news, at(50));
            assert_eq!(watch.suspicion(at(69)), None);
            assert_eq!(watch.suspicion(at(70)), Some(Code::StaleNews), "counted from the first sight");
            watch.stored("7", None, at(71));
            assert_eq!(watch.suspicion(at(500)), None);
        }
    }

    #[test]
    fn a_row_that_follows_its_message_is_no_news() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        // The message first, then the row, a moment later or long after.
        for told in [11, 300] {
            let mut watch = begun();
            watch.stored("7", Some(time("2026-10-03T10:05:00Z")), at(10));
            watch.shows(&row(None, Some("2026-10-03T10:05:30Z")), at(told));
            assert_eq!(watch.suspicion(at(5_000)), None, "{told}");
        }
        // The row first; a reading that finds nothing new shows that it is stored.
        let mut watch = begun();
        watch.shows(&row(None, Some("2026-10-03T10:05:30Z")), at(10));
        watch.knows("7", Some(time("2026-10-03T10:05:30Z")));
        assert_eq!(watch.suspicion(at(5_000)), None);
        // A badge stays one, and a later time stays later, whatever was read, and whatever else was found.
        for news in [row(Some("1"), None), row(None, Some("2026-10-03T12:00:00Z"))] {
            let mut watch = begun();
            watch.shows(&news, at(20));
            watch.knows("7", Some(time("2026-10-03T10:05:30Z")));
            watch.found("8", None, at(30));
            assert!(!watch.is_late(at(49)) && watch.is_late(at(50)));
            assert_eq!(watch.suspicion(at(80)), Some(Code::StaleNews));
        }
    }

    #[test]
    fn what_shows_no_news_is_never_stale() {
        for other in [row(None, Some("2026-10-03T09:00:00Z")), row(None, Some("5 minutes ago")), row(None, None)] {
            let mut watch = begun();
            watch.shows(&other, at(10));
            assert_eq!(watch.suspicion(at(5_000)), None, "{other:?}");
        }
        let mut watch = begun();
        watch.shows(&row(Some("2"), None), at(10));
        watch.shows(&row(None, None), at(20));
        assert_eq!(watch.suspicion(at(5_000)), None, "the page took it back");
    }

    /// A message each so many seconds, and then none.
    fn fed(seconds: i64, messages: i64) -> (Staleness, i64) {
        let mut watch = Staleness::new(Duration::from_secs(60), Habit::default(), at(0));
        for n in 1..=messages {
            watch.stored("7", None, at(n * seconds));
        }
        (watch, messages * seconds)
    }

    #[test]
    fn silence_is_measured_by_the_habit_and_only_while_the_site_answers() {
        let (mut watch, end) = fed(100, 30);
        assert_eq!(watch.suspicion(at(end + 10_000)), None, "the site is silent too");
        watch.answered(1, at(end + 190));
        assert_eq!(watch.suspicion(at(end + 199)), None, "twice the usual time");
        assert_eq!(watch.suspicion(at(end + 200)), Some(Code::StaleQuiet));
        assert_eq!(watch.suspicion(at(end + 251)), None, "it fell silent");
        assert!(watch.is_site_silent(at(end + 251)));
        watch.answered(0, at(end + 255));
        assert!(watch.is_site_silent(at(end + 256)), "a new count is no answer");
        watch.answered(2, at(end + 260));
        assert_eq!(watch.suspicion(at(end + 260)), Some(Code::StaleQuiet));
        watch.stored("7", None, at(end + 261));
        assert_eq!(watch.suspicion(at(end + 270)), None);
    }

    #[test]
    fn without_a_habit_nothing_is_unusual_and_a_long_night_becomes_one() {
        let (mut watch, end) = fed(100, 10);
        watch.answered(1, at(end + 90_000));
        assert_eq!(watch.suspicion(at(end + 90_001)), None, "ten messages are no habit");
        let (mut watch, end) = fed(100, 200);
        let night = 8 * 3600;
        watch.stored("7", None, at(end + night));
        watch.answered(1, at(end + 2 * night));
        assert_eq!(watch.suspicion(at(end + 2 * night + 1)), None, "as the night before");
    }

    #[test]
    fn a_habit_is_bounded() {
        let mut habit = Habit::default();
        for n in 0..5_000 {
            habit.heard(at(n * 3600));
        }
        assert_eq!((habit.recent.len(), habit.longest.len()), (RECENT, DAYS));
        let again: Habit = serde_json::from_str(&serde_json::to_string(&habit).unwrap()).unwrap();
        assert_eq!(again, habit);
    }
}
