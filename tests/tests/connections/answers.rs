//! What the token endpoint says, and what is made of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holster_core::broker::{ConnectionState, Reason};
use holster_tests::eventually;
use serde_json::{Value, json};

use crate::fake_provider::FakeProvider;
use crate::setting::{Host, Page, Person, sent};

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A person asks for these scopes, and the provider answers as it was told.
pub(crate) async fn connect(
    provider: &FakeProvider,
    host: &Host,
    scopes: &str,
) -> (Page, ConnectionState) {
    let connection = host.connect("default", "idp", scopes).await;
    let mut person = Person::default();
    let left = person.leave(host, &connection.id).await;
    let page = person.come_back(host, &provider.back(host, &left)).await;
    (page, host.state(&connection.id).await)
}

pub(crate) fn connected() -> ConnectionState {
    ConnectionState::Connected {
        account: Some("anna@example.test".to_owned()),
    }
}

#[tokio::test]
async fn a_lifetime_that_is_none_is_no_end_and_one_in_words_is_read() {
    for (lifetime, seconds) in [
        (Value::Null, None),
        (json!(0), None),
        (json!(-1), None),
        (json!("soon"), None),
        (json!(""), None),
        (json!([3600]), None),
        (json!("7200"), Some(7200)),
        (json!(7200.0), Some(7200)),
        (json!(7200), Some(7200)),
    ] {
        let provider = FakeProvider::start().await;
        provider.grants(json!({ "expires_in": lifetime }));
        let host = provider.host().await;
        let before = now();
        let (page, state) = connect(&provider, &host, "").await;
        assert_eq!(state, connected(), "{lifetime}: {}", page.text);
        let grant = host.grant("default", "idp").await;
        match (grant.expires_at, seconds) {
            (None, None) => {}
            (Some(at), Some(seconds)) => {
                assert!(
                    (before + seconds..=now() + seconds).contains(&at),
                    "{lifetime}: {at}"
                );
            }
            (at, _) => panic!("{lifetime}: {at:?}"),
        }
        // It is not taken for one that has ended: nothing but the code was asked for.
        assert_eq!(provider.received("/token").len(), 1, "{lifetime}");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_at_the_provider_does_not_matter() {
    let provider = FakeProvider::start().await;
    // `Date` is of 2002 anyway.
    provider.grants(json!({ "expires_at": 1_009_843_200, "created_at": 1_009_843_200, "iat": 1 }));
    let host = provider.host().await;
    connect(&provider, &host, "").await;
    let grant = host.grant("default", "idp").await;
    let left = grant.expires_at.unwrap() - now();
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(provider.received("/token").len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_life_is_over() {
    let provider = FakeProvider::start().await;
    provider.grants(json!({ "expires_in": 2 }));
    let host = provider.host().await;
    connect(&provider, &host, "").await;
    provider
        .grants(json!({ "access_token": "renewed", "refresh_token": "next", "expires_in": 3600 }));
    // The second half of a short life is the time to renew.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(sent(&host.grant("default", "idp").await), "renewed");
    assert_eq!(provider.received("/token").len(), 2);
}

#[tokio::test]
async fn what_a_person_unticks_is_not_granted() {
    let provider = FakeProvider::start().await;
    provider.grants(json!({ "scope": "read" }));
    let host = provider.host().await;
    let (page, state) = connect(&provider, &host, "read write").await;
    assert_eq!(state, connected(), "{}", page.text);
    let granted = host
        .resolve("default", &[("idp", "read")])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(granted.scopes.to_string(), "read");
    let unmet = host
        .resolve("default", &[("idp", "read write")])
        .await
        .unwrap_err();
    let reason = &unmet.missing()[0].reason;
    assert!(
        matches!(reason, Reason::LacksScopes { missing } if missing.to_string() == "write"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_answer_without_scopes_grants_what_was_asked_for() {
    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    connect(&provider, &host, "read").await;
    let granted = host
        .resolve("default", &[("idp", "read")])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        granted.scopes.to_string(),
        "email offline_access openid read"
    );
}

#[tokio::test]
async fn a_narrower_grant_does_not_take_the_place_of_an_account_that_works() {
    let provider = FakeProvider::start().await;
    provider.grants(json!({ "scope": "read write" }));
    let host = provider.host().await;
    connect(&provider, &host, "read write").await;
    provider.grants(json!({ "access_token": "narrow", "scope": "read admin" }));
    let (page, state) = connect(&provider, &host, "admin").await;
    let ConnectionState::Refused { reason } = state else {
        panic!("{state}");
    };
    assert!(
        reason.contains("write") && reason.contains("stays as it was"),
        "{reason}"
    );
    assert!(
        page.says("<strong>anna@example.test</strong> stays connected"),
        "{}",
        page.text
    );
    let granted = host
        .resolve("default", &[("idp", "read write")])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(sent(&granted), "access");
}

#[tokio::test]
async fn wider_scopes_keep_the_old_credential_until_the_new_one_is_stored() {
    let provider = FakeProvider::start().await;
    provider.grants(json!({ "scope": "read" }));
    let host = provider.host().await;
    connect(&provider, &host, "read").await;

    let wider = host.connect("default", "idp", "write").await;
    assert_eq!(wider.scopes.to_string(), "read write");
    let serves = async |token: &str| {
        let granted = host
            .resolve("default", &[("idp", "read")])
            .await
            .unwrap()
            .remove(0);
        assert_eq!(sent(&granted), token);
    };
    let mut person = Person::default();
    serves("access").await;
    let left = person.leave(&host, &wider.id).await;
    serves("access").await;
    provider.grants(json!({ "access_token": "wider", "scope": "read write" }));
    provider.hold(true);
    let back = provider.back(&host, &left);
    let coming = {
        let (mut person, back) = (person.clone(), back.clone());
        tokio::spawn(async move { person.open(&back).await })
    };
    eventually("an exchange", || provider.received("/token").len() == 2).await;
    serves("access").await;
    provider.hold(false);
    coming.await.unwrap();
    serves("wider").await;
    host.resolve("default", &[("idp", "read write")])
        .await
        .unwrap();

    // A third one that is refused changes nothing.
    let third = host.connect("default", "idp", "admin").await;
    let left = person.leave(&host, &third.id).await;
    let denied = provider.back_with(&host, &left, &[("error", "access_denied")]);
    let page = person.come_back(&host, &denied).await;
    assert!(page.says("stays connected"), "{}", page.text);
    serves("wider").await;
}

#[tokio::test]
async fn an_exchange_that_fails_ends_the_connection_and_the_next_one_begins_anew() {
    let provider = FakeProvider::start().await;
    provider.refuses(
        json!({ "error": "invalid_grant", "error_description": "<b>the-code</b> is over" }),
    );
    let host = provider.host().await;
    let (page, state) = connect(&provider, &host, "").await;
    let ConnectionState::Refused { reason } = state else {
        panic!("{state}");
    };
    assert!(
        reason.contains("invalid_grant") && !reason.contains("the-code"),
        "{reason}"
    );
    assert!(!page.says("<b>") && !page.says("the-code"), "{}", page.text);

    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    for (answer, wanted) in [
        (json!({ "access_token": null }), "no access token"),
        (
            json!({ "access_token": "line\nbreak" }),
            "cannot stand in a header",
        ),
        (
            json!({ "access_token": "bound", "token_type": "DPoP" }),
            "bound to a key",
        ),
    ] {
        provider.grants(answer);
        let (page, state) = connect(&provider, &host, "").await;
        assert!(state.to_string().contains(wanted), "{state}: {}", page.text);
    }
    provider.grants(json!({ "access_token": "good", "token_type": "Bearer" }));
    let (page, state) = connect(&provider, &host, "").await;
    assert_eq!(state, connected(), "{}", page.text);
}
