//! Where secrets must not be, and what is made of ones that were tampered with at rest.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use holster_connect::{ConnectSettings, SharedServer};
use holster_core::broker::{ClientAuth, ConnectionState};
use holster_core::types::TenantId;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::fake_provider::FakeProvider;
use crate::setting::{Host, Page, Person, client, file, id, owner, parameter};

/// All that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is shown and kept, by where it was found.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn page(&mut self, page: &Page) {
        self.0
            .push(("a page".to_owned(), page.text.clone().into_bytes()));
        for (name, value) in &page.headers {
            // These two are for the person's browser alone.
            if name != "location" && name != "set-cookie" {
                self.0
                    .push((format!("the header {name}"), value.as_bytes().to_vec()));
            }
        }
    }

    fn text(&mut self, place: &str, text: String) {
        self.0.push((place.to_owned(), text.into_bytes()));
    }

    fn files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else {
                let place = path.file_name().unwrap().to_string_lossy().into_owned();
                self.0.push((place, fs::read(path).unwrap()));
            }
        }
    }

    /// Where it stands, in the open or so that anybody can read it.
    fn place_of(&self, secret: &str) -> Option<&str> {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        let holds = |bytes: &[u8]| {
            [secret, &encoded].iter().any(|spelling| {
                bytes
                    .windows(spelling.len())
                    .any(|part| part == spelling.as_bytes())
            })
        };
        let found = self.0.iter().find(|(_, bytes)| holds(bytes));
        found.map(|(place, _)| place.as_str())
    }
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one way from the first page to the last, in its order"
)]
async fn no_secret_of_a_connection_is_logged_shown_or_kept_in_the_open() {
    // In a process of its own: tracing remembers for all threads whether anybody wants an event.
    const ALONE: &str = "HOLSTER_TEST_SECRETS";
    if std::env::var_os(ALONE).is_none() {
        let name = "secrets::no_secret_of_a_connection_is_logged_shown_or_kept_in_the_open";
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(ALONE, "1")
            .status()
            .unwrap();
        assert!(ended.success());
        return;
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (mut seen, mut secrets) = (Seen::default(), Vec::new());
    let provider = FakeProvider::start().await;
    let outside = tempfile::tempdir().unwrap();
    let secret_file = outside.path().join("client-secret");
    fs::write(&secret_file, "planted-client-secret").unwrap();
    fs::set_permissions(&secret_file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut configured = client("desktop", Some(&secret_file));
    configured.auth = Some(ClientAuth::Post);
    let host = Host::start_as(
        &[("idp", file("idp", provider.issuer(), ""))],
        BTreeMap::from([(id("idp"), configured)]),
    )
    .await;
    let shared = SharedServer::ensure(
        &host.data(),
        Arc::clone(host.broker()),
        ConnectSettings::default(),
    )
    .await
    .unwrap();
    seen.text("Debug of the servers", format!("{shared:?}"));

    // Consent, and the account's use.
    provider.grants(
        json!({ "access_token": "planted-access-1", "refresh_token": "planted-refresh-1" }),
    );
    let mut person = Person::default();
    let connection = host.connect("default", "idp", "").await;
    let first = person.page(&host, &connection.id).await;
    let cookie = first.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    secrets.push(("the cookie", cookie));
    let left = person.leave(&host, &connection.id).await;
    secrets.push(("the state", parameter(&left, "state")));
    seen.files(&host.data());
    let back = provider.back_with(&host, &left, &[("code", "planted-code-1")]);
    let ended = person.come_back(&host, &back).await;
    assert!(ended.says("is connected"), "{}", ended.text);
    let exchange = provider.received("/token").remove(0);
    assert!(exchange.contains("planted-client-secret") && exchange.contains("planted-code-1"));
    let verifier = exchange
        .split('&')
        .find_map(|pair| pair.strip_prefix("code_verifier="));
    secrets.push(("the verifier", verifier.unwrap().to_owned()));
    let grant = host.grant("default", "idp").await;
    seen.text("Debug of a grant", format!("{grant:?}"));

    // A consent, a renewal and a key that the provider refuses, each time repeating what it was sent.
    provider.grants(
        json!({ "access_token": "planted-access-2", "refresh_token": "planted-refresh-2" }),
    );
    host.broker()
        .rejected(&owner("default"), &id("idp"), grant.generation)
        .await;
    let generation = host.grant("default", "idp").await.generation;
    provider.refuses(json!({
        "error": "invalid_request",
        "error_description": "planted-code-2 of planted-client-secret",
    }));
    let again = host.connect("default", "idp", "more").await;
    let left = person.leave(&host, &again.id).await;
    secrets.push(("the second state", parameter(&left, "state")));
    let back = provider.back_with(&host, &left, &[("code", "planted-code-2")]);
    let refused = person.come_back(&host, &back).await;
    assert!(refused.says("was not connected"), "{}", refused.text);
    provider.refuses(json!({
        "error": "invalid_grant",
        "error_description": "planted-refresh-2 of planted-client-secret is over",
    }));
    host.broker()
        .rejected(&owner("default"), &id("idp"), generation)
        .await;
    let unmet = host.resolve("default", &[("idp", "")]).await.unwrap_err();
    seen.text(
        "what is missing",
        format!("{unmet} {unmet:?} {}", json!(unmet)),
    );
    let third = host.connect("other", "idp", "").await;
    person.page(&host, &third.id).await;
    let mistaken = person
        .choose(&host, &third.id, "way=enter:api_key&token=planted-k%C3%A9y")
        .await;
    assert!(mistaken.status.is_client_error(), "{}", mistaken.text);
    person
        .choose(&host, &third.id, "way=enter:api_key&token=planted-key")
        .await;

    for connection in [&connection, &again, &third] {
        let known = host
            .broker()
            .connection(&connection.id)
            .await
            .unwrap()
            .unwrap();
        let text = format!("{} {known:?} {}", known.state, json!(known));
        seen.text("a connection", text);
    }
    let listed = host.broker().list(&TenantId::local(), None).await.unwrap();
    seen.text("the list", format!("{listed:?} {}", json!(listed)));
    seen.text("Debug of the broker", format!("{:?}", host.broker()));
    let stranger = Person::default().page(&host, &again.id).await;
    for page in [&first, &ended, &refused, &mistaken, &stranger] {
        seen.page(page);
    }
    host.broker()
        .disconnect(&owner("other"), &id("idp"))
        .await
        .unwrap();
    seen.files(&host.data());
    assert!(seen.0.iter().any(|(place, _)| place == "connect.json"));
    assert!(seen.0.iter().any(|(place, _)| place == "credentials.db"));
    let logged = log.0.lock().unwrap().clone();
    assert!(!logged.is_empty(), "nothing was captured");
    seen.0.push(("the log".to_owned(), logged));

    // What is no secret is found where it has to be.
    assert!(seen.place_of("anna@example.test").is_some());

    let planted = [
        "planted-client-secret",
        "planted-access-1",
        "planted-access-2",
        "planted-refresh-1",
        "planted-refresh-2",
        "planted-code-1",
        "planted-code-2",
        "planted-kéy",
        "planted-key",
    ];
    let planted = planted.map(|secret| ("what was planted", secret.to_owned()));
    for (what, secret) in planted.iter().chain(&secrets) {
        assert_eq!(seen.place_of(secret), None, "{what}");
    }
}

#[tokio::test]
async fn what_is_kept_of_two_connections_and_was_swapped_opens_neither() {
    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    let mut begun = Vec::new();
    for profile in ["work", "home"] {
        let connection = host.connect(profile, "idp", "").await;
        let mut person = Person::default();
        let left = person.leave(&host, &connection.id).await;
        begun.push((connection, person, left));
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(host.database());
    let mut database = options.connect().await.unwrap();
    let mut sealed = Vec::new();
    for (connection, ..) in &begun {
        let kept: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM connection WHERE id = ?")
            .bind(connection.id.as_str())
            .fetch_one(&mut database)
            .await
            .unwrap();
        sealed.push(kept);
    }
    sealed.reverse();
    for ((connection, ..), sealed) in begun.iter().zip(sealed) {
        sqlx::query("UPDATE connection SET sealed = ? WHERE id = ?")
            .bind(sealed)
            .bind(connection.id.as_str())
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    for (connection, person, left) in &mut begun {
        let page = person.come_back(&host, &provider.back(&host, left)).await;
        assert!(page.says("was not connected"), "{}", page.text);
        let state = host.state(&connection.id).await;
        assert!(matches!(state, ConnectionState::Refused { .. }), "{state}");
    }
    assert_eq!(provider.received("/token"), Vec::<String>::new());
}
