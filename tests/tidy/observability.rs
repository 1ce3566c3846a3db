//! Alert rules and dashboards agree with the metrics that exist, with the runbook and with each other.
//!
//! Reads files as text and data; that they are PromQL at all, and that the alerts fire, is promtool's
//! work (`scripts/lint-deploy`). `deploy/prometheus/metrics.txt` is the list of metrics, with labels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::none_of;
use super::source::{files, text};

/// Labels that Prometheus itself puts on.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

/// Words of PromQL that stand where a metric could.
const WORDS: [&str; 17] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "inf",
    "sum",
    "max",
    "min",
    "avg",
    "count",
];

/// Names and their labels: those of the list (histograms in their three forms), and recorded ones, whose
/// labels are those that their expression keeps.
type Known = BTreeMap<String, BTreeSet<String>>;

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every rule of every file, with the file's name.
fn rules() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for path in files("deploy/prometheus/rules", ".yml") {
        for group in yaml(&path)["groups"].as_array().unwrap() {
            let rules = group["rules"].as_array().unwrap().iter();
            found.extend(rules.map(|rule| (path.clone(), rule.clone())));
        }
    }
    found
}

fn known() -> Known {
    let mut known = Known::new();
    for line in text("deploy/prometheus/metrics.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, kind) = (words[0], words[1]);
        let labels = words.get(2).into_iter().flat_map(|labels| labels.split(',')).chain(OF_PROMETHEUS);
        let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
        let new = match kind {
            "histogram" => {
                let mut with_le = labels.clone();
                with_le.insert("le".to_owned());
                known.insert(format!("{name}_sum"), labels.clone());
                known.insert(format!("{name}_count"), labels);
                known.insert(format!("{name}_bucket"), with_le)
            }
            "counter" | "gauge" => known.insert(name.to_owned(), labels),
            other => panic!("{name}: no such type: {other}"),
        };
        assert!(new.is_none(), "{name} stands there twice");
    }
    known.insert("up".to_owned(), OF_PROMETHEUS.map(str::to_owned).into());
    for (path, rule) in rules() {
        let Some(name) = rule["record"].as_str() else { continue };
        let query = rule["expr"].as_str().unwrap();
        let kept = lists(query, &["by"]).into_iter().filter(|label| label != "le").collect();
        assert!(known.insert(name.to_owned(), kept).is_none(), "{path}: {name} is recorded twice");
    }
    known
}

