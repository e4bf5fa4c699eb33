//! Tokens of an issuer on the loopback interface: those it made, those that others forged, and the keys it publishes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use holster_core::Config;
use holster_core::types::ConnectionId;
use jsonwebtoken::get_current_timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

const HOST: &str = "https://holster.example.com";

/// What the issuer answers, and how often it was asked for its keys.
struct Answers {
    metadata: Value,
    keys: Option<Value>,
    asked: usize,
}

type Shared = Arc<Mutex<Answers>>;

struct FakeIssuer {
    issuer: String,
    answers: Shared,
}

impl FakeIssuer {
    async fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(Answers {
            metadata: json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }),
            keys: Some(keys),
            asked: 0,
        }));
        let site = Router::new()
            .route(
                "/.well-known/oauth-authorization-server",
                get(async |State(answers): State<Shared>| {
                    Json(answers.lock().unwrap().metadata.clone())
                }),
            )
            .route(
                "/keys",
                get(async |State(answers): State<Shared>| {
                    let mut answers = answers.lock().unwrap();
                    answers.asked += 1;
                    let keys = answers.keys.clone().map(Json);
                    keys.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
                }),
            )
            .with_state(Arc::clone(&answers));
        tokio::spawn(async { axum::serve(listener, site).await });
        Self { issuer, answers }
    }

    fn publish(&self, keys: Option<Value>) {
        self.answers.lock().unwrap().keys = keys;
    }

    fn asked(&self) -> usize {
        self.answers.lock().unwrap().asked
    }

    /// The host's view of it, with more of the configuration.
    fn trusted(&self, more: &str, pace: Pace) -> Issuers {
        let text = format!(
            "[serve.issuers.company]\nissuer = '{}'\n{more}",
            self.issuer
        );
        let config = Config::parse(&text, "holster.toml".as_ref()).unwrap();
        let issuers: BTreeMap<_, _> = config.serve.issuers;
        Issuers::at_pace(&issuers, pace)
    }

    /// The claims of a good token.
    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "sub": "ann", "aud": format!("{HOST}/mcp"), "client_id": "agent",
            "exp": get_current_timestamp() + 300, "iat": get_current_timestamp(), "scope": "openid tools",
        })
    }
}

impl Issuers {
    /// Whose a token for this host is.
    async fn user_here(&self, token: &str) -> Result<User, TokenError> {
        self.user(
            token,
            &[HOST.to_owned(), format!("{HOST}/"), format!("{HOST}/mcp")],
        )
        .await
    }
}

/// A key pair on the curve P-256, as an issuer has one.
struct Signer {
    id: String,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            id: id.to_owned(),
            pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
        }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
            "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..]),
        })
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": self.id, "typ": "at+jwt" });
        token(&header, &claims.to_string(), |message| self.sign(message))
    }
}

fn token(header: &Value, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        BASE64.encode(header.to_string()),
        BASE64.encode(claims)
    );
    let signature = BASE64.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

const LAZY: Pace = Pace {
    fresh: Duration::from_hours(1),
    again: Duration::from_hours(1),
    oldest: Duration::from_hours(1),
};

