//! What it costs to find a credential among ten thousand.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use age::x25519;
use holster_broker::{Broker, BrokerSettings, ImportWith, KeyFile, Owner};
use holster_types::{ProfileName, ProviderId, Requirement, Scopes, TenantId};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CREDENTIALS: usize = 10_000;

struct Setting {
    runtime: Runtime,
    broker: Broker,
    needs: Vec<Requirement>,
    _folder: TempDir,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings {
        data_folder: folder.path().to_owned(),
        provider_folder: None,
        configured: std::collections::BTreeMap::new(),
        extra_hosts: std::collections::BTreeMap::new(),
        default_profile: None,
        clients: BTreeMap::new(),
        variables: BTreeMap::new(),
        client_metadata_url: None,
    };
    let keeper = Box::new(KeyFile::in_data_folder(folder.path()));
    let broker = runtime.block_on(async {
        let broker = Broker::open_with(settings, keeper).await.unwrap();
        let identity = x25519::Identity::generate();
        let file = age::encrypt(&identity.to_public(), export().as_bytes()).unwrap();
        let with = ImportWith::Identities(identity.to_string());
        let report = broker.vault().import(file, with, false).await.unwrap();
        assert_eq!(report.len(), CREDENTIALS);
        broker
    });
    Setting {
        runtime,
        broker,
        needs: vec![Requirement {
            provider: ProviderId::new("slack").unwrap(),
            scopes: Scopes::default(),
        }],
        _folder: folder,
    }
});

/// As `Vault::export` writes it: one transaction takes in all of it.
fn export() -> String {
    let credentials: Vec<_> = (0..CREDENTIALS)
        .map(|number| {
            json!({
                "tenant": "local", "profile": format!("p{number}"), "provider": "slack", "kind": "api_key",
                "account": "me", "scopes": null, "expires_at": null, "secret": [format!("xoxb-{number}")],
            })
        })
        .collect();
    json!({
        "format": "holster credentials", "version": 1, "exported_at": 0,
        "credentials": credentials, "default_profiles": [],
    })
    .to_string()
}

fn resolve(number: usize) {
    let Setting {
        runtime,
        broker,
        needs,
        ..
    } = &*SETTING;
    let owner = Owner {
        tenant: TenantId::local(),
        profile: ProfileName::new(format!("p{number}")).unwrap(),
    };
    let answer = runtime
        .block_on(broker.resolve(&owner.tenant, Some(&owner.profile), needs))
        .unwrap();
    assert_eq!(divan::black_box(answer).unwrap().len(), 1);
}

/// Each time another credential, which nobody has asked for before.
#[divan::bench(sample_count = 100, sample_size = 90)]
fn cold_resolve() {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    resolve(NEXT.fetch_add(1, Ordering::Relaxed) % CREDENTIALS);
}

#[divan::bench]
fn cached_resolve() {
    resolve(0);
}

fn main() {
    LazyLock::force(&SETTING);
    divan::main();
}
