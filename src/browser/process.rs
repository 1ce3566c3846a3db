//! The Chromium process: started with an own profile, user and process group, ended for certain.
//!
//! We start it ourselves rather than through the DevTools crate, because we must own what the crate
//! does not offer: the user it runs as, its environment, and its process group.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::error::BrowserError;
use super::proc;
use super::profile::{LesserUser, lesser_user, socket_folder};
use super::watchdog::Watchdog;

/// How long Chromium may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a polite end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds the executable: the one configured, else the usual names on the path.
///
/// # Errors
/// [`BrowserError::Missing`].
pub fn find_executable(configured: Option<&Path>) -> Result<PathBuf, BrowserError> {
    if let Some(path) = configured {
        let missing = || BrowserError::Missing {
            looked: format!("CHROMIUM_PATH is {}, where there is no executable file", path.display()),
        };
        let is_executable =
            fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
        return if is_executable { Ok(path.to_owned()) } else { Err(missing()) };
    }
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|file| file.is_file());
    found.ok_or_else(|| BrowserError::Missing { looked: format!("none of {} is on the PATH", NAMES.join(", ")) })
}

/// A running Chromium.
#[derive(Debug)]
pub struct ChromiumProcess {
    child: Child,
    group: Pid,
    watchdog: Option<Watchdog>,
    profile: PathBuf,
    /// Where DevTools listens.
    pub websocket: String,
}

impl ChromiumProcess {
    /// Starts Chromium on a prepared profile folder and waits until DevTools listens.
    ///
    /// # Errors
    /// [`BrowserError::NotStarted`], [`BrowserError::Sandbox`].
    pub async fn start(executable: &Path, profile: &Path, arguments: &[String]) -> Result<Self, BrowserError> {
        end_left_over(|| proc::on_profile(profile)).await;
        for stale in ["SingletonLock", "SingletonSocket", "SingletonCookie"] {
            // The lock names a host and a process that we have just made sure is gone.
            let _ = fs::remove_file(profile.join(stale));
        }
        let mut command = Command::new(executable);
        command
            .args(arguments)
            .arg(format!("--user-data-dir={}", profile.display()))
            .env_clear()
            .envs(kept_environment(profile))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(LesserUser { uid, gid }) = lesser_user() {
            command.uid(uid).gid(gid);
        }
        let not_started = |reason: String| BrowserError::NotStarted { executable: executable.to_owned(), reason };
        let mut child = command.spawn().map_err(|error| not_started(error.to_string()))?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| not_started("it ended at once".to_owned()))?;
        let watchdog = Watchdog::over(group, profile);
        match timeout(START_TIMEOUT, listening(&mut child)).await {
            Ok(Ok(websocket)) => Ok(Self { child, group, watchdog, profile: profile.to_owned(), websocket }),
            Ok(Err(last_words)) => {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait().await;
                let no_sandbox = ["No usable sandbox", "sandbox is not supported", "Failed to move to new namespace"];
                if let Some(line) = last_words.iter().find(|line| no_sandbox.iter().any(|known| line.contains(known))) {
                    return Err(BrowserError::Sandbox { reason: line.clone() });
                }
                let words: Vec<String> = last_words.into_iter().filter(|line| !line.contains("dbus/")).collect();
                Err(not_started(if words.is_empty() {
                    "it ended without a word".to_owned()
                } else {
                    words.join(" | ")
                }))
            }
            Err(_) => {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait().await;
                Err(not_started(format!("DevTools did not listen within {START_TIMEOUT:?}")))
            }
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.group.as_raw_pid().unsigned_abs()
    }

    /// The process group, which bears the number of its first process.
    pub const fn group(&self) -> Pid {
        self.group
    }

    /// The last resort, at once: the whole process group.
    pub fn kill(&self) {
        kill_group(self.group);
    }

    /// Waits for the end that DevTools was asked for, and makes sure of it: no process of the group
    /// is left, and the child is reaped.
    pub async fn end(mut self) {
        if timeout(CLOSE_TIMEOUT, self.child.wait()).await.is_err() {
            self.kill();
            let _ = self.child.wait().await;
        }
        self.kill();
        proc::group_gone(self.group, CLOSE_TIMEOUT).await;
        end_left_over(|| proc::on_profile(&self.profile)).await;
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.end().await;
        }
    }
}

