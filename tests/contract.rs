//! One suite per port, run against every adapter: an embedded adapter that passes it is proved equal
//! to a real one, so that fast tests may trust it.
//!
//! A check knows the port only. An adapter joins by a fixture (how to open it, and how to open it
//! again as after a restart) and one line of `bus_contract!`, `store_contract!`, `leases_contract!` or
//! `budgets_contract!`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "contract/bus/mod.rs"]
#[macro_use]
mod bus;
#[path = "contract/store/mod.rs"]
#[macro_use]
mod store;
#[path = "contract/leases/mod.rs"]
#[macro_use]
mod leases;
#[path = "contract/budgets/mod.rs"]
#[macro_use]
mod budgets;
#[path = "contract/embedded.rs"]
mod embedded;
#[path = "contract/mongo.rs"]
mod mongo;
#[path = "contract/mongo_versions.rs"]
mod mongo_versions;
#[path = "support/mongod.rs"]
mod mongod;
#[path = "support/rabbitmq.rs"]
mod rabbit_node;
#[path = "contract/rabbitmq.rs"]
mod rabbitmq;
