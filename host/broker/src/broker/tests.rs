//! The broker as the core and the command line use it, on real files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use holster_audit::{Action, CredentialEvent, Event, Reader};
use holster_types::{ExposeSecret, GrantSecret, ThreadId};
use tempfile::TempDir;

use super::*;
use crate::connection::{
    Browser, Choice, ChoiceError, ChosenWay, ConnectAddress, Disconnected, NewConnection, Stage,
    Way,
};
use crate::credential::{OAuthTokens, TokenClient};
use crate::oauth::tests::fake_server::{FakeServer, Reply, http, json};
use crate::vault::{Renew, RenewPolicy, Renewed};
use crate::{CredentialKind, SignIn};

/// A secret that must not be found anywhere but where it is asked for.
const PLANTED: &str = "planted-9b2d41aa-secret";

/// By then a process has noticed what another one wrote.
const NOTICED: Duration = Duration::from_millis(200);

fn profile(name: &str) -> ProfileName {
    ProfileName::new(name).unwrap()
}

fn id(name: &str) -> ProviderId {
    ProviderId::new(name).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner {
        tenant: TenantId::local(),
        profile: profile(name),
    }
}

fn needs(list: &[(&str, &str)]) -> Vec<Requirement> {
    let requirement = |(provider, scopes): &(&str, &str)| Requirement {
        provider: id(provider),
        scopes: scopes.split_whitespace().collect(),
    };
    list.iter().map(requirement).collect()
}

fn token(text: &str) -> NewCredential {
    NewCredential::new(CredentialSecret::Token(text.into()))
}

fn settings(folder: &Path, configured: &str) -> BrokerSettings {
    let mut configured: BTreeMap<ProfileName, BTreeMap<ProviderId, ConfiguredCredential>> =
        toml::from_str(configured).unwrap();
    for credential in configured.values_mut().flat_map(BTreeMap::values_mut) {
        credential.resolve_paths(folder);
    }
    BrokerSettings {
        data_folder: folder.join("data"),
        provider_folder: None,
        configured,
        extra_hosts: BTreeMap::new(),
        default_profile: None,
        clients: BTreeMap::new(),
        variables: BTreeMap::new(),
        client_metadata_url: None,
        expected_profiles: BTreeMap::new(),
    }
}

async fn broker(folder: &TempDir, configured: &str) -> Broker {
    Broker::open(settings(folder.path(), configured))
        .await
        .unwrap()
}

async fn grants(broker: &Broker, name: &str, list: &[(&str, &str)]) -> Vec<Grant> {
    broker
        .resolve(&TenantId::local(), Some(&profile(name)), &needs(list))
        .await
        .unwrap()
        .unwrap()
}

async fn unmet(broker: &Broker, name: &str, list: &[(&str, &str)]) -> Vec<Missing> {
    broker
        .resolve(&TenantId::local(), Some(&profile(name)), &needs(list))
        .await
        .unwrap()
        .unwrap_err()
        .missing
}

