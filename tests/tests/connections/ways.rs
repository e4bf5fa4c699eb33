//! The ways in, from the first page to a call with the account.

use std::time::Duration;

use holster_core::broker::{ConnectionState, Disconnected, Reason};
use http::StatusCode;

use crate::setting::{HOUR, Host, Person, file, id, identity_provider, owner, sent};

#[tokio::test]
async fn a_person_consents_and_the_account_is_used_renewed_and_disconnected() {
    let idp = identity_provider(Duration::from_secs(2)).await;
    let host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "files:read").await;
    assert_eq!(connection.state, ConnectionState::Created);
    let mut person = Person::default();

    let page = person.page(&host, &connection.id).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.says("Continue to Provider idp") && page.says("files:read"),
        "{}",
        page.text
    );
    let left = person.leave(&host, &connection.id).await;
    assert!(left.as_str().starts_with(idp.issuer()), "{left}");
    // Nothing of the request is in the address: it was left at the provider beforehand.
    assert_eq!(idp.stats().await.unwrap().par, 1);
    assert_eq!(host.state(&connection.id).await, ConnectionState::Waiting);

    let back = idp.login(&left, "alice").await.unwrap();
    let page = person.come_back(&host, &back).await;
    assert!(page.says("Provider idp is connected"), "{}", page.text);
    assert!(
        page.says(
            "<strong>default</strong> now uses Provider idp as <strong>alice@example.test</strong>"
        ),
        "{}",
        page.text
    );
    let ended = host
        .broker()
        .wait(&connection.id, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    let account = Some("alice@example.test".to_owned());
    assert_eq!(ended.state, ConnectionState::Connected { account });

    let first = host
        .resolve("default", &[("idp", "files:read openid")])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(first.account.as_deref(), Some("alice@example.test"));
    // The second half of a short life is the time to renew.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let second = host.grant("default", "idp").await;
    assert_ne!(sent(&first), sent(&second));
    assert!(second.generation > first.generation);
    let stats = idp.stats().await.unwrap();
    assert_eq!((stats.code, stats.revoke), (1, 0));
    assert!(stats.refresh >= 1, "{stats:?}");
    assert_eq!(stats.errors, Vec::<String>::new());

    let gone = host
        .broker()
        .disconnect(&owner("default"), &id("idp"))
        .await
        .unwrap();
    assert_eq!(gone, Disconnected::Revoked);
    assert!(idp.stats().await.unwrap().revoke >= 1);
    let unmet = host.resolve("default", &[("idp", "")]).await;
    assert!(matches!(
        unmet.unwrap_err().missing()[0].reason,
        Reason::NotConnected
    ));
}

#[tokio::test]
async fn a_refused_consent_ends_the_connection_at_once() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "").await;
    let waiting = {
        let (broker, id) = (host.broker().clone(), connection.id.clone());
        tokio::spawn(async move { broker.wait(&id, Duration::from_mins(5)).await })
    };
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    let back = idp.refuse(&left, "alice").await.unwrap();
    let page = person.come_back(&host, &back).await;
    assert!(
        page.says("was not connected") && page.says("Access was denied at Provider idp."),
        "{}",
        page.text
    );
    let ended = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    let ended = ended
        .expect("whoever waits is told at once")
        .unwrap()
        .unwrap()
        .unwrap();
    let reason = "access was denied at Provider idp".to_owned();
    assert_eq!(ended.state, ConnectionState::Refused { reason });
    assert_eq!(idp.stats().await.unwrap().code, 0);
}

#[tokio::test]
async fn a_key_is_entered_on_the_page_and_used() {
    let idp = identity_provider(HOUR).await;
    // No identity: this server knows no keys.
    let text = file("idp", idp.issuer(), "")
        .split("[identity]")
        .next()
        .unwrap()
        .to_owned();
    let host = Host::start(&[("idp", text)]).await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    assert!(
        person
            .page(&host, &connection.id)
            .await
            .says("type=\"password\"")
    );

    let page = person
        .choose(&host, &connection.id, "way=enter:api_key&token=+")
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.says("It is empty."), "{}", page.text);
    let sent_on = person
        .choose(
            &host,
            &connection.id,
            "way=enter:api_key&token=+key-of-anna%0A",
        )
        .await;
    assert_eq!(sent_on.status, StatusCode::SEE_OTHER, "{}", sent_on.text);
    let page = person.open(&host.at(sent_on.location())).await;
    assert!(page.says("can use Provider idp now"), "{}", page.text);
    assert_eq!(sent(&host.grant("default", "idp").await), "key-of-anna");
}

#[tokio::test]
async fn a_key_that_the_provider_refuses_is_not_kept() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    person.page(&host, &connection.id).await;
    let page = person
        .choose(
            &host,
            &connection.id,
            "way=enter:api_key&token=mistyped-key",
        )
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.says("does not accept it") && !page.says("mistyped-key"),
        "{}",
        page.text
    );
    assert!(host.resolve("default", &[("idp", "")]).await.is_err());
    // It is not over: the person may go on otherwise.
    let left = person.leave(&host, &connection.id).await;
    let back = idp.login(&left, "alice").await.unwrap();
    assert!(person.come_back(&host, &back).await.says("is connected"));
}

#[tokio::test]
async fn a_code_is_shown_and_entered_on_another_device() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    person.page(&host, &connection.id).await;
    let sent_on = person.choose(&host, &connection.id, "way=device").await;
    let page = person.open(&host.at(sent_on.location())).await;
    let (_, rest) = page.text.split_once("<p class=\"code\">").unwrap();
    let (code, _) = rest.split_once('<').unwrap();
    idp.enter_code(code, "alice").await.unwrap();

    let ended = host
        .broker()
        .wait(&connection.id, Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    let account = Some("alice@example.test".to_owned());
    assert_eq!(ended.state, ConnectionState::Connected { account });
    assert!(
        person
            .page(&host, &connection.id)
            .await
            .says("is connected")
    );
    assert!(!sent(&host.grant("default", "idp").await).is_empty());
}
