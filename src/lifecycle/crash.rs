//! Named points on the way of a message at which a test can make the process die, or its browser.
//!
//! `CHATFERRY_CRASH_AT=<point>` (or `<point>:<n>`: at the nth time) sends SIGKILL to the own process when
//! it gets there, so that nothing is tidied up: no destructor runs, no buffer is flushed, as with a power
//! cut. `CHATFERRY_KILL_BROWSER_AT` has the same form and only answers true to [`browser_kill_point`].
//! `CHATFERRY_POISON=<event id>` makes one event deadly to whoever takes it in hand (F15).
//! `CHATFERRY_DISK_FREE_IN=<file>` makes the disk as full as the number in that file says (F33).
//! All exist in builds with debug assertions; in a release build the points are empty and the variables
//! are refused, so that nobody believes in a test that tests nothing.

#[cfg(debug_assertions)]
use std::sync::LazyLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::LifecycleError;

/// The variable that names where the process dies.
const CRASH_AT: &str = "CHATFERRY_CRASH_AT";
/// The variable that names a file with the free bytes of the disk.
const FREE_IN: &str = "CHATFERRY_DISK_FREE_IN";
/// The variable that names the event that nobody survives.
const POISON: &str = "CHATFERRY_POISON";
/// The variable that names where the browser dies.
const KILL_BROWSER_AT: &str = "CHATFERRY_KILL_BROWSER_AT";

/// Declares each point once: variant and name.
macro_rules! points {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// The closed list of points, in the order in which a message passes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CrashPoint { $($(#[$doc])* $variant,)* }

        impl CrashPoint {
            /// Every point.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the variable.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

points! {
    /// The login form was sent, its outcome is not known.
    LoginSubmitted = "login.submitted";
    /// The site let us in.
    LoginDone = "login.done";
    /// The list of conversations was read.
    ListRead = "list.read";
    /// A thread was read from the page, nothing of it is durable (F1).
    ThreadRead = "thread.read";
    /// The spool holds it, the bus does not (F2).
    SpoolCommitted = "spool.committed";
    /// The bus confirmed it, the spool does not know (F3, F4).
    RelayPublished = "relay.published";
    /// The spool knows that the bus holds it.
    RelayMarked = "relay.marked";
    /// A consumer has events in hand and has done nothing with them (F5).
    DeliveryTaken = "delivery.taken";
    /// The store holds the message, the event is not acknowledged (F8).
    ArchiveStored = "archive.stored";
    /// An analysis was requested, the store does not know.
    SchedulerRequested = "scheduler.requested";
    /// The analyst answered, nothing of it is durable (F6).
    AnalyzeAnswered = "analyze.answered";
    /// The store holds the analysis, the event is not acknowledged (F7, F8).
    AnalyzeSaved = "analyze.saved";
    /// The mirror was written, the events are not acknowledged (F9).
    MirrorWritten = "mirror.written";
}

/// Where and at which repetition something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Appointment {
    point: CrashPoint,
    nth: u32,
}

impl Appointment {
    fn parse(variable: &'static str, value: &str) -> Result<Self, LifecycleError> {
        let refuse = |problem: String| LifecycleError::CrashPoint { variable, value: value.to_owned(), problem };
        let (name, nth) = value.split_once(':').unwrap_or((value, "1"));
        let point = CrashPoint::ALL.iter().copied().find(|point| point.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = CrashPoint::ALL.iter().map(|point| point.as_str()).collect();
            refuse(format!("there is no point of this name; there are {}", names.join(", ")))
        })?;
        let nth = nth.parse().ok().filter(|nth| *nth > 0);
        Ok(Self { point, nth: nth.ok_or_else(|| refuse("after the colon comes a count from 1".to_owned()))? })
    }

    /// What the variable asks for, if it is set.
    fn load(variable: &'static str) -> Result<Option<Self>, LifecycleError> {
        let Some(value) = std::env::var_os(variable) else { return Ok(None) };
        let value = value.to_string_lossy();
        if cfg!(debug_assertions) {
            Self::parse(variable, &value).map(Some)
        } else {
            let problem = "this is a release build, in which nothing can be made to die".to_owned();
            Err(LifecycleError::CrashPoint { variable, value: value.into_owned(), problem })
        }
    }
}

/// Looks at these variables once, at start-up.
///
/// # Errors
/// Permanent (`config-invalid`) if one names an unknown point or no count, or if this is a release build.
pub fn check_crash_points() -> Result<(), LifecycleError> {
    Appointment::load(CRASH_AT)?;
    Appointment::load(KILL_BROWSER_AT)?;
    for variable in [POISON, FREE_IN] {
        if cfg!(not(debug_assertions))
            && let Some(value) = std::env::var_os(variable)
        {
            let problem = "this is a release build, in which no trouble can be made".to_owned();
            let value = value.to_string_lossy().into_owned();
            return Err(LifecycleError::CrashPoint { variable, value, problem });
        }
    }
    Ok(())
}

