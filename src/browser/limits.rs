//! How much a browser may take, and for how long it may serve. Pure.
//!
//! Browsers grow: a page that is open for weeks, a leak in Chromium itself. A browser over a limit is not
//! ended at once but retired: its accounts move to a new one when their passes are complete.

use std::time::Duration;

use super::proc::Footprint;

/// The limits of each browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Accounts in one browser, at least 1.
    pub accounts: u32,
    /// Time to serve.
    pub age: Duration,
    /// Bytes of memory, all its processes together.
    pub memory: u64,
    /// Processes.
    pub processes: u32,
    /// How often is looked.
    pub every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accounts: 20,
            age: Duration::from_secs(12 * 3600),
            memory: 2 << 30,
            processes: 200,
            every: Duration::from_secs(15),
        }
    }
}

impl Limits {
    /// Which limit is exceeded, as a word for the log; what the browser takes is looked at only if its age
    /// does not say enough.
    pub fn exceeded(&self, age: Duration, footprint: impl FnOnce() -> Footprint) -> Option<&'static str> {
        if age >= self.age {
            return Some("age");
        }
        let Footprint { memory, processes } = footprint();
        if memory > self.memory {
            Some("memory")
        } else if processes > self.processes {
            Some("processes")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_own_name() {
        let limits = Limits { age: Duration::from_secs(100), memory: 1000, processes: 10, ..Limits::default() };
        let exceeded =
            |age, memory, processes| limits.exceeded(Duration::from_secs(age), || Footprint { memory, processes });
        assert_eq!(exceeded(99, 1000, 10), None);
        assert_eq!(exceeded(100, 0, 0), Some("age"));
        assert_eq!(exceeded(0, 1001, 0), Some("memory"));
        assert_eq!(exceeded(0, 0, 11), Some("processes"));
    }
}