#[tokio::test]
async fn calls_of_many_threads_share_one_broker() {
    fn crosses_threads<T: Send>(value: T) -> T {
        value
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = crosses_threads(Broker::open(settings(folder.path(), "")))
        .await
        .unwrap();
    let (work, slack, needs) = (owner("work"), id("slack"), needs(&[("slack", "")]));
    crosses_threads(broker.add(&work, &slack, token("t")))
        .await
        .unwrap();
    assert!(
        crosses_threads(broker.resolve(&work.tenant, Some(&work.profile), &needs))
            .await
            .unwrap()
            .is_ok()
    );
    assert_eq!(
        crosses_threads(broker.list(&work.tenant, None))
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        crosses_threads(broker.profiles(&work.tenant))
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        crosses_threads(broker.vault().verify())
            .await
            .unwrap()
            .credentials,
        1
    );
    crosses_threads(broker.remove(&work, &slack)).await.unwrap();
}

#[tokio::test]
async fn a_requirement_becomes_a_grant_with_what_the_provider_wants() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    let scopes = Scopes::from_iter(["channels:read", "chat:write"]);
    let credential = NewCredential {
        scopes: Some(scopes.clone()),
        account: Some("me".into()),
        ..token("xoxb")
    };
    broker
        .add(&owner("work"), &id("slack"), credential)
        .await
        .unwrap();
    let basic = CredentialSecret::Basic {
        username: "me@x.example".into(),
        password: "pässword".into(),
    };
    broker
        .add(&owner("work"), &id("jira"), NewCredential::new(basic))
        .await
        .unwrap();
    let pair = CredentialSecret::KeyPair {
        key: "k".into(),
        secret: "s".into(),
    };
    broker
        .add(&owner("work"), &id("kraken"), NewCredential::new(pair))
        .await
        .unwrap();

    let wanted = [
        ("kraken", ""),
        ("slack", "channels:read"),
        ("jira", "read:jira-work"),
    ];
    let grants = grants(&broker, "work", &wanted).await;
    let [kraken, slack, jira] = grants.as_slice() else {
        panic!("{grants:?}")
    };
    assert_eq!(
        slack.header.value(slack.secret.sent().expose_secret()),
        "Bearer xoxb"
    );
    assert_eq!(
        (slack.account.as_deref(), &slack.scopes),
        (Some("me"), &scopes)
    );
    assert_eq!(slack.environment, ["SLACK_BOT_TOKEN"]);
    assert!(
        slack
            .hosts
            .iter()
            .any(|host| host.matches("https", "slack.com", 443))
    );
    assert_eq!(
        jira.header.value(jira.secret.sent().expose_secret()),
        "Basic bWVAeC5leGFtcGxlOnDDpHNzd29yZA=="
    );
    assert_eq!(kraken.header.name, "API-Key");
    assert!(matches!(&kraken.secret, GrantSecret::KeyPair { .. }));
    assert_eq!(kraken.secret.signing().unwrap().expose_secret(), "s");
}

#[tokio::test]
async fn requirements_of_one_provider_are_united_and_every_lack_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    let narrow = NewCredential {
        scopes: Some(["a"].into_iter().collect()),
        ..token("t")
    };
    broker
        .add(&owner("work"), &id("slack"), narrow)
        .await
        .unwrap();
    let over = NewCredential {
        expires_at: Some(1),
        ..token("t")
    };
    broker
        .add(&owner("work"), &id("notion"), over)
        .await
        .unwrap();
    broker
        .add(&owner("work"), &id("linear"), token("t"))
        .await
        .unwrap();

    let wanted = [
        ("slack", "a b"),
        ("github", "repo"),
        ("linear", "read"),
        ("slack", "c"),
        ("notion", ""),
    ];
    let missing = unmet(&broker, "work", &wanted).await;
    let reasons: Vec<_> = missing
        .iter()
        .map(|lack| (lack.provider.as_str(), lack.reason.clone()))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                "slack",
                Reason::LacksScopes {
                    missing: ["b", "c"].into_iter().collect()
                }
            ),
            ("github", Reason::NotConnected),
            ("notion", Reason::Expired { at: 1 }),
        ]
    );
    assert_eq!(missing[0].scopes.to_string(), "a b c");
    let texts: Vec<_> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "`slack` for profile `work` lacks the scopes b c; run `holster auth connect slack --profile work`",
            "`github` for profile `work` is not connected; run `holster auth connect github --profile work`",
            "`notion` for profile `work` has expired; run `holster auth connect notion --profile work`",
        ]
    );
}

#[tokio::test]
async fn tokens_of_a_consent_become_a_grant_and_a_client_without_a_token_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    let tokens = CredentialSecret::OAuth(OAuthTokens {
        access: "xoxp".into(),
        refresh: Some("never sent".into()),
        dpop_key: None,
        client: TokenClient {
            id: "client".into(),
            secret: None,
        },
        variables: BTreeMap::new(),
    });
    broker
        .add(&owner("work"), &id("slack"), NewCredential::new(tokens))
        .await
        .unwrap();
    let grants = grants(&broker, "work", &[("slack", "")]).await;
    assert_eq!(
        grants[0]
            .header
            .value(grants[0].secret.sent().expose_secret()),
        "Bearer xoxp"
    );

    let client = |access: Option<&str>| {
        NewCredential::new(CredentialSecret::ClientCredentials {
            id: "i".into(),
            secret: "s".into(),
            access: access.map(Into::into),
            variables: BTreeMap::new(),
        })
    };
    // Past `add`, which asks the provider's file for the kind.
    let put = async |credential| {
        broker
            .vault
            .store(&owner("work"), &id("spotify"), credential)
            .await
            .unwrap();
    };
    put(client(None)).await;
    // Nothing here reaches the provider, so that the client cannot be exchanged for a token.
    let reason = unmet(&broker, "work", &[("spotify", "")])
        .await
        .remove(0)
        .reason;
    assert!(matches!(reason, Reason::NotRenewed { .. }), "{reason}");
    put(client(Some("bearer"))).await;
    let grants = self::grants(&broker, "work", &[("spotify", "")]).await;
    assert_eq!(grants[0].secret.sent().expose_secret(), "bearer");
}

