//! The protocol against a real authorisation server.

use std::collections::HashMap;

use holster_types::{ExposeSecret as _, GrantSecret, Scopes, SecretString};
use identity_provider::{DOCUMENT_CLIENT, IdentityProvider, Options};

use super::*;
use crate::CredentialKind;
use crate::provider::ClientAuth;
use crate::secret_text::to_bytes;

const NATIVE_REDIRECT: &str = "http://127.0.0.1:49321/callback";
/// The one that the confidential clients are registered with.
const WEB_REDIRECT: &str = "http://127.0.0.1:9666/callback";

async fn start() -> IdentityProvider {
    IdentityProvider::start(Options::default()).await.unwrap()
}

/// The server by its issuer alone, with `rest` in the table.
fn discovering(idp: &IdentityProvider, rest: &str) -> Provider {
    provider(&format!(
        "[oauth]\nissuer = '{0}'\ndefault_scopes = ['openid', 'offline_access', 'email']\n\
         authorize_params = {{ prompt = 'consent' }}\n{rest}\n\
         [identity]\nurl = '{0}/me'\npointer = '/email'",
        idp.issuer()
    ))
}

fn public(id: &str) -> OAuthClient {
    OAuthClient::new(id, None, ClientAuth::None)
}

fn url(text: &str) -> url::Url {
    text.parse().unwrap()
}

struct Callback {
    code: SecretString,
    state: String,
    iss: Option<String>,
}

/// What the browser brings back after `alice` consented.
async fn consent(idp: &IdentityProvider, authorization: &Authorization) -> Callback {
    let back = idp.login(authorization.url(), "alice").await.unwrap();
    assert!(
        back.as_str().starts_with(authorization.redirect.as_str()),
        "{back}"
    );
    let mut query: HashMap<_, _> = back.query_pairs().into_owned().collect();
    Callback {
        code: query
            .remove("code")
            .unwrap_or_else(|| panic!("{back}"))
            .into(),
        state: query.remove("state").unwrap(),
        iss: query.remove("iss"),
    }
}

/// The whole way from nothing to tokens.
async fn connect(
    idp: &IdentityProvider,
    server: &AuthorizationServer,
    client: &OAuthClient,
    redirect: &str,
) -> (Authorization, Tokens) {
    let authorization = server
        .authorize(client, &Scopes::default(), &url(redirect))
        .await
        .unwrap();
    // A connection outlives the process that began it.
    let authorization: Authorization = serde_json::from_slice(&to_bytes(&authorization)).unwrap();
    let callback = consent(idp, &authorization).await;
    assert_eq!(callback.state, authorization.state.expose_secret());
    authorization
        .check_callback(callback.iss.as_deref())
        .unwrap();
    let tokens = server
        .exchange(client, &authorization, &callback.code)
        .await
        .unwrap();
    (authorization, tokens)
}

