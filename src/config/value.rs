//! The values that settings hold: durations, switches, log levels, the login budget. Pure.
//!
//! Each parser answers `None` for anything it does not know; the sentence about what was expected
//! belongs to the setting's [`super::table::Kind`], so that the two can't be told apart by a reader.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::Level;

/// Units of a duration in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration as people write it: `90s`, `5m`, `1h30m`, `250ms`, `2d`. Units stand from large to
/// small, each at most once; a bare number is refused because nobody can know its unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut limit = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let (_, milliseconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        if milliseconds >= limit {
            return None;
        }
        limit = milliseconds;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(milliseconds)?)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// A duration as [`parse_duration`] reads it, to the millisecond.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, milliseconds) in UNITS {
        if rest >= milliseconds {
            text.push_str(&format!("{}{unit}", rest / milliseconds));
            rest %= milliseconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A number of things as people write it: `50000`, `200k`, `2M`.
pub fn parse_tokens(text: &str) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix(['k', 'M']) {
        Some(digits) => (digits, if text.ends_with('k') { 1_000 } else { 1_000_000 }),
        None => (text, 1),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let count = if is_number { digits.parse::<u64>().ok()?.checked_mul(factor)? } else { return None };
    i64::try_from(count).is_ok().then_some(count)
}

/// An amount of memory in bytes, written `1536MiB` or `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(pub u64);

/// Units of memory in bytes, the largest first.
const MEMORY_UNITS: [(&str, u64); 3] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)];

impl Memory {
    /// The amount of `2GiB`; a bare number is refused because nobody can know its unit.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, bytes) = MEMORY_UNITS.into_iter().find(|(name, _)| text.ends_with(name))?;
        let digits = text.strip_suffix(name)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { digits.parse::<u64>().ok()?.checked_mul(bytes).map(Self) } else { None }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = MEMORY_UNITS.into_iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        match whole {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// Money in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money(pub u64);

impl Money {
    /// The amount of `2.50`; without a currency, which is that of the prices.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > 6 {
            return None;
        }
        let micros = format!("{decimals:0<6}").parse::<u64>().ok()?;
        let sum = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?;
        i64::try_from(sum).is_ok().then_some(Self(sum))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % 1_000_000);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / 1_000_000, &decimals[..kept])
    }
}

/// A switch: true, false, 1, 0, yes, no, in any case.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// A switch that can only be thrown in one direction: `1` or `true`.
pub fn parse_only_true(text: &str) -> Option<bool> {
    matches!(text, "1" | "true").then_some(true)
}

/// How many logins an account may try in which time, written `2/30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginBudget {
    /// At most so many attempts, at least 1, ...
    pub attempts: u32,
    /// ... within this time.
    pub within: Duration,
}

impl LoginBudget {
    /// The budget of `2/30m`.
    pub fn parse(text: &str) -> Option<Self> {
        let (attempts, within) = text.split_once('/')?;
        let budget = Self { attempts: attempts.parse().ok()?, within: parse_duration(within)? };
        (budget.attempts > 0 && !budget.within.is_zero()).then_some(budget)
    }
}

impl fmt::Display for LoginBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.attempts, format_duration(self.within))
    }
}

/// How much is logged: a level, and other levels for single modules of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevels {
    /// For everything of ours.
    pub level: Level,
    /// Module paths (`chatferry::collect`) with their own level, as written.
    pub targets: Vec<(String, Level)>,
}

impl LogLevels {
    /// `info`, or `info,chatferry::collect=debug`. A level for a foreign module is refused: what
    /// Chromium and HTTP libraries print at debug holds page content and headers.
    pub fn parse(text: &str) -> Option<Self> {
        let mut levels = Self { level: Level::INFO, targets: Vec::new() };
        let mut general = false;
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                None if general => return None,
                None => {
                    levels.level = parse_level(directive)?;
                    general = true;
                }
                Some((target, level)) => {
                    let ours = target == "chatferry" || target.starts_with("chatferry::");
                    let level = parse_level(level).filter(|_| ours)?;
                    levels.targets.push((target.to_owned(), level));
                }
            }
        }
        Some(levels)
    }
}