#[tokio::test]
async fn every_change_of_a_credential_is_on_record_without_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    let (work, slack) = (owner("work"), id("slack"));
    let tokens = |access: &str| {
        CredentialSecret::OAuth(OAuthTokens {
            access: access.into(),
            refresh: Some(PLANTED.into()),
            dpop_key: None,
            client: TokenClient {
                id: "client".into(),
                secret: None,
            },
            variables: BTreeMap::new(),
        })
    };
    let credential = NewCredential {
        account: Some("me".into()),
        ..NewCredential::new(tokens(PLANTED))
    };
    broker.add(&work, &slack, credential).await.unwrap();
    grants(&broker, "work", &[("slack", "")]).await;
    let secret = tokens(PLANTED);
    let renewed = broker.vault.renewed(
        &work,
        &slack,
        Renew::Rejected { generation: 1 },
        RenewPolicy {
            reuse_grace_s: 0,
            rotates: true,
        },
        |_| async {
            Ok(Renewed {
                secret,
                expires_at: None,
                scopes: None,
            })
        },
    );
    let generation = renewed.await.unwrap().generation;
    broker.remove(&work, &slack).await.unwrap();

    broker.audit_log().written().await;
    let lines: Vec<_> = Reader::open(&holster_audit::folder(&folder.path().join("data")))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let event = |action: Action, generation: i64| {
        Event::Credential(CredentialEvent {
            action,
            tenant: TenantId::local(),
            profile: work.profile.clone(),
            provider: slack.clone(),
            account: Some("me".to_owned()),
            generation,
        })
    };
    let events: Vec<_> = lines
        .iter()
        .map(|chained| chained.line.event.clone())
        .collect();
    assert_eq!(
        events,
        [
            event(Action::Stored, 1),
            event(Action::Refreshed, generation),
            event(Action::Removed, generation),
        ]
    );
    assert!(lines.iter().all(|chained| !chained.text.contains(PLANTED)));
}

#[tokio::test]
async fn a_token_whose_scopes_nobody_recorded_serves_any_requirement() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    broker
        .add(&owner("work"), &id("slack"), token("t"))
        .await
        .unwrap();
    assert!(
        grants(&broker, "work", &[("slack", "anything at:all")]).await[0]
            .scopes
            .is_empty()
    );
}

