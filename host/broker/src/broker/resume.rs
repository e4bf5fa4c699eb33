//! Interrupted calls that go on.

use super::Broker;
use crate::{BrokerError, NotResumable};

impl Broker {
    /// What a client brings back when it goes on with an interrupted call; `call` is all that makes it this call: the
    /// tenant, the tool, its version, the arguments. 75 to 80 characters that need no escaping in JSON.
    pub async fn resumption(&self, call: &[impl AsRef<[u8]>]) -> Result<String, BrokerError> {
        Ok(self.vault.resumption(call).await?)
    }

    /// Uses a [`resumption`](Self::resumption) up. It says that the client was interrupted in this very call before,
    /// and nothing of whether the call may run now.
    pub async fn resume(
        &self,
        resumption: &str,
        call: &[impl AsRef<[u8]>],
    ) -> Result<Result<(), NotResumable>, BrokerError> {
        Ok(self.vault.resume(resumption, call).await?)
    }
}
