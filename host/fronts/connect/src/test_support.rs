//! What the tests of several modules need.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use holster_core::broker::{Broker, BrokerSettings, ConnectAddress, KeyFile, SignIn};
use tempfile::TempDir;

use crate::server::USUAL;

/// A broker with an empty data folder of its own.
pub(crate) async fn broker() -> (TempDir, Arc<Broker>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings {
        data_folder: folder.path().to_owned(),
        provider_folder: None,
        configured: BTreeMap::new(),
        extra_hosts: BTreeMap::new(),
        default_profile: None,
        clients: BTreeMap::new(),
        variables: BTreeMap::new(),
        client_metadata_url: None,
        expected_profiles: BTreeMap::new(),
    };
    let keeper = Box::new(KeyFile::in_data_folder(folder.path()));
    let broker = Broker::open_with(settings, keeper).await.unwrap();
    (folder, Arc::new(broker))
}

pub(crate) fn address(url: &str) -> ConnectAddress {
    ConnectAddress {
        url: url.parse().unwrap(),
        chosen: false,
        sign_in: SignIn::Others,
    }
}

/// Takes the usual port until all tests are over, so that none depends on which other one has it.
pub(crate) fn take_usual_port() {
    static TAKEN: OnceLock<io::Result<TcpListener>> = OnceLock::new();
    // Where this fails, somebody else has it.
    let _ = TAKEN.get_or_init(|| TcpListener::bind(USUAL));
}
