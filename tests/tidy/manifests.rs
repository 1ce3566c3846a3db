//! What the systemd unit, the Kubernetes manifests, the Helm chart and the workflows promise, as far as it
//! can be read without rendering them: `scripts/lint-deploy` renders and validates them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::deployment::known_variables;
use super::none_of;
use super::source::{files, text};

/// Every word of capitals that begins like one of our settings.
fn variables(document: &str) -> BTreeSet<String> {
    let words = document.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    words
        .filter(|word| ["CHATFERRY_", "LOG_", "RABBITMQ_", "MONGODB_"].iter().any(|start| word.starts_with(start)))
        // The beginning of a family, as in `CHATFERRY_…`.
        .filter(|word| !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

/// The paths below `.Values` that a template reads: `.Values.image.tag` gives `image tag`.
fn values_read(template: &str) -> BTreeSet<Vec<String>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let reads = template.split(".Values.").skip(1);
    reads
        .map(|rest| rest.split(|c| !is_name(c)).next().unwrap().trim_end_matches('.'))
        .map(|path| path.split('.').map(str::to_owned).collect())
        .collect()
}

fn holds(values: &Value, path: &[String]) -> bool {
    path.iter().try_fold(values, |value, name| value.get(name)).is_some()
}

/// Every path of a file of values that lies over the chart's own.
fn paths(value: &Value, before: &[String], found: &mut Vec<Vec<String>>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (name, inner) in map {
                paths(inner, &[before, std::slice::from_ref(name)].concat(), found);
            }
        }
        None => found.push(before.to_vec()),
    }
}

fn values(name: &str) -> Value {
    serde_saphyr::from_str(&text(&format!("deploy/helm/chatferry/{name}"))).unwrap()
}

#[test]
fn the_program_knows_every_setting_that_a_deployment_names() {
    let known = known_variables();
    let mut found = Vec::new();
    let folders = ["deploy/systemd", "deploy/kubernetes", "deploy/helm"];
    let mut count = 0;
    for name in folders.iter().flat_map(|folder| files(folder, "")) {
        let named = variables(&text(&name));
        count += named.len();
        found.extend(named.iter().filter(|word| !known.contains(*word)).map(|word| format!("{name}: {word}")));
    }
    assert!(count > 20, "{count}");
    // A Service of Kubernetes would become these, which the manifest's comment says.
    none_of(&found, "src/config/table does not know it: the daemon would not start.");
}

#[test]
fn every_value_that_a_template_reads_has_a_default_and_is_read() {
    let whole = values("values.yaml");
    let mut read = BTreeSet::new();
    for name in files("deploy/helm/chatferry/templates", "") {
        read.extend(values_read(&text(&name)));
    }
    assert!(read.len() > 15, "{read:?}");
    let without = read.iter().filter(|path| !holds(&whole, path)).map(|path| path.join("."));
    none_of(&without.collect::<Vec<_>>(), "deploy/helm/chatferry/values.yaml does not hold it.");
    // A component's values are handed to the template of pods as a whole.
    let components = ["collect", "archive", "analyze", "mirror"];
    let unread = whole
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !components.contains(&name.as_str()) && !read.iter().any(|path| path[0] == **name));
    none_of(&unread.cloned().collect::<Vec<_>>(), "No template reads it.");
}

#[test]
fn staging_and_production_change_only_what_there_is() {
    let whole = values("values.yaml");
    for name in ["values-staging.yaml", "values-production.yaml"] {
        let mut changed = Vec::new();
        paths(&values(name), &[], &mut changed);
        assert!(!changed.is_empty());
        let slips =
            changed.iter().filter(|path| !holds(&whole, path)).map(|path| format!("{name}: {}", path.join(".")));
        none_of(&slips.collect::<Vec<_>>(), "deploy/helm/chatferry/values.yaml does not hold it.");
    }
}

#[test]
fn the_unit_waits_longer_than_the_drain_and_keeps_its_hands_off() {
    let unit = text("deploy/systemd/chatferry.service");
    let all = |key: &str| {
        let start = format!("{key}=");
        unit.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect::<Vec<_>>()
    };
    let stop: u64 = all("TimeoutStopSec")[0].parse().unwrap();
    let drain = unit.split("CHATFERRY_DRAIN_TIMEOUT=").nth(1).unwrap().split('s').next().unwrap();
    assert!(stop >= drain.parse::<u64>().unwrap() + 10);
    assert_eq!(all("RestartPreventExitStatus"), ["75 78"], "src/cli/exit.rs");
    assert_eq!(all("RestrictNamespaces"), ["user net pid"], "Chromium's sandbox");
    assert_eq!(
        (all("Type"), all("KillMode"), all("LimitCORE")),
        (vec!["notify".into()], vec!["mixed".into()], vec!["0".into()])
    );
    let code: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(!code.iter().any(|line| line.starts_with("MemoryDenyWriteExecute")), "V8 compiles at run time");
    assert!(!code.iter().any(|line| line.starts_with("Environment=") && line.contains("PASSWORD")), "a password");
}

#[test]
fn workflows_have_the_least_rights_and_name_their_versions() {
    let workflows = files(".github/workflows", ".yml");
    assert_eq!(workflows, [".github/workflows/ci.yml", ".github/workflows/release.yml"]);
    let mut found = Vec::new();
    for name in workflows {
        let workflow: Value = serde_saphyr::from_str(&text(&name)).unwrap();
        let mut must = |holds: bool, what: String| {
            if !holds {
                found.push(format!("{name}: {what}"));
            }
        };
        must(
            workflow["permissions"] == serde_json::json!({ "contents": "read" }),
            "more rights than reading".to_owned(),
        );
        for (job, body) in workflow["jobs"].as_object().unwrap() {
            must(body["timeout-minutes"].is_u64(), format!("{job} may run for ever"));
            for step in body["steps"].as_array().unwrap() {
                let Some(action) = step["uses"].as_str() else { continue };
                let version = action.split_once('@').map_or("", |(_, version)| version);
                let is_pinned = version.starts_with('v') || version.len() == 40;
                must(is_pinned, format!("{job} uses {action} without a version"));
                let keeps = action.starts_with("actions/checkout@") && step["with"]["persist-credentials"] != false;
                must(!keeps, format!("{job} leaves the token in the checkout"));
            }
        }
    }
    none_of(&found, "Least rights, named versions, a limit.");
    // What is built for a release is built with the toolchain of the project.
    let toolchain: toml::Table = toml::from_str(&text("rust-toolchain.toml")).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert!(text(".github/workflows/release.yml").contains(&format!("container: rust:{channel}-bookworm")));
}

#[test]
fn a_breach_is_found() {
    assert_eq!(variables("A=$CHATFERRY_NO_SUCH LOG_LEVEL: x, CHATFERRY_…").len(), 2);
    assert!(!known_variables().contains("CHATFERRY_NO_SUCH"));
    let read = values_read("{{ .Values.image.tag }} {{- with $.Values.no.such }} {{ .Values.settings.");
    assert_eq!(read.len(), 3);
    let whole = values("values.yaml");
    assert_eq!(read.iter().filter(|path| !holds(&whole, path)).count(), 1);
}
