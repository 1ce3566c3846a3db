//! chatferry pulls chats out of web sites that offer no export: Chromium logs in with the owner's own
//! account, every message becomes an event on a durable bus, is stored once, analysed, and shown in a
//! sheet.
//!
//! The map, in reading order:
//!
//! | module | what it is |
//! |---|---|
//! | [`fault`] | class × scope × code of everything that can go wrong |
//! | [`domain`] | ids, accounts, conversations, messages, analyses, events; pure |
//! | [`config`] | settings, where each value came from, secrets |
//! | [`resilience`] | retry schedule, pace, quota, circuit breaker; pure |
//! | [`lifecycle`] | soft stop → drain with a deadline → hard stop; crash points for tests |
//! | [`telemetry`] | logs, counters, progress |
//! | [`sqlite`] | one embedded database file: opening, migrating, the writer thread |
//! | [`selectors`] | selector packs: types, reading, lint, JSON Schema |
//! | [`ports`] | bus, store, analyst, mirror, page, clock as traits |
//! | [`browser`] | Chromium: process, containment, page agent |
//! | [`bus`] | the embedded queue; RabbitMQ; the topology |
//! | [`store`] | the embedded store |
//! | [`ai`] | the extractive analyst; AI services |
//! | [`mirror`] | the local workbook |
//! | [`collect`] | one account's life: login, list, history, spool, relay |
//! | [`consume`] | runner; archive, analyze, mirror, scheduler |
//! | [`web`] | health and the status page |
//! | [`demo`] | the sample chat site |
//! | [`app`] | composition root: the only file that names concrete adapters |
//! | [`cli`] | one file per command |

pub mod ai;
pub mod app;
pub mod browser;
pub mod bus;
pub mod cli;
pub mod collect;
pub mod config;
pub mod consume;
pub mod demo;
pub mod domain;
pub mod fault;
pub mod lifecycle;
pub mod mirror;
pub mod ports;
pub mod resilience;
pub mod selectors;
pub mod sqlite;
pub mod store;
pub mod telemetry;
pub mod web;