#[tokio::test]
async fn the_configuration_goes_before_the_vault_and_is_read_anew_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let plain = broker(&folder, "").await;
    plain
        .add(&owner("work"), &id("slack"), token("from the vault"))
        .await
        .unwrap();

    let path = folder.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let broker = broker(
        &folder,
        "work.slack = { token = { file = 'token' }, account = 'bot' }",
    )
    .await;
    for content in ["first", "second"] {
        std::fs::write(&path, content).unwrap();
        let grants = grants(&broker, "work", &[("slack", "a")]).await;
        assert_eq!(grants[0].secret.sent().expose_secret(), content);
        assert_eq!(grants[0].account.as_deref(), Some("bot"));
    }

    let error = broker
        .add(&owner("work"), &id("slack"), token("t"))
        .await
        .unwrap_err()
        .to_string();
    for part in [
        "already has its `slack` credential",
        "token",
        "[profiles.work.credentials.slack]",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let listed = broker.list(&TenantId::local(), None).await.unwrap();
    let lines: Vec<_> = listed
        .iter()
        .map(|entry| (entry.source == Source::Vault, &entry.problem))
        .collect();
    assert_eq!(
        lines,
        [
            (false, &None),
            (true, &Some("the configuration goes before it".to_owned()))
        ]
    );

    std::fs::remove_file(&path).unwrap();
    let missing = unmet(&broker, "work", &[("slack", "")]).await;
    assert!(
        matches!(&missing[0].reason, Reason::Unreadable { .. }),
        "{missing:?}"
    );
    let text = missing[0].to_string();
    for part in ["No such file", "[profiles.work.credentials.slack]"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn configured_accounts_serve_the_local_tenant_alone() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(
        &folder,
        "default.slack = { token = { env = 'CARGO_PKG_NAME' } }",
    )
    .await;
    assert_eq!(grants(&broker, "default", &[("slack", "")]).await.len(), 1);
    let guest = Owner {
        tenant: TenantId::new("guest").unwrap(),
        ..owner("default")
    };
    let unmet = broker
        .resolve(
            &guest.tenant,
            Some(&guest.profile),
            &needs(&[("slack", "")]),
        )
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(unmet.missing()[0].reason, Reason::NotConnected);
    assert!(broker.list(&guest.tenant, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_profile_is_known_if_it_is_configured_has_a_credential_or_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "[configured]\n").await;
    broker
        .add(&owner("stored"), &id("slack"), token("t"))
        .await
        .unwrap();
    for name in ["configured", "stored", "default"] {
        assert!(
            broker
                .resolve(&TenantId::local(), Some(&profile(name)), &[])
                .await
                .unwrap()
                .unwrap()
                .is_empty(),
            "{name}"
        );
        assert_eq!(
            unmet(&broker, name, &[("github", "")]).await.len(),
            1,
            "{name}"
        );
    }
    for list in [&[][..], &[("slack", "")]] {
        let error = broker
            .resolve(&TenantId::local(), Some(&profile("wrok")), &needs(list))
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "there is no profile `wrok`, but `configured`, `default` and `stored`; \
             `holster auth connect PROVIDER --profile wrok` makes it"
        );
    }
    let profiles = broker.profiles(&TenantId::local()).await.unwrap();
    let lines: Vec<_> = profiles
        .iter()
        .map(|p| (p.name.as_str(), p.configured, p.credentials))
        .collect();
    assert_eq!(
        lines,
        [
            ("configured", true, 0),
            ("default", false, 0),
            ("stored", false, 1)
        ]
    );
}

#[tokio::test]
async fn an_unknown_provider_is_an_error_and_not_a_missing_account() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    let wanted = needs(&[("slakc", "")]);
    let error = broker
        .resolve(&TenantId::local(), Some(&profile("default")), &wanted)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "there is no provider `slakc`; did you mean `slack`?");
    let configured = settings(folder.path(), "work.slakc = { token = { env = 'A' } }");
    assert!(matches!(
        Broker::open(configured).await,
        Err(BrokerError::UnknownProvider { .. })
    ));
    let extra = BrokerSettings {
        extra_hosts: BTreeMap::from([(id("slakc"), Vec::new())]),
        ..settings(folder.path(), "")
    };
    assert!(matches!(
        Broker::open(extra).await,
        Err(BrokerError::UnknownProvider { .. })
    ));
}

#[tokio::test]
async fn a_credential_that_the_provider_does_not_take_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    let basic = |username: &str, password: &str| {
        NewCredential::new(CredentialSecret::Basic {
            username: username.into(),
            password: password.into(),
        })
    };
    for (provider, credential, part) in [
        (
            "slack",
            basic("a", "b"),
            "takes no basic credential; it takes oauth2, api_key",
        ),
        ("kraken", token("t"), "it takes key_pair"),
        ("slack", token(""), "the token is empty"),
        ("slack", token("planted\nX-Header: 1"), "line break"),
        ("slack", token("plantéd"), "printable ASCII"),
        ("slack", token(&"x".repeat(65 * 1024)), "64 KiB"),
        ("jira", basic("a:b", "c"), "colon"),
        ("jira", basic("", ""), "the username is empty"),
        ("jira", basic("a", "b\n"), "control character"),
        (
            "slack",
            NewCredential {
                account: Some("a\nb".into()),
                ..token("t")
            },
            "label",
        ),
    ] {
        let error = broker
            .add(&owner("work"), &id(provider), credential)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "`{part}` is not in: {error}");
        assert!(!error.contains("planted"), "{error}");
    }
    assert!(
        !folder.path().join("data").exists(),
        "what was refused made no vault"
    );
    let error = Broker::open(settings(
        folder.path(),
        "work.kraken = { token = { env = 'A' } }",
    ))
    .await;
    assert!(error.unwrap_err().to_string().contains("it takes key_pair"));
}

