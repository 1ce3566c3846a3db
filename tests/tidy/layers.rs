//! Who may import whom: the table of ARCHITECTURE.md, held.

use super::none_of;
use super::source::{Source, sources, text};

/// What most adapters may see.
const ADAPTER: &[&str] = &["domain", "fault", "ports", "config", "resilience", "lifecycle", "telemetry"];

/// Each room and the rooms it may import, lowest first. A room may import from above it in this list
/// only, so the table can hold no circle.
const TABLE: &[(&str, &[&[&str]])] = &[
    ("fault", &[]),
    ("domain", &[&["fault"]]),
    ("resilience", &[&["fault"]]),
    ("telemetry", &[&["domain", "fault"]]),
    ("lifecycle", &[&["fault", "telemetry"]]),
    ("config", &[&["domain", "fault"]]),
    ("sqlite", &[&["fault"]]),
    ("selectors", &[&["domain", "fault"]]),
    ("ports", &[&["domain", "fault", "selectors"]]),
    ("browser", &[ADAPTER, &["selectors"]]),
    ("bus", &[ADAPTER, &["sqlite"]]),
    ("store", &[ADAPTER, &["sqlite"]]),
    ("ai", &[ADAPTER]),
    ("mirror", &[ADAPTER]),
    ("collect", &[ADAPTER, &["selectors", "sqlite"]]),
    ("consume", &[ADAPTER]),
    ("web", &[&["domain", "fault", "ports", "config", "lifecycle", "telemetry", "selectors"]]),
    ("demo", &[&["domain", "fault"]]),
];

/// Rooms above the table: they may import everything in it, and what stands before them here.
const ABOVE: &[&str] = &["app", "cli"];

/// What only [`ABOVE`]'s first may name: everything else speaks to ports.
const ADAPTERS: [&str; 9] = [
    "EmbeddedBus",
    "RabbitBus",
    "SqliteStore",
    "MongoStore",
    "Extractive",
    "AiService",
    "Workbook",
    "GoogleSheet",
    "Chromium",
];

fn may_import(room: &str, other: &str) -> bool {
    if let Some(height) = ABOVE.iter().position(|above| *above == room) {
        return TABLE.iter().any(|(known, _)| *known == other) || ABOVE[..height].contains(&other);
    }
    let Some((_, allowed)) = TABLE.iter().find(|(known, _)| *known == room) else { return false };
    allowed.concat().contains(&other)
}

/// Every import of a source that the table does not allow.
fn breaches(source: &Source) -> Vec<String> {
    let room = source.room();
    if matches!(room, "lib") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for names in &source.paths {
        let first = names.first().map(String::as_str);
        let ups = names.iter().take_while(|name| *name == "super").count();
        let other = match first {
            Some("chatferry") if room == "main" => {
                if names.get(1).is_some_and(|other| other != "cli") {
                    found.push(format!("src/main.rs imports {}", names.join("::")));
                }
                continue;
            }
            Some("crate") => names.get(1),
            Some("super") if ups >= source.depth() => {
                found.push(format!("src/{} leaves its room by {}: write crate::…", source.path, names.join("::")));
                continue;
            }
            _ => None,
        };
        if let Some(other) = other.filter(|other| *other != room && !may_import(room, other)) {
            found.push(format!("src/{}: {room} may not import {other} ({})", source.path, names.join("::")));
        }
    }
    found
}

#[test]
fn every_room_imports_only_what_the_table_allows() {
    let found: Vec<String> = sources().iter().flat_map(breaches).collect();
    none_of(&found, "Move the code to a lower room, or go through a port. The table is in ARCHITECTURE.md.");
}

#[test]
fn the_table_knows_every_room_and_holds_no_circle() {
    let mut below: Vec<&str> = Vec::new();
    for (room, allowed) in TABLE {
        for other in allowed.concat() {
            assert!(below.contains(&other), "{room} imports {other}, which stands below it");
        }
        below.push(room);
    }
    for source in sources() {
        let room = source.room();
        let known = below.contains(&room) || ABOVE.contains(&room) || matches!(room, "lib" | "main");
        assert!(known, "src/{}: the room {room} is not in the table", source.path);
    }
}

#[test]
fn only_the_composition_root_names_adapters() {
    let homes = ["app", "browser", "bus", "store", "ai", "mirror"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !homes.contains(&source.room())) {
        for names in &source.paths {
            if let Some(adapter) = names.iter().find(|name| ADAPTERS.contains(&name.as_str())) {
                found.push(format!("src/{} names {adapter}", source.path));
            }
        }
    }
    none_of(&found, "Let src/app.rs make it and hand it on as a port.");
}

#[test]
fn the_table_in_the_document_is_this_one() {
    let document = text("ARCHITECTURE.md");
    for (room, allowed) in TABLE {
        let mut allowed = allowed.concat();
        allowed.sort_unstable();
        let row = document.lines().find(|line| line.starts_with(&format!("| `{room}` |")));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {room}"));
        let cell = row.split('|').nth(3).unwrap_or_default();
        let mut told: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        told.sort_unstable();
        assert_eq!(told, allowed, "ARCHITECTURE.md, row {room}");
    }
}

#[test]
fn a_breach_is_found() {
    let source = |path: &str, code: &str| Source::new(path.to_owned(), code);
    for (path, code) in [
        ("domain/text.rs", "use crate::ports::Bus;"),
        ("collect/relay.rs", "use crate::{fault::Code, consume::Runner};"),
        ("bus/embedded/mod.rs", "fn f() { crate::store::open() }"),
        ("bus/error.rs", "use super::super::store;"),
        ("web/mod.rs", "use super::bus;"),
        ("app.rs", "use crate::cli::out;"),
        ("main.rs", "use chatferry::app::App;"),
    ] {
        assert_eq!(breaches(&source(path, code)).len(), 1, "{path}: {code}");
    }
    let fine = "use crate::bus::topology; use super::error; use crate::{fault::Code, sqlite}; // crate::store";
    assert_eq!(breaches(&source("bus/embedded/mod.rs", fine)), Vec::<String>::new());
}
