//! Times as pages write them → points in time, with how exact they are.
//!
//! Pure: the time zone and today's date come in from outside, so that "14:05" and "Yesterday" mean the
//! same thing at every reading of the same page on the same day.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

use crate::domain::Precision;

/// A point in time as exact as the page says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The point in time; for a coarse precision its beginning.
    pub at: Timestamp,
    /// How exact.
    pub precision: Precision,
}

/// What a time in words is relative to.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The zone that the browser shows times in.
    pub zone: TimeZone,
    /// The current day there.
    pub today: Date,
}

impl Frame {
    /// The frame of a page read at `now` in `zone`.
    pub fn new(zone: TimeZone, now: Timestamp) -> Self {
        let today = now.to_zoned(zone.clone()).date();
        Self { zone, today }
    }

    /// Reads a time. `day` is the date to take for a format that has none.
    ///
    /// `None` if no format fits, or none that needs no date while `day` is unknown.
    pub fn moment(&self, raw: &str, formats: &[String], day: Option<Date>) -> Option<Moment> {
        let raw = normal(raw);
        formats.iter().find_map(|format| self.moment_as(&raw, format, day))
    }

    fn moment_as(&self, raw: &str, format: &str, day: Option<Date>) -> Option<Moment> {
        match format {
            "rfc3339" => raw.parse().ok().map(|at: Timestamp| Moment { at, precision: fraction(at) }),
            "unix-s" => unix(raw, false),
            "unix-ms" => unix(raw, true),
            // Seconds reach 10^11 in the year 5138, milliseconds passed it in 1973.
            "unix" => unix(raw, raw.trim_start_matches('-').split('.').next().is_some_and(|whole| whole.len() >= 12)),
            pattern => {
                let parts = strtime::parse(pattern, raw).ok()?;
                let precision = precision_of(pattern);
                if let Ok(at) = parts.to_timestamp() {
                    return Some(Moment { at, precision });
                }
                let date = self.date_in(&parts).or(day)?;
                let time = if precision == Precision::Day { Time::midnight() } else { parts.to_time().ok()? };
                let at = self.zone.to_timestamp(date.to_datetime(time)).ok()?;
                Some(Moment { at, precision })
            }
        }
    }

    /// A time or date so many weeks earlier, written in the same form; as it is where the form has no date.
    /// Whole weeks, so that the day of the week still fits.
    ///
    /// `None` if no format fits.
    pub fn earlier(&self, raw: &str, formats: &[String], weeks: i64) -> Option<String> {
        let raw = normal(raw);
        let back = jiff::SignedDuration::from_hours(weeks * 7 * 24);
        formats.iter().find_map(|format| {
            let shifted = match format.as_str() {
                "rfc3339" => Some(raw.parse::<Timestamp>().ok()?.checked_sub(back).ok()?.to_string()),
                "unix" | "unix-s" | "unix-ms" => {
                    let moment = self.moment_as(&raw, format, None)?;
                    let whole: i64 = raw.parse().ok()?;
                    let is_seconds = whole == moment.at.as_second();
                    Some((whole - if is_seconds { back.as_secs() } else { back.as_secs() * 1000 }).to_string())
                }
                pattern => {
                    let parts = strtime::parse(pattern, &raw).ok()?;
                    let time = parts.to_time().unwrap_or(Time::midnight());
                    let moved = parts.to_date().ok().and_then(|date| date.to_datetime(time).checked_sub(back).ok());
                    moved.and_then(|moved| strtime::format(pattern, moved).ok())
                }
            };
            Some(shifted.unwrap_or_else(|| raw.clone()))
        })
    }

    /// Reads a date: of a separator, or the date part of a time.
    pub fn date(&self, raw: &str, formats: &[String], today: &[String], yesterday: &[String]) -> Option<Date> {
        let raw = normal(raw);
        let is_one_of = |words: &[String]| words.iter().any(|word| normal(word).eq_ignore_ascii_case(&raw));
        if is_one_of(today) {
            return Some(self.today);
        }
        if is_one_of(yesterday) {
            return self.today.yesterday().ok();
        }
        formats.iter().find_map(|format| match format.as_str() {
            "rfc3339" | "unix-s" | "unix-ms" | "unix" => {
                self.moment_as(&raw, format, None).map(|moment| moment.at.to_zoned(self.zone.clone()).date())
            }
            pattern => self.date_in(&strtime::parse(pattern, &raw).ok()?),
        })
    }

    /// The date in a parsed pattern. Without a year it is the latest such day that is not after today.
    fn date_in(&self, parts: &BrokenDownTime) -> Option<Date> {
        if let Ok(date) = parts.to_date() {
            return Some(date);
        }
        let (month, day) = (parts.month()?, parts.day()?);
        let this_year = Date::new(self.today.year(), month, day).ok().filter(|date| *date <= self.today);
        // The 29th of February may lie up to eight years back.
        this_year.or_else(|| (1..=8).find_map(|back| Date::new(self.today.year() - back, month, day).ok()))
    }
}

/// A pattern that can be used: tried on a fixed time.
///
/// # Errors
/// What is wrong with it, one sentence.
pub fn check_format(format: &str) -> Result<(), String> {
    if matches!(format, "rfc3339" | "unix" | "unix-s" | "unix-ms") {
        return Ok(());
    }
    if !format.contains('%') {
        return Err(format!("{format:?} is neither rfc3339, unix, unix-s, unix-ms nor a pattern with % directives"));
    }
    strtime::format(format, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC))
        .map(drop)
        .map_err(|error| format!("{format:?} is no time pattern: {error}"))
}

