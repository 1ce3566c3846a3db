//! The command line as a person meets it: what it refuses, with which words and exit code, and what it
//! puts out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "cli/absent.rs"]
mod absent;
#[path = "cli/analyze.rs"]
mod analyze;
#[path = "cli/dead.rs"]
mod dead;
#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/dry_run.rs"]
mod dry_run;
#[path = "cli/outputs.rs"]
mod outputs;
#[path = "cli/place.rs"]
mod place;
#[path = "cli/refusal.rs"]
mod refusal;
#[path = "cli/roles.rs"]
mod roles;
#[path = "cli/service.rs"]
mod service;
#[path = "cli/settings.rs"]
mod settings;
#[path = "cli/site.rs"]
mod site;