/// Without what stands in quotes.
fn unquoted(query: &str) -> String {
    query.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The labels in parentheses after these words: `by (job, le)`.
fn lists(query: &str, words: &[&str]) -> BTreeSet<String> {
    let bare = unquoted(query);
    let mut found = BTreeSet::new();
    for word in words {
        for rest in bare.split(&format!(" {word} (")).skip(1) {
            let inside = rest.split(')').next().unwrap();
            found.extend(inside.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found
}

/// Every metric of a query with the labels of its braces.
fn metrics(query: &str) -> Vec<(String, Vec<String>)> {
    let bare = unquoted(query);
    let chars: Vec<char> = bare.chars().collect();
    let mut found = Vec::new();
    let (mut i, mut depth_of_list) = (0, false);
    while i < chars.len() {
        let c = chars[i];
        // A range or a list of labels holds no metric.
        if c == '[' {
            i += chars[i..].iter().position(|c| *c == ']').unwrap_or(0) + 1;
        } else if c == ')' {
            depth_of_list = false;
            i += 1;
        } else if is_name(c) {
            let end = (i..chars.len()).find(|at| !is_name(chars[*at])).unwrap_or(chars.len());
            let name: String = chars[i..end].iter().collect();
            let next = (end..chars.len()).find(|at| !chars[*at].is_whitespace()).map(|at| chars[at]);
            let is_number = name.starts_with(|c: char| c.is_ascii_digit());
            if ["by", "without", "on", "ignoring"].contains(&name.as_str()) {
                depth_of_list = true;
            } else if !is_number && next != Some('(') && !depth_of_list && !WORDS.contains(&name.as_str()) {
                let mut labels = Vec::new();
                if next == Some('{') {
                    let rest: String = chars[end..].iter().collect();
                    let inside = rest.trim_start().trim_start_matches('{').split('}').next().unwrap().to_owned();
                    labels = inside
                        .split(',')
                        .map(|one| {
                            one.chars().take_while(|c| is_name(*c) || *c == ' ').collect::<String>().trim().to_owned()
                        })
                        .collect();
                }
                found.push((name, labels));
            }
            i = end;
            // Past the braces, whose labels are no metrics.
            if next == Some('{') {
                i += chars[i..].iter().position(|c| *c == '}').unwrap_or(0) + 1;
            }
        } else {
            i += 1;
        }
    }
    found
}

/// What is wrong with a query, as sentences.
fn faults(query: &str, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    let used = metrics(query);
    if used.is_empty() {
        found.push(format!("names no metric: {query}"));
    }
    for (name, labels) in &used {
        match known.get(name) {
            None => found.push(format!("no metric {name}")),
            Some(has) => found.extend(
                labels.iter().filter(|label| !has.contains(*label)).map(|label| format!("{name} has no label {label}")),
            ),
        }
    }
    let any: BTreeSet<&String> = used.iter().filter_map(|(name, _)| known.get(name)).flatten().collect();
    let listed = lists(query, &["by", "without", "on", "ignoring"]);
    found.extend(
        listed.iter().filter(|label| !any.contains(label)).map(|label| format!("no label {label} in: {query}")),
    );
    found
}

fn dashboards() -> Vec<(String, Value)> {
    let read = |path: String| {
        let value = serde_json::from_str(&text(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, value)
    };
    files("deploy/grafana/dashboards", ".json").into_iter().map(read).collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// What is wrong with a dashboard beside its queries.
fn slips(dashboard: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    if variables != ["datasource", "job", "instance"] {
        found.push(format!("its variables are {variables:?}"));
    }
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().unwrap_or_default();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                found.push(format!("{title}: {what}"));
            }
        };
        must(!title.is_empty(), "no title");
        must(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "no description");
        must(panel["fieldConfig"]["defaults"]["unit"].is_string(), "no unit");
        must(panel["datasource"]["uid"] == "${datasource}", "its data source is no variable");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            must(target["datasource"]["uid"] == "${datasource}", "a query's data source is no variable");
            let range_is_fixed = query.contains("rate(") && query.contains("[5m]");
            must(!range_is_fixed, "a rate over a fixed time: use $__rate_interval");
            let scoped = metrics(query).iter().all(|(_, labels)| labels.iter().any(|label| label == "job"));
            must(scoped, "a query is not limited to $job");
        }
    }
    found
}

#[test]
fn every_rule_uses_metrics_and_labels_that_exist() {
    let known = known();
    let mut found = Vec::new();
    for (path, rule) in rules() {
        let name = rule["alert"].as_str().or_else(|| rule["record"].as_str()).unwrap();
        found.extend(
            faults(rule["expr"].as_str().unwrap(), &known).into_iter().map(|why| format!("{path}: {name}: {why}")),
        );
    }
    none_of(&found, "deploy/prometheus/metrics.txt lists what exists.");
}

#[test]
fn every_query_of_a_dashboard_uses_metrics_and_labels_that_exist() {
    let known = known();
    let mut found = Vec::new();
    for (path, dashboard) in dashboards() {
        let queries = panels(&dashboard).flat_map(|panel| panel["targets"].as_array().unwrap());
        let queries: Vec<&str> = queries.map(|target| target["expr"].as_str().unwrap()).collect();
        assert!(queries.len() > 5, "{path}");
        found.extend(queries.iter().flat_map(|query| faults(query, &known)).map(|why| format!("{path}: {why}")));
    }
    none_of(&found, "deploy/prometheus/metrics.txt lists what exists.");
}

#[test]
fn every_panel_says_what_it_shows() {
    let read = dashboards();
    assert_eq!(read.len(), 5);
    let found = read.iter().flat_map(|(path, one)| slips(one).into_iter().map(move |why| format!("{path}: {why}")));
    none_of(
        &found.collect::<Vec<_>>(),
        "A title, a description that is a sentence, a unit, the data source as a variable.",
    );
}

#[test]
fn every_metric_is_shown_somewhere() {
    let shown: BTreeSet<String> = dashboards()
        .iter()
        .flat_map(|(_, one)| {
            panels(one).flat_map(|panel| panel["targets"].as_array().unwrap()).cloned().collect::<Vec<_>>()
        })
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .chain(rules().into_iter().map(|(_, rule)| rule["expr"].as_str().unwrap().to_owned()))
        .flat_map(|query| metrics(&query))
        .map(|(name, _)| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name).to_owned()
        })
        .collect();
    let list = text("deploy/prometheus/metrics.txt");
    let names = list.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').next().unwrap());
    none_of(
        &names.filter(|name| !shown.contains(*name)).map(str::to_owned).collect::<Vec<_>>(),
        "Nobody looks at it: show it.",
    );
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_its_tests() {
    let alerts: Vec<(String, Value)> = rules().into_iter().filter(|(_, rule)| !rule["alert"].is_null()).collect();
    let names: Vec<&str> = alerts.iter().map(|(_, rule)| rule["alert"].as_str().unwrap()).collect();
    let document = text("docs/runbook-alerts.md");
    let sections: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(sections, names, "docs/runbook-alerts.md: one section per alert, in the order of the files");
    let mut found = Vec::new();
    for section in document.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        let missing =
            ["**Means.**", "**Look.**", "**You.**", "**Over.**"].into_iter().filter(|part| !section.contains(part));
        found.extend(missing.map(|part| format!("docs/runbook-alerts.md, {name}: no {part}")));
    }
    let tests: Vec<Value> = files("deploy/prometheus/tests", ".yml").iter().map(|path| yaml(path)).collect();
    let of_tests: Vec<&Value> = tests
        .iter()
        .flat_map(|file| file["tests"].as_array().unwrap())
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .collect();
    for (path, rule) in &alerts {
        let name = rule["alert"].as_str().unwrap();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                found.push(format!("{path}: {name}: {what}"));
            }
        };
        let word = |holder: &str, key: &str| rule[holder][key].as_str().unwrap_or_default().to_owned();
        must(["page", "ticket"].contains(&word("labels", "severity").as_str()), "no severity");
        must(!word("labels", "component").is_empty(), "no component");
        must(!word("annotations", "summary").is_empty(), "no summary");
        must(word("annotations", "description").ends_with('.'), "no description");
        let wanted = format!("docs/runbook-alerts.md#{}", name.to_lowercase());
        must(word("annotations", "runbook_url") == wanted, "its runbook_url does not lead to its section");
        let severity = format!("**Means.** `{}`.", word("labels", "severity"));
        let section = document.split("\n## ").find(|section| section.lines().next() == Some(name)).unwrap_or_default();
        must(section.contains(&severity), "the runbook gives another severity");
        let expected = |fires: bool| {
            of_tests.iter().any(|test| {
                test["alertname"] == name
                    && test["exp_alerts"].as_array().is_some_and(|alerts| alerts.is_empty() != fires)
            })
        };
        must(expected(true), "no test in which it fires");
        must(expected(false), "no test in which it is silent");
    }
    none_of(&found, "docs/runbook-alerts.md and deploy/prometheus/tests.");
}

