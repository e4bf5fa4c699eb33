//! `holster serve` as an OAuth resource server: clients find the issuer by themselves, and its users are apart.

use std::time::Duration;

use bytes::Bytes;
use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer};
use http::{Method, StatusCode};
use identity_provider::{Browser, IdentityProvider, Options};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;
use url::{Position, Url};

use crate::connecting;
use crate::mcp::report;
use crate::serve::{Client, assert_counted_apart, reach_nothing_of_each_other};

/// Where a proxy would lead to the host from.
const PUBLIC: &str = "https://holster.example.test";

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const REDIRECT: &str = "http://127.0.0.1:9/callback";

struct Setting {
    api: LoopbackApi,
    provider: IdentityProvider,
    fixture: Fixture,
}

impl Setting {
    /// A host that trusts an identity provider.
    async fn new(more: &str) -> Self {
        let api = LoopbackApi::start().await.unwrap();
        let provider = IdentityProvider::start(Options::default()).await.unwrap();
        let configuration = format!(
            "connect.public_url = '{PUBLIC}/'\n{more}\n\
             [serve.issuers.company]\nissuer = '{}'\nscopes = ['tools']\n\
             client = {{ id = 'public' }}\n",
            provider.issuer()
        );
        let fixture = connecting::fixture(&api, &configuration);
        Self {
            api,
            provider,
            fixture,
        }
    }

    /// What a client does that knows nothing but the address of MCP, until it has a token of that user.
    async fn token(&self, server: &HttpServer, user: &str, scopes: Option<&str>) -> String {
        let client = Client {
            server,
            authorization: None,
        };
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let refused = client.mcp(None, &ping).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        let challenge = refused.headers["www-authenticate"].to_str().unwrap();
        let (_, place) = challenge.split_once("resource_metadata=\"").unwrap();
        let place = place.split('"').next().unwrap();

        let metadata = client
            .get(place.strip_prefix(PUBLIC).unwrap().trim_matches('/'))
            .await;
        assert_eq!(metadata.status, StatusCode::OK);
        let resource = metadata.body["resource"].as_str().unwrap();
        assert_eq!(resource, format!("{PUBLIC}/mcp"));
        let issuer = metadata.body["authorization_servers"][0].as_str().unwrap();
        let scopes =
            scopes.unwrap_or_else(|| metadata.body["scopes_supported"][0].as_str().unwrap());

        let place = format!("{issuer}/.well-known/oauth-authorization-server");
        let server = Browser::default()
            .get(&place.parse().unwrap())
            .await
            .unwrap();
        let server: Value = serde_json::from_slice(server.body()).unwrap();
        assert_eq!(server["issuer"], issuer);
        let endpoint = |name: &str| server[name].as_str().unwrap().parse::<Url>().unwrap();

        let mut authorize = endpoint("authorization_endpoint");
        authorize
            .query_pairs_mut()
            .append_pair("client_id", "native")
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", REDIRECT)
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", resource)
            .append_pair("scope", scopes);
        let back = self.provider.login(&authorize, user).await.unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code");
        let (_, code) = code.unwrap_or_else(|| panic!("{back}"));
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", "native")
            .append_pair("redirect_uri", REDIRECT)
            .append_pair("code_verifier", VERIFIER)
            .append_pair("resource", resource)
            .append_pair("code", &code)
            .finish();
        let answer = Browser::default()
            .post(&endpoint("token_endpoint"), &[], &form)
            .await;
        let answer: Value = serde_json::from_slice(answer.unwrap().body()).unwrap();
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

fn with_token<'a>(server: &'a HttpServer, token: &str) -> Client<'a> {
    Client {
        server,
        authorization: Some(format!("Bearer {token}")),
    }
}

/// A person's browser at the public pages, which are at the same listener.
struct Person<'a> {
    server: &'a HttpServer,
    browser: Browser,
}