/// Pages put narrow and no-break spaces into times.
fn normal(raw: &str) -> String {
    raw.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unix(raw: &str, milliseconds: bool) -> Option<Moment> {
    let number: f64 = raw.parse().ok()?;
    let ms = if milliseconds { number } else { number * 1000.0 };
    // The range of a timestamp is checked below; the cast saturates.
    #[allow(clippy::cast_possible_truncation)]
    let at = Timestamp::from_millisecond(ms.round() as i64).ok()?;
    Some(Moment { at, precision: if milliseconds { Precision::Millisecond } else { fraction(at) } })
}

fn fraction(at: Timestamp) -> Precision {
    if at.subsec_nanosecond() == 0 { Precision::Second } else { Precision::Millisecond }
}

fn precision_of(pattern: &str) -> Precision {
    let has = |directives: &[&str]| directives.iter().any(|directive| pattern.contains(directive));
    if has(&["%f", "%.f", "%N"]) {
        Precision::Millisecond
    } else if has(&["%S", "%T", "%s", "%r", "%c", "%X"]) {
        Precision::Second
    } else if has(&["%M", "%R"]) {
        Precision::Minute
    } else {
        Precision::Day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(zone: &str) -> Frame {
        Frame::new(TimeZone::get(zone).unwrap(), "2026-11-21T10:00:00Z".parse().unwrap())
    }

    fn at(zone: &str, raw: &str, format: &str, day: Option<Date>) -> Option<(String, Precision)> {
        frame(zone).moment(raw, &[format.to_owned()], day).map(|m| (m.at.to_string(), m.precision))
    }

    #[test]
    fn the_ways_that_pages_write_times() {
        let day = Some(Date::constant(2026, 10, 3));
        for (raw, format, day, want, precision) in [
            ("2026-10-10T02:12:09+02:00", "rfc3339", None, "2026-10-10T00:12:09Z", Precision::Second),
            ("2026-10-10T02:12:09.250Z", "rfc3339", None, "2026-10-10T02:12:09.25Z", Precision::Millisecond),
            ("1722434287875", "unix", None, "2024-07-31T13:58:07.875Z", Precision::Millisecond),
            ("1722434287", "unix", None, "2024-07-31T13:58:07Z", Precision::Second),
            ("10 October 2026, 02:12:09", "%d %B %Y, %H:%M:%S", None, "2026-10-10T02:12:09Z", Precision::Second),
            ("2:05\u{202f}PM", "%I:%M %p", day, "2026-10-03T14:05:00Z", Precision::Minute),
            ("3 Dec, 14:05", "%d %b, %H:%M", None, "2025-12-03T14:05:00Z", Precision::Minute),
            ("2026-10-03", "%Y-%m-%d", None, "2026-10-03T00:00:00Z", Precision::Day),
        ] {
            assert_eq!(at("UTC", raw, format, day), Some((want.to_owned(), precision)), "{raw} as {format}");
        }
    }

    #[test]
    fn a_time_is_moved_in_the_form_that_it_has() {
        for (raw, format, want) in [
            ("2026-10-10T02:12:09Z", "rfc3339", "2026-09-26T02:12:09Z"),
            ("1722434287875", "unix-ms", "1721224687875"),
            ("1722434287", "unix", "1721224687"),
            ("Saturday, 10 October 2026", "%A, %d %B %Y", "Saturday, 26 September 2026"),
            ("10 October 2026, 02:12:09", "%d %B %Y, %H:%M:%S", "26 September 2026, 02:12:09"),
            ("14:05", "%H:%M", "14:05"),
        ] {
            assert_eq!(frame("UTC").earlier(raw, &[format.to_owned()], 2).as_deref(), Some(want));
        }
        assert_eq!(frame("UTC").earlier("lunch", &["%H:%M".to_owned()], 2), None);
    }

    #[test]
    fn words_mean_the_time_of_the_declared_zone() {
        let moment = at("Asia/Tokyo", "10 October 2026, 02:12:09", "%d %B %Y, %H:%M:%S", None);
        assert_eq!(moment.unwrap().0, "2026-10-09T17:12:09Z");
    }

    #[test]
    fn a_time_without_a_date_is_no_time_until_a_date_is_known() {
        assert_eq!(at("UTC", "14:05", "%H:%M", None), None);
        assert_eq!(at("UTC", "lunch", "%H:%M", None), None);
    }

    #[test]
    fn separators_speak_of_today_and_yesterday() {
        let frame = frame("Pacific/Auckland");
        let words = |w: &str| vec![w.to_owned()];
        let date = |raw: &str| frame.date(raw, &words("%A, %d %B %Y"), &words("Today"), &words("Yesterday"));
        assert_eq!(date("today"), Some(Date::constant(2026, 11, 21)));
        assert_eq!(date("Yesterday"), Some(Date::constant(2026, 11, 20)));
        assert_eq!(date("Saturday, 10 October 2026"), Some(Date::constant(2026, 10, 10)));
        assert_eq!(date("some day"), None);
    }

    #[test]
    fn formats_are_checked_before_they_are_needed() {
        assert!(check_format("%d %B %Y").is_ok());
        assert!(check_format("rfc3339").is_ok());
        assert!(check_format("rfc").unwrap_err().contains("neither rfc3339"));
        assert!(check_format("%Q!").is_err() || check_format("%!").is_err());
    }
}
