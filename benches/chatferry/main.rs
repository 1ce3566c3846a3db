//! The measurements behind docs/benchmarks.md: one program, one JSON document on stdout.
//!
//! A plain program instead of a harness, because what is measured are whole paths (a page read, a spool
//! emptied) of which a few repetitions are enough, and because both sides of a comparison must run in
//! turn in one process. Nothing here asserts a time: a busy machine is no defect.
//!
//! Arguments name the sections to run; without any, all run. Progress goes to stderr.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that can't go on ends
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod backfill;
mod embedded;
mod extraction;
mod live;
mod memory;
mod pipeline;
mod rig;

#[path = "../../tests/support/mongod.rs"]
mod mongod;
#[path = "../../tests/support/rabbitmq.rs"]
mod rabbitmq;

use serde_json::{Map, Value, json};

const SECTIONS: [&str; 6] = ["extraction", "backfill", "embedded", "memory", "live", "pipeline"];

fn main() {
    // cargo adds flags of its own.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|name| !SECTIONS.contains(&name.as_str())) {
        eprintln!("bench: there is no section {unknown}; there are {}", SECTIONS.join(", "));
        std::process::exit(2);
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut document = Map::new();
    document.insert("machine".to_owned(), rig::machine());
    for name in SECTIONS.into_iter().filter(|name| is_asked(name)) {
        eprintln!("bench: {name}");
        let figures: Value = runtime.block_on(async {
            match name {
                "extraction" => extraction::run().await,
                "backfill" => backfill::run().await,
                "embedded" => embedded::run().await,
                "memory" => memory::run().await,
                "live" => live::run().await,
                _ => pipeline::run().await,
            }
        });
        document.insert(name.to_owned(), figures);
    }
    println!("{}", serde_json::to_string_pretty(&json!(document)).unwrap());
}
