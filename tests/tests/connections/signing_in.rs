//! Links of users whom this host knows: each is for one of them, whoever else gets it (RFC 9700, and its update on
//! sessions). They show who they are by a key, or at a real issuer.

use holster_core::broker::{Connection, ConnectionState};
use http::header::SET_COOKIE;
use http::{Method, StatusCode};
use identity_provider::IdentityProvider;
use url::Url;

use crate::setting::{HOUR, Host, Page, Person, identity_provider, parameter};

/// The key of Ann's agent.
pub(crate) const KEY: &str = "holster_key-of-ann";

/// A host that knows the users of an identity provider as `company/NAME`, and the key of `ann`.
pub(crate) async fn host(idp: &IdentityProvider) -> Host {
    let digest = holster_core::types::KeyDigest::of(KEY);
    let issuer = idp.issuer();
    Host::of_users(
        idp,
        &format!(
            "[serve.keys.agent]\nsha256 = '{digest}'\ntenant = 'ann'\n\
             [serve.keys.narrow]\nsha256 = '{}'\ntenant = 'ann'\nprofile = 'work'\n\
             [serve.issuers.company]\nissuer = '{issuer}'\nclient = {{ id = 'native' }}\n",
            holster_core::types::KeyDigest::of("holster_narrow"),
        ),
    )
    .await
}

/// A link of that user for that profile, and somebody who has it.
async fn linked(tenant: &str, profile: &str) -> (IdentityProvider, Host, Connection, Person) {
    let idp = identity_provider(HOUR).await;
    let host = host(&idp).await;
    let connection = host.connect_for(tenant, profile, "idp").await;
    (idp, host, connection, Person::default())
}

impl Person {
    /// Sends the form of a person who signs in.
    async fn sign_in(&mut self, host: &Host, path: &str, form: &str) -> Page {
        let origin = host.origin();
        let headers = [("origin", origin.as_str())];
        let sent = self.browser.post(&host.at(path), &headers, form).await;
        sent.unwrap().into()
    }

    /// Is sent to the issuer: this is where.
    async fn leave_to_sign_in(&mut self, host: &Host, connection: &Connection) -> Url {
        let page = self.page(host, &connection.id).await;
        assert!(page.says("Sign in at company"), "{}", page.text);
        let form = format!("connection={}", connection.id);
        let sent = self.sign_in(host, "sign-in/company", &form).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        sent.location().parse().unwrap()
    }

    /// Signs in at the issuer under that name, and is back at the page of the connection.
    async fn sign_in_as(
        &mut self,
        name: &str,
        idp: &IdentityProvider,
        host: &Host,
        connection: &Connection,
    ) -> Page {
        let left = self.leave_to_sign_in(host, connection).await;
        let back = idp.login(&left, name).await.unwrap();
        self.come_back(host, &back).await
    }
}

#[tokio::test]
async fn a_link_of_a_user_says_nothing_to_who_has_not_signed_in() {
    let (_idp, host, connection, mut somebody) = linked("ann", "private-profile").await;
    let page = somebody.page(&host, &connection.id).await;
    assert_eq!(page.status, StatusCode::OK);
    for private in ["private-profile", "ann", "Provider idp", "way="] {
        assert!(!page.says(private), "`{private}` in {}", page.text);
    }
    for form in [
        "way=consent",
        "way=device",
        "way=enter:api_key&token=theirs",
    ] {
        let sent_on = somebody.choose(&host, &connection.id, form).await;
        assert_eq!(sent_on.location(), format!("/connect/{}", connection.id));
    }
    assert_eq!(host.state(&connection.id).await, ConnectionState::Created);

    // The user of this machine is whoever reaches its pages.
    let local = host.connect("default", "idp", "").await;
    let page = somebody.page(&host, &local.id).await;
    assert!(page.says("Connect Provider idp"), "{}", page.text);
}

#[tokio::test]
async fn a_user_signs_in_at_the_issuer_and_connects_an_account() {
    let idp = identity_provider(HOUR).await;
    let mut host = host(&idp).await;
    let connection = host.connect_for("company/alice", "work", "idp").await;
    let mut alice = Person::default();
    let left = alice.leave_to_sign_in(&host, &connection).await;
    // All else was left at the issuer beforehand (RFC 9126).
    assert_eq!(parameter(&left, "client_id"), "native");
    assert_eq!(idp.stats().await.unwrap().par, 1);
    // What a restart, or another replica, makes no difference to.
    host.restart().await;
    let back = idp.login(&left, "alice").await.unwrap();
    let page = alice.come_back(&host, &back).await;
    assert!(page.says("Connect Provider idp"), "{}", page.text);
    host.restart().await;
    let left = alice.leave(&host, &connection.id).await;
    let back = idp.login(&left, "alice").await.unwrap();
    let page = alice.come_back(&host, &back).await;
    assert!(page.says("is connected"), "{}", page.text);
    assert!(page.says("company/alice"), "{}", page.text);
    // The same link tells nobody else how it ended.
    let page = Person::default().page(&host, &connection.id).await;
    assert!(!page.says("alice"), "{}", page.text);
}

