//! What it costs to find a credential among ten thousand, and to start with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use age::x25519;
use holster_broker::{Broker, BrokerSettings, ImportWith, KeyFile};
use holster_types::{ProfileName, ProviderId, Requirement, Scopes, TenantId};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CREDENTIALS: usize = 10_000;

/// So often a start is measured.
const STARTS: usize = 31;

/// A vault in a folder of its own, and the broker that has it.
struct Setting {
    runtime: Runtime,
    broker: Broker,
    folder: TempDir,
}

static FULL: LazyLock<Setting> = LazyLock::new(|| Setting::with(CREDENTIALS));

impl Setting {
    /// So many profiles with an account at Slack; the first has one at GitHub as well.
    fn with(credentials: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let broker = runtime.block_on(async {
            let broker = open(folder.path()).await;
            let identity = x25519::Identity::generate();
            let export = export(credentials);
            let file = age::encrypt(&identity.to_public(), export.as_bytes()).unwrap();
            let with = ImportWith::Identities(identity.to_string());
            broker.vault().import(file, with, false).await.unwrap();
            broker
        });
        Self {
            runtime,
            broker,
            folder,
        }
    }

    /// How long it takes until a new broker is there, and until it has answered for the first time.
    fn start(&self) -> (Duration, Duration) {
        let begin = Instant::now();
        let broker = self.runtime.block_on(open(self.folder.path()));
        let opened = begin.elapsed();
        let missing = resolve(&self.runtime, &broker, Some("default"), "linear");
        assert!(missing.unwrap_err().contains("is not connected"));
        (opened, begin.elapsed())
    }
}

async fn open(folder: &Path) -> Broker {
    let settings = BrokerSettings {
        data_folder: folder.to_owned(),
        provider_folder: None,
        configured: BTreeMap::new(),
        extra_hosts: BTreeMap::new(),
        default_profile: None,
        clients: BTreeMap::new(),
        variables: BTreeMap::new(),
        client_metadata_url: None,
        expected_profiles: BTreeMap::new(),
    };
    let keeper = Box::new(KeyFile::in_data_folder(folder));
    Broker::open_with(settings, keeper).await.unwrap()
}

/// As `Vault::export` writes it: one transaction takes in all of it.
fn export(credentials: usize) -> String {
    let credential = |profile: String, provider: &str| {
        json!({
            "tenant": "local", "secret": [format!("secret-{profile}")], "profile": profile, "provider": provider,
            "kind": "api_key", "account": "me", "scopes": null, "expires_at": null,
        })
    };
    let slack = (0..credentials).map(|number| credential(format!("p{number}"), "slack"));
    let github = (0..credentials.min(1)).map(|_| credential("p0".to_owned(), "github"));
    json!({
        "format": "holster credentials", "version": 1, "exported_at": 0,
        "credentials": slack.chain(github).collect::<Vec<_>>(), "default_profiles": [],
    })
    .to_string()
}

/// The number of grants, or what is missing in words.
fn resolve(
    runtime: &Runtime,
    broker: &Broker,
    profile: Option<&str>,
    provider: &str,
) -> Result<usize, String> {
    let profile = profile.map(|profile| ProfileName::new(profile).unwrap());
    let needs = [Requirement {
        provider: ProviderId::new(provider).unwrap(),
        scopes: Scopes::default(),
    }];
    let tenant = TenantId::local();
    match runtime.block_on(broker.resolve(&tenant, profile.as_ref(), &needs)) {
        Ok(Ok(grants)) => Ok(divan::black_box(grants).len()),
        Ok(Err(unmet)) => Err(unmet.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn granted(profile: Option<&str>, provider: &str) {
    let Setting {
        runtime, broker, ..
    } = &*FULL;
    assert_eq!(resolve(runtime, broker, profile, provider), Ok(1));
}

/// Each time another credential, which nobody has asked for before.
#[divan::bench(sample_count = 100, sample_size = 90)]
fn cold_resolve() {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % CREDENTIALS;
    granted(Some(&format!("p{number}")), "slack");
}

#[divan::bench]
fn cached_resolve() {
    granted(Some("p0"), "slack");
}

/// The one profile with an account serves.
#[divan::bench]
fn cached_resolve_without_a_profile() {
    granted(None, "github");
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Starts with an empty vault and a full one in turn, so that whatever else the machine does slows both.
fn compare_starts() {
    let empty = Setting::with(0);
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..STARTS {
        for (at, setting) in [&empty, &*FULL].into_iter().enumerate() {
            let (opened, answered) = setting.start();
            times[at].push(opened);
            times[2 + at].push(answered);
        }
    }
    let [empty_open, full_open, empty_answer, full_answer] = times.map(median);
    for (what, empty, full) in [
        ("start", empty_open, full_open),
        ("start and first answer", empty_answer, full_answer),
    ] {
        println!(
            "{what}: {empty:.2} ms without credentials, {full:.2} ms with {CREDENTIALS}, ratio {:.2}",
            full / empty
        );
    }
}

fn main() {
    LazyLock::force(&FULL);
    compare_starts();
    divan::main();
}
