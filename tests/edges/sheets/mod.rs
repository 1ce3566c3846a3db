//! The Google sheet: that it shows the store and nothing else changes, whatever happens on the way.

mod columns;
mod commands;
mod daemon;
mod doctor;
mod failures;
mod requests;
mod rig;
mod rounds;
mod setup;
