//! When to come again, as services say it: `retry-after-ms`, `Retry-After` in seconds or as a date; and how
//! far a service's clock is from ours.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Longer wishes are taken at this: a service that says "in a year" means something else.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What the headers ask for. A date is reckoned from the service's own clock where it tells the time, so
/// that a wrong clock here makes no wrong wait.
pub(super) fn wished(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|text| number(text).map(|ms| ms / 1_000.0));
    let wait = milliseconds.or_else(|| {
        let text = text(RETRY_AFTER.as_str())?;
        number(text).or_else(|| {
            let until = date(text)?;
            let from = told_time(headers).unwrap_or(now);
            Some(until.duration_since(from).as_secs_f64().max(0.0))
        })
    })?;
    Some(Duration::try_from_secs_f64(wait).map_or(LONGEST, |wait| wait.min(LONGEST)))
}

/// How far our clock is ahead of the service's, if it tells the time.
pub(super) fn ahead(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    Some(now.duration_since(told_time(headers)?))
}

fn told_time(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(date)
}

/// A number of seconds or milliseconds, not negative.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

/// The one form of a date that HTTP still sends; `GMT` there, `+0000` for the parser of mails.
fn date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn each_form_is_understood() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (pairs, wait) in [
            (&[("retry-after", "7")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "1.5")], Some(Duration::from_millis(1_500))),
            (&[("retry-after-ms", "250"), ("retry-after", "7")], Some(Duration::from_millis(250))),
            (&[("retry-after", "Sat, 21 Nov 2026 10:00:30 GMT")], Some(Duration::from_secs(30))),
            // The service's clock is ten minutes ahead: thirty seconds are meant all the same.
            (
                &[("retry-after", "Sat, 21 Nov 2026 10:10:30 GMT"), ("date", "Sat, 21 Nov 2026 10:10:00 GMT")],
                Some(Duration::from_secs(30)),
            ),
            (&[("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")], Some(Duration::ZERO)),
            (&[("retry-after", "99999999999999999999")], Some(LONGEST)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "NaN")], None),
            (&[], None),
        ] {
            assert_eq!(wished(&headers(pairs), now), wait, "{pairs:?}");
        }
        let ahead = ahead(&headers(&[("date", "Sat, 21 Nov 2026 09:50:00 GMT")]), now);
        assert_eq!(ahead, Some(SignedDuration::from_mins(10)));
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(value in "[ -~]{0,40}", date in "[ -~]{0,40}") {
            let headers = headers(&[("retry-after", &value), ("date", &date), ("retry-after-ms", &value)]);
            let _ = (wished(&headers, Timestamp::now()), ahead(&headers, Timestamp::now()));
        }
    }
}