impl Person<'_> {
    async fn send(&mut self, method: Method, url: &Url, form: &str) -> http::Response<Bytes> {
        assert_eq!(url.origin().ascii_serialization(), PUBLIC);
        let here = self
            .server
            .at(url[Position::BeforePath..].trim_start_matches('/'));
        let host = ("host", PUBLIC.strip_prefix("https://").unwrap());
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        let headers = [host, form_type, ("origin", PUBLIC)];
        let headers = if method == Method::GET {
            &headers[..1]
        } else {
            &headers
        };
        self.browser
            .send(method, &here, headers, form)
            .await
            .unwrap()
    }

    /// Shows at the issuer who they are, and is back at the page of a connection.
    async fn sign_in(&mut self, provider: &IdentityProvider, user: &str, page: &Url) -> String {
        let shown = self.send(Method::GET, page, "").await;
        let shown = String::from_utf8_lossy(shown.body()).into_owned();
        assert!(shown.contains("Sign in at company"), "{shown}");
        let id = page.path_segments().unwrap().next_back().unwrap();
        let sign_in = page.join("/sign-in/company").unwrap();
        let form = format!("connection={id}");
        let left = self.send(Method::POST, &sign_in, &form).await;
        let left = left.headers()["location"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let back = provider.login(&left, user).await.unwrap();
        let arrived = self.send(Method::GET, &back, "").await;
        let cookies = arrived.headers().get_all("set-cookie").iter();
        for cookie in cookies.map(|cookie| cookie.to_str().unwrap()) {
            assert!(cookie.starts_with("__Host-holster_"), "{cookie}");
            assert!(
                cookie.contains("; HttpOnly; SameSite=Lax; Secure"),
                "{cookie}"
            );
        }
        let here = arrived.headers()["location"].to_str().unwrap();
        assert_eq!(here, page.path());
        let shown = self.send(Method::GET, page, "").await;
        String::from_utf8_lossy(shown.body()).into_owned()
    }

    /// Opens the page, and enters a key.
    async fn enter(&mut self, page: &Url) {
        self.send(Method::GET, page, "").await;
        let form = "way=enter:api_key&token=work-slack-token";
        let sent = self.send(Method::POST, page, form).await;
        let status = sent.status();
        assert!(status.is_redirection() || status.is_success(), "{status}");
    }
}