/// One variable and how often its point was passed.
#[cfg(debug_assertions)]
struct Watch {
    appointment: Option<Appointment>,
    passed: AtomicU32,
}

#[cfg(debug_assertions)]
impl Watch {
    fn of(variable: &'static str) -> Self {
        // An unreadable variable ended the start-up in `check_crash_points`; here it is as good as unset.
        Self { appointment: Appointment::load(variable).unwrap_or_default(), passed: AtomicU32::new(0) }
    }

    fn is_met(&self, point: CrashPoint) -> bool {
        self.appointment.is_some_and(|appointment| {
            appointment.point == point && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == appointment.nth
        })
    }
}

/// Ends the process with SIGKILL if `CHATFERRY_CRASH_AT` names this point; nothing in a release build.
#[cfg(debug_assertions)]
pub fn crash_point(point: CrashPoint) {
    static WATCH: LazyLock<Watch> = LazyLock::new(|| Watch::of(CRASH_AT));
    if WATCH.is_met(point) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Ends the process with SIGKILL if `CHATFERRY_CRASH_AT` names this point; nothing in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn crash_point(_: CrashPoint) {}

/// Ends the process with SIGKILL if `CHATFERRY_POISON` names this event; nothing in a release build.
#[cfg(debug_assertions)]
pub fn poison_point(id: impl std::fmt::Display) {
    static POISONED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(POISON).ok());
    if POISONED.as_ref().is_some_and(|poison| *poison == id.to_string()) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Ends the process with SIGKILL if `CHATFERRY_POISON` names this event; nothing in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn poison_point(_: impl std::fmt::Display) {}

/// The free bytes of the disk that the file in `CHATFERRY_DISK_FREE_IN` tells, if it is there; the disk's own
/// count in a release build.
#[cfg(debug_assertions)]
pub(super) fn free_bytes_told() -> Option<u64> {
    std::fs::read_to_string(std::env::var_os(FREE_IN)?).ok()?.trim().parse().ok()
}

/// The free bytes of the disk that the file in `CHATFERRY_DISK_FREE_IN` tells, if it is there; the disk's own
/// count in a release build.
#[cfg(not(debug_assertions))]
pub(super) const fn free_bytes_told() -> Option<u64> {
    None
}

/// True if `CHATFERRY_KILL_BROWSER_AT` names this point: the caller then kills its own browser. Always
/// false in a release build.
#[cfg(debug_assertions)]
pub fn browser_kill_point(point: CrashPoint) -> bool {
    static WATCH: LazyLock<Watch> = LazyLock::new(|| Watch::of(KILL_BROWSER_AT));
    WATCH.is_met(point)
}

/// True if `CHATFERRY_KILL_BROWSER_AT` names this point: the caller then kills its own browser. Always
/// false in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn browser_kill_point(_: CrashPoint) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    /// Runs the test `every_point_is_passed_twice` in a process of its own.
    fn pass_points(crash_at: &str) -> ExitStatus {
        let test = "lifecycle::crash::tests::every_point_is_passed_twice";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact"]).env(CRASH_AT, crash_at).env(KILL_BROWSER_AT, "list.read:2");
        command.output().unwrap().status
    }

    /// Without the variables: nothing happens at any point. With them, it is the body of the tests below.
    #[test]
    fn every_point_is_passed_twice() {
        let killed: Vec<bool> = CrashPoint::ALL
            .iter()
            .flat_map(|point| [*point, *point])
            .map(|point| {
                crash_point(point);
                browser_kill_point(point)
            })
            .collect();
        let asked = usize::from(std::env::var_os(KILL_BROWSER_AT).is_some());
        assert_eq!(killed.iter().filter(|killed| **killed).count(), asked);
    }

    #[test]
    fn the_process_dies_at_the_named_point_and_only_there() {
        assert_eq!(pass_points("spool.committed").signal(), Some(9));
        assert_eq!(pass_points("mirror.written:2").signal(), Some(9));
        assert!(pass_points("mirror.written:3").success(), "it is passed only twice");
    }

    #[test]
    fn names_are_unique_and_wrong_ones_are_refused_with_the_right_ones() {
        for (index, point) in CrashPoint::ALL.iter().enumerate() {
            let same = |other: &CrashPoint| other.as_str() == point.as_str();
            assert!(!CrashPoint::ALL[..index].iter().any(same), "{point:?} twice");
            assert_eq!(Appointment::parse(CRASH_AT, point.as_str()).unwrap(), Appointment { point: *point, nth: 1 });
        }
        for wrong in ["", "spool", "spool.committed:", "spool.committed:0", "spool.committed:x"] {
            let error = Appointment::parse(CRASH_AT, wrong).unwrap_err();
            assert!(error.to_string().starts_with("CHATFERRY_CRASH_AT="), "{error}");
        }
        let error = Appointment::parse(CRASH_AT, "spool").unwrap_err();
        assert!(error.to_string().contains("relay.published"), "{error}");
    }
}
