//! Whose account it is, and for how long: races between people, conversations and requests.

use std::sync::Arc;
use std::time::Duration;

use holster_core::broker::{ConnectionState, Disconnected, Owner, Reason};
use holster_core::types::{ConnectionId, TenantId, ThreadId};
use holster_tests::eventually;
use http::StatusCode;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::fake_provider::FakeProvider;
use crate::setting::{HOUR, Host, Person, id, identity_provider, owner, sent};

fn thread(name: &str) -> ThreadId {
    ThreadId::new(name).unwrap()
}

#[tokio::test]
async fn two_threads_that_need_the_same_login_share_one_connection_and_both_go_on() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let tenant = TenantId::local();
    let interrupted = async |name: &str| -> ConnectionId {
        let unmet = host
            .resolve("default", &[("idp", "files:read")])
            .await
            .unwrap_err();
        let unmet = host
            .broker()
            .interrupt(&tenant, &thread(name), unmet)
            .await
            .unwrap();
        unmet.missing()[0]
            .connection
            .clone()
            .expect("a person can connect it")
    };
    let (one, other) = tokio::join!(interrupted("one"), interrupted("other"));
    assert_eq!(one, other);
    for name in ["one", "other"] {
        let pending = host
            .broker()
            .pending(&tenant, Some(&thread(name)))
            .await
            .unwrap();
        assert_eq!(pending.len(), 1, "{name}");
        assert_eq!(pending[0].id, one);
    }
    let waits = |broker: Arc<holster_core::broker::Broker>| {
        let id = one.clone();
        tokio::spawn(async move { broker.wait(&id, Duration::from_mins(2)).await })
    };
    // One of them in another process.
    let waiting = [
        waits(Arc::clone(host.broker())),
        waits(host.another_broker().await),
    ];

    let mut person = Person::default();
    let left = person.leave(&host, &one).await;
    let back = idp.login(&left, "alice").await.unwrap();
    person.come_back(&host, &back).await;
    for waiting in waiting {
        let ended = waiting.await.unwrap().unwrap().unwrap();
        assert!(
            matches!(ended.state, ConnectionState::Connected { .. }),
            "{}",
            ended.state
        );
        host.resolve("default", &[("idp", "files:read")])
            .await
            .unwrap();
    }
    assert_eq!(idp.stats().await.unwrap().code, 1);
}

#[tokio::test]
async fn two_accounts_never_cross() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let (for_work, for_home) = (
        host.connect("work", "idp", "").await,
        host.connect("home", "idp", "").await,
    );
    assert_ne!(for_work.id, for_home.id);
    // One browser with two pages open, and another person with a browser of their own.
    let mut person = Person::default();
    let work_left = person.leave(&host, &for_work.id).await;
    let home_left = person.leave(&host, &for_home.id).await;
    let stranger = host.connect("stranger", "idp", "").await;
    let mut other = Person::default();
    let stranger_left = other.leave(&host, &stranger.id).await;

    let home_back = idp.login(&home_left, "bob").await.unwrap();
    let work_back = idp.login(&work_left, "alice").await.unwrap();
    let stranger_back = idp.login(&stranger_left, "mallory").await.unwrap();
    // An attacker's answer in the victim's browser, and the other way round.
    assert_eq!(
        person.open(&stranger_back).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(other.open(&work_back).await.status, StatusCode::NOT_FOUND);
    for (person, back) in [
        (&mut person.clone(), &home_back),
        (&mut other, &stranger_back),
        (&mut person, &work_back),
    ] {
        let page = person.come_back(&host, back).await;
        assert!(page.says("is connected"), "{}", page.text);
    }
    for (profile, user) in [("work", "alice"), ("home", "bob"), ("stranger", "mallory")] {
        let grant = host.grant(profile, "idp").await;
        let label = format!("{user}@example.test");
        assert_eq!(grant.account, Some(label), "{profile}");
        assert_eq!(grant.profile.as_str(), profile);
    }
    let tokens: std::collections::BTreeSet<_> = [
        host.grant("work", "idp").await,
        host.grant("home", "idp").await,
        host.grant("stranger", "idp").await,
    ]
    .iter()
    .map(|grant| sent(grant).to_owned())
    .collect();
    assert_eq!(tokens.len(), 3);

    // To disconnect one leaves the others, and another user has none of them.
    host.broker()
        .disconnect(&owner("home"), &id("idp"))
        .await
        .unwrap();
    assert_eq!(
        host.grant("work", "idp").await.account.as_deref(),
        Some("alice@example.test")
    );
    let guest = TenantId::new("guest").unwrap();
    assert!(host.broker().list(&guest, None).await.unwrap().is_empty());
    let theirs = Owner::new(&guest, owner("work").profile);
    host.broker()
        .disconnect(&theirs, &id("idp"))
        .await
        .unwrap_err();
    host.grant("work", "idp").await;
}

