//! The HTTP face from outside, over a real listener, and the page against its JSON.

mod dependencies;
mod doors;
mod metrics;
mod page;
mod sample;
mod wire;
