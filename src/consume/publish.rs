//! Publishing from a consumer: the events that follow from an effect.

use crate::domain::Envelope;
use crate::fault::AnyFault;
use crate::ports::{Bus, Outgoing};

use super::error::{ConsumeError, Elsewhere};

/// Publishes and waits until each event is durable; one outcome per event, in order. No fault of the bus
/// is held against the event that is being consumed.
///
/// # Errors
/// As [`Bus::publish`]; critical if the bus gives another number of outcomes.
pub async fn publish(bus: &dyn Bus, envelopes: &[Envelope]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
    let mut batch = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        batch.push(Outgoing {
            id: envelope.id,
            kind: envelope.event.kind(),
            site: envelope.event.account().site().clone(),
            body: envelope.to_json()?,
        });
    }
    let outcomes = bus.publish(&batch).await.map_err(Elsewhere)?;
    if outcomes.len() == batch.len() {
        Ok(outcomes.into_iter().map(|outcome| outcome.map_err(|fault| Elsewhere(fault).into())).collect())
    } else {
        let (events, outcomes) = (batch.len(), outcomes.len());
        Err(ConsumeError::Miscounted { who: "the bus", events, outcomes }.into())
    }
}

/// Publishes one event.
///
/// # Errors
/// As [`publish`], or what happened to this event.
pub async fn publish_one(bus: &dyn Bus, envelope: &Envelope) -> Result<(), AnyFault> {
    publish(bus, std::slice::from_ref(envelope)).await?.into_iter().collect()
}
