//! The real backbone under faults: RabbitMQ and MongoDB as private servers, processes that are killed and
//! frozen, networks that cut and swallow. Whatever happens, what was collected is stored once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/sheets.rs"]
mod google;
#[path = "support/mongod.rs"]
mod mongod;
#[path = "support/rabbitmq.rs"]
mod rabbitmq;
mod support;

#[path = "servers/collectors.rs"]
mod collectors;
#[path = "servers/consumers.rs"]
mod consumers;
#[path = "servers/health.rs"]
mod health;
#[path = "servers/oracle.rs"]
mod oracle;
#[path = "servers/poison.rs"]
mod poison;
#[path = "servers/rig.rs"]
mod rig;
#[path = "servers/schedule.rs"]
mod schedule;
#[path = "servers/script.rs"]
mod script;
#[path = "servers/sheet.rs"]
mod sheet;
#[path = "servers/whole_way.rs"]
mod whole_way;