/// One of the five words. `tracing` itself would also take numbers.
fn parse_level(word: &str) -> Option<Level> {
    [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
        .into_iter()
        .find(|level| level.as_str().eq_ignore_ascii_case(word))
}

impl fmt::Display for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.level.as_str().to_ascii_lowercase())?;
        self.targets
            .iter()
            .try_for_each(|(target, level)| write!(f, ",{target}={}", level.as_str().to_ascii_lowercase()))
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// `text` or `json`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// How `config show` writes a value.
pub(super) trait Shown {
    /// The value in the form that the setting itself accepts.
    fn shown(&self) -> String;
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Money {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Memory {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        format_duration(*self)
    }
}

impl Shown for std::net::SocketAddr {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for LoginBudget {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for LogLevels {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for LogFormat {
    fn shown(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Json => "json".to_owned(),
        }
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

impl Shown for url::Url {
    fn shown(&self) -> String {
        self.as_str().trim_end_matches('/').to_owned()
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> String {
        Path::display(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, milliseconds) in [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in
            ["", "90", "s", "5 m", "30m1h", "1m1m", "-1s", "1.5h", "1w", "99999999999999999999s", "300000000000d"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(milliseconds in 0u64..1_000_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn written_money_and_tokens_read_back(count in 0..i64::MAX.cast_unsigned()) {
            prop_assert_eq!(Money::parse(&Money(count).to_string()), Some(Money(count)));
            prop_assert_eq!(parse_tokens(&count.to_string()), Some(count));
        }

        #[test]
        fn no_text_makes_a_parser_fall_over(text in ".{0,12}") {
            let _ = (parse_duration(&text), parse_bool(&text), LoginBudget::parse(&text), LogLevels::parse(&text));
            let _ = (Money::parse(&text), parse_tokens(&text));
        }
    }

    #[test]
    fn money_and_tokens_as_people_write_them() {
        assert_eq!(
            ["2.50", "0.000001", "12", "0"].map(Money::parse).map(|m| m.map(|m| m.0)),
            [2_500_000, 1, 12_000_000, 0].map(Some)
        );
        assert_eq!((Money(2_500_000).to_string(), Money(1).to_string()), ("2.50".to_owned(), "0.000001".to_owned()));
        assert_eq!(
            ["", ".5", "5.", "-1", "1e3", "2,50", "$2", "0.0000001", "99999999999999"].map(Money::parse),
            [None; 9]
        );
        assert_eq!(["50000", "200k", "2M", "0"].map(parse_tokens), [50_000, 200_000, 2_000_000, 0].map(Some));
        assert_eq!(["", "k", "-1", "1.5M", "2 M", "2m", "99999999999999999M"].map(parse_tokens), [None; 7]);
    }

    #[test]
    fn switches() {
        assert_eq!(["true", "1", "Yes"].map(parse_bool), [Some(true); 3]);
        assert_eq!(["false", "0", "NO"].map(parse_bool), [Some(false); 3]);
        assert_eq!(parse_bool("on"), None);
        assert_eq!(["1", "true", "0", "yes"].map(parse_only_true), [Some(true), Some(true), None, None]);
    }

    #[test]
    fn a_budget_allows_at_least_one_attempt_in_some_time() {
        let budget = LoginBudget { attempts: 2, within: Duration::from_secs(1800) };
        assert_eq!(LoginBudget::parse("2/30m"), Some(budget));
        assert_eq!(budget.to_string(), "2/30m");
        assert_eq!(["0/30m", "2/0s", "2", "/30m", "2/30"].map(LoginBudget::parse), [None; 5]);
    }

    #[test]
    fn levels_are_for_our_own_modules_only() {
        let levels = LogLevels::parse("warn, chatferry::collect=debug").unwrap();
        assert_eq!(levels.level, Level::WARN);
        assert_eq!(levels.targets, [("chatferry::collect".to_owned(), Level::DEBUG)]);
        assert_eq!(levels.to_string(), "warn,chatferry::collect=debug");
        for bad in
            ["", "loud", "3", "hyper=debug", "chatferry_x=debug", "chromiumoxide=trace", "info,debug", "chatferry="]
        {
            assert_eq!(LogLevels::parse(bad), None, "{bad}");
        }
    }
}
