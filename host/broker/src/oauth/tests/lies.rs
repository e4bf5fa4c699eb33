//! Answers that no specification knows, and vendors that have their own.

use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use holster_types::{ExposeSecret as _, GrantSecret, Scopes};
use serde_json::{Value, json as value};

use super::fake_server::{FakeServer, Received, Reply, http, json};
use super::*;
use crate::CredentialKind;
use crate::provider::ClientAuth;
use crate::secret_text::to_bytes;

fn client() -> OAuthClient {
    OAuthClient::new("me", Some("s3cret+%:/ä".into()), ClientAuth::Post)
}

fn token_only(url: &str) -> Provider {
    provider(&format!(
        "[oauth]\nauthorize_url = '{url}/auth'\ntoken_url = '{url}/token'"
    ))
}

/// A refresh against a server that gives this answer.
async fn refreshed(reply: Reply) -> Result<Tokens, OAuthError> {
    let server = FakeServer::always(reply).await;
    let provider = token_only(&server.url);
    open(&provider)
        .await
        .refresh(&client(), &"planted-refresh".into(), None)
        .await
}

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const TOKEN: &str = r#"{"access_token":"t","token_type":"bearer"}"#;

/// What a refresh makes of an answer, in words.
async fn outcome(status: u16, content_type: &str, body: &str) -> String {
    match refreshed(http(status, content_type, body)).await {
        Ok(_) => "tokens".to_owned(),
        Err(error) if error.is_invalid_grant() => "invalid grant".to_owned(),
        Err(OAuthError::Refused { error, .. }) => format!("refused {error}"),
        Err(error) if error.is_transient() => "transient".to_owned(),
        Err(OAuthError::Malformed { .. }) => "malformed".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_answer_is_read_whatever_its_status_and_its_form() {
    for (status, content_type, body, expected) in [
        (200, JSON, TOKEN, "tokens"),
        (201, JSON, TOKEN, "tokens"),
        (200, HTML, TOKEN, "tokens"),
        (200, "", TOKEN, "tokens"),
        (
            200,
            "application/x-www-form-urlencoded",
            "access_token=t&scope=a%2Cb",
            "tokens",
        ),
        (200, "text/plain; charset=utf-8", "access_token=t", "tokens"),
        (
            200,
            "application/x-www-form-urlencoded",
            "error=bad_verification_code",
            "refused bad_verification_code",
        ),
        (200, JSON, r#"{"error":"invalid_grant"}"#, "invalid grant"),
        (
            200,
            JSON,
            r#"{"ok":false,"error":"invalid_code"}"#,
            "refused invalid_code",
        ),
        (200, JSON, r#"{"error":null,"access_token":"t"}"#, "tokens"),
        (200, JSON, r#"{"error":"","access_token":"t"}"#, "tokens"),
        (
            200,
            JSON,
            r#"{"error":{"code":"x1","message":"m"}}"#,
            "refused x1",
        ),
        (200, JSON, r#"{"error":7}"#, "refused 7"),
        (
            400,
            JSON,
            r#"{"error":"invalid_grant","error_description":"d"}"#,
            "invalid grant",
        ),
        (
            401,
            JSON,
            r#"{"error":"invalid_client"}"#,
            "refused invalid_client",
        ),
    ] {
        let outcome = outcome(status, content_type, body).await;
        assert_eq!(outcome, expected, "{status} {content_type} {body}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart_from_a_refusal() {
    let large = format!(r#"{{"access_token":"{}"}}"#, "t".repeat(70_000));
    for (status, content_type, body, expected) in [
        (
            400,
            JSON,
            r#"{"error":"temporarily_unavailable"}"#,
            "transient",
        ),
        (400, JSON, TOKEN, "malformed"),
        (400, JSON, r#"{"message":"no"}"#, "malformed"),
        (403, HTML, "<html>blocked</html>", "malformed"),
        (500, JSON, r#"{"error":"invalid_grant"}"#, "transient"),
        (503, HTML, "<html></html>", "transient"),
        (429, JSON, r#"{"error":"invalid_grant"}"#, "transient"),
        (408, JSON, "", "transient"),
        (302, JSON, TOKEN, "malformed"),
        (200, JSON, "", "malformed"),
        (200, JSON, "garbage", "malformed"),
        (200, JSON, "null", "malformed"),
        (200, JSON, "[]", "malformed"),
        (200, JSON, "{}", "malformed"),
        (200, HTML, "<a href='x=y'>", "malformed"),
        (200, JSON, r#"{"access_token":""}"#, "malformed"),
        (200, JSON, r#"{"access_token":7}"#, "malformed"),
        (200, JSON, r#"{"access_token":"a b"}"#, "malformed"),
        (
            200,
            JSON,
            r#"{"access_token":"a\r\nX-Evil: 1"}"#,
            "malformed",
        ),
        (200, JSON, r#"{"access_token":"ä"}"#, "malformed"),
        (200, JSON, &large, "malformed"),
        (
            200,
            JSON,
            r#"{"access_token":"t","refresh_token":7}"#,
            "malformed",
        ),
        (
            200,
            JSON,
            r#"{"access_token":"t","token_type":"DPoP"}"#,
            "malformed",
        ),
    ] {
        let outcome = outcome(status, content_type, body).await;
        assert_eq!(outcome, expected, "{status} {content_type} {body:.80}");
    }
}

#[tokio::test]
async fn what_is_granted_is_read_whole() {
    let answer = value!({
        "access_token": "at", "refresh_token": "rt", "expires_in": "3600", "scope": "a b", "token_type": "Bearer",
    });
    let tokens = refreshed(json(answer)).await.unwrap();
    assert_eq!(tokens.access.expose_secret(), "at");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "rt");
    assert_eq!(tokens.expires_in, Some(3600));
    assert_eq!(tokens.scopes, Some(["a", "b"].into_iter().collect()));
    assert_eq!(tokens.token_type, TokenType::Bearer);

    let bare = value!({ "access_token": "at", "refresh_token": "" });
    let tokens = refreshed(json(bare)).await.unwrap();
    assert!(tokens.refresh.is_none() && tokens.expires_in.is_none() && tokens.scopes.is_none());
}

#[tokio::test]
async fn no_error_repeats_a_secret_or_a_control_character() {
    let echo = |request: &Received| {
        let mut form = request.form();
        let (refresh, secret) = (form.remove("refresh_token"), form.remove("client_secret"));
        let (refresh, secret) = (refresh.unwrap(), secret.unwrap());
        let text = format!(
            "\u{1b}[31m{}\u{0}{} {secret} {} {}",
            &refresh[..5],
            &refresh[5..],
            request.body,
            "x".repeat(10_000)
        );
        http(
            400,
            "application/json",
            value!({ "error": text, "error_description": text }),
        )
    };
    let server = FakeServer::start(echo).await;
    let provider = token_only(&server.url);
    let error = open(&provider)
        .await
        .refresh(&client(), &"planted-refresh".into(), None)
        .await
        .unwrap_err();
    for text in [error.to_string(), format!("{error:?}")] {
        for part in ["planted", "s3cret", "\u{1b}", "\u{0}"] {
            assert!(!text.contains(part), "{part:?} is in: {text}");
        }
        assert!(
            text.contains("[redacted]") && text.chars().count() < 700,
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_redirect_of_the_token_endpoint_is_not_followed() {
    let thief = FakeServer::always(json("{}")).await;
    for status in [301, 302, 303, 307, 308] {
        let reply = Reply::Http {
            status,
            headers: format!("location: {}/token\r\n", thief.url),
            body: String::new(),
        };
        let error = refreshed(reply).await.unwrap_err().to_string();
        assert!(error.contains("not followed"), "{error}");
    }
    assert!(thief.received().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_and_one_that_never_comes_are_given_up() {
    let large = json(format!(r#"{{"access_token":"{}"}}"#, "t".repeat(2 << 20)));
    let error = refreshed(large).await.unwrap_err();
    assert!(
        matches!(&error, OAuthError::Malformed { reason, .. } if reason.contains("1048576")),
        "{error}"
    );

    let server = FakeServer::always(Reply::Late(Duration::from_mins(1))).await;
    let servers = AuthorizationServers::with_http(super::super::http::HttpClient::with_timeout(
        Duration::from_millis(300),
    ));
    let opened = servers
        .open(&token_only(&server.url), &Variables::new())
        .await;
    let error = opened
        .unwrap()
        .refresh(&client(), &"r".into(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            OAuthError::Transient {
                may_have_arrived: true,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_failure_says_whether_the_request_may_have_arrived() {
    let error = refreshed(Reply::Hangup).await.unwrap_err();
    assert!(
        matches!(
            error,
            OAuthError::Transient {
                may_have_arrived: true,
                ..
            }
        ),
        "{error}"
    );

    let gone = FakeServer::always(Reply::Hangup).await.url;
    // The server ended with the statement: nobody listens there.
    let error = open(&token_only(&gone))
        .await
        .refresh(&client(), &"r".into(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            OAuthError::Transient {
                may_have_arrived: false,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_busy_server_may_say_when_to_ask_again() {
    let reply = Reply::Http {
        status: 429,
        headers: "retry-after: 17\r\n".to_owned(),
        body: String::new(),
    };
    let error = refreshed(reply).await.unwrap_err();
    assert!(
        matches!(
            error,
            OAuthError::Transient {
                retry_after: Some(17),
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_clients_secret_is_form_encoded_before_http_basic() {
    let server = FakeServer::always(json(r#"{"access_token":"t"}"#)).await;
    let client = OAuthClient::new("a:b", Some("s +%/ä".into()), ClientAuth::Basic);
    let opened = open(&token_only(&server.url)).await;
    opened.refresh(&client, &"r".into(), None).await.unwrap();
    let request = server.only();
    let pair = STANDARD.encode("a%3Ab:s+%2B%25%2F%C3%A4");
    assert_eq!(request.header("authorization"), format!("Basic {pair}"));
    assert_eq!(request.header("accept"), "application/json");
    assert_eq!(
        request.header("user-agent"),
        concat!("holster/", env!("CARGO_PKG_VERSION"))
    );
    let form = request.form();
    assert_eq!(form["grant_type"], "refresh_token");
    assert!(!form.contains_key("client_id") && !form.contains_key("client_secret"));
}

#[tokio::test]
async fn a_client_without_a_secret_is_a_public_one() {
    let server = FakeServer::always(json(r#"{"access_token":"t"}"#)).await;
    let client = OAuthClient::new("me", None, ClientAuth::Basic);
    let opened = open(&token_only(&server.url)).await;
    opened.refresh(&client, &"r".into(), None).await.unwrap();
    let request = server.only();
    assert_eq!(request.header("authorization"), "");
    assert_eq!(request.form()["client_id"], "me");
}

#[tokio::test]
async fn a_file_says_how_a_request_is_written_and_where_the_answer_holds_what() {
    // As Notion takes it, and as Slack answers.
    let server = FakeServer::always(json(value!({
        "ok": true, "token_type": "bot", "instance_url": "https://acme.x.example",
        "authed_user": { "access_token": "xoxp", "refresh_token": "xoxe", "expires_in": 43200, "scope": "a,b" },
    })))
    .await;
    let provider = provider(&format!(
        r#"[oauth]
        authorize_url = "{0}/auth"
        token_url = "{0}/token"
        refresh_url = "{0}/refresh"
        body = "json"
        scope_separator = ","
        token_params = {{ audience = "api" }}
        token_headers = {{ "X-Version" = "1" }}
        [oauth.response]
        access_token = "/authed_user/access_token"
        refresh_token = "/authed_user/refresh_token"
        expires_in = "/authed_user/expires_in"
        scope = "/authed_user/scope"
        ended = ["invalid_refresh_token"]
        variables = {{ instance = "/instance_url", missing = "/none" }}"#,
        server.url
    ));
    let client = OAuthClient::new("me", Some("s".into()), ClientAuth::Basic);
    let opened = open(&provider).await;
    let tokens = opened.refresh(&client, &"r\"1".into(), None).await.unwrap();
    assert_eq!(tokens.access.expose_secret(), "xoxp");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "xoxe");
    assert_eq!(tokens.expires_in, Some(43200));
    assert_eq!(tokens.scopes, Some(["a", "b"].into_iter().collect()));
    let kept: Vec<_> = tokens.variables.into_iter().collect();
    assert_eq!(
        kept,
        [("instance".to_owned(), "https://acme.x.example".to_owned())]
    );

    let request = server.only();
    assert_eq!(request.path, "/refresh");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(
        request.header("authorization"),
        format!("Basic {}", STANDARD.encode("me:s"))
    );
    assert_eq!(request.header("x-version"), "1");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        body,
        value!({ "grant_type": "refresh_token", "refresh_token": "r\"1", "audience": "api" })
    );
}

#[tokio::test]
async fn what_a_vendor_says_of_an_ended_refresh_token_is_an_invalid_grant() {
    let server = FakeServer::always(json(r#"{"ok":false,"error":"invalid_refresh_token"}"#)).await;
    let mut provider = token_only(&server.url);
    provider.oauth.as_mut().unwrap().response.ended = vec!["invalid_refresh_token".to_owned()];
    let opened = open(&provider).await;
    let error = opened
        .refresh(&client(), &"r".into(), None)
        .await
        .unwrap_err();
    assert!(error.is_invalid_grant(), "{error}");
    assert!(
        error.to_string().contains("invalid_refresh_token"),
        "{error}"
    );
}

fn discovering(issuer: &str) -> Provider {
    provider(&format!("[oauth]\nissuer = '{issuer}'"))
}

#[tokio::test]
async fn a_server_that_gives_itself_out_as_another_is_sent_nothing() {
    let honest = FakeServer::always(json("{}")).await;
    let named = honest.url.clone();
    let liar = FakeServer::start(move |_| {
        json(value!({
            "issuer": named, "authorization_endpoint": format!("{named}/auth"), "token_endpoint": format!("{named}/token"),
        }))
    })
    .await;
    let servers = AuthorizationServers::new();
    let error = servers
        .open(&discovering(&liar.url), &Variables::new())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, OAuthError::Issuer { .. }), "{error}");
    assert!(honest.received().is_empty());
    assert_eq!(liar.received().len(), 1);
}

#[tokio::test]
async fn metadata_that_cannot_be_used_are_refused_with_the_reason() {
    for (metadata, part) in [
        (
            value!({ "token_endpoint": "http://127.0.0.1:1/token" }),
            "127.0.0.1",
        ),
        (
            value!({ "token_endpoint": "https://169.254.169.254/token" }),
            "public",
        ),
        (value!({ "token_endpoint": "nowhere" }), "no address"),
        (value!({}), "token endpoint"),
        (
            value!({ "token_endpoint": "https://y.example/t", "code_challenge_methods_supported": ["plain"] }),
            "PKCE",
        ),
    ] {
        let server = FakeServer::start(move |request| {
            let mut metadata = metadata.clone();
            metadata["issuer"] = format!("http://{}", request.header("host")).into();
            json(metadata)
        })
        .await;
        let servers = AuthorizationServers::new();
        let error = match servers
            .open(&discovering(&server.url), &Variables::new())
            .await
        {
            Err(error) => error,
            Ok(opened) => opened
                .refresh(&client(), &"r".into(), None)
                .await
                .unwrap_err(),
        };
        assert!(
            error.to_string().contains(part),
            "`{part}` is not in: {error}"
        );
    }
}

#[tokio::test]
async fn metadata_are_looked_for_at_each_place_and_kept_for_an_hour() {
    let server = FakeServer::start(|request| {
        let issuer = format!("http://{}/a", request.header("host"));
        match request.path.as_str() {
            "/a/.well-known/openid-configuration" => json(value!({
                "issuer": issuer, "token_endpoint": format!("{issuer}/token"),
            })),
            "/.well-known/openid-configuration/a" => http(200, "text/html", "<html>"),
            "/a/token" => json(r#"{"access_token":"t"}"#),
            _ => http(404, "text/html", ""),
        }
    })
    .await;
    let provider = discovering(&format!("{}/a", server.url));
    let servers = AuthorizationServers::new();
    for _ in 0..2 {
        let opened = servers.open(&provider, &Variables::new()).await.unwrap();
        opened.refresh(&client(), &"r".into(), None).await.unwrap();
    }
    let paths: Vec<_> = server
        .received()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(
        paths,
        [
            "/.well-known/oauth-authorization-server/a",
            "/.well-known/openid-configuration/a",
            "/a/.well-known/openid-configuration",
            "/a/token",
            "/a/token",
        ]
    );
}

#[tokio::test]
async fn what_the_file_says_goes_before_what_the_server_says() {
    let server = FakeServer::start(|request| {
        let issuer = format!("http://{}", request.header("host"));
        match request.path.as_str() {
            "/own" => json(r#"{"access_token":"t"}"#),
            "/revoke" => http(200, "", ""),
            _ => json(value!({
                "issuer": issuer, "token_endpoint": format!("{issuer}/theirs"),
                "revocation_endpoint": format!("{issuer}/revoke"),
            })),
        }
    })
    .await;
    let provider = provider(&format!(
        "[oauth]\nissuer = '{0}'\ntoken_url = '{0}/own'\ndiscover = true",
        server.url
    ));
    let opened = open(&provider).await;
    opened.refresh(&client(), &"r".into(), None).await.unwrap();
    assert!(opened.revoke(&client(), &"at".into(), None).await.unwrap());
    let paths: Vec<_> = server.received().into_iter().map(|one| one.path).collect();
    assert_eq!(paths[1..], ["/own", "/revoke"]);
}

#[tokio::test]
async fn a_failing_issuer_is_a_passing_trouble() {
    let server = FakeServer::always(http(503, "text/html", "")).await;
    let servers = AuthorizationServers::new();
    let error = servers
        .open(&discovering(&server.url), &Variables::new())
        .await
        .err()
        .unwrap();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn tokens_are_revoked_as_each_vendor_wants_it() {
    let me = format!("Basic {}", STANDARD.encode("me:s"));
    for (table, method, path, authorization, body) in [
        (
            "",
            "POST",
            "/revoke",
            me.as_str(),
            "token=rt&token_type_hint=refresh_token",
        ),
        // Slack
        (
            "auth = 'bearer'\nbody = 'empty'\ntoken = 'access'",
            "POST",
            "/revoke",
            "Bearer at",
            "",
        ),
        // Calendly
        (
            "auth = 'post'",
            "POST",
            "/revoke",
            "",
            "token=rt&token_type_hint=refresh_token&client_id=me&client_secret=s",
        ),
        // Twitch
        (
            "auth = 'client_id'\ntoken = 'access'",
            "POST",
            "/revoke",
            "",
            "token=at&token_type_hint=access_token&client_id=me",
        ),
        // GitHub
        (
            "method = 'delete'\nauth = 'basic'\nbody = 'json'\nparam = 'access_token'\ntoken = 'access'",
            "DELETE",
            "/revoke",
            me.as_str(),
            r#"{"access_token":"at"}"#,
        ),
        // Google
        (
            "auth = 'none'",
            "POST",
            "/revoke",
            "",
            "token=rt&token_type_hint=refresh_token",
        ),
    ] {
        let server = FakeServer::always(http(200, "text/html", "")).await;
        let provider = provider(&format!(
            "[oauth]\nauthorize_url = '{0}/a'\ntoken_url = '{0}/t'\nrevoke_url = '{0}/revoke'\n[oauth.revoke]\n{table}",
            server.url
        ));
        let client = OAuthClient::new("me", Some("s".into()), ClientAuth::Basic);
        let opened = open(&provider).await;
        let done = opened
            .revoke(&client, &"at".into(), Some(&"rt".into()))
            .await;
        assert!(done.unwrap());
        let request = server.only();
        assert_eq!(
            (
                &*request.method,
                &*request.path,
                request.header("authorization"),
                &*request.body
            ),
            (method, path, authorization, body),
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_client_without_a_secret_does_not_ask_where_one_is_needed() {
    let server = FakeServer::always(http(404, "application/json", "{}")).await;
    let provider = provider(&format!(
        "[oauth]\nauthorize_url = '{0}/a'\ntoken_url = '{0}/t'\nrevoke_url = '{0}/revoke'\nrevoke = {{ auth = 'basic' }}",
        server.url
    ));
    let client = OAuthClient::new("me", None, ClientAuth::Post);
    let done = open(&provider)
        .await
        .revoke(&client, &"at".into(), None)
        .await;
    assert!(!done.unwrap());
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_token_that_has_ended_is_revoked_and_other_errors_are_told() {
    for (reply, outcome) in [
        (http(200, "", ""), Some(true)),
        (http(204, "", ""), Some(true)),
        (
            http(400, "application/json", r#"{"error":"invalid_token"}"#),
            Some(true),
        ),
        (json(r#"{"ok":false,"error":"token_revoked"}"#), Some(true)),
        (http(404, "text/html", "gone"), Some(true)),
        (
            http(401, "application/json", r#"{"error":"invalid_client"}"#),
            None,
        ),
        (json(r#"{"ok":false,"error":"not_authed"}"#), None),
        (http(403, "text/html", "blocked"), None),
        (http(503, "text/html", ""), None),
    ] {
        let server = FakeServer::always(reply).await;
        let provider = provider(&format!(
            "[oauth]\nauthorize_url = '{0}/a'\ntoken_url = '{0}/t'\nrevoke_url = '{0}/{{client_id}}/token'",
            server.url
        ));
        let opened = open(&provider).await;
        let done = opened.revoke(&client(), &"at".into(), None).await;
        assert_eq!(done.as_ref().ok().copied(), outcome, "{done:?}");
        assert_eq!(server.only().path, "/me/token");
    }
    let nowhere = open(&token_only("https://x.example")).await;
    assert!(!nowhere.revoke(&client(), &"at".into(), None).await.unwrap());
}

#[tokio::test]
async fn an_account_is_named_by_the_provider_whatever_opens_it() {
    use CredentialKind::{ApiKey, Basic, KeyPair, Oauth2};
    let long = "é".repeat(300);
    for (rest, kind, answer, header, expected) in [
        (
            "",
            Oauth2,
            value!({ "user": { "name": "mé" } }),
            "authorization: Bearer s",
            Some("mé"),
        ),
        (
            "",
            Basic,
            value!({ "user": { "name": "m\n\u{1b}e " } }),
            "authorization: Basic s",
            Some("me"),
        ),
        (
            "",
            Oauth2,
            value!({ "user": { "name": 42 } }),
            "authorization: Bearer s",
            Some("42"),
        ),
        (
            "",
            Oauth2,
            value!({ "user": {} }),
            "authorization: Bearer s",
            None,
        ),
        (
            "",
            Oauth2,
            value!({ "user": { "name": "" } }),
            "authorization: Bearer s",
            None,
        ),
        (
            "inject_key = { header = 'X-Key' }",
            ApiKey,
            value!({ "user": { "name": long } }),
            "x-key: s",
            Some(&*format!("{}…", "é".repeat(255))),
        ),
        (
            "inject = { query = 'key' }",
            ApiKey,
            value!({ "user": { "name": "q" } }),
            "",
            Some("q"),
        ),
        (
            "inject = { header = 'X-Key', secret_header = 'X-Second' }",
            KeyPair,
            value!({ "user": { "name": "pair" } }),
            "x-key: s",
            Some("pair"),
        ),
    ] {
        let secret = match kind {
            Basic => GrantSecret::Basic("s".into()),
            KeyPair => GrantSecret::KeyPair {
                key: "s".into(),
                secret: "second".into(),
            },
            _ => GrantSecret::Token("s".into()),
        };
        let second = if kind == KeyPair { "second" } else { "" };
        let server = FakeServer::always(json(answer)).await;
        let text = format!(
            "id = 'x'\ntitle = 'X'\nkinds = ['api_key']\ndoc_url = 'https://x.example/'\n{rest}\n\
             [identity]\nurl = '{}/me?a=b'\npointer = '/user/name'\nheaders = {{ X-Version = '1' }}",
            server.url
        );
        let provider: Provider = toml::from_str(&text).unwrap();
        let found = AuthorizationServers::new()
            .identity(&provider, &Variables::new(), kind, &secret, None)
            .await
            .unwrap();
        assert_eq!(found.as_deref(), expected, "{rest}");
        let request = server.only();
        assert_eq!(
            (&*request.method, request.header("x-version")),
            ("GET", "1")
        );
        assert_eq!(request.header("x-second"), second);
        if let Some((name, value)) = header.split_once(": ") {
            assert_eq!(request.header(name), value);
            assert_eq!(request.path, "/me?a=b");
        } else {
            assert_eq!(request.path, "/me?a=b&key=s");
            assert_eq!(request.header("authorization"), "");
        }
    }
}

#[tokio::test]
async fn a_credential_that_opens_nothing_is_refused_and_not_repeated() {
    let server = FakeServer::always(http(401, "text/html", "planted")).await;
    let text = format!(
        "id = 'x'\ntitle = 'X'\nkinds = ['api_key']\ndoc_url = 'https://x.example/'\ninject = {{ query = 'key' }}\n\
         [identity]\nurl = '{}/me'\npointer = '/name'\nbody = '{{}}'",
        server.url
    );
    let provider: Provider = toml::from_str(&text).unwrap();
    let error = AuthorizationServers::new()
        .identity(
            &provider,
            &Variables::new(),
            CredentialKind::ApiKey,
            &GrantSecret::Token("planted".into()),
            None,
        )
        .await
        .unwrap_err();
    assert!(
        matches!(&error, OAuthError::Refused { error, .. } if error == "HTTP 401"),
        "{error}"
    );
    assert!(!error.to_string().contains("planted"), "{error}");
    assert_eq!(
        (&*server.only().method, &*server.only().body),
        ("POST", "{}")
    );
}

#[tokio::test]
async fn a_device_waits_as_long_as_the_server_says() {
    let poll = |reply: Reply| async move {
        let server = FakeServer::start(move |request| match request.path.as_str() {
            "/device" => json(value!({
                "device_code": "planted", "user_code": "AB\u{1b}CD", "verification_url": "https://x.example/device",
                "expires_in": 60, "interval": "7",
            })),
            _ => reply.clone(),
        })
        .await;
        let provider = provider(&format!(
            "[oauth]\ntoken_url = '{0}/token'\nauthorize_url = '{0}/a'\ndevice_url = '{0}/device'\n\
             default_scopes = ['a']\ndevice_scope_param = 'scopes'",
            server.url
        ));
        let opened = open(&provider).await;
        let client = OAuthClient::new("me", None, ClientAuth::None);
        let started = opened
            .device_start(&client, &["b"].into_iter().collect())
            .await
            .unwrap();
        assert_eq!(started.user_code, "ABCD");
        assert_eq!((started.interval, started.expires_in), (7, 60));
        assert!(!format!("{started:?}").contains("planted"));
        let started = serde_json::from_slice::<DeviceAuthorization>(&to_bytes(&started)).unwrap();
        let polled = opened
            .device_poll(&client, &started, started.interval)
            .await;
        let received = server.received();
        assert_eq!(received.len(), 2, "one question, one request");
        let (first, second) = (received[0].form(), received[1].form());
        assert_eq!((&*first["scopes"], &*first["client_id"]), ("a b", "me"));
        assert_eq!(&*second["device_code"], "planted");
        polled
    };
    let error = |name: &str| http(400, "application/json", value!({ "error": name }));
    let polled = poll(error("authorization_pending")).await.unwrap();
    assert!(
        matches!(polled, DevicePoll::Pending { interval: 7 }),
        "{polled:?}"
    );
    let polled = poll(error("slow_down")).await.unwrap();
    assert!(
        matches!(polled, DevicePoll::Pending { interval: 12 }),
        "{polled:?}"
    );
    for refusal in ["access_denied", "expired_token"] {
        let polled = poll(error(refusal)).await.unwrap();
        let DevicePoll::Refused(error) = polled else {
            panic!("{polled:?}");
        };
        assert!(error.to_string().contains(refusal), "{error}");
    }
    let polled = poll(json(r#"{"access_token":"t"}"#)).await.unwrap();
    assert!(matches!(polled, DevicePoll::Tokens(_)), "{polled:?}");
    assert!(poll(Reply::Hangup).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_person_is_sent_only_to_a_page() {
    for page in [
        "javascript:alert(1)",
        "http://x.example/",
        "file:///etc/passwd",
        "here",
        "",
    ] {
        let answer = value!({ "device_code": "d", "user_code": "u", "verification_uri": page });
        let server = FakeServer::always(json(answer)).await;
        let provider = provider(&format!(
            "[oauth]\ntoken_url = '{0}/t'\nauthorize_url = '{0}/a'\ndevice_url = '{0}/d'",
            server.url
        ));
        let client = OAuthClient::new("me", None, ClientAuth::None);
        let started = open(&provider)
            .await
            .device_start(&client, &Scopes::default())
            .await;
        assert!(
            matches!(started, Err(OAuthError::Malformed { .. })),
            "{page}: {started:?}"
        );
    }
}