#[tokio::test]
async fn a_person_consents_and_tokens_are_renewed_and_revoked() {
    let idp = start().await;
    let provider = discovering(&idp, "");
    let server = open(&provider).await;
    let client = public("native");
    let (authorization, tokens) = connect(&idp, &server, &client, NATIVE_REDIRECT).await;
    assert_eq!(authorization.issuer.as_deref(), Some(idp.issuer()));
    assert_eq!(tokens.expires_in, Some(300));
    assert!(
        tokens
            .scopes
            .as_ref()
            .unwrap()
            .include(&["openid", "email"].into_iter().collect())
    );
    let account = AuthorizationServers::new()
        .identity(
            &provider,
            &Variables::new(),
            CredentialKind::Oauth2,
            &GrantSecret::Token(tokens.access.clone()),
            None,
        )
        .await;
    assert_eq!(account.unwrap().as_deref(), Some("alice@example.test"));

    let first = tokens.refresh.unwrap();
    let renewed = server.refresh(&client, &first, None).await.unwrap();
    let second = renewed.refresh.unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
    let replayed = server.refresh(&client, &first, None).await.unwrap_err();
    assert!(replayed.is_invalid_grant(), "{replayed}");
    let family = server.refresh(&client, &second, None).await.unwrap_err();
    assert!(family.is_invalid_grant(), "{family}");

    let (_, tokens) = connect(&idp, &server, &client, NATIVE_REDIRECT).await;
    let refresh = tokens.refresh.unwrap();
    assert!(
        server
            .revoke(&client, &tokens.access, Some(&refresh))
            .await
            .unwrap()
    );
    let revoked = server.refresh(&client, &refresh, None).await.unwrap_err();
    assert!(revoked.is_invalid_grant(), "{revoked}");
    assert!(
        server
            .revoke(&client, &tokens.access, Some(&refresh))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_and_only_once() {
    let idp = start().await;
    let server = open(&discovering(&idp, "")).await;
    let client = public("native");
    let redirect = url(NATIVE_REDIRECT);
    let begin = async || {
        server
            .authorize(&client, &Scopes::default(), &redirect)
            .await
            .unwrap()
    };
    let (mine, other) = (begin().await, begin().await);
    assert_ne!(mine.state.expose_secret(), other.state.expose_secret());
    let stolen = consent(&idp, &mine).await.code;
    let error = server.exchange(&client, &other, &stolen).await.unwrap_err();
    assert!(error.is_invalid_grant(), "{error}");

    let mine = begin().await;
    let code = consent(&idp, &mine).await.code;
    server.exchange(&client, &mine, &code).await.unwrap();
    let error = server.exchange(&client, &mine, &code).await.unwrap_err();
    assert!(error.is_invalid_grant(), "{error}");
}

#[tokio::test]
async fn a_callback_of_another_issuer_or_of_none_is_refused() {
    let idp = start().await;
    let server = open(&discovering(&idp, "")).await;
    let client = public("native");
    let authorization = server
        .authorize(&client, &Scopes::default(), &url(NATIVE_REDIRECT))
        .await
        .unwrap();
    assert!(authorization.check_callback(Some(idp.issuer())).is_ok());
    let slash = format!("{}/", idp.issuer());
    for iss in [None, Some("https://evil.example"), Some(&*slash), Some("")] {
        let error = authorization.check_callback(iss).unwrap_err();
        assert!(
            matches!(error, OAuthError::Issuer { .. }),
            "{iss:?}: {error}"
        );
    }

    // Where nobody promised that the answer names its issuer, it may do without, and may still not name another.
    let plain = provider(&format!(
        "[oauth]\nauthorize_url = '{0}/auth'\ntoken_url = '{0}/token'\nissuer = '{0}'",
        idp.issuer()
    ));
    let plain = open(&plain)
        .await
        .authorize(&client, &Scopes::default(), &url(NATIVE_REDIRECT))
        .await
        .unwrap();
    assert!(plain.check_callback(None).is_ok());
    assert!(plain.check_callback(Some("https://evil.example")).is_err());

    // A code that was begun at one server is not taken to another.
    let elsewhere = start().await;
    let other = open(&discovering(&elsewhere, "")).await;
    let error = other
        .exchange(&client, &authorization, &"code".into())
        .await
        .unwrap_err();
    assert!(matches!(error, OAuthError::Issuer { .. }), "{error}");
    assert_eq!(elsewhere.stats().await.unwrap().token, 0);
}

#[tokio::test]
async fn a_person_who_refuses_comes_back_with_an_error() {
    let idp = start().await;
    let server = open(&discovering(&idp, "")).await;
    let authorization = server
        .authorize(&public("native"), &Scopes::default(), &url(NATIVE_REDIRECT))
        .await
        .unwrap();
    let back = idp.refuse(authorization.url(), "alice").await.unwrap();
    let query: HashMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!(query["error"], "access_denied");
    assert_eq!(query["state"], authorization.state.expose_secret());
    authorization.check_callback(Some(&query["iss"])).unwrap();
}

#[tokio::test]
async fn parameters_are_left_beforehand_wherever_that_is_known() {
    let idp = start().await;
    let client = public("par-only");
    let server = open(&discovering(&idp, "")).await;
    let (authorization, _) = connect(&idp, &server, &client, NATIVE_REDIRECT).await;
    assert_eq!(idp.stats().await.unwrap().par, 1);
    let names: Vec<_> = authorization
        .url()
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    assert_eq!(names, ["client_id", "request_uri"]);

    let by_file = provider(&format!(
        "[oauth]\nauthorize_url = '{0}/auth'\ntoken_url = '{0}/token'\npar_url = '{0}/request'\ndefault_scopes = ['openid']",
        idp.issuer()
    ));
    connect(&idp, &open(&by_file).await, &client, NATIVE_REDIRECT).await;
    assert_eq!(idp.stats().await.unwrap().par, 2);
}

#[tokio::test]
async fn a_device_gets_tokens_after_a_person_consented_elsewhere() {
    let idp = start().await;
    let server = open(&discovering(&idp, "")).await;
    let client = public("native");
    let device = server
        .device_start(&client, &Scopes::default())
        .await
        .unwrap();
    assert_eq!((device.interval, device.expires_in), (5, 120));
    let polled = server
        .device_poll(&client, &device, device.interval)
        .await
        .unwrap();
    assert!(
        matches!(polled, DevicePoll::Pending { interval: 5 }),
        "{polled:?}"
    );
    assert_eq!(idp.stats().await.unwrap().device, 1);

    let page = device.verification_uri_complete.as_ref().unwrap();
    idp.login(page, "alice").await.unwrap();
    let polled = server
        .device_poll(&client, &device, device.interval)
        .await
        .unwrap();
    assert!(
        matches!(&polled, DevicePoll::Tokens(tokens) if tokens.refresh.is_some()),
        "{polled:?}"
    );
}

#[tokio::test]
async fn tokens_are_bound_to_a_key_also_where_the_server_wants_its_nonce() {
    for (dpop_nonce, requests) in [(false, 1), (true, 2)] {
        let options = Options {
            dpop_nonce,
            ..Options::default()
        };
        let idp = IdentityProvider::start(options).await.unwrap();
        let provider = discovering(&idp, "dpop = true");
        let server = open(&provider).await;
        let client = public("dpop");
        let (authorization, tokens) = connect(&idp, &server, &client, NATIVE_REDIRECT).await;
        assert_eq!(tokens.token_type, TokenType::Dpop);
        assert_eq!(idp.stats().await.unwrap().token, requests);
        let key = authorization.dpop_key.unwrap();
        let identity = async |key| {
            let servers = AuthorizationServers::new();
            let variables = Variables::new();
            servers
                .identity(
                    &provider,
                    &variables,
                    CredentialKind::Oauth2,
                    &GrantSecret::Token(tokens.access.clone()),
                    key,
                )
                .await
        };
        assert_eq!(
            identity(Some(&key)).await.unwrap().as_deref(),
            Some("alice@example.test")
        );
        assert!(
            identity(None).await.is_err(),
            "a copy of the token is of no use"
        );
        assert!(identity(Some(&DpopKey::generate())).await.is_err());

        let refresh = tokens.refresh.clone().unwrap();
        let stolen = server
            .refresh(&client, &refresh, Some(&DpopKey::generate()))
            .await
            .unwrap_err();
        assert!(matches!(stolen, OAuthError::Refused { .. }), "{stolen}");
        let renewed = server.refresh(&client, &refresh, Some(&key)).await.unwrap();
        assert_eq!(renewed.token_type, TokenType::Dpop);
    }
}

#[tokio::test]
async fn a_token_that_is_not_bound_is_refused_where_it_has_to_be() {
    let idp = start().await;
    let server = open(&discovering(&idp, "")).await;
    let client = public("native");
    let (_, tokens) = connect(&idp, &server, &client, NATIVE_REDIRECT).await;
    // The server binds whatever it is shown a proof for; one that does not is made up.
    let ignorant = super::fake_server::FakeServer::always(super::fake_server::json(
        r#"{"access_token":"t","token_type":"Bearer"}"#,
    ))
    .await;
    let bound = provider(&format!(
        "[oauth]\nauthorize_url = '{0}/a'\ntoken_url = '{0}/t'\ndpop = true",
        ignorant.url
    ));
    let key = DpopKey::generate();
    let error = open(&bound)
        .await
        .refresh(&client, &tokens.refresh.unwrap(), Some(&key))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not bound"), "{error}");
}

#[tokio::test]
async fn a_client_registers_itself_and_can_be_used() {
    let idp = start().await;
    let server = open(&discovering(&idp, "registration = 'dynamic'")).await;
    let registered = server
        .client(None, None, &[url("http://127.0.0.1/callback")])
        .await
        .unwrap();
    assert!(registered.new && registered.client.auth == ClientAuth::None);
    connect(&idp, &server, &registered.client, NATIVE_REDIRECT).await;

    let refused = server
        .client(None, None, &[url("ftp://x.example/")])
        .await
        .unwrap_err();
    assert!(matches!(refused, OAuthError::Refused { .. }), "{refused}");
    assert_eq!(idp.stats().await.unwrap().register, 2);
}

#[tokio::test]
async fn a_registered_client_goes_before_a_document_and_that_before_a_registration() {
    let idp = start().await;
    let server = open(&discovering(&idp, "registration = 'dynamic'")).await;
    let document = url(DOCUMENT_CLIENT);
    let configured = server
        .client(Some(public("native")), Some(&document), &[])
        .await
        .unwrap();
    assert_eq!(configured.client.id, "native");
    let by_document = server.client(None, Some(&document), &[]).await.unwrap();
    assert_eq!(
        (&*by_document.client.id, by_document.new),
        (DOCUMENT_CLIENT, false)
    );
    connect(&idp, &server, &by_document.client, NATIVE_REDIRECT).await;
    assert_eq!(idp.stats().await.unwrap().register, 0);

    let manual = open(&discovering(&idp, "")).await;
    let error = manual
        .client(None, None, &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("register one with the vendor"), "{error}");
}

#[tokio::test]
async fn tokens_are_for_the_resource_that_the_file_names() {
    let idp = start().await;
    let provider = discovering(
        &idp,
        "resource = 'https://mcp.example.test/mcp'\ntoken_params = { scope = 'files:read' }",
    );
    let server = open(&provider).await;
    let client = public("native");
    let wanted = ["files:read"].into_iter().collect();
    let authorization = server
        .authorize(&client, &wanted, &url(NATIVE_REDIRECT))
        .await
        .unwrap();
    let code = consent(&idp, &authorization).await.code;
    let tokens = server
        .exchange(&client, &authorization, &code)
        .await
        .unwrap();
    assert_eq!(tokens.scopes, Some(wanted));
    server
        .refresh(&client, &tokens.refresh.unwrap(), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_confidential_client_shows_its_secret_as_the_server_wants_it() {
    let idp = start().await;
    for (id, secret, way) in [
        ("conf-basic", "basic secret+%:/", "basic"),
        ("conf-post", "post-secret", "post"),
    ] {
        let table = format!("client_auth = '{way}'\nresource = 'https://api.example.test/'");
        let provider = discovering(&idp, &table);
        let auth = provider.oauth.as_ref().unwrap().client_auth;
        let server = open(&provider).await;
        let client = OAuthClient::new(id, Some(secret.into()), auth);
        let wanted: Scopes = ["files:read"].into_iter().collect();
        let tokens = server
            .client_credentials(&client, &wanted, None)
            .await
            .unwrap();
        assert_eq!(tokens.scopes, Some(wanted.clone()));

        let wrong = OAuthClient::new(id, Some("planted-secret".into()), auth);
        let error = server
            .client_credentials(&wrong, &wanted, None)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, OAuthError::Refused { error, .. } if error == "invalid_client"),
            "{error}"
        );

        // The person's way: parameters left beforehand, exchange, refresh, revocation, each with the secret.
        let server = open(&discovering(&idp, &format!("client_auth = '{way}'"))).await;
        let (_, tokens) = connect(&idp, &server, &client, WEB_REDIRECT).await;
        let renewed = server
            .refresh(&client, &tokens.refresh.unwrap(), None)
            .await
            .unwrap();
        assert!(
            server
                .revoke(&client, &renewed.access, renewed.refresh.as_ref())
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn nothing_of_an_authorisation_is_printed() {
    let idp = start().await;
    let server = open(&discovering(&idp, "dpop = true")).await;
    let authorization = server
        .authorize(&public("dpop"), &Scopes::default(), &url(NATIVE_REDIRECT))
        .await
        .unwrap();
    let printed = format!("{authorization:?}");
    let stored = String::from_utf8(to_bytes(&authorization).to_vec()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&stored).unwrap();
    for part in ["state", "verifier", "dpop_key", "url"] {
        let secret = document[part].as_str().unwrap();
        assert!(secret.len() >= 43, "{part}");
        assert!(!printed.contains(secret), "{part} is in {printed}");
    }
    assert!(serde_json::from_slice::<Authorization>(b"{}").is_err());
}