/// Who serves a call that names no profile, by name; or all who could.
async fn serving(broker: &Broker) -> Result<String, Vec<String>> {
    let served = broker.serving(&TenantId::local(), &id("slack")).await;
    let text = |name: ProfileName| name.to_string();
    served
        .unwrap()
        .map(text)
        .map_err(|several| several.into_iter().map(text).collect())
}

#[tokio::test]
async fn who_serves_a_call_without_a_profile_is_remembered_until_somebody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (broker(&folder, "").await, broker(&folder, "").await);
    let (local, slack) = (TenantId::local(), id("slack"));
    let served = |name: &str| Ok::<_, Vec<String>>(name.to_owned());
    let both = Err(vec!["home".to_owned(), "work".to_owned()]);

    elsewhere
        .add(&owner("home"), &slack, token("h"))
        .await
        .unwrap();
    elsewhere.remove(&owner("home"), &slack).await.unwrap();
    assert_eq!(serving(&here).await, served("default"));
    elsewhere
        .add(&owner("work"), &slack, token("w"))
        .await
        .unwrap();
    assert_eq!(
        serving(&here).await,
        served("work"),
        "a first account is seen at once"
    );
    assert!(here.vault.known_candidates(&local, &slack).is_some());

    elsewhere
        .add(&owner("home"), &slack, token("h"))
        .await
        .unwrap();
    tokio::time::sleep(NOTICED).await;
    assert_eq!(serving(&here).await, both);
    elsewhere
        .set_default(&local, &slack, Some(&profile("home")))
        .await
        .unwrap();
    assert_eq!(
        serving(&here).await,
        served("home"),
        "where it was refused, a choice is seen at once"
    );
    elsewhere.set_default(&local, &slack, None).await.unwrap();
    tokio::time::sleep(NOTICED).await;
    assert_eq!(serving(&here).await, both);

    here.set_default(&local, &slack, Some(&profile("work")))
        .await
        .unwrap();
    assert_eq!(serving(&here).await, served("work"));
    here.remove(&owner("work"), &slack).await.unwrap();
    assert_eq!(
        serving(&here).await,
        served("home"),
        "what this process writes is seen at once"
    );
}

#[tokio::test]
async fn removing_says_when_there_is_nothing_to_remove_and_when_it_is_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(
        &folder,
        "work.slack = { token = { env = 'CARGO_PKG_NAME' } }",
    )
    .await;
    broker
        .add(&owner("work"), &id("github"), token("t"))
        .await
        .unwrap();
    broker.remove(&owner("work"), &id("github")).await.unwrap();
    let error = broker
        .remove(&owner("work"), &id("github"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("has no `github` credential in the vault"),
        "{error}"
    );
    let error = broker
        .remove(&owner("work"), &id("slack"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("from the configuration (the variable `CARGO_PKG_NAME`)"),
        "{error}"
    );
}

#[tokio::test]
async fn no_text_that_the_broker_gives_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, PLANTED).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let broker = broker(&folder, "work.github = { token = { file = 'secret' } }").await;
    broker
        .add(&owner("work"), &id("slack"), token(PLANTED))
        .await
        .unwrap();
    let basic = CredentialSecret::Basic {
        username: PLANTED.into(),
        password: PLANTED.into(),
    };
    broker
        .add(&owner("work"), &id("jira"), NewCredential::new(basic))
        .await
        .unwrap();

    let local = TenantId::local();
    let resolved = broker
        .resolve(
            &local,
            Some(&profile("work")),
            &needs(&[("slack", ""), ("github", ""), ("jira", "")]),
        )
        .await;
    let listed = broker.list(&local, None).await.unwrap();
    assert_eq!(
        (
            resolved.as_ref().unwrap().as_ref().unwrap().len(),
            listed.len()
        ),
        (3, 3)
    );
    let mut texts = vec![
        format!("{resolved:?}"),
        format!("{listed:?}"),
        serde_json::to_string(&listed).unwrap(),
        format!("{broker:?}"),
        format!("{:?}", token(PLANTED)),
        format!("{:?}", broker.vault().verify().await.unwrap()),
    ];
    let bad = token(&format!("{PLANTED}\n"));
    let error = broker
        .add(&owner("home"), &id("slack"), bad)
        .await
        .unwrap_err();
    texts.push(format!("{error} {error:?}"));
    std::fs::write(&path, format!("{PLANTED}\n{PLANTED}")).unwrap();
    let unmet = broker
        .resolve(
            &TenantId::local(),
            Some(&profile("work")),
            &needs(&[("github", "")]),
        )
        .await
        .unwrap()
        .unwrap_err();
    texts.push(format!(
        "{unmet} {unmet:?} {}",
        serde_json::to_string(&unmet).unwrap()
    ));
    for text in texts {
        assert!(!text.contains(PLANTED), "{text}");
        assert!(!text.contains("cGxhbnRlZ"), "the secret in base64: {text}");
    }
}

