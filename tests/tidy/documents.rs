//! The written documents agree with the code: failure codes, links, and the tests they name.

use chatferry::fault::Code;
use chatferry::lifecycle::CrashPoint;

use super::none_of;
use super::source::{files, root, text};

/// Everything that is written for people.
fn documents() -> Vec<String> {
    let beside = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "PRODUCTION_READINESS.md"].map(str::to_owned);
    beside.into_iter().chain(files("docs", ".md")).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

fn headings(document: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in document.lines() {
        fenced ^= line.starts_with("```");
        if !fenced && line.starts_with('#') {
            found.push(line.trim_start_matches('#').trim().to_owned());
        }
    }
    found
}

#[test]
fn every_failure_code_has_its_section_in_the_runbook() {
    let document = text("docs/runbook.md");
    let sections: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(sections, codes, "docs/runbook.md: one section per code, in the order of src/fault.rs");
    for section in document.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        for part in ["**Means.**", "**By itself.**", "**You.**", "**Mended.**"] {
            assert!(section.contains(part), "docs/runbook.md, {name}: no {part}");
        }
        let action = Code::parse(name).unwrap().action();
        assert!(section.contains(action), "docs/runbook.md, {name}: says something else than the program ({action})");
    }
}

#[test]
fn every_crash_point_is_in_the_architecture() {
    let document = text("ARCHITECTURE.md");
    let missing = CrashPoint::ALL.iter().map(|point| format!("`{}`", point.as_str()));
    none_of(&missing.filter(|name| !document.contains(name)).collect::<Vec<_>>(), "Add it to ARCHITECTURE.md.");
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for name in documents() {
        let document = text(&name);
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in document.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&name) } else { folder.join(path) };
            if !target.exists() {
                dead.push(format!("{name}: {link}"));
            } else if !fragment.is_empty() {
                let there = std::fs::read_to_string(&target).unwrap_or_default();
                if !headings(&there).iter().any(|heading| anchor(heading) == fragment) {
                    dead.push(format!("{name}: {link} (no such heading)"));
                }
            }
        }
    }
    none_of(&dead, "Correct the link.");
}

/// Words in backticks of the form `path.rs::name`: a promise and the test that holds it.
#[test]
fn tests_that_are_named_exist() {
    let mut missing = Vec::new();
    let mut count = 0;
    for name in documents() {
        for word in text(&name).split('`').skip(1).step_by(2) {
            let Some((path, test)) = word.split_once("::").filter(|(path, _)| path.ends_with(".rs")) else { continue };
            count += 1;
            let code = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            if !code.contains(&format!("fn {test}(")) {
                missing.push(format!("{name}: {word}"));
            }
        }
    }
    none_of(&missing, "Name a test that exists, or take the promise back.");
    assert!(count > 0);
}

#[test]
fn decisions_are_short() {
    let long = files("docs/adr", ".md").into_iter().filter(|name| text(name).lines().count() > 60);
    none_of(&long.collect::<Vec<_>>(), "A decision takes at most 60 lines.");
    assert!(text("README.md").lines().count() <= 220, "README.md is longer than 220 lines");
}

#[test]
fn pictures_are_small() {
    let large = files("docs/images", ".png")
        .into_iter()
        .filter(|name| std::fs::metadata(root().join(name)).is_ok_and(|meta| meta.len() > 300 * 1024));
    none_of(&large.collect::<Vec<_>>(), "At most 300 kB each.");
}
