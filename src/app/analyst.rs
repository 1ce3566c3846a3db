//! The analyst: an AI service where one is set, else the built-in one.

use std::sync::Arc;

use crate::ai::{AiService, Extractive};
use crate::config::Config;
use crate::fault::AnyFault;
use crate::ports::{Analyst, Clock};
use crate::telemetry::Counters;

/// The analyst of these settings. Asks nothing yet.
///
/// # Errors
/// `config-invalid`: a prompt can't be used, or no certificates are found on this machine.
pub fn analyst(config: &Config, clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Result<Arc<dyn Analyst>, AnyFault> {
    Ok(match &config.ai {
        Some(settings) => Arc::new(AiService::new(settings.clone(), clock, counters)?),
        None => Arc::new(Extractive::new()),
    })
}