/// Whether every renderer among these processes runs under seccomp, as the kernel says.
///
/// # Errors
/// [`BrowserError::Sandbox`] names the renderer that does not, or says that there is none to look at.
pub fn check_sandbox(processes: &[u32]) -> Result<(), BrowserError> {
    let renderers: Vec<u32> = processes.iter().copied().filter(|pid| proc::is_renderer(*pid)).collect();
    if renderers.is_empty() {
        return Err(BrowserError::Sandbox { reason: "no renderer process was found".to_owned() });
    }
    let ours = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for pid in renderers {
        // A renderer that has just ended has no status and can do no harm.
        let Ok(renderer) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        if !has_own_filter(&renderer, &ours) {
            return Err(BrowserError::Sandbox {
                reason: format!("renderer {pid} has no system call filter of its own"),
            });
        }
    }
    Ok(())
}

/// Ends a whole process group at once; one that is gone already is no error.
pub fn kill_group(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

/// Whether a process has a system call filter (seccomp mode 2) beyond those that it has from us: in a
/// container everybody runs under one, and that one says nothing about Chromium's sandbox.
fn has_own_filter(status: &str, ours: &str) -> bool {
    let field = |status: &str, name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse::<u32>().ok()
    };
    let filters = |status| field(status, "Seccomp_filters:");
    match (field(status, "Seccomp:"), field(ours, "Seccomp:")) {
        // It has ended while we read.
        (None, _) => true,
        // The count is there since Linux 5.9; without it nobody can tell, and that is no.
        (Some(2), Some(2)) => filters(status).zip(filters(ours)).is_some_and(|(its, ours)| its > ours),
        (Some(mode), _) => mode == 2,
    }
}

/// Reads Chromium's stderr until DevTools listens; then goes on reading it into nothing, since it
/// repeats what pages write to their console. On an early end gives the last lines.
async fn listening(child: &mut Child) -> Result<String, VecDeque<String>> {
    let mut last = VecDeque::new();
    let Some(stderr) = child.stderr.take() else { return Err(last) };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(websocket) = line.strip_prefix("DevTools listening on ") {
            let websocket = websocket.trim().to_owned();
            // Ends with the process: its side of the pipe is closed then.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(websocket);
        }
        last.push_back(line);
        if last.len() > 6 {
            last.pop_front();
        }
    }
    Err(last)
}

/// What Chromium may know of our environment: nothing that could hold a secret.
fn kept_environment(profile: &Path) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = ["PATH", "LANG", "LC_ALL", "FONTCONFIG_PATH", "FONTCONFIG_FILE"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect();
    let home = profile.display().to_string();
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        kept.push((name.to_owned(), home.clone()));
    }
    kept.push(("TMPDIR".to_owned(), socket_folder(profile).display().to_string()));
    // Without an address Chromium looks for a session bus and logs a dozen failures.
    kept.push(("DBUS_SESSION_BUS_ADDRESS".to_owned(), "disabled:".to_owned()));
    kept
}

/// Ends every browser process that `left` finds, until it finds none. They are known by their own
/// argument, which names a folder that is ours alone.
pub(super) async fn end_left_over(left: impl Fn() -> Vec<Pid>) {
    let deadline = Instant::now() + CLOSE_TIMEOUT;
    loop {
        let left = left();
        if left.is_empty() || Instant::now() >= deadline {
            return;
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_that_is_not_there_is_named() {
        let error = find_executable(Some(Path::new("/nowhere/chromium"))).unwrap_err();
        assert!(error.to_string().contains("CHROMIUM_PATH is /nowhere/chromium"), "{error}");
    }

    #[test]
    fn the_filter_of_a_container_is_not_taken_for_the_sandbox() {
        let status = |mode, filters| format!("Name:\tchromium\nSeccomp:\t{mode}\nSeccomp_filters:\t{filters}\n");
        assert!(has_own_filter(&status(2, 1), &status(0, 0)));
        assert!(has_own_filter(&status(2, 2), &status(2, 1)));
        assert!(!has_own_filter(&status(0, 0), &status(0, 0)));
        assert!(!has_own_filter(&status(2, 1), &status(2, 1)), "only the container's");
        // Before Linux 5.9 filters were not counted.
        assert!(has_own_filter("Seccomp:\t2\n", "Seccomp:\t0\n"));
        assert!(!has_own_filter("Seccomp:\t2\n", "Seccomp:\t2\n"));
        assert!(has_own_filter("", "Seccomp:\t2\n"), "it has ended");
    }

    #[test]
    fn no_secret_reaches_the_browser() {
        let names: Vec<String> = kept_environment(Path::new("/p")).into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name.contains("PASSWORD") || name.contains("KEY")), "{names:?}");
        assert!(names.contains(&"HOME".to_owned()));
    }
}
