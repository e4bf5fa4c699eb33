//! Every provider that comes with the program, against a server that is exactly what its file says.
//!
//! What none of them uses (tokens bound to a key, pushed requests, discovery) has files of the kit's own, in
//! `providers/`.
//!
//! The server is made from the file: it takes what the file describes and nothing else. So the kit does not show that
//! a file is right, only the vendor can; it shows that the broker does all that the form of the file can say, and that
//! a file can be used from the first page to the last token.

mod fake;
#[path = "../../src/oauth/tests/fake_server.rs"]
#[allow(dead_code, reason = "not every kind of answer is needed here")]
mod fake_server;
mod file;
mod flows;
mod proof;

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use holster_broker::{
    BodyFormat, Broker, BrokerSettings, ClientAuth, CredentialKind, Identity, OAuth, Pkce,
    Provider, Redirect, Revocation, RevokeAuth, RevokeBody, RevokeMethod, UrlTemplate,
};

use flows::World;

/// How many providers are tried at once.
const AT_ONCE: usize = 16;

/// Providers of the kit's own, from the folder of the package, in which cargo runs tests.
const OWN: &str = "tests/provider_conformance/providers";

/// Those that come with the program, and the kit's own.
async fn providers() -> Vec<Provider> {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::open(BrokerSettings {
        data_folder: folder.path().to_owned(),
        provider_folder: Some(OWN.into()),
        configured: BTreeMap::new(),
        extra_hosts: BTreeMap::new(),
        default_profile: None,
        clients: BTreeMap::new(),
        variables: BTreeMap::new(),
        client_metadata_url: None,
        expected_profiles: BTreeMap::new(),
    });
    let broker = broker.await.unwrap();
    broker.providers().iter().cloned().collect()
}

