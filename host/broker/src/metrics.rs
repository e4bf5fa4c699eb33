//! What is counted of accounts: connections that began and ended, and tokens that were renewed. Nothing says whose.

use holster_types::ProviderId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::connection::ConnectionState;
use crate::vault::RenewFailure;

/// The counts of one broker. Clones are the same counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    begun: Family<Begun, Counter>,
    ended: Family<Ended, Counter>,
    refreshes: Family<Refresh, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Begun {
    provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    provider: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refresh {
    provider: String,
    result: &'static str,
}

impl Counts {
    /// A connection began.
    pub(crate) fn begun(&self, provider: &ProviderId) {
        let provider = provider.to_string();
        self.begun.get_or_create(&Begun { provider }).inc();
    }

    /// A connection was ended in this process.
    pub(crate) fn ended(&self, provider: &ProviderId, state: &ConnectionState) {
        let state = match state {
            ConnectionState::Connected { .. } => "connected",
            ConnectionState::Refused { .. } => "refused",
            // Time alone makes the others, and tells nobody.
            ConnectionState::Created | ConnectionState::Waiting | ConnectionState::Expired => {
                return;
            }
        };
        let provider = provider.to_string();
        self.ended.get_or_create(&Ended { provider, state }).inc();
    }

    /// A provider was asked for something newer.
    pub(crate) fn refreshed<T>(&self, provider: &ProviderId, answer: &Result<T, RenewFailure>) {
        let result = match answer {
            Ok(_) => "renewed",
            Err(RenewFailure::InvalidGrant(_)) => "refused",
            Err(RenewFailure::Unused(_)) => "unavailable",
            Err(RenewFailure::Transient(_)) => "in_doubt",
        };
        let provider = provider.to_string();
        let refresh = Refresh { provider, result };
        self.refreshes.get_or_create(&refresh).inc();
    }

    /// Puts them among the numbers of a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Connections that were begun, for calls or by hand";
        registry.register("connections_begun", help, self.begun.clone());
        let help = "Connections that a person or a provider ended; those that expire are not told";
        registry.register("connections_ended", help, self.ended.clone());
        let help = "Requests to providers for newer tokens";
        registry.register("token_refreshes", help, self.refreshes.clone());
    }
}