fn person(server: &HttpServer) -> Person<'_> {
    Person {
        server,
        browser: Browser::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_the_issuer_by_itself_and_calls() {
    let setting = Setting::new("").await;
    let server = HttpServer::start(&setting.fixture);
    let token = setting.token(&server, "ann", None).await;
    let client = with_token(&server, &token);
    let session = client.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "report", "arguments": report() } });
    let answer = client.mcp(Some(&session), &call).await;
    assert_eq!(
        answer.body["result"]["structuredContent"]["total"], 5.0,
        "{}",
        answer.body
    );
    assert_eq!(client.get("v1/profiles").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_lacks_is_said_and_nothing_is_open_without_one() {
    let setting = Setting::new("").await;
    let server = HttpServer::start(&setting.fixture);
    let lacking = setting.token(&server, "ann", Some("files:read")).await;
    let refused = with_token(&server, &lacking).get("v1/tools").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert_eq!(refused.body["type"], "insufficient_scope");
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    for part in [
        r#"error="insufficient_scope""#,
        r#"scope="tools""#,
        "resource_metadata=",
    ] {
        assert!(challenge.contains(part), "{part} is not in {challenge}");
    }

    let good = setting.token(&server, "ann", None).await;
    let (rest, _) = good.rsplit_once('.').unwrap();
    for authorization in [
        None,
        Some(format!("Bearer {rest}.AAAA")),
        Some(format!("DPoP {good}")),
    ] {
        let client = Client {
            server: &server,
            authorization,
        };
        for path in [
            "v1/tools",
            "v1/accounts",
            "v1/connections",
            "v1/openapi.json",
            "mcp",
            "x",
        ] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(answer.headers.contains_key("www-authenticate"), "{path}");
        }
        // Who issues tokens, everybody may read; by the host's own name.
        let place = ".well-known/oauth-protected-resource";
        let metadata = client.get(place).await;
        assert_eq!(
            metadata.body["resource"],
            format!("{PUBLIC}/"),
            "{}",
            metadata.body
        );
        assert_eq!(
            client.get(&format!("{place}/other")).await.status,
            StatusCode::NOT_FOUND
        );
        let strange = client
            .send(Method::GET, place, &[("host", "evil.example")], "")
            .await;
        assert_eq!(strange.status, StatusCode::FORBIDDEN);
        let strange = client
            .send(
                Method::GET,
                place,
                &[("origin", "https://evil.example")],
                "",
            )
            .await;
        assert_eq!(strange.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_of_an_issuer_reach_nothing_of_each_other() {
    let setting = Setting::new("").await;
    let server = HttpServer::start(&setting.fixture);
    let ann = setting.token(&server, "ann", None).await;
    let bob = setting.token(&server, "bob", None).await;
    let (ann, bob) = (with_token(&server, &ann), with_token(&server, &bob));
    reach_nothing_of_each_other(&ann, &bob, async |page| {
        // Whoever else has the link, it is Ann's.
        let mut other = person(&server);
        other.enter(page).await;
        let shown = other.sign_in(&setting.provider, "bob", page).await;
        assert!(shown.contains("for somebody else"), "{shown}");
        other.enter(page).await;
        let mut own = person(&server);
        let shown = own.sign_in(&setting.provider, "ann", page).await;
        assert!(shown.contains("of <strong>company/ann</strong>"), "{shown}");
        own.enter(page).await;
    })
    .await;
    assert!(!setting.api.take_requests().is_empty());
    // A later token is the same user's.
    let later = setting.token(&server, "ann", None).await;
    let accounts = with_token(&server, &later).get("v1/accounts").await;
    assert_eq!(
        accounts.body["accounts"][0]["provider"], "slack",
        "{}",
        accounts.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_an_issuer_has_so_many_requests_in_a_second() {
    let setting = Setting::new("serve.requests_per_second = 5").await;
    let server = HttpServer::start(&setting.fixture);
    let ann = setting.token(&server, "ann", None).await;
    let bob = setting.token(&server, "bob", None).await;
    let (ann, bob) = (with_token(&server, &ann), with_token(&server, &bob));
    assert_counted_apart(&ann, &bob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_of_the_issuer_are_followed_and_known_ones_go_on_without_it() {
    let setting = Setting::new("").await;
    let server = HttpServer::start(&setting.fixture);
    let mut token = setting.token(&server, "ann", None).await;
    assert_eq!(
        with_token(&server, &token).get("v1/tools").await.status,
        StatusCode::OK
    );
    for algorithm in ["ES256", "PS256", "ES384"] {
        setting.provider.rotate_keys(algorithm).await.unwrap();
        let before = std::mem::replace(&mut token, setting.token(&server, "ann", None).await);
        let client = with_token(&server, &token);
        // An issuer is not asked again at once, whoever wants it.
        let mut status = StatusCode::UNAUTHORIZED;
        for _ in 0..100 {
            status = client.get("v1/tools").await.status;
            if status == StatusCode::OK {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(status, StatusCode::OK, "{algorithm}");
        let with_old_key = with_token(&server, &before).get("v1/tools").await;
        assert_eq!(with_old_key.status, StatusCode::UNAUTHORIZED);
    }
    drop(setting.provider);
    assert_eq!(
        with_token(&server, &token).get("v1/tools").await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_cannot_be_asked_is_not_the_clients_fault() {
    let setting = Setting::new("").await;
    let server = HttpServer::start(&setting.fixture);
    let token = setting.token(&server, "ann", None).await;
    drop(setting.provider);
    let answer = with_token(&server, &token).get("v1/tools").await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.body
    );
}
