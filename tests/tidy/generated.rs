//! Generated files are what the code would generate now. `UPDATE_REFERENCE=1` writes them instead.

use std::fs;

use chatferry::domain::EventType;
use chatferry::domain::event::{
    AccountChanged, AnalysisCompleted, AnalysisRequested, MessageCaptured, SelectorsDrifted,
};
use chatferry::telemetry::metrics::catalogue;
use schemars::{Schema, schema_for};

use super::source::{files, root};

/// The folder of the reference.
pub const REFERENCE: &str = "docs/reference";

/// Compares a generated file with what the code would generate now, or writes it.
#[track_caller]
pub fn is_fresh(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "{path} is out of date; run: UPDATE_REFERENCE=1 cargo test --test tidy fresh");
}

/// The schema of an event's data. An exhaustive match: a new type of event has a schema.
pub fn schema(kind: EventType) -> Schema {
    match kind {
        EventType::MessageCaptured => schema_for!(MessageCaptured),
        EventType::AnalysisRequested => schema_for!(AnalysisRequested),
        EventType::AnalysisCompleted => schema_for!(AnalysisCompleted),
        EventType::AccountChanged => schema_for!(AccountChanged),
        EventType::SelectorsDrifted => schema_for!(SelectorsDrifted),
    }
}

#[test]
fn the_schema_of_packs_is_fresh() {
    is_fresh("selectors/pack.schema.json", &chatferry::selectors::schema::pack_schema());
}

#[test]
fn the_list_of_metrics_is_fresh() {
    is_fresh(&format!("{REFERENCE}/metrics.md"), &catalogue::reference());
    is_fresh("deploy/prometheus/metrics.txt", &metrics_list());
}

/// Of those that every process has, the ones that alerts and dashboards use.
const OF_THE_PROCESS: &str = "process_resident_memory_bytes gauge\nprocess_cpu_seconds_total counter\n\
                              process_open_fds gauge\nprocess_start_time_seconds gauge\n";

/// What alerts and dashboards may use, for the tools that check them.
fn metrics_list() -> String {
    let mut list =
        "# Every metric that the rules and dashboards may use: name, type, labels. One per line. Made from the\n\
                    # daemon's own list (src/telemetry/metrics/catalogue.rs).\n"
            .to_owned();
    for metric in catalogue::ALL {
        list.push_str(format!("{} {} {}", metric.name, metric.kind.as_str(), metric.labels.join(",")).trim_end());
        list.push('\n');
    }
    list + OF_THE_PROCESS
}

#[test]
fn the_reference_of_packs_is_fresh() {
    is_fresh(&format!("{REFERENCE}/packs.md"), &chatferry::selectors::reference::pack_reference());
}

#[test]
fn the_example_of_settings_is_fresh() {
    is_fresh(".env.example", &chatferry::config::env_example());
}

#[test]
fn the_schemas_of_events_are_fresh() {
    let mut names = Vec::new();
    for kind in EventType::ALL {
        let mut schema = schema(kind);
        schema.insert("title".to_owned(), format!("data of {kind}").into());
        let name = format!("{REFERENCE}/{kind}.schema.json");
        is_fresh(&name, &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
        names.push(name);
    }
    names.sort();
    assert_eq!(files(REFERENCE, ".schema.json"), names, "a schema without an event");
}
