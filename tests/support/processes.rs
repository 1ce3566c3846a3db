//! Looking at processes, ending them, and starting the program so that a test can do something at a
//! chosen line of its log.
//!
//! Processes are found by the profile folder that only one test has, so that nothing of another test,
//! and no browser of a person at this machine, is ever touched.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Place;

/// So many tests of one binary may have a browser at a time.
const BROWSERS: usize = 2;
/// Longest wait for a line or for an end.
const DEADLINE: Duration = Duration::from_secs(90);

static TURN: Semaphore = Semaphore::const_new(BROWSERS);

/// Waits for this test's turn to have a browser; it lasts as long as the answer is held.
pub async fn turn() -> SemaphorePermit<'static> {
    TURN.acquire().await.unwrap()
}

/// One process, as `/proc` told.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its group's.
    pub group: i32,
    /// `Z` if it has ended and nobody has asked how.
    pub state: char,
    /// Its command line, arguments separated by spaces.
    pub command: String,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(Self { pid, parent, group, state, command })
    }

    /// Its environment, as it was started with; empty if it is gone.
    pub fn environment(&self) -> String {
        let bytes = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    }

    /// True for the process that draws pages and runs their scripts.
    pub fn is_renderer(&self) -> bool {
        self.command.split(' ').any(|argument| argument == "--type=renderer")
    }
}

/// Every process there is.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The running processes of the browsers whose profiles lie here: those that name it, and their whole groups.
pub fn of_profile(profile: &Path) -> Vec<Process> {
    let profile = profile.display().to_string();
    let all: Vec<Process> = all().into_iter().filter(|process| process.state != 'Z').collect();
    let own = std::process::id().cast_signed();
    let groups: Vec<i32> =
        all.iter().filter(|process| process.command.contains(&profile)).map(|process| process.group).collect();
    all.into_iter().filter(|process| groups.contains(&process.group) && process.pid != own).collect()
}

/// The children of this process that have ended and that it has not reaped.
pub fn zombies_of(parent: u32) -> Vec<Process> {
    all().into_iter().filter(|process| process.state == 'Z' && process.parent == parent.cast_signed()).collect()
}

/// Sends a signal to one process.
pub fn send(pid: i32, signal: Signal) {
    // It may have ended by itself meanwhile.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// Looks again and again until it is so, at most `limit`.
pub async fn until(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The browsers of a place, known by the folder of their profiles, and the promise that no process of them
/// is left when the test ends, however it ends.
#[derive(Debug)]
pub struct Browsers {
    profiles: PathBuf,
}

impl Browsers {
    /// Of this place.
    pub fn of(place: &Place) -> Self {
        Self::in_data_dir(&place.data_dir())
    }

    /// Of this data directory.
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Self { profiles: chatferry::browser::profile::profiles_of(data_dir) }
    }

    /// What runs now.
    pub fn running(&self) -> Vec<Process> {
        of_profile(&self.profiles)
    }

    /// The profiles of browsers that lie there.
    pub fn profiles_left(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.profiles).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("browser-")).collect()
    }

    /// Fails the test if any is left, or a profile. The crash handlers are in groups of their own and end by themselves
    /// when their browser has; nothing else may take that time, but nothing else would end by itself.
    pub async fn assert_gone(&self) {
        let end = Instant::now() + Duration::from_secs(5);
        while !self.running().is_empty() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
        let running = self.running();
        assert!(running.is_empty(), "{} processes are left: {running:#?}", running.len());
        let profiles = self.profiles_left();
        assert!(profiles.is_empty(), "profiles are left: {profiles:?}");
    }
}

impl Drop for Browsers {
    fn drop(&mut self) {
        for process in self.running() {
            send(process.pid, Signal::KILL);
        }
    }
}

/// The program as it runs, seen line by line.
#[derive(Debug)]
pub struct Watched {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    /// What it has written to stderr so far.
    pub log: Vec<String>,
}

impl Watched {
    /// Starts the program.
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut child = place.start(arguments);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, log: Vec::new() }
    }

    /// Its process number.
    pub fn pid(&self) -> i32 {
        self.child.id().expect("it has not been waited for").cast_signed()
    }

    /// Reads on until a line satisfies; `None` if the program closes its stderr before.
    pub async fn line(&mut self, mut is_it: impl FnMut(&str) -> bool) -> Option<String> {
        let end = Instant::now() + DEADLINE;
        loop {
            let line = timeout_at(end, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("the line does not come:\n{}", self.log.join("\n"))).unwrap()?;
            self.log.push(line.clone());
            if is_it(&line) {
                return Some(line);
            }
        }
    }

    /// Reads on until a line holds all of these words.
    pub async fn until_log(&mut self, words: &[&str]) -> String {
        let line = self.line(|line| words.iter().all(|word| line.contains(word))).await;
        line.unwrap_or_else(|| panic!("it ended without {words:?}:\n{}", self.log.join("\n")))
    }

    /// Waits for its end and reads the rest: status and stdout; stderr is in `log`.
    pub async fn end(mut self) -> Ended {
        while self.line(|_| false).await.is_some() {}
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).await.unwrap();
        let status = timeout(DEADLINE, self.child.wait()).await.expect("it does not end").unwrap();
        Ended { status, stdout, log: self.log }
    }
}

/// How a watched program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Everything on stdout.
    pub stdout: String,
    /// Every line on stderr.
    pub log: Vec<String>,
}

impl Ended {
    /// Fails the test unless it was ended by SIGKILL.
    #[track_caller]
    pub fn assert_killed(&self) {
        assert_eq!(self.status.signal(), Some(9), "{}: it was to die by SIGKILL\n{}", self.status, self.log.join("\n"));
    }

    /// How many lines hold all of these words.
    pub fn count(&self, words: &[&str]) -> usize {
        self.log.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}