#[tokio::test]
async fn a_forwarded_link_connects_no_account_of_somebody_else() {
    let (idp, host, mallory, mut alice) = linked("company/mallory", "mallorys").await;
    let page = alice.sign_in_as("alice", &idp, &host, &mallory).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.says("for somebody else"), "{}", page.text);
    assert!(page.says("company/alice"), "{}", page.text);
    for private in ["mallory", "Provider idp", "way="] {
        assert!(!page.says(private), "`{private}` in {}", page.text);
    }
    let form = "way=enter:api_key&token=an-account-of-alice";
    let sent_on = alice.choose(&host, &mallory.id, form).await;
    assert_eq!(sent_on.location(), format!("/connect/{}", mallory.id));
    assert_eq!(host.state(&mallory.id).await, ConnectionState::Created);
    // Nor does a link of somebody whose name begins alike.
    let other = host.connect_for("alice", "default", "idp").await;
    let page = alice.page(&host, &other.id).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    // Where she has another name, the issuer asks for it, whatever it remembers.
    assert!(page.says("name=\"anew\" value=\"yes\""), "{}", page.text);
    let form = format!("connection={}&anew=yes", mallory.id);
    let sent = alice.sign_in(&host, "sign-in/company", &form).await;
    let asked = idp
        .login(&sent.location().parse().unwrap(), "mallory")
        .await;
    let page = alice.come_back(&host, &asked.unwrap()).await;
    assert!(
        page.says("of <strong>company/mallory</strong>"),
        "{}",
        page.text
    );
    let mut alice = Person::default();
    alice.sign_in_as("alice", &idp, &host, &mallory).await;
    // Her own link is open to her.
    let own = host.connect_for("company/alice", "default", "idp").await;
    let page = alice.page(&host, &own.id).await;
    assert!(page.says("Connect Provider idp"), "{}", page.text);
}

