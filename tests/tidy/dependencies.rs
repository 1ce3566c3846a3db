//! Every dependency is used by somebody.

use super::none_of;
use super::source::{bare, files, paths, text};

fn unused(section: &str, folders: &[&str]) -> Vec<String> {
    let manifest: toml::Table = toml::from_str(&text("Cargo.toml")).unwrap();
    let firsts: std::collections::BTreeSet<String> = folders
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .flat_map(|name| paths(&bare(&text(&name))))
        .filter(|names| names.len() > 1)
        .map(|mut names| names.swap_remove(0))
        .collect();
    let table = manifest[section].as_table().unwrap();
    table.keys().filter(|name| !firsts.contains(&name.replace('-', "_"))).cloned().collect()
}

#[test]
fn every_dependency_is_used() {
    none_of(&unused("dependencies", &["src"]), "Remove it from [dependencies].");
    none_of(
        &unused("dev-dependencies", &["src", "tests", "examples", "benches"]),
        "Remove it from [dev-dependencies].",
    );
}

#[test]
fn a_dependency_that_nobody_names_is_found() {
    assert!(unused("dependencies", &["selectors"]).contains(&"tokio".to_owned()));
}
