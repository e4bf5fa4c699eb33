//! What a person is told to do.

use holster_types::{ConnectionId, ProviderId};
use serde_json::Value;
use url::Url;

use super::Broker;
use crate::{ConnectAddress, Missing, Unmet};

impl Broker {
    /// The page on which a person connects what is missing; `None` if no connection was begun for it.
    pub fn page_for(&self, address: &ConnectAddress, missing: &Missing) -> Option<Url> {
        let connection = missing.connection.as_ref()?;
        Some(self.page(address, &missing.provider, connection))
    }

    /// The page of a connection, which an agent may see.
    pub fn page(
        &self,
        address: &ConnectAddress,
        provider: &ProviderId,
        connection: &ConnectionId,
    ) -> Url {
        match self.providers.find(provider) {
            Some(provider) => address.page(provider, connection),
            // A provider whose file is gone: nothing of it can be connected.
            None => address.url.clone(),
        }
    }

    /// What is missing, an object for each account: as it is, with the `url` of its page where one was begun and the
    /// pages are somewhere.
    pub fn describe(&self, address: Option<&ConnectAddress>, unmet: &Unmet) -> Vec<Value> {
        let describe = |missing: &Missing| {
            let mut entry = serde_json::to_value(missing).expect("what is missing is JSON");
            if let Some(page) = address.and_then(|address| self.page_for(address, missing)) {
                entry["url"] = page.as_str().into();
            }
            entry
        };
        unmet.missing().iter().map(describe).collect()
    }

    /// What is missing, a line for each account: with its page where one was begun and the pages are somewhere, else
    /// with the command that helps.
    pub fn explain(&self, address: Option<&ConnectAddress>, unmet: &Unmet) -> String {
        let line = |missing: &Missing| {
            let page = address.and_then(|address| self.page_for(address, missing));
            match page {
                Some(page) => format!(
                    "`{}` for profile `{}` {}; open {page}",
                    missing.provider, missing.profile, missing.reason,
                ),
                None => missing.to_string(),
            }
        };
        let lines: Vec<_> = unmet.missing().iter().map(line).collect();
        lines.join("\n")
    }
}