#[tokio::test]
async fn a_user_signs_in_by_a_key_and_is_then_known_by_another_browser_than_before() {
    let (_idp, host, connection, mut ann) = linked("ann", "default").await;
    ann.page(&host, &connection.id).await;
    let before = ann.clone();
    let form = |key: &str| format!("connection={}&key={key}", connection.id);
    for wrong in ["holster_key-of-bob", "", "holster_key-of-an"] {
        let page = ann.sign_in(&host, "sign-in", &form(wrong)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(page.says("not known here"), "{}", page.text);
    }
    let page = ann
        .sign_in(&host, "sign-in", &form(&format!("+{KEY}+")))
        .await;
    assert_eq!(page.location(), format!("/connect/{}", connection.id));
    let cookies: Vec<_> = page.headers.get_all(SET_COOKIE).iter().collect();
    assert!(!cookies.is_empty());
    for cookie in cookies {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        assert!(!cookie.contains(KEY), "{cookie}");
    }
    let page = ann.page(&host, &connection.id).await;
    assert!(page.says("Connect Provider idp"), "{}", page.text);

    // Whoever gave her the cookie that she had before is not her now.
    let mut giver = before;
    let page = giver.page(&host, &connection.id).await;
    assert!(page.says("Sign in to go on"), "{}", page.text);
    // Nor is who has what shows that she signed in, and not the browser.
    let visit = page_cookie(&mut ann, &host, &connection).await;
    let stolen = [("cookie", visit.as_str())];
    let url = host.at(&format!("connect/{}", connection.id));
    let page = giver.browser.send(Method::GET, &url, &stolen, "").await;
    let page = Page::from(page.unwrap());
    assert!(page.says("Sign in to go on"), "{}", page.text);
}

/// What a new sign-in makes a browser keep as `holster_visit`.
async fn page_cookie(person: &mut Person, host: &Host, connection: &Connection) -> String {
    let form = format!("connection={}&key={KEY}", connection.id);
    let page = person.sign_in(host, "sign-in", &form).await;
    let cookies = page.headers.get_all(SET_COOKIE).iter();
    let mut pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    let visit = pairs.find(|pair| pair.starts_with("holster_visit="));
    visit.expect("a visit").to_owned()
}

#[tokio::test]
async fn a_key_for_one_profile_opens_no_link_of_another_one() {
    let idp = identity_provider(HOUR).await;
    let host = host(&idp).await;
    let work = host.connect_for("ann", "work", "idp").await;
    let private = host.connect_for("ann", "private", "idp").await;
    let mut program = Person::default();
    let form = format!("connection={}&key=holster_narrow", work.id);
    program.sign_in(&host, "sign-in", &form).await;
    let page = program.page(&host, &work.id).await;
    assert!(page.says("Connect Provider idp"), "{}", page.text);
    let page = program.page(&host, &private.id).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        page.says("for the profile <strong>work</strong> alone"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn an_issuers_answer_counts_once_and_where_it_was_asked_for() {
    let (idp, host, connection, mut alice) = linked("company/alice", "work").await;
    let left = alice.leave_to_sign_in(&host, &connection).await;
    let back = idp.login(&left, "alice").await.unwrap();
    let altered = |name: &str, value: &str| {
        let mut url = back.clone();
        let others = back.query_pairs().filter(|(known, _)| known != name);
        let others: Vec<(String, String)> = others
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(others);
        if !value.is_empty() {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    };
    // Another browser, which is itself on the way to the issuer.
    let mut mallory = Person::default();
    mallory.leave_to_sign_in(&host, &connection).await;
    for mut stranger in [Person::default(), mallory] {
        assert_eq!(stranger.open(&back).await.status, StatusCode::NOT_FOUND);
    }
    for unknown in [
        altered("state", ""),
        altered("state", "guessed"),
        host.at("sign-in/other/callback"),
    ] {
        let page = alice.open(&unknown).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    for refused in [
        altered("iss", ""),
        altered("iss", "https://evil.example"),
        altered("code", ""),
    ] {
        let page = alice.open(&refused).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{refused}");
        assert!(page.says("You are not signed in"), "{}", page.text);
    }
    assert_eq!(idp.stats().await.unwrap().code, 0, "no code was given away");
    let mut again = alice.clone();
    let page = alice.come_back(&host, &back).await;
    assert!(page.says("Connect Provider idp"), "{}", page.text);
    assert_eq!(alice.open(&back).await.status, StatusCode::NOT_FOUND);
    let page = again.open(&back).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
}

#[tokio::test]
async fn who_is_not_let_in_by_the_issuer_is_not_signed_in() {
    let (idp, host, connection, mut alice) = linked("company/alice", "work").await;
    let left = alice.leave_to_sign_in(&host, &connection).await;
    let back = idp.refuse(&left, "alice").await.unwrap();
    assert!(back.query().unwrap().contains("error="), "{back}");
    let page = alice.open(&back).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.says("<code>access_denied</code>"), "{}", page.text);
    let page = alice.page(&host, &connection.id).await;
    assert!(page.says("Sign in to go on"), "{}", page.text);
}

#[tokio::test]
async fn forms_of_other_sites_sign_nobody_in() {
    let (_idp, host, connection, mut ann) = linked("ann", "work").await;
    ann.page(&host, &connection.id).await;
    let form = format!("connection={}&key={KEY}", connection.id);
    for path in ["sign-in", "sign-in/company"] {
        for origin in ["", "null", "https://evil.example"] {
            let headers = [("origin", origin)];
            let url = host.at(path);
            let page: Page = ann
                .browser
                .post(&url, &headers, &form)
                .await
                .unwrap()
                .into();
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {origin}");
            assert!(page.headers.get(SET_COOKIE).is_none());
        }
        let page = ann.open(&host.at(path)).await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    for (form, status) in [
        (format!("key={KEY}"), StatusCode::BAD_REQUEST),
        (format!("{form}&key=other"), StatusCode::BAD_REQUEST),
        (format!("{form}&anew=yes&anew=yes"), StatusCode::BAD_REQUEST),
        (
            format!("connection=//evil.example&key={KEY}"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{form}&to=https://evil.example"),
            StatusCode::BAD_REQUEST,
        ),
        ("x".repeat(100_000), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let page = ann.sign_in(&host, "sign-in", &form).await;
        assert_eq!(page.status, status, "{}", page.text);
    }
    let page = ann.sign_in(&host, "sign-in/unknown", &form).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_signs_nobody_in_and_the_link_stays() {
    let (idp, host, connection, mut alice) = linked("company/alice", "work").await;
    let left = alice.leave_to_sign_in(&host, &connection).await;
    let back = idp.login(&left, "alice").await.unwrap();
    drop(idp);
    let page = alice.open(&back).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    assert!(page.says("You are not signed in"), "{}", page.text);
    assert!(!page.says(&parameter(&back, "code")), "{}", page.text);
    assert_eq!(host.state(&connection.id).await, ConnectionState::Created);
}
