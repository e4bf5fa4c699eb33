//! What comes back from the provider, or pretends to: attacks on the callback.
//!
//! Whatever an attacker sends, the flow that was begun goes on: each test ends with the true answer.

use holster_core::broker::ConnectionState;
use http::{Method, StatusCode};

use crate::fake_provider::FakeProvider;
use crate::setting::{HOUR, Host, Person, file, identity_provider, parameter, sent};

/// A person who left for the provider, and what is needed to come back.
struct Begun {
    provider: FakeProvider,
    host: Host,
    person: Person,
    connection: holster_core::broker::Connection,
    left: url::Url,
}

impl Begun {
    async fn new() -> Self {
        let provider = FakeProvider::start().await;
        let host = provider.host().await;
        let connection = host.connect("default", "idp", "").await;
        let mut person = Person::default();
        let left = person.leave(&host, &connection.id).await;
        Self {
            provider,
            host,
            person,
            connection,
            left,
        }
    }

    /// Nothing was spent, nothing has ended, and the true answer still connects.
    async fn goes_on(mut self) {
        assert_eq!(self.provider.received("/token"), Vec::<String>::new());
        let state = self.host.state(&self.connection.id).await;
        assert_eq!(state, ConnectionState::Waiting);
        let back = self.provider.back(&self.host, &self.left);
        let page = self.person.come_back(&self.host, &back).await;
        assert!(page.says("is connected"), "{}", page.text);
        let exchanges = self.provider.received("/token");
        assert_eq!(exchanges.len(), 1);
        assert!(exchanges[0].contains("code=the-code") && exchanges[0].contains("code_verifier="));
    }

