//! Links that get into other hands, and forms that other sites send: attacks on the page of a connection.

use holster_core::broker::ConnectionState;
use http::{Method, StatusCode};

use crate::fake_provider::FakeProvider;
use crate::setting::Person;

#[tokio::test]
async fn a_link_opened_in_another_browser_shows_nothing_and_does_nothing() {
    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    let connection = host
        .connect("private-profile", "idp", "private:scope")
        .await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;

    for mut other in [Person::default(), {
        let mut known = Person::default();
        let own = host.connect("other", "idp", "").await;
        known.page(&host, &own.id).await;
        known
    }] {
        let page = other.page(&host, &connection.id).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        for private in ["private-profile", "private:scope", "<form", "way="] {
            assert!(!page.says(private), "{}", page.text);
        }
        for form in [
            "way=consent",
            "way=device",
            "way=enter:api_key&token=their-own-key",
        ] {
            let sent_on = other.choose(&host, &connection.id, form).await;
            assert_eq!(
                sent_on.location(),
                format!("/connect/{}", connection.id),
                "{form}"
            );
            let page = other.open(&host.at(sent_on.location())).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{form}");
        }
        assert_eq!(
            other.open(&provider.back(&host, &left)).await.status,
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(provider.received("/token"), Vec::<String>::new());
    assert_eq!(provider.received("/device/auth"), Vec::<String>::new());
    let page = person.come_back(&host, &provider.back(&host, &left)).await;
    assert!(page.says("is connected"), "{}", page.text);
    // Nor is the end shown there.
    let page = Person::default().page(&host, &connection.id).await;
    assert!(
        page.status == StatusCode::FORBIDDEN && !page.says("anna@example.test"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn who_looks_at_a_link_binds_nothing() {
    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    let connection = host.connect("default", "idp", "").await;
    let url = host.at(&format!("connect/{}", connection.id));
    let mut preview = Person::default();
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let answer = preview.browser.send(method, &url, &[], "").await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(host.state(&connection.id).await, ConnectionState::Created);
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    assert!(
        person
            .come_back(&host, &provider.back(&host, &left))
            .await
            .says("is connected")
    );
}

#[tokio::test]
async fn a_form_of_another_site_or_of_no_site_is_refused() {
    let provider = FakeProvider::start().await;
    let host = provider.host().await;
    let connection = host.connect("default", "idp", "").await;
    let url = host.at(&format!("connect/{}", connection.id));
    let mut person = Person::default();
    person.page(&host, &connection.id).await;
    let port = host.url().port().unwrap();
    let foreign = [
        None,
        Some("null".to_owned()),
        Some("https://evil.example".to_owned()),
        Some(format!("http://localhost:{port}")),
        Some(format!("https://127.0.0.1:{port}")),
        Some("http://127.0.0.1:1".to_owned()),
    ];
    for origin in foreign {
        let headers: Vec<_> = origin
            .iter()
            .map(|origin| ("origin", origin.as_str()))
            .collect();
        let form = "way=enter:api_key&token=an-attackers-key";
        let answer = person.browser.post(&url, &headers, form).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert_eq!(host.state(&connection.id).await, ConnectionState::Created);
    assert!(host.resolve("default", &[("idp", "")]).await.is_err());
    // A form without the cookie is of a browser that was never here.
    let sent = Person::default()
        .choose(&host, &connection.id, "way=consent")
        .await;
    assert_eq!(sent.status, StatusCode::FORBIDDEN);
    person.leave(&host, &connection.id).await;
}
