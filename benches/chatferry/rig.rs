//! What every section needs: a place on the repository's own disk, settings, medians, the machine.

use std::collections::BTreeMap;
use std::path::Path;

use chatferry::config::{Config, Flags, Sources};
use chatferry::demo::Site;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder on the disk that the build lies on, since /tmp may be memory.
pub fn folder() -> TempDir {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(parent).unwrap();
    tempfile::tempdir_in(parent).unwrap()
}

/// The settings of a fresh place; with a site, those of its account too.
pub fn config(data_dir: &Path, site: Option<&Site>) -> Config {
    let mut environment: BTreeMap<String, std::ffi::OsString> = BTreeMap::new();
    for name in ["PATH", "CHROMIUM_PATH"] {
        environment.extend(std::env::var_os(name).map(|value| (name.to_owned(), value)));
    }
    if let Some(site) = site {
        environment.insert("DEMO_USERNAME".to_owned(), Site::username().into());
        environment.insert("DEMO_PASSWORD".to_owned(), Site::password().into());
        environment.insert("DEMO_BASE_URL".to_owned(), site.base_url().into());
    }
    let flags = Flags { data_dir: Some(data_dir.to_owned()), ..Flags::default() };
    chatferry::app::load_config(Sources { flags, environment, ..Sources::default() }).unwrap()
}

/// The middle value; the lower one of two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Three decimals are more than any of this can be told by.
pub fn round(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// A line of a file in /proc that begins with `key`, its first number.
pub fn number_in(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

/// Processor seconds that this process has used, all threads together.
pub fn cpu_seconds() -> f64 {
    stat("self").unwrap().cpu_seconds
}

/// Processor seconds of the programs of this name that this process started, itself or through others.
pub fn cpu_seconds_of(name: &str) -> f64 {
    below_us().into_iter().filter(|(_, stat)| stat.name == name).map(|(_, stat)| stat.cpu_seconds).sum()
}

/// Every process that this one started, itself or through others.
pub fn descendants() -> Vec<String> {
    below_us().into_iter().map(|(pid, _)| pid).collect()
}

fn below_us() -> Vec<(String, Stat)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let all: BTreeMap<String, Stat> = names.filter_map(|pid| Some((pid.clone(), stat(&pid)?))).collect();
    let own = std::process::id().to_string();
    let is_ours = |stat: &Stat| {
        let mut at = &stat.parent;
        while *at != own {
            match all.get(at) {
                Some(parent) => at = &parent.parent,
                None => return false,
            }
        }
        true
    };
    let ours: Vec<String> = all.iter().filter(|(_, stat)| is_ours(stat)).map(|(pid, _)| pid.clone()).collect();
    let mut all = all;
    ours.into_iter().filter_map(|pid| all.remove_entry(&pid)).collect()
}

struct Stat {
    name: String,
    parent: String,
    cpu_seconds: f64,
}

/// A process that ended meanwhile is none.
fn stat(pid: &str) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything. After it: state is field 3, the parent 4, utime 14, stime 15, in hundredths.
    let (before, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Stat {
        name: before.split_once('(')?.1.to_owned(),
        parent: (*fields.get(1)?).to_owned(),
        cpu_seconds: std::time::Duration::from_millis(ticks * 10).as_secs_f64(),
    })
}

/// What the figures were measured on.
pub fn machine() -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "cpu": cpu,
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "memory_mb": number_in("/proc/meminfo", "MemTotal:").map(|kb| kb / 1024),
        "load_at_start": load.split(' ').next().and_then(|load| load.parse::<f64>().ok()),
    })
}