async fn try_out(real: &Provider, believed: &Provider) -> anyhow::Result<Vec<String>> {
    World::new(real, believed).await?.all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_every_provider_is_connected_used_renewed_and_revoked() {
    let providers = providers().await;
    let mut results: Vec<_> = stream::iter(&providers)
        .map(async |provider| (provider, try_out(provider, provider).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    results.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let mut failed = Vec::new();
    for (provider, result) in &results {
        let flows = match result {
            Ok(flows) => flows.join(", "),
            Err(error) => {
                failed.push(provider.id.as_str());
                format!("FAILED at {error:#}")
            }
        };
        println!("{:<20} {flows}", provider.id.as_str());
    }
    assert!(failed.is_empty(), "see above: {failed:?}");
    let consents = |provider: &&Provider| provider.kinds.contains(&CredentialKind::Oauth2);
    assert!(providers.iter().filter(consents).count() >= 32);
    let passed = |id: &str| {
        let mut results = results.iter();
        let (_, passed) = results.find(|(provider, _)| provider.id.as_str() == id)?;
        Some(passed.as_ref().ok()?.join(", "))
    };
    for (id, flows) in [
        ("kit_dpop", "connect, refusal, refresh, device, revoke"),
        ("kit_par", "connect, refusal, refresh, revoke"),
        ("kit_discovery", "connect, refusal, refresh, device, revoke"),
    ] {
        assert_eq!(passed(id).as_deref(), Some(flows), "{id}");
    }
}

fn oauth(provider: &mut Provider) -> &mut OAuth {
    provider.oauth.as_mut().unwrap()
}

fn identity(provider: &mut Provider) -> &mut Identity {
    provider.identity.as_mut().unwrap()
}

fn url(text: &str) -> UrlTemplate {
    text.to_owned().try_into().unwrap()
}

/// What the metadata say of how to consent, and no more.
fn undiscovered(oauth: &mut OAuth) {
    oauth.authorize_url = Some(url("https://discovery.example/tenant/authorize"));
    oauth.token_url = Some(url("https://discovery.example/tenant/token"));
    oauth.device_url = Some(url("https://discovery.example/tenant/device"));
    oauth.revoke_url = Some(url("https://discovery.example/tenant/revoke"));
}

/// What is changed in a file before the broker reads it.
type Change = fn(&mut Provider);

/// Files, what is wrong in them, and what the server that keeps to the right one says.
#[rustfmt::skip]
const WRONG: &[(&str, Change, &str)] = &[
    ("slack", |p| oauth(p).scope_separator = String::from(" "), "`user_scope`"),
    ("slack", |p| oauth(p).scope_param = String::from("scope"), "`user_scope` is missing"),
    ("google", |p| oauth(p).authorize_params.clear(), "`access_type` is missing"),
    ("google", |p| oauth(p).default_scopes.clear(), "`scope`"),
    ("figma", |p| oauth(p).refresh_url = None, "not for this address"),
    ("jira", |p| oauth(p).body = BodyFormat::Form, "no JSON"),
    ("notion", |p| oauth(p).client_auth = ClientAuth::Post, "`Authorization`"),
    ("asana", |p| oauth(p).client_auth = ClientAuth::Basic, "`client_id` is missing"),
    ("linkedin", |p| oauth(p).pkce = Pkce::S256, "should not be there"),
    ("asana", |p| oauth(p).pkce = Pkce::Refused, "`code_challenge_method` is missing"),
    ("github", |p| oauth(p).token_params = [("a".to_owned(), "b".to_owned())].into(), "[\"a\"]"),
    ("microsoft", |p| oauth(p).redirect = Redirect::LoopbackIp, "the page is at"),
    ("calendly", |p| oauth(p).redirect = Redirect::LoopbackIp, "let through"),
    ("twitch", |p| oauth(p).device_scope_param = None, "`scopes` is missing"),
    ("twitch", |p| oauth(p).response.error = "/error".to_owned().try_into().unwrap(), "holds no access token"),
    ("twitch", |p| oauth(p).response.ended.clear(), "still serves"),
    ("x", |p| oauth(p).revoke.auth = RevokeAuth::None, "`Authorization`"),
    ("x", |p| oauth(p).revoke_url = None, "Forgotten"),
    ("slack", |p| oauth(p).refresh_response = None, "refresh"),
    ("slack", |p| oauth(p).revoke.ended.clear(), "at `invalid_auth`"),
    ("slack", |p| oauth(p).revoke = Revocation::default(), "it has a body"),
    ("github", |p| oauth(p).revoke.method = RevokeMethod::Post, "it is a DELETE"),
    ("notion", |p| oauth(p).revoke.body = RevokeBody::Form, "no JSON"),
    ("calendly", |p| oauth(p).revoke.auth = RevokeAuth::Client, "`client_id` is missing"),
    ("twitch", |p| oauth(p).revoke.auth = RevokeAuth::Client, "[\"client_secret\"]"),
    ("gitlab", |p| oauth(p).refresh_redirect = false, "`redirect_uri` is missing"),
    ("salesforce", |p| oauth(p).assumed_lifetime_s = None, "the lifetime is not known"),
    ("twitch", |p| oauth(p).redirect = Redirect::FixedPort, "the page is at"),
    ("hubspot", |p| oauth(p).redirect = Redirect::Localhost, "let through"),
    ("mailchimp", |p| identity(p).inject = None, "`Authorization` is not as the file says"),
    ("mailchimp", |p| identity(p).kinds.clear(), "cannot ask"),
    ("serpapi", |p| p.inject.query = None, "`api_key` is missing"),
    ("finage", |p| p.inject.query = None, "not in the parameter `apikey`"),
    ("datadog", |p| p.inject.secret_header = None, "the second part travels in None"),
    ("klaviyo", |p| identity(p).headers.clear(), "revision"),
    ("klaviyo", |p| p.inject_key = None, "`Authorization` is not as the file says"),
    ("dropbox", |p| identity(p).body = None, "it is a POST"),
    ("dropbox", |p| p.identity = None, "the label is None"),
    ("brevo", |p| p.inject.header = None, "`api-key` is not as the file says"),
    ("kit_dpop", |p| oauth(p).dpop = false, "`dpop_jkt` is missing"),
    ("slack", |p| oauth(p).dpop = true, "[\"dpop_jkt\"]"),
    ("kit_par", |p| oauth(p).par_url = None, "`request_uri` is missing"),
    ("kit_par", |p| oauth(p).client_auth = ClientAuth::None, "`client_secret` is missing"),
    ("kit_par", |p| oauth(p).default_scopes.clear(), "`scope`"),
    ("slack", |p| oauth(p).par_url = oauth(p).token_url.clone(), "`grant_type` is missing"),
    ("kit_discovery", |p| oauth(p).issuer = Some(url("https://discovery.example/other")), "nothing is here"),
    ("kit_discovery", |p| undiscovered(oauth(p)), "with None as its issuer"),
    ("kit_discovery", |p| oauth(p).revoke_url = Some(url("https://discovery.example/other")), "nothing is here"),
    ("kit_discovery", |p| oauth(p).device_url = Some(url("https://discovery.example/other")), "nothing is here"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_keep_to_the_file_is_noticed() {
    let providers = providers().await;
    let noticed = stream::iter(WRONG)
        .map(async |(id, change, complaint)| {
            let provider = providers
                .iter()
                .find(|provider| provider.id.as_str() == *id);
            let provider = provider.unwrap();
            let mut changed = provider.clone();
            change(&mut changed);
            let error = match try_out(provider, &changed).await {
                Ok(_) => "nothing was noticed".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            (!error.contains(complaint)).then(|| format!("{id}: {error} (not: {complaint})"))
        })
        .buffer_unordered(AT_ONCE);
    let missed: Vec<_> = noticed.filter_map(async |missed| missed).collect().await;
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
