//! A provider that takes its time, or does not say what it should: what that makes of a connection and of a refresh, and that
//! nobody else notices.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use holster_core::broker::{ConnectionState, Reason};
use holster_tests::eventually;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::answers::{connect, connected, now};
use crate::fake_provider::{FakeProvider, How, Said};
use crate::setting::{Host, Person, file, sent};

const TOKENS: &str = r#"{"access_token":"access","refresh_token":"refresh","expires_in":3600}"#;

fn said(media_type: &str, body: &str, how: How) -> Said {
    Said {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, media_type.parse().unwrap())]),
        body: Bytes::copy_from_slice(body.as_bytes()),
        how,
    }
}

/// What the token endpoint may answer instead of tokens, and what is told of each.
fn lies() -> Vec<(Said, &'static str)> {
    let json = |body: &str, how| said("application/json", body, how);
    let elsewhere = Said {
        status: StatusCode::TEMPORARY_REDIRECT,
        headers: HeaderMap::from_iter([(LOCATION, "/elsewhere".parse().unwrap())]),
        ..json(TOKENS, How::Whole)
    };
    let huge = format!(r#"{{"access_token":"{}"}}"#, "t".repeat(2 << 20));
    let bound = r#"{"access_token":"access","token_type":"DPoP"}"#;
    vec![
        (json(TOKENS, How::Slowly), "no whole answer within 30 s"),
        (json(TOKENS, How::CutOff), "broke off"),
        (json(TOKENS, How::Endlessly), "more than 1048576 bytes"),
        (json(&huge, How::Whole), "more than 1048576 bytes"),
        (
            said("text/html", "<h1>Hello</h1>", How::Whole),
            "without a JSON document",
        ),
        (json("", How::Whole), "without a JSON document"),
        (json("[]", How::Whole), "no access token"),
        (json(r#"{"access_token":7}"#, How::Whole), "no access token"),
        (json(bound, How::Whole), "bound to a key"),
        (elsewhere, "not followed"),
    ]
}

/// A provider whose token endpoint never answers, with what is told of that.
async fn silent() -> (FakeProvider, &'static str) {
    let provider = FakeProvider::start().await;
    provider.hold(true);
    (provider, "no whole answer within 30 s")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_brings_no_tokens_ends_its_connection_with_the_reason() {
    let mut providers = vec![silent().await];
    for (lie, told) in lies() {
        let provider = FakeProvider::start().await;
        provider.says(lie);
        providers.push((provider, told));
    }
    // Some take as long as they may; all of them at the same time.
    join_all(providers.into_iter().map(async |(provider, told)| {
        let host = provider.host().await;
        let (page, state) = connect(&provider, &host, "").await;
        let ConnectionState::Refused { reason } = state else {
            panic!("{told}: {state}");
        };
        assert!(reason.contains(told), "{told}: {reason}");
        assert!(!page.says("<h1>Hello"), "{}", page.text);
        assert_eq!(provider.received("/token").len(), 1, "{told}");
        assert_eq!(provider.received("/elsewhere").len(), 0, "{told}");

        // Once it answers as it should, the account can be connected.
        provider.hold(false);
        provider.recants();
        let (page, state) = connect(&provider, &host, "").await;
        assert_eq!(state, connected(), "{told}: {}", page.text);
    }))
    .await;
}

/// A token that is over is renewed. What comes instead of a new one says nothing of whether the old one was used up.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_brings_no_tokens_is_told_with_its_reason_and_asked_for_once() {
    let lies = lies().into_iter().map(|(lie, told)| (Some(lie), told));
    let silence = [(None, "no whole answer within 30 s")];
    join_all(lies.chain(silence).map(async |(lie, told)| {
        let provider = FakeProvider::start().await;
        provider.grants(json!({ "expires_in": 1 }));
        let host = provider.host().await;
        connect(&provider, &host, "").await;
        match lie {
            Some(lie) => provider.says(lie),
            None => provider.hold(true),
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let reason = not_renewed(&host).await;
        assert!(reason.contains(told), "{told}: {reason}");
        not_renewed(&host).await;
        assert_eq!(provider.received("/token").len(), 2, "{told}");
        assert_eq!(provider.received("/elsewhere").len(), 0, "{told}");

        provider.hold(false);
        provider.recants();
        provider.grants(json!({ "expires_in": 3600 }));
        let (page, state) = connect(&provider, &host, "").await;
        assert_eq!(state, connected(), "{told}: {}", page.text);
        assert_eq!(sent(&host.grant("default", "idp").await), "access");
    }))
    .await;
}

/// Why a tool does not get the account.
async fn not_renewed(host: &Host) -> String {
    let unmet = host.resolve("default", &[("idp", "")]).await.unwrap_err();
    match &unmet.missing()[0].reason {
        Reason::NotRenewed { detail } => detail.clone(),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_what_is_said_and_no_tool_gets_more() {
    for scopes in ["admin", "read,write", "READ"] {
        let provider = FakeProvider::start().await;
        provider.grants(json!({ "scope": scopes, "token_type": "bot", "expires_in": 1e300 }));
        let host = provider.host().await;
        let (page, state) = connect(&provider, &host, "read").await;
        assert_eq!(state, connected(), "{scopes}: {}", page.text);
        let read = host.resolve("default", &[("idp", "read")]).await;
        assert_eq!(read.is_ok(), scopes == "read,write", "{scopes}: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_provider_does_not_answer_what_is_valid_serves_and_nobody_else_waits() {
    let provider = FakeProvider::start().await;
    provider.grants(json!({ "expires_in": 10 }));
    let other = FakeProvider::start().await;
    let files = [("idp", &provider), ("other", &other)];
    let host = Host::start(&files.map(|(name, of)| (name, file(name, of.issuer(), "")))).await;
    connect(&provider, &host, "").await;
    provider.grants(json!({ "access_token": "renewed", "expires_in": 3600 }));
    provider.hold(true);
    // Half of its life is over, so that it is to be renewed.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waiting = host.grant("default", "idp");
    let meanwhile = async {
        eventually("it is asked for a new token", || {
            provider.received("/token").len() == 2
        })
        .await;
        for profile in ["one", "two"] {
            let connection = host.connect(profile, "other", "").await;
            let mut person = Person::default();
            person.page(&host, &connection.id).await;
            person
                .choose(&host, &connection.id, "way=enter:api_key&token=key")
                .await;
            assert_eq!(sent(&host.grant(profile, "other").await), "key");
        }
        assert_eq!(provider.received("/token").len(), 2);
    };
    let (grant, ()) = tokio::join!(waiting, meanwhile);
    assert_eq!(sent(&grant), "access");
    assert!(grant.expires_at.unwrap() > now());

    // The answer is taken whenever it comes, though nobody waits for it.
    provider.hold(false);
    let mut token = String::new();
    while token != "renewed" {
        token = sent(&host.grant("default", "idp").await).to_owned();
    }
    assert_eq!(provider.received("/token").len(), 2);
}