#[tokio::test]
async fn an_altered_row_is_a_lack_with_its_reason_and_a_damaged_vault_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, "").await;
    broker
        .add(&owner("work"), &id("slack"), token("t"))
        .await
        .unwrap();
    drop(broker);
    let database = folder.path().join("data/vault/credentials.db");
    {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("UPDATE credential SET scopes = '[]'")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
    let broker = Broker::open(settings(folder.path(), "")).await.unwrap();
    let missing = unmet(&broker, "work", &[("slack", "")]).await;
    assert!(
        missing[0].to_string().contains("was altered in the vault"),
        "{}",
        missing[0]
    );
    assert!(
        missing[0].remedy.contains("holster auth connect slack"),
        "{}",
        missing[0]
    );

    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(
            folder
                .path()
                .join(format!("data/vault/credentials.db{suffix}")),
        );
    }
    crate::private::create(&database, b"no database at all, but long enough to be one").unwrap();
    let broker = Broker::open(settings(folder.path(), "")).await.unwrap();
    let error = broker
        .resolve(
            &TenantId::local(),
            Some(&profile("work")),
            &needs(&[("slack", "")]),
        )
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[tokio::test]
async fn a_variable_is_only_what_its_provider_lists() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), "");
    let pagerduty = id("pagerduty");
    let service = |value: &str| {
        let own = BTreeMap::from([("service".to_owned(), value.to_owned())]);
        BTreeMap::from([(profile("work"), BTreeMap::from([(pagerduty.clone(), own)]))])
    };
    settings.variables = service("evil");
    let error = Broker::open(settings.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the variable `service` of `pagerduty` in profile `work` is not what it may be: it is one of `api`, `api.eu`"
    );
    settings.variables = service("api.eu");
    let broker = Broker::open(settings).await.unwrap();

    let new = NewConnection {
        owner: owner("work"),
        thread: ThreadId::new("t").unwrap(),
        provider: pagerduty.clone(),
        scopes: Scopes::default(),
    };
    let connection = broker.connect(new).await.unwrap();
    let address = ConnectAddress {
        url: "http://127.0.0.1:1/".parse().unwrap(),
        chosen: false,
        sign_in: SignIn::Others,
    };
    let page = broker.connect_page(&connection.id, None, &address).await;
    let Stage::Choose { ways, .. } = page.unwrap().unwrap().stage else {
        panic!("there is nothing to choose");
    };
    let Way::Enter { fields, .. } = &ways[0] else {
        panic!("{ways:?}");
    };
    let field = fields.iter().find(|field| field.name == "variable.service");
    let field = field.unwrap();
    assert_eq!(field.value, "api.eu");
    assert_eq!(field.choices, ["api", "api.eu"]);

    let fields = [("token", "t"), ("variable.service", "evil")];
    let choice = Choice {
        way: ChosenWay::Enter(CredentialKind::ApiKey),
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
    };
    let browser = Browser::new();
    let chosen = broker.choose(&connection.id, &browser, &address, choice);
    let error = chosen.await.unwrap_err();
    assert!(
        matches!(&error, ChoiceError::Field { reason, .. } if reason.contains("`api`, `api.eu`")),
        "{error}"
    );
}

/// A provider whose answer to a refresh comes after the account was disconnected, and a broker that has an account
/// there, with an access token that is over.
struct Late {
    server: FakeServer,
    broker: Arc<Broker>,
    folder: TempDir,
    /// What it answers to a revocation.
    status: Arc<AtomicU16>,
    asked: tokio::sync::oneshot::Receiver<()>,
    answer: std::sync::mpsc::Sender<()>,
}