/// A host with an account that is being renewed, since its API refused it; the provider keeps its answer back.
async fn renewing() -> (FakeProvider, Arc<Host>, tokio::task::JoinHandle<()>) {
    let provider = FakeProvider::start().await;
    let host = Arc::new(provider.host().await);
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    person.come_back(&host, &provider.back(&host, &left)).await;
    provider.hold(true);
    provider.grants(
        json!({ "access_token": "late", "refresh_token": "late-refresh", "expires_in": 3600 }),
    );
    let call = {
        let host = Arc::clone(&host);
        let generation = host.grant("default", "idp").await.generation;
        tokio::spawn(async move {
            let (owner, provider) = (owner("default"), id("idp"));
            host.broker().rejected(&owner, &provider, generation).await;
        })
    };
    eventually("a refresh", || provider.received("/token").len() == 2).await;
    (provider, host, call)
}

#[tokio::test]
async fn an_account_that_is_disconnected_during_a_refresh_is_not_resurrected() {
    let (provider, host, call) = renewing().await;
    let gone = host
        .broker()
        .disconnect(&owner("default"), &id("idp"))
        .await
        .unwrap();
    assert_eq!(gone, Disconnected::Revoked);
    let revoked = provider.received("/revoke");
    assert!(revoked[0].contains("token=refresh"), "{revoked:?}");
    provider.hold(false);
    call.await.unwrap();
    for broker in [Arc::clone(host.broker()), host.another_broker().await] {
        assert!(
            broker
                .list(&TenantId::local(), None)
                .await
                .unwrap()
                .is_empty()
        );
        let unmet = crate::setting::resolve(&broker, "default", &[("idp", "")])
            .await
            .unwrap_err();
        assert_eq!(unmet.missing()[0].reason, Reason::NotConnected);
    }
}

#[tokio::test]
async fn an_account_that_the_provider_revokes_during_a_refresh_ends_and_can_be_connected_anew() {
    let (provider, host, call) = renewing().await;
    provider.refuses(json!({ "error": "invalid_grant" }));
    provider.hold(false);
    call.await.unwrap();
    let unmet = host.resolve("default", &[("idp", "")]).await.unwrap_err();
    assert_eq!(unmet.missing()[0].reason, Reason::Ended);
    // Nobody asks again with a token that has ended.
    assert_eq!(provider.received("/token").len(), 2);

    provider.grants(json!({ "access_token": "anew" }));
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    person.come_back(&host, &provider.back(&host, &left)).await;
    assert_eq!(sent(&host.grant("default", "idp").await), "anew");
}

#[tokio::test]
async fn an_account_that_is_connected_anew_during_a_refresh_wins_over_the_late_answer() {
    let (provider, host, call) = renewing().await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let page = person.page(&host, &connection.id).await;
    assert!(page.says("which is connected now"), "{}", page.text);
    // The provider is busy with the refresh, so the person enters a key.
    let sent_on = person
        .choose(&host, &connection.id, "way=enter:api_key&token=entered")
        .await;
    assert_eq!(sent_on.status, StatusCode::SEE_OTHER, "{}", sent_on.text);
    provider.hold(false);
    call.await.unwrap();
    assert_eq!(sent(&host.grant("default", "idp").await), "entered");
}

#[tokio::test]
async fn a_connection_that_has_expired_leads_nowhere() {
    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(host.database());
    let mut database = options.connect().await.unwrap();
    sqlx::query("UPDATE connection SET expires_at = 1")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();

    assert_eq!(host.state(&connection.id).await, ConnectionState::Expired);
    let page = person.come_back(&host, &provider.back(&host, &left)).await;
    assert!(page.says("This link has expired"), "{}", page.text);
    let sent_on = person
        .choose(&host, &connection.id, "way=enter:api_key&token=late")
        .await;
    assert_eq!(sent_on.status, StatusCode::SEE_OTHER);
    assert!(
        person
            .page(&host, &connection.id)
            .await
            .says("This link has expired")
    );
    assert_eq!(provider.received("/token"), Vec::<String>::new());
    assert!(host.resolve("default", &[("idp", "")]).await.is_err());
    assert!(
        host.broker()
            .pending(&TenantId::local(), None)
            .await
            .unwrap()
            .is_empty()
    );
    // Whoever asks again gets another link.
    assert_ne!(host.connect("default", "idp", "").await.id, connection.id);
}