    /// It was refused with these words, and the code went nowhere.
    async fn was_refused(&self, reason: &str) {
        match self.host.state(&self.connection.id).await {
            ConnectionState::Refused { reason: found } => {
                assert!(found.contains(reason), "{found}");
            }
            state => panic!("{state}"),
        }
        assert_eq!(self.provider.received("/token"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_same_callback_twice_is_one_exchange() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    let back = idp.login(&left, "alice").await.unwrap();
    for _ in 0..2 {
        let page = person.come_back(&host, &back).await;
        assert!(page.says("is connected"), "{}", page.text);
    }
    let stats = idp.stats().await.unwrap();
    assert_eq!((stats.code, stats.errors), (1, Vec::new()));
}

#[tokio::test]
async fn the_same_callback_in_parallel_is_one_exchange() {
    let idp = identity_provider(HOUR).await;
    let host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    let back = idp.login(&left, "alice").await.unwrap();
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (mut person, back) = (person.clone(), back.clone());
        at_once.spawn(async move { person.open(&back).await });
    }
    for answer in at_once.join_all().await {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        assert_eq!(answer.location(), format!("/connect/{}", connection.id));
    }
    assert!(
        person
            .page(&host, &connection.id)
            .await
            .says("is connected")
    );
    // A second exchange would have revoked what the first one brought (RFC 6749 §4.1.2).
    let stats = idp.stats().await.unwrap();
    assert_eq!((stats.code, stats.errors), (1, Vec::new()));
    assert!(!sent(&host.grant("default", "idp").await).is_empty());
}

#[tokio::test]
async fn an_unknown_state_is_not_found_and_ends_no_flow() {
    let mut begun = Begun::new().await;
    let state = parameter(&begun.left, "state");
    let unknown = "x".repeat(state.len());
    for query in [
        format!("state={unknown}&code=theirs"),
        format!("state={unknown}&error=access_denied"),
        format!("state={}&code=theirs", &state[1..]),
        "state=&code=theirs".to_owned(),
        "code=theirs".to_owned(),
        // Two readers might each take another one (RFC 6749 §3.1).
        format!("state={unknown}&state={state}&code=theirs"),
        format!("state={state}&code=theirs&code=the-code"),
    ] {
        let page = begun
            .person
            .open(&begun.host.at(&format!("callback/idp?{query}")))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{query}");
    }
    begun.goes_on().await;
}

#[tokio::test]
async fn an_error_without_a_state_ends_no_flow() {
    let mut begun = Begun::new().await;
    for query in [
        "error=access_denied",
        "error=x&error_description=planted-words",
        "error=x&iss=y",
    ] {
        let page = begun
            .person
            .open(&begun.host.at(&format!("callback/idp?{query}")))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{query}");
        assert!(!page.says("planted-words"));
    }
    begun.goes_on().await;
}

#[tokio::test]
async fn a_name_that_was_rebound_to_this_host_reaches_nothing() {
    let mut begun = Begun::new().await;
    let port = begun.host.url().port().unwrap();
    let back = begun.provider.back(&begun.host, &begun.left);
    let page = begun.host.at(&format!("connect/{}", begun.connection.id));
    let name = format!("rebound.example:{port}");
    let origin = format!("http://{name}");
    for (method, url, body) in [
        (Method::GET, &back, ""),
        (Method::GET, &page, ""),
        (Method::POST, &page, "way=consent"),
    ] {
        let headers = [("host", &*name), ("origin", &*origin)];
        let answer = begun
            .person
            .browser
            .send(method, url, &headers, body)
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{url}");
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(!text.contains("Provider idp"), "{text}");
    }
    begun.goes_on().await;
}

#[tokio::test]
async fn a_callback_that_is_posted_is_not_taken() {
    let mut begun = Begun::new().await;
    let back = begun.provider.back(&begun.host, &begun.left);
    let (bare, query) = (
        begun.host.at("callback/idp"),
        back.query().unwrap().to_owned(),
    );
    for (method, url, body) in [
        (Method::POST, &back, ""),
        (Method::POST, &bare, &*query),
        (Method::HEAD, &back, ""),
        (Method::PUT, &back, ""),
    ] {
        let answer = begun
            .person
            .browser
            .send(method, url, &[], body)
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{url}");
    }
    begun.goes_on().await;
}

#[tokio::test]
async fn a_query_of_a_megabyte_ends_no_flow() {
    let mut begun = Begun::new().await;
    let mut back = begun.provider.back(&begun.host, &begun.left);
    back.query_pairs_mut()
        .append_pair("more", &"x".repeat(1024 * 1024));
    // What is not read may reset the connection before the answer arrives.
    if let Ok(answer) = begun.person.browser.get(&back).await {
        let refused = [
            StatusCode::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ];
        assert!(refused.contains(&answer.status()), "{}", answer.status());
    }
    begun.goes_on().await;
}

#[tokio::test]
async fn html_in_an_error_is_escaped() {
    let mut begun = Begun::new().await;
    let html = [
        ("error", "<script>alert(1)</script>"),
        (
            "error_description",
            "\"><img src=x onerror=alert(2)>`<b>`\u{1b}[31m",
        ),
    ];
    let back = begun.provider.back_with(&begun.host, &begun.left, &html);
    let page = begun.person.come_back(&begun.host, &back).await;
    assert!(
        page.says("&lt;script&gt;") && page.says("&lt;img"),
        "{}",
        page.text
    );
    for markup in ["<script", "<img", "<b>", "\u{1b}"] {
        assert!(!page.says(markup), "{}", page.text);
    }
    begun.was_refused("<script>alert(1)</script>").await;
}

#[tokio::test]
async fn a_code_at_the_redirect_of_another_provider_is_not_taken() {
    let mut begun = {
        let provider = FakeProvider::start().await;
        let issuer = provider.issuer().to_owned();
        let files = [
            ("idp", file("idp", &issuer, "")),
            ("twin", file("twin", &issuer, "")),
        ];
        let host = Host::start(&files).await;
        let connection = host.connect("default", "idp", "").await;
        let mut person = Person::default();
        let left = person.leave(&host, &connection.id).await;
        Begun {
            provider,
            host,
            person,
            connection,
            left,
        }
    };
    let mut back = begun.provider.back(&begun.host, &begun.left);
    for path in ["/callback/twin", "/callback/slack", "/callback/nobody"] {
        back.set_path(path);
        let page = begun.person.open(&back).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    begun.goes_on().await;
}

#[tokio::test]
async fn a_callback_in_another_browser_is_not_found() {
    let begun = Begun::new().await;
    let back = begun.provider.back(&begun.host, &begun.left);
    let mut other = Person::default();
    assert_eq!(other.open(&back).await.status, StatusCode::NOT_FOUND);
    // With a cookie of this host, but another one.
    let second = begun.host.connect("other", "idp", "").await;
    other.page(&begun.host, &second.id).await;
    assert_eq!(other.open(&back).await.status, StatusCode::NOT_FOUND);
    begun.goes_on().await;
}

#[tokio::test]
async fn an_answer_that_names_no_issuer_or_another_one_is_refused() {
    for iss in [None, Some(""), Some("https://evil.example"), Some("SAME/")] {
        let mut begun = Begun::new().await;
        let same = format!("{}/", begun.provider.issuer());
        let mut back = begun.host.at("callback/idp");
        back.query_pairs_mut()
            .append_pair("state", &parameter(&begun.left, "state"))
            .append_pair("code", "the-code");
        if let Some(iss) = iss {
            let iss = if iss == "SAME/" { &same } else { iss };
            back.query_pairs_mut().append_pair("iss", iss);
        }
        let page = begun.person.come_back(&begun.host, &back).await;
        assert!(page.says("was not connected"), "{}", page.text);
        begun.was_refused("nothing was sent to either").await;
    }
}

#[tokio::test]
async fn an_error_of_another_issuer_is_not_shown() {
    let mut begun = Begun::new().await;
    let mut back = begun.host.at("callback/idp");
    back.query_pairs_mut()
        .append_pair("state", &parameter(&begun.left, "state"))
        .append_pair("iss", "https://evil.example")
        .append_pair("error", "planted-error")
        .append_pair("error_description", "call +1 555 to go on");
    let page = begun.person.come_back(&begun.host, &back).await;
    assert!(
        !page.says("planted-error") && !page.says("555"),
        "{}",
        page.text
    );
    begun.was_refused("nothing was sent to either").await;
}

#[tokio::test]
async fn a_server_that_gives_itself_out_as_another_is_sent_nothing() {
    let idp = identity_provider(HOUR).await;
    let liar = FakeProvider::start().await;
    liar.claims("issuer", idp.issuer());
    liar.claims("authorization_endpoint", &format!("{}/auth", idp.issuer()));
    let host = liar.host().await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    person.page(&host, &connection.id).await;
    let page = person.choose(&host, &connection.id, "way=consent").await;
    assert!(!page.status.is_success() && !page.status.is_redirection());
    assert!(page.says("nothing was sent to either"), "{}", page.text);
    assert_eq!(host.state(&connection.id).await, ConnectionState::Created);
    assert_eq!(liar.received("/token"), Vec::<String>::new());
}

/// The mix-up of RFC 9700 §4.4: the person is sent to the liar, which sends them on to an honest provider, so that the
/// honest code comes back to where the liar's is awaited.
#[tokio::test]
async fn the_code_of_an_honest_provider_is_not_sent_to_a_liar() {
    let idp = identity_provider(HOUR).await;
    let mut begun = Begun::new().await;
    let mut on = format!("{}/auth", idp.issuer())
        .parse::<url::Url>()
        .unwrap();
    on.query_pairs_mut()
        .extend_pairs(begun.left.query_pairs())
        .append_pair("access_type", "honest");
    let back = idp.login(&on, "alice").await.unwrap();
    assert!(back.query_pairs().any(|(name, _)| name == "code"), "{back}");
    let page = begun.person.come_back(&begun.host, &back).await;
    assert!(page.says("was not connected"), "{}", page.text);
    begun.was_refused("nothing was sent to either").await;
    assert_eq!(idp.stats().await.unwrap().code, 0);
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing() {
    let idp = identity_provider(HOUR).await;
    let mut host = Host::of(&idp).await;
    let connection = host.connect("default", "idp", "").await;
    let mut person = Person::default();
    let left = person.leave(&host, &connection.id).await;
    host.restart().await;
    let back = idp.login(&left, "alice").await.unwrap();
    host.restart().await;
    let page = person.come_back(&host, &back).await;
    assert!(page.says("is connected"), "{}", page.text);
    assert_eq!(
        host.grant("default", "idp").await.account.as_deref(),
        Some("alice@example.test")
    );
}
