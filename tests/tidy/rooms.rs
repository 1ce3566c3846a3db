//! Foreign crates and the environment, each in its room: an adapter's own types never leave it.

use super::none_of;
use super::source::{Source, sources, text};

/// Crates that speak to the world or shape a format, and the only places that may name them.
const WALLED: &[(&str, &[&str])] = &[
    ("askama", &["web/"]),
    ("axum", &["web/", "demo/"]),
    ("backon", &["resilience/"]),
    ("base64", &["browser/"]),
    ("chacha20poly1305", &["collect/session/"]),
    ("chromiumoxide", &["browser/"]),
    ("clap", &["cli/", "main.rs"]),
    ("comfy_table", &["cli/"]),
    ("csv", &["mirror/"]),
    ("dotenvy", &["config/"]),
    ("google_sheets4", &["mirror/google/"]),
    ("governor", &["mirror/google/", "resilience/"]),
    ("indicatif", &["cli/"]),
    ("lapin", &["bus/rabbitmq/"]),
    ("mongodb", &["store/mongo/"]),
    ("notify", &["selectors/"]),
    ("regex", &["selectors/", "ai/", "telemetry/"]),
    ("metrics", &["telemetry/metrics/"]),
    ("metrics_exporter_prometheus", &["telemetry/metrics/"]),
    ("metrics_process", &["telemetry/metrics/"]),
    ("reqwest", &["ai/service/"]),
    ("rusqlite", &["sqlite/", "bus/embedded/", "store/sqlite/", "collect/spool"]),
    ("rust_xlsxwriter", &["mirror/"]),
    ("rustix", &["browser/", "lifecycle/"]),
    ("rustls", &["main.rs"]),
    ("schemars", &["domain/", "selectors/"]),
    (
        "secrecy",
        &[
            "ai/service/",
            "bus/rabbitmq/",
            "config/",
            "collect/",
            "mirror/google/",
            "ports/control.rs",
            "ports/session.rs",
            "store/mongo/",
            "web/control/",
        ],
    ),
    ("strsim", &["config/", "selectors/"]),
    ("toml", &["config/", "selectors/"]),
    ("toml_edit", &["config/", "selectors/"]),
    ("sd_notify", &["lifecycle/service.rs"]),
    ("tracing_appender", &["telemetry/files.rs"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("unicode_normalization", &["ai/", "collect/"]),
    ("unicode_segmentation", &["ai/", "web/"]),
    ("validator", &["config/"]),
    ("whatlang", &["ai/"]),
    ("yup_oauth2", &["mirror/google/"]),
];

/// Crates that any room may use.
const EVERYWHERE: &[&str] = &[
    "async_trait",
    "blake3",
    "fastrand",
    "futures",
    "jiff",
    "serde",
    "serde_json",
    "thiserror",
    "tokio",
    "tokio_util",
    "tracing",
    "url",
];

/// Rooms that compute and wait for nobody.
const PURE: &[&str] = &["fault", "domain", "resilience", "config", "selectors"];

/// Who reads the environment, and why.
const ENVIRONMENT: &[&str] = &[
    "config/",
    // PATH, to find Chromium, and the few variables that Chromium is given.
    "browser/process.rs",
    // The names of crash points, in builds with debug assertions.
    "lifecycle/crash.rs",
];

fn stands_in(source: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| source.path.starts_with(place))
}

/// A crate is named by a path of several names that begins with it, or by `use`.
fn names_crate(source: &Source, name: &str) -> bool {
    source.paths.iter().any(|names| names.len() > 1 && names[0] == name)
        || source.code.contains(&format!("use {name};"))
        || source.code.contains(&format!("use {name} as "))
}

fn crates_out_of_their_rooms(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (name, places) in WALLED {
            if !stands_in(source, places) && names_crate(source, name) {
                found.push(format!("src/{} uses {name}, which lives in {}", source.path, places.join(", ")));
            }
        }
        if PURE.contains(&source.room()) && names_crate(source, "tokio") {
            found.push(format!("src/{} uses tokio, but {} is pure", source.path, source.room()));
        }
    }
    found
}

fn readers_of_the_environment(sources: &[Source]) -> Vec<String> {
    let reads =
        |source: &Source| source.paths.iter().any(|names| names.len() > 1 && names[0] == "std" && names[1] == "env");
    let strangers = sources.iter().filter(|source| !stands_in(source, ENVIRONMENT) && reads(source));
    strangers.map(|source| format!("src/{} names std::env", source.path)).collect()
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    none_of(&crates_out_of_their_rooms(sources()), "Wrap what is needed in the crate's own room.");
}

#[test]
fn the_environment_is_read_in_one_place() {
    none_of(&readers_of_the_environment(sources()), "Make it a setting (src/config/table) and hand the value on.");
}

#[test]
fn every_dependency_has_its_place() {
    let manifest: toml::Table = toml::from_str(&text("Cargo.toml")).unwrap();
    let known = |name: &str| EVERYWHERE.contains(&name) || WALLED.iter().any(|(walled, _)| *walled == name);
    let names = manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_"));
    let unknown: Vec<String> = names.filter(|name| !known(name)).collect();
    none_of(&unknown, "Say in tests/tidy/rooms.rs where this crate may be used.");
}

#[test]
fn a_breach_is_found() {
    let source = |path: &str, code: &str| Source::new(path.to_owned(), code);
    for (path, code) in [
        ("collect/pass.rs", "use chromiumoxide::Page;"),
        ("consume/archive.rs", "fn f(e: rusqlite::Error) {}"),
        ("web/mod.rs", "use csv;"),
        ("domain/event.rs", "use tokio::sync::Notify;"),
    ] {
        assert_eq!(crates_out_of_their_rooms(&[source(path, code)]).len(), 1, "{path}: {code}");
    }
    // A module of our own may have a crate's name.
    assert!(crates_out_of_their_rooms(&[source("mirror/x.rs", "super::csv::build()")]).is_empty());
    for code in ["std::env::var(NAME)", "use std::{env, fs};", "use std::env;"] {
        assert_eq!(readers_of_the_environment(&[source("web/mod.rs", code)]).len(), 1, "{code}");
    }
    assert!(readers_of_the_environment(&[source("web/mod.rs", "env!(\"CARGO_PKG_VERSION\")")]).is_empty());
}
