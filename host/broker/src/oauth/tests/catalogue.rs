//! The files that come with the program.

use std::collections::{BTreeMap, HashMap};

use holster_types::{ExposeSecret as _, Scopes};

use super::*;
use crate::provider::{ClientAuth, Pkce};
use crate::{CredentialKind, Providers};

#[tokio::test]
async fn a_clients_secret_goes_to_no_host_that_an_account_made_up() {
    let providers = Providers::read(None, BTreeMap::new()).unwrap();
    let salesforce = providers.get(&"salesforce".parse().unwrap()).unwrap();
    let servers = AuthorizationServers::new();
    for (domain, allowed) in [
        ("acme.my.salesforce.com", true),
        ("test.salesforce.com", true),
        ("evil.example", false),
        ("my.salesforce.com.evil.example", false),
        ("evilmy.salesforce.com", false),
    ] {
        let variables = Variables::from([("domain".to_owned(), domain.to_owned())]);
        let server = servers.open(salesforce, &variables).await.unwrap();
        let endpoint = server.token_endpoint();
        assert_eq!(endpoint.is_ok(), allowed, "{domain}: {endpoint:?}");
    }
}

#[tokio::test]
async fn a_person_can_be_sent_to_every_provider_of_the_catalogue() {
    let providers = Providers::read(None, BTreeMap::new()).unwrap();
    let servers = AuthorizationServers::new();
    let client = OAuthClient::new("me", None, ClientAuth::None);
    let redirect = url::Url::parse("http://127.0.0.1:1/callback").unwrap();
    let wanted: Scopes = ["wanted"].into_iter().collect();
    let mut sent = 0;
    for provider in providers.iter() {
        let oauth = match &provider.oauth {
            // Those that are asked for their addresses are tested with a server that answers.
            Some(oauth) if !oauth.discovers() && oauth.par_url.is_none() => oauth,
            _ => continue,
        };
        if !provider.kinds.contains(&CredentialKind::Oauth2) {
            continue;
        }
        let examples = provider.variables.iter();
        let examples: Variables = examples
            .filter_map(|(name, variable)| Some((name.clone(), variable.example.clone()?)))
            .collect();
        for variables in [Variables::new(), examples] {
            let complete = |(name, variable): (&String, &crate::Variable)| {
                variable.default.is_some() || variables.contains_key(name)
            };
            if !provider.variables.iter().all(complete) {
                continue;
            }
            let server = servers.open(provider, &variables).await.unwrap();
            let begun = server.authorize(&client, &wanted, &redirect).await.unwrap();
            let query: HashMap<_, _> = begun.url().query_pairs().into_owned().collect();
            let id = &provider.id;
            assert_eq!(begun.url().scheme(), "https", "{id}");
            assert_eq!(query["state"], begun.state.expose_secret(), "{id}");
            assert_eq!(query["redirect_uri"], redirect.as_str(), "{id}");
            assert!(query[&oauth.scope_param].contains("wanted"), "{id}");
            assert_eq!(
                query.contains_key("code_challenge"),
                oauth.pkce == Pkce::S256,
                "{id}"
            );
            for (name, value) in &oauth.authorize_params {
                assert_eq!(&query[name], value, "{id}");
            }
            sent += 1;
        }
    }
    assert!(sent >= 20, "{sent}");
}
