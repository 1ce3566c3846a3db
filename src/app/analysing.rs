//! Who analyses, and how long is waited while it can't.

use std::sync::Arc;
use std::time::Duration;

use crate::ai::Extractive;
use crate::config::Config;
use crate::fault::AnyFault;
use crate::ports::Analyst;
use crate::resilience::RetrySchedule;

/// Waits while the analyst's service is away: longer than those for bus and store, since a broker counts
/// each time that it hands a request out, and buries what it has handed out too often. At a minute on
/// average that is a week (see `DELIVERY_LIMIT`), and the wait that the service asks for comes on top.
pub(super) const SERVICE: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(120));

/// The analyst that the settings want.
///
/// # Errors
/// None yet: there is only the built-in one.
pub fn analyst(_config: &Config) -> Result<Arc<dyn Analyst>, AnyFault> {
    Ok(Arc::new(Extractive::new()))
}