impl Late {
    async fn start() -> Self {
        Self::whose_tokens_live(3600).await
    }

    /// With what it says of its tokens, in seconds.
    async fn whose_tokens_live(life: u32) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let (tell, asked) = tokio::sync::oneshot::channel();
        let (answer, wait) = std::sync::mpsc::channel();
        let once = Mutex::new(Some((tell, wait)));
        let of_revocation = Arc::clone(&status);
        let server = FakeServer::start(move |request| {
            if request.path == "/revoke" {
                return http(of_revocation.load(Ordering::Relaxed), "text/plain", "");
            }
            let (tell, wait) = once.lock().unwrap().take().expect("it is asked once");
            tell.send(()).unwrap();
            let patience = Duration::from_secs(20);
            tokio::task::block_in_place(|| wait.recv_timeout(patience)).unwrap();
            json(serde_json::json!({
                "access_token": "late", "token_type": "bearer", "expires_in": life, "refresh_token": "late-refresh",
            }))
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let providers = folder.path().join("providers");
        std::fs::create_dir(&providers).unwrap();
        let url = &server.url;
        let file = format!(
            "id = 'late'\ntitle = 'Late'\nkinds = ['oauth2']\nhosts = ['late.example']\n\
             doc_url = 'https://late.example/'\n\n[oauth]\nauthorize_url = '{url}/authorize'\n\
             token_url = '{url}/token'\nrevoke_url = '{url}/revoke'\nclient_auth = 'none'\nrotation = 'rotates'\n"
        );
        std::fs::write(providers.join("late.toml"), file).unwrap();
        let settings = BrokerSettings {
            provider_folder: Some(providers),
            ..settings(folder.path(), "")
        };
        let late = Self {
            server,
            broker: Arc::new(Broker::open(settings).await.unwrap()),
            folder,
            status,
            asked,
            answer,
        };
        late.connect("early").await;
        late
    }

    async fn connect(&self, access: &str) {
        let secret = CredentialSecret::OAuth(OAuthTokens {
            access: access.into(),
            refresh: Some(format!("{access}-refresh").into()),
            dpop_key: None,
            client: TokenClient {
                id: "client".into(),
                secret: None,
            },
            variables: BTreeMap::new(),
        });
        let credential = NewCredential {
            expires_at: Some(crate::vault::now() - 1),
            ..NewCredential::new(secret)
        };
        self.broker
            .add(&owner("default"), &id("late"), credential)
            .await
            .unwrap();
    }

    /// A call that needs the account, and `meanwhile`, while the provider is asked for a new token.
    async fn call(&mut self, meanwhile: impl AsyncFnOnce(&Self)) -> Result<Vec<Grant>, Unmet> {
        let broker = Arc::clone(&self.broker);
        let mut call = tokio::spawn(async move {
            let (profile, needs) = (profile("default"), needs(&[("late", "")]));
            broker
                .resolve(&TenantId::local(), Some(&profile), &needs)
                .await
        });
        tokio::select! {
            asked = &mut self.asked => asked.unwrap(),
            answer = &mut call => panic!("the provider was not asked: {answer:?}"),
        }
        meanwhile(self).await;
        self.answer.send(()).unwrap();
        call.await.unwrap().unwrap()
    }

    /// The tokens that it was told to revoke.
    fn revoked(&self) -> Vec<String> {
        let received = self.server.received().into_iter();
        received
            .filter(|request| request.path == "/revoke")
            .map(|request| request.form()["token"].clone())
            .collect()
    }

    /// As if the time until the next attempt had gone by.
    async fn let_time_go_by(&self) {
        use sqlx::{ConnectOptions as _, Connection as _};
        let database = self.folder.path().join("data/vault/credentials.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        let aged = sqlx::query("UPDATE revocation SET due_at = 0");
        aged.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

async fn disconnect(late: &Late) {
    let gone = late.broker.disconnect(&owner("default"), &id("late")).await;
    assert_eq!(gone.unwrap(), Disconnected::Revoked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokens_that_come_after_their_account_was_disconnected_are_revoked() {
    let mut late = Late::start().await;
    late.call(disconnect).await.unwrap_err();
    assert_eq!(late.revoked(), ["early-refresh", "late-refresh"]);
    late.let_time_go_by().await;
    late.broker.revoke_due().await.unwrap();
    assert_eq!(late.revoked().len(), 2, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_token_that_was_renewed_for_a_call_serves_it_however_short_its_life() {
    let mut late = Late::whose_tokens_live(0).await;
    let grants = late.call(async |_| ()).await.unwrap();
    assert_eq!(grants[0].secret.sent().expose_secret(), "late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokens_that_come_too_late_are_revoked_later_where_their_provider_cannot_be_told() {
    let mut late = Late::start().await;
    late.call(async |late| {
        disconnect(late).await;
        late.status.store(503, Ordering::Relaxed);
    })
    .await
    .unwrap_err();
    late.status.store(200, Ordering::Relaxed);
    late.broker.revoke_due().await.unwrap();
    assert_eq!(
        late.revoked(),
        ["early-refresh", "late-refresh"],
        "it is left alone for a while"
    );
    late.let_time_go_by().await;
    late.broker.revoke_due().await.unwrap();
    assert_eq!(late.revoked()[2..], ["late-refresh"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokens_that_come_after_their_account_was_connected_anew_are_left_alone() {
    let mut late = Late::start().await;
    late.call(async |late| {
        disconnect(late).await;
        late.connect("anew").await;
    })
    .await
    .unwrap();
    late.let_time_go_by().await;
    late.broker.revoke_due().await.unwrap();
    assert_eq!(late.revoked(), ["early-refresh"]);
}

/// The ways in on the page of a connection to a provider of which only the issuer is known.
async fn discovered_ways(metadata: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Vec<Way> {
    let server = FakeServer::start(move |request| match request.path.as_str() {
        "/.well-known/oauth-authorization-server" => {
            metadata(&format!("http://{}", request.header("host")))
        }
        _ => http(404, "text/plain", ""),
    });
    let server = server.await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "id = 'found'\ntitle = 'Found'\nkinds = ['oauth2']\nhosts = ['found.example']\n\
         doc_url = 'https://found.example/'\n\n[oauth]\nissuer = '{}'\n",
        server.url
    );
    std::fs::write(folder.path().join("found.toml"), file).unwrap();
    let client = toml::from_str("id = 'client'\nauth = 'none'").unwrap();
    let broker = Broker::open(BrokerSettings {
        provider_folder: Some(folder.path().to_owned()),
        clients: BTreeMap::from([(id("found"), client)]),
        ..settings(folder.path(), "")
    });
    let broker = broker.await.unwrap();
    let new = NewConnection {
        owner: owner("work"),
        thread: ThreadId::new("t").unwrap(),
        provider: id("found"),
        scopes: Scopes::default(),
    };
    let connection = broker.connect(new).await.unwrap();
    let address = ConnectAddress {
        url: Url::parse("http://127.0.0.1:4657/").unwrap(),
        chosen: true,
        sign_in: SignIn::Others,
    };
    let page = broker.connect_page(&connection.id, None, &address).await;
    match page.unwrap().unwrap().stage {
        Stage::Choose { ways, .. } => ways,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_offers_a_code_where_only_the_servers_metadata_say_that_there_is_one() {
    let metadata = |origin: &str| {
        serde_json::json!({
            "issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"),
        })
    };
    let with = move |endpoint: fn(&str) -> String| {
        move |origin: &str| {
            let mut metadata = metadata(origin);
            metadata["device_authorization_endpoint"] = endpoint(origin).into();
            json(metadata)
        }
    };
    let offers = |ways: &[Way]| {
        assert!(matches!(ways[0], Way::Consent { .. }), "{ways:?}");
        ways.iter().any(|way| matches!(way, Way::Device { .. }))
    };
    let own = with(|origin| format!("{origin}/device"));
    assert!(offers(&discovered_ways(own).await));
    let without = move |origin: &str| json(metadata(origin));
    assert!(!offers(&discovered_ways(without).await));
    let private = with(|_| "http://169.254.169.254/device".to_owned());
    assert!(!offers(&discovered_ways(private).await));
    let gone = |_: &str| Reply::Hangup;
    assert!(!offers(&discovered_ways(gone).await));
}
