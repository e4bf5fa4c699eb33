//! What was disconnected while its provider could not be told: it is told later, by whichever server runs.

use std::time::Duration;

use holster_core::broker::Broker;

/// How often it is looked for what is due; how often each provider is told again, the broker decides.
const LOOK: Duration = Duration::from_mins(1);

/// For ever.
pub(crate) async fn retry(broker: &Broker) {
    loop {
        if let Err(error) = broker.revoke_due().await {
            tracing::warn!("providers could not be told of what was disconnected: {error}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
