//! The protocol against a server that lies and breaks, and against one that keeps to the specifications.

mod catalogue;
pub(crate) mod fake_server;
mod flows;
mod lies;

use super::*;
use crate::provider::Provider;

/// A provider whose `[oauth]` and what follows is as given.
fn provider(oauth: &str) -> Provider {
    let text = format!(
        "id = 'x'\ntitle = 'X'\nkinds = ['oauth2', 'client_credentials']\ndoc_url = 'https://x.example/'\n\n{oauth}"
    );
    let provider: Provider = toml::from_str(&text).unwrap();
    provider.check().unwrap();
    provider
}

async fn open(provider: &Provider) -> AuthorizationServer {
    AuthorizationServers::new()
        .open(provider, &Variables::new())
        .await
        .unwrap()
}