#[tokio::test]
async fn a_token_that_its_issuer_signed_for_this_host_is_its_users() {
    let one = Signer::new("one");
    let ed = Ed25519KeyPair::from_pkcs8(
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .unwrap()
            .as_ref(),
    )
    .unwrap();
    let ed_jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": BASE64.encode(ed.public_key().as_ref()),
    });
    let issuer = FakeIssuer::start(json!({ "keys": [one.jwk(), ed_jwk] })).await;
    let trusted = issuer.trusted("", LAZY);
    let claims = issuer.claims();
    let now = get_current_timestamp();
    let named = |header: Value| token(&header, &claims.to_string(), |message| one.sign(message));
    for good in [
        one.token(&claims),
        one.token(&with(
            &claims,
            "aud",
            json!([HOST, "https://other.example"]),
        )),
        one.token(&with(&claims, "aud", json!(format!("{HOST}/")))),
        one.token(&with(&claims, "exp", json!(now - 10))), // clocks differ
        one.token(&with(&claims, "nbf", json!(now + 10))),
        named(json!({ "alg": "ES256", "kid": "one", "typ": "JWT" })),
        named(json!({ "alg": "ES256", "kid": "one", "typ": "application/at+jwt" })),
        named(json!({ "alg": "ES256", "kid": "one" })),
        named(json!({ "alg": "ES256" })), // the only key that could have signed so
        token(
            &json!({ "alg": "EdDSA", "kid": "ed" }),
            &claims.to_string(),
            |message| ed.sign(message).as_ref().to_vec(),
        ),
    ] {
        let user = trusted.user_here(&good).await.unwrap();
        assert_eq!((user.tenant.as_str(), user.profile), ("company/ann", None));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_token_that_is_forged_stale_or_for_others_is_nobodys() {
    let (one, twin, stranger) = (Signer::new("one"), Signer::new("two"), Signer::new("one"));
    let mut for_encryption = Signer::new("three").jwk();
    for_encryption["use"] = json!("enc");
    let issuer = FakeIssuer::start(json!({
        "keys": [one.jwk(), twin.jwk(), for_encryption, { "kty": "oct", "kid": "four", "k": "AAAA" }, "nonsense"],
    }))
    .await;
    let trusted = issuer.trusted("", LAZY);
    let claims = issuer.claims();
    let now = get_current_timestamp();
    let text = claims.to_string();
    let named = |header: Value| token(&header, &text, |message| one.sign(message));
    // Whoever takes the public key for a shared secret believes this.
    let shared = |secret: &[u8]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let header = json!({ "alg": "HS256", "kid": "one" });
        token(&header, &text, |message| {
            ring::hmac::sign(&key, message).as_ref().to_vec()
        })
    };
    let good = one.token(&claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other_payload = BASE64.encode(with(&claims, "sub", json!("bob")).to_string());
    let claim = |name: &str| TokenError::Claim(name.to_owned());
    for (what, forged, error) in [
        (
            "no signature",
            token(&json!({ "alg": "none" }), &text, |_| Vec::new()),
            TokenError::NoToken,
        ),
        (
            "NoNe",
            token(&json!({ "alg": "NoNe", "kid": "one" }), &text, |_| {
                Vec::new()
            }),
            TokenError::NoToken,
        ),
        (
            "the public key as a secret",
            shared(one.pair.public_key().as_ref()),
            TokenError::Algorithm,
        ),
        (
            "its JWK as a secret",
            shared(one.jwk().to_string().as_bytes()),
            TokenError::Algorithm,
        ),
        (
            "another key's name",
            named(json!({ "alg": "ES256", "kid": "two" })),
            TokenError::Signature,
        ),
        (
            "a name that is not there",
            named(json!({ "alg": "ES256", "kid": "none" })),
            TokenError::Key,
        ),
        (
            "no name, two keys",
            named(json!({ "alg": "ES256" })),
            TokenError::Key,
        ),
        (
            "another curve",
            named(json!({ "alg": "ES384", "kid": "one" })),
            TokenError::Key,
        ),
        (
            "another kind of key",
            named(json!({ "alg": "RS256", "kid": "one" })),
            TokenError::Key,
        ),
        (
            "a key for encryption",
            named(json!({ "alg": "ES256", "kid": "three" })),
            TokenError::Key,
        ),
        (
            "a shared key",
            named(json!({ "alg": "ES256", "kid": "four" })),
            TokenError::Key,
        ),
        (
            "another signer",
            stranger.token(&claims),
            TokenError::Signature,
        ),
        (
            "a key that it brings along",
            token(
                &json!({ "alg": "ES256", "kid": "one", "jwk": stranger.jwk() }),
                &text,
                |message| stranger.sign(message),
            ),
            TokenError::Signature,
        ),
        (
            "other claims",
            format!("{header}.{other_payload}.{signature}"),
            TokenError::Signature,
        ),
        (
            "a shorter signature",
            good[..good.len() - 2].to_owned(),
            TokenError::Signature,
        ),
        (
            "an empty signature",
            format!("{message}."),
            TokenError::Signature,
        ),
        (
            "another issuer",
            one.token(&with(&claims, "iss", json!("https://other.example"))),
            TokenError::Issuer,
        ),
        (
            "nearly the issuer",
            one.token(&with(&claims, "iss", json!(format!("{}/", issuer.issuer)))),
            TokenError::Issuer,
        ),
        (
            "two issuers",
            one.token(&with(&claims, "iss", json!([issuer.issuer]))),
            TokenError::NoToken,
        ),
        (
            "no issuer",
            one.token(&without(&claims, "iss")),
            TokenError::NoToken,
        ),
        (
            "another audience",
            one.token(&with(&claims, "aud", json!("https://other.example"))),
            TokenError::Audience,
        ),
        (
            "other audiences",
            one.token(&with(&claims, "aud", json!(["a", "b"]))),
            TokenError::Audience,
        ),
        (
            "nearly the audience",
            one.token(&with(
                &claims,
                "aud",
                json!(format!("{HOST}.evil.example/mcp")),
            )),
            TokenError::Audience,
        ),
        (
            "no audience",
            one.token(&without(&claims, "aud")),
            claim("aud"),
        ),
        (
            "an audience of no kind",
            one.token(&with(&claims, "aud", json!(5))),
            claim("aud"),
        ),
        (
            "expired",
            one.token(&with(&claims, "exp", json!(now - 60))),
            TokenError::Expired,
        ),
        (
            "never expires",
            one.token(&without(&claims, "exp")),
            claim("exp"),
        ),
        (
            "expires at no time",
            one.token(&with(&claims, "exp", json!("tomorrow"))),
            claim("exp"),
        ),
        (
            "not yet",
            one.token(&with(&claims, "nbf", json!(now + 60))),
            TokenError::TooEarly,
        ),
        (
            "no subject",
            one.token(&without(&claims, "sub")),
            claim("sub"),
        ),
        (
            "an empty subject",
            one.token(&with(&claims, "sub", json!(""))),
            claim("sub"),
        ),
        (
            "a subject that is no text",
            one.token(&with(&claims, "sub", json!(7))),
            claim("sub"),
        ),
        (
            "two subjects",
            token(
                &json!({ "alg": "ES256", "kid": "one" }),
                &text.replacen('{', r#"{"sub":"bob","#, 1),
                |message| one.sign(message),
            ),
            TokenError::NoToken,
        ),
        (
            "another type",
            named(json!({ "alg": "ES256", "kid": "one", "typ": "dpop+jwt" })),
            TokenError::Type,
        ),
        (
            "critical fields",
            named(json!({ "alg": "ES256", "kid": "one", "crit": ["exp"], "exp": 1 })),
            TokenError::Critical,
        ),
        (
            "bound to a key",
            one.token(&with(&claims, "cnf", json!({ "jkt": "x" }))),
            TokenError::Bound,
        ),
        (
            "huge",
            one.token(&with(&claims, "more", json!("x".repeat(20_000)))),
            TokenError::TooLong,
        ),
        ("nothing", String::new(), TokenError::NoToken),
        ("no parts", "holster_x".to_owned(), TokenError::NoToken),
        ("two parts", message.to_owned(), TokenError::NoToken),
        ("four parts", format!("{good}.x"), TokenError::NoToken),
        ("encrypted", format!("{good}.x.y"), TokenError::NoToken),
        (
            "no base64",
            format!("{header}.?.{signature}"),
            TokenError::NoToken,
        ),
    ] {
        assert_eq!(trusted.user_here(&forged).await, Err(error), "{what}");
    }
    assert_eq!(issuer.asked(), 1, "what is forged makes no requests");
}

#[tokio::test]
async fn the_operator_says_which_scopes_claim_audience_and_algorithms_are_meant() {
    let one = Signer::new("one");
    let issuer = FakeIssuer::start(json!({ "keys": [one.jwk()] })).await;
    let claims = issuer.claims();
    let missing = |scopes: &[&str]| Err(TokenError::Scopes(scopes.iter().copied().collect()));
    let user = |tenant: &str| Ok(tenant.to_owned());
    let named = with(&claims, "email", json!("ann@example.com"));
    for (more, claims, expected) in [
        ("scopes = ['tools']", claims.clone(), user("company/ann")),
        (
            "scopes = ['tools', 'admin']",
            claims.clone(),
            missing(&["admin", "tools"]),
        ),
        (
            "scopes = ['tools']",
            with(&claims, "scope", json!("toolsmith")),
            missing(&["tools"]),
        ),
        (
            "scopes = ['tools']",
            without(&claims, "scope"),
            missing(&["tools"]),
        ),
        (
            "scopes = ['tools']",
            with(&without(&claims, "scope"), "scp", json!(["tools", "x"])),
            user("company/ann"),
        ),
        (
            "scopes = ['tools']",
            with(&without(&claims, "scope"), "scp", json!("x tools")),
            user("company/ann"),
        ),
        (
            "tenant_claim = 'email'",
            named.clone(),
            user("company/ann@example.com"),
        ),
        (
            "tenant_claim = 'email'",
            claims.clone(),
            Err(TokenError::Claim("email".to_owned())),
        ),
        (
            "tenant_claim = 'email'",
            without(&named, "sub"),
            Err(TokenError::Claim("sub".to_owned())),
        ),
        (
            "audience = 'api://x'",
            claims.clone(),
            Err(TokenError::Audience),
        ),
        (
            "audience = 'api://x'",
            with(&claims, "aud", json!("api://x")),
            user("company/ann"),
        ),
        (
            "algorithms = ['RS256']",
            claims.clone(),
            Err(TokenError::Algorithm),
        ),
        ("profile = 'work'", claims.clone(), user("company/ann")),
    ] {
        let found = issuer
            .trusted(more, LAZY)
            .user_here(&one.token(&claims))
            .await;
        assert_eq!(
            found.map(|user| user.tenant.to_string()),
            expected,
            "{more} {claims}"
        );
    }
    let fixed = issuer.trusted("profile = 'work'", LAZY);
    let fixed = fixed.user_here(&one.token(&claims)).await.unwrap();
    assert_eq!(fixed.profile.unwrap().as_str(), "work");
}

#[tokio::test]
async fn a_person_is_whom_the_issuer_names_in_its_answer_to_our_client() {
    const NONCE: &str = "the-nonce-of-this-sign-in";
    let one = Signer::new("one");
    let issuer = FakeIssuer::start(json!({ "keys": [one.jwk()] })).await;
    let trusted = issuer.trusted("tenant_claim = 'email'\nprofile = 'work'", LAZY);
    let good = json!({
        "iss": issuer.issuer, "sub": "1", "aud": "holster", "nonce": NONCE, "email": "ann@example.com",
        "exp": get_current_timestamp() + 60, "iat": get_current_timestamp(),
    });
    let signed = |typ: &str, claims: &Value| {
        let header = json!({ "alg": "ES256", "kid": "one", "typ": typ });
        token(&header, &claims.to_string(), |message| one.sign(message))
    };
    let many = json!(["holster", "other"]);
    let shared = with(&good, "aud", many);
    for (what, id_token, error) in [
        ("as it should be", signed("JWT", &good), None),
        (
            "shared, and asked for by us",
            signed("JWT", &with(&shared, "azp", json!("holster"))),
            None,
        ),
        ("shared", signed("JWT", &shared), Some(TokenError::Answer)),
        (
            "asked for by another client",
            signed("JWT", &with(&good, "azp", json!("other"))),
            Some(TokenError::Answer),
        ),
        (
            "the answer to another sign-in",
            signed("JWT", &with(&good, "nonce", json!("other"))),
            Some(TokenError::Answer),
        ),
        (
            "the answer to nothing",
            signed("JWT", &without(&good, "nonce")),
            Some(TokenError::Answer),
        ),
        (
            "for another client",
            signed("JWT", &with(&good, "aud", json!("other"))),
            Some(TokenError::Audience),
        ),
        (
            "an access token",
            signed("at+jwt", &good),
            Some(TokenError::Type),
        ),
        (
            "expired",
            signed(
                "JWT",
                &with(&good, "exp", json!(get_current_timestamp() - 60)),
            ),
            Some(TokenError::Expired),
        ),
        (
            "of nobody",
            signed("JWT", &without(&good, "email")),
            Some(TokenError::Claim("email".to_owned())),
        ),
        (
            "altered",
            format!("{}A", signed("JWT", &good)),
            Some(TokenError::Signature),
        ),
        ("no token", "opaque".to_owned(), Some(TokenError::NoToken)),
    ] {
        let arrival = Arrival {
            id_token: id_token.into(),
            nonce: NONCE.into(),
            connection: ConnectionId::new("kQ3v9tB1xYw2Z5nM8rLpJg").unwrap(),
        };
        let company = IssuerName::new("company").unwrap();
        let found = trusted.person(&company, "holster", &arrival).await;
        let found = found.map(|user| {
            let profile = user.profile.map(|profile| profile.to_string());
            (user.tenant.to_string(), profile)
        });
        let wanted = || {
            let tenant = "company/ann@example.com".to_owned();
            (tenant, Some("work".to_owned()))
        };
        assert_eq!(found, error.map_or_else(|| Ok(wanted()), Err), "{what}");
    }
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_followed_and_an_old_one_ends() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = FakeIssuer::start(json!({ "keys": [old.jwk()] })).await;
    let claims = issuer.claims();
    let at_once = Pace {
        again: Duration::ZERO,
        ..LAZY
    };
    let trusted = issuer.trusted("", at_once);
    assert!(trusted.user_here(&old.token(&claims)).await.is_ok());
    issuer.publish(Some(json!({ "keys": [new.jwk()] })));
    assert!(trusted.user_here(&new.token(&claims)).await.is_ok());
    assert_eq!(
        trusted.user_here(&old.token(&claims)).await,
        Err(TokenError::Key)
    );
}

#[tokio::test]
async fn tokens_with_unknown_keys_do_not_make_a_storm_of_requests() {
    let one = Signer::new("one");
    let issuer = FakeIssuer::start(json!({ "keys": [one.jwk()] })).await;
    let claims = issuer.claims();
    let trusted = Arc::new(issuer.trusted("", LAZY));
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..60 {
        let signer = Signer::new(if number % 2 == 0 { "one" } else { "unknown" });
        let (trusted, token) = (Arc::clone(&trusted), signer.token(&claims));
        asked.spawn(async move { trusted.user_here(&token).await });
    }
    for refused in asked.join_all().await {
        assert!(
            matches!(refused, Err(TokenError::Key | TokenError::Signature)),
            "{refused:?}"
        );
    }
    assert!(trusted.user_here(&one.token(&claims)).await.is_ok());
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_down_known_keys_go_on_for_a_while() {
    let one = Signer::new("one");
    let issuer = FakeIssuer::start(json!({ "keys": [one.jwk()] })).await;
    let token = one.token(&issuer.claims());
    let aging = Pace {
        fresh: Duration::ZERO,
        again: Duration::ZERO,
        oldest: Duration::from_secs(2),
    };
    let trusted = issuer.trusted("", aging);
    assert!(trusted.user_here(&token).await.is_ok());
    issuer.publish(None);
    assert!(trusted.user_here(&token).await.is_ok());
    assert!(issuer.asked() >= 2, "it is asked for what has become old");
    tokio::time::sleep(aging.oldest).await;
    assert_eq!(trusted.user_here(&token).await, Err(TokenError::NoKeys));
    issuer.publish(Some(json!({ "keys": [one.jwk()] })));
    assert!(trusted.user_here(&token).await.is_ok());
}

#[tokio::test]
async fn an_issuer_whose_documents_are_not_its_own_or_too_large_has_no_keys() {
    let one = Signer::new("one");
    let large: Vec<_> = (0..101)
        .map(|number| Signer::new(&number.to_string()).jwk())
        .collect();
    for (metadata, keys) in [
        (
            json!({ "issuer": "https://other.example" }),
            json!({ "keys": [one.jwk()] }),
        ),
        (
            json!({ "jwks_uri": "http://10.0.0.1/keys" }),
            json!({ "keys": [one.jwk()] }),
        ),
        (
            json!({ "jwks_uri": "http://127.0.0.1:9/keys" }),
            json!({ "keys": [one.jwk()] }),
        ),
        (json!({ "jwks_uri": null }), json!({ "keys": [one.jwk()] })),
        (json!({}), json!({ "keys": [] })),
        (json!({}), json!({ "keys": large })),
        (
            json!({}),
            json!({ "keys": [one.jwk()], "more": "x".repeat(300_000) }),
        ),
        (json!({}), json!([one.jwk()])),
    ] {
        let issuer = FakeIssuer::start(keys).await;
        for (name, value) in metadata.as_object().unwrap() {
            issuer.answers.lock().unwrap().metadata[name] = value.clone();
        }
        let found = issuer
            .trusted("", LAZY)
            .user_here(&one.token(&issuer.claims()))
            .await;
        assert_eq!(found, Err(TokenError::NoKeys), "{metadata}");
    }
}
