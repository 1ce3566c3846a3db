//! A browser must not outlive us, even if we are killed hard.
//!
//! Left alone, Chromium spins on its closed pipes until somebody ends it. So a shell that does nothing waits
//! beside each browser on a pipe that only this process holds open; when it closes, however we ended, the
//! shell kills the browser's process group. `PR_SET_PDEATHSIG` would be bound to the thread that started the
//! browser rather than to the process, and needs unsafe code or another program.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Pid;
use tokio::process::{Child, ChildStdin, Command};

use super::profile::{LesserUser, lesser_user};

/// `$1` is the group; further arguments only tell a reader of `ps` what this belongs to.
const SCRIPT: &str = r#"read -r _; kill -9 "-$1""#;

/// The shell beside one browser.
#[derive(Debug)]
pub struct Watchdog {
    // In this order: killed before its pipe closes, so that it does nothing after an orderly end.
    shell: Child,
    _pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts to watch over a group. Without a shell there is none: the next start sweeps what was left.
    pub fn over(group: Pid, profile: &Path) -> Option<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "chatferry-watchdog", &group.as_raw_pid().to_string()])
            .arg(profile)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(LesserUser { uid, gid }) = lesser_user() {
            command.uid(uid).gid(gid);
        }
        let mut shell = command.spawn().ok()?;
        let pipe = shell.stdin.take();
        Some(Self { shell, _pipe: pipe })
    }

    /// Ends the watch, before the number of the group can be another's.
    pub async fn end(mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.shell.kill().await;
    }
}
