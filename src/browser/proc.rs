//! What the kernel tells about a browser's processes: who they are, whether they run, what they hold.
//!
//! Everything here only looks, through `/proc`, and only at what every user may read there, because the
//! browser may run as another user than we do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process_group};
use tokio::time::{Instant, sleep};

/// The running processes whose arguments name this profile: the browser, and the crash handlers that
/// it starts in groups of their own.
pub fn on_profile(profile: &Path) -> Vec<Pid> {
    let profile = profile.as_os_str().as_encoded_bytes();
    let browser = [b"--user-data-dir=", profile].concat();
    let handler = [b"--database=", profile, b"/"].concat();
    // An argument ends with a zero byte, or with a blank where the process has written its line anew.
    let ends_at = |line: &[u8], at: usize| line.get(at).is_none_or(|byte| matches!(byte, 0 | b' '));
    with_arguments(|line| {
        holds(line, &handler).is_some()
            || holds(line, &browser).is_some_and(|begin| ends_at(line, begin + browser.len()))
    })
}

/// The running browser processes whose profile lies in this folder.
pub fn on_profiles_in(folder: &Path) -> Vec<Pid> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let wanted = [[b"--user-data-dir=", folder, b"/"].concat(), [b"--database=", folder, b"/"].concat()];
    with_arguments(|line| wanted.iter().any(|wanted| holds(line, wanted).is_some()))
}

fn holds(line: &[u8], wanted: &[u8]) -> Option<usize> {
    line.windows(wanted.len()).position(|part| part == wanted)
}

fn with_arguments(is_meant: impl Fn(&[u8]) -> bool) -> Vec<Pid> {
    running()
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| is_meant(&line)))
        .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .collect()
}

/// Every process id there is.
fn running() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Waits until no process of the group is left, at most `limit`. The kernel tells only by asking.
pub async fn group_gone(group: Pid, limit: Duration) {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline && has_running_member(group) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// True while a process of the group runs; a zombie that its parent has not reaped yet does not count.
fn has_running_member(group: Pid) -> bool {
    test_kill_process_group(group).is_ok()
        && group_members(group)
            .into_iter()
            .any(|pid| stat_field(i32::try_from(pid).unwrap_or_default(), 0).is_some_and(|state| state != "Z"))
}

/// A field of `/proc/<pid>/stat` counted from the state, which follows the name in parentheses.
fn stat_field(pid: i32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(index).map(str::to_owned)
}

/// The processes of a group, zombies among them.
pub fn group_members(group: Pid) -> Vec<u32> {
    let wanted = group.as_raw_pid().to_string();
    let is_member =
        |pid: &u32| i32::try_from(*pid).ok().and_then(|pid| stat_field(pid, 2)).is_some_and(|found| found == wanted);
    running().filter(is_member).collect()
}

/// Children of the zygote write their command line anew, as one string with spaces.
pub fn is_renderer(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|byte| matches!(byte, 0 | b' ')).any(|argument| argument == b"--type=renderer"))
}

/// What a browser takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of memory: what each process has to itself, and once what they share.
    pub memory: u64,
    /// Processes.
    pub processes: u32,
}

/// What the processes of a group take now.
///
/// The exact share of each (PSS) only root may read of a sandboxed renderer; this reckons a little more,
/// because pages that a renderer still has in common with the process it was copied from count for both.
pub fn footprint(group: Pid) -> Footprint {
    let statuses =
        group_members(group).into_iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
    summed(statuses)
}

fn summed(statuses: impl Iterator<Item = String>) -> Footprint {
    let (mut private, mut file, mut shared, mut processes) = (0, 0, 0, 0);
    for status in statuses {
        let kibibytes = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        };
        // A zombie has no memory and no such line.
        let Some(anonymous) = kibibytes("RssAnon:") else { continue };
        private += anonymous;
        file = file.max(kibibytes("RssFile:").unwrap_or_default());
        shared = shared.max(kibibytes("RssShmem:").unwrap_or_default());
        processes += 1;
    }
    Footprint { memory: (private + file + shared) * 1024, processes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_counts_once() {
        let status = |anon, file| format!("Name:\tx\nRssAnon:\t {anon} kB\nRssFile:\t  {file} kB\nRssShmem:\t 1 kB\n");
        let zombie = "Name:\tx\nState:\tZ (zombie)\n".to_owned();
        let found = summed([status(100, 50), status(10, 70), zombie].into_iter());
        assert_eq!(found, Footprint { memory: 181 * 1024, processes: 2 });
    }

    #[test]
    fn this_process_has_a_footprint() {
        let group = rustix::process::getpgrp();
        let found = footprint(group);
        assert!(found.processes >= 1 && found.memory > 1024 * 1024, "{found:?}");
        assert!(group_members(group).contains(&std::process::id()));
    }
}
