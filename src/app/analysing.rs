//! Who analyses, and how long is waited while it can't.

use std::sync::Arc;
use std::time::Duration;

use crate::ai::{AiService, Extractive};
use crate::config::Config;
use crate::fault::AnyFault;
use crate::ports::{Analyst, Clock};
use crate::resilience::RetrySchedule;
use crate::telemetry::Counters;

/// Waits while the analyst's service is away: longer than those for bus and store, since a broker counts
/// each time that it hands a request out, and buries what it has handed out too often. At a minute on
/// average that is a week (see `DELIVERY_LIMIT`), and the wait that the service asks for comes on top.
pub(super) const SERVICE: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(120));

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