#[test]
fn a_breach_is_found() {
    let known = known();
    let good = r#"sum by (job, stage) (rate(chatferry_events_processed_total{job=~"$job", outcome="dead"}[5m])) > 0.1"#;
    assert_eq!(faults(good, &known), Vec::<String>::new());
    for bad in [
        "sum(chatferry_messages_total)",
        r#"chatferry_dead_letters{queue="x"}"#,
        "sum by (account) (chatferry_gaps_open)",
        "chatferry_end_to_end_seconds",
        "max(chatferry_gaps_open) and on (site) chatferry_dead_letters",
        "vector(0)",
    ] {
        assert!(!faults(bad, &known).is_empty(), "{bad}");
    }
    let (_, whole) = dashboards().swap_remove(0);
    assert!(slips(&whole).is_empty());
    let at = whole["panels"].as_array().unwrap().iter().position(|panel| panel["type"] != "row").unwrap();
    for (path, value) in [
        ("description", Value::Null),
        ("title", "".into()),
        ("datasource", serde_json::json!({ "uid": "mine" })),
        ("fieldConfig", Value::Null),
        ("targets", serde_json::json!([{ "expr": "up", "datasource": { "uid": "${datasource}" } }])),
    ] {
        let mut bad = whole.clone();
        bad["panels"][at][path] = value;
        assert!(!slips(&bad).is_empty(), "{path}");
    }
}
