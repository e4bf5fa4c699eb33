//! What goes wrong around a host, and what is left of it: a process that is killed, a disk that is full, a clock that jumps,
//! a plugin directory that is another one all of a sudden.

#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/full_disk.rs"]
mod full_disk;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/replaced.rs"]
mod replaced;

use std::io;

use bytes::Bytes;
use holster_tests::loopback_api::{Answer as Scripted, LoopbackApi, Script};
use holster_tests::{Fixture, HttpServer, said};
use http::{Method, Response, StatusCode};
use identity_provider::{Browser, IdentityProvider, Options};
use serde_json::{Value, json};
use url::Url;

use crate::connecting;
use crate::serve::{Answer, as_nobody};

/// What a command says that ends well.
fn succeeds(fixture: &Fixture, arguments: &[&str]) -> String {
    let output = fixture.holster(arguments);
    let said = said(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// An installation with a provider whose refresh tokens are used up by a refresh, and with an API that takes any token.
async fn oauth_machine(options: Options) -> (LoopbackApi, IdentityProvider, Fixture) {
    let api = LoopbackApi::start().await.unwrap();
    let someone = Scripted::json(StatusCode::OK, &json!({ "ok": true, "user": "alice" }));
    api.script("/auth.test", Script::Answer(someone));
    let provider = IdentityProvider::start(options).await.unwrap();
    let pages = "connect.address = '127.0.0.1:0'";
    let fixture = connecting::oauth_fixture(&api, provider.issuer(), pages);
    (api, provider, fixture)
}

fn for_profile(profile: &str) -> Value {
    json!({ "for": { "profile": profile } })
}

/// A call that needs the account of that profile.
async fn fetch(server: &HttpServer, profile: &str) -> Answer {
    let call = "v1/tools/fetch/call";
    as_nobody(server).post(call, &for_profile(profile)).await
}

/// The same of a server that may not be there until the end.
fn fetch_of(
    server: &HttpServer,
    profile: &str,
) -> impl Future<Output = io::Result<Response<Bytes>>> + Send + use<> {
    let url = server.at("v1/tools/fetch/call");
    let body = for_profile(profile).to_string();
    async move {
        let json = [("content-type", "application/json")];
        let mut client = Browser::default();
        client.send(Method::POST, &url, &json, &body).await
    }
}

/// Where a person connects what a call lacks.
fn page_of(waiting: &Answer) -> Url {
    assert_eq!(waiting.status, StatusCode::ACCEPTED, "{}", waiting.body);
    let page = waiting.body["missing"][0]["url"].as_str();
    page.expect("a page").parse().unwrap()
}

/// The call once a person has connected what it lacks.
async fn consented(server: &HttpServer, provider: &IdentityProvider, profile: &str) -> Answer {
    let waiting = fetch(server, profile).await;
    connecting::consent(provider, &page_of(&waiting)).await;
    fetch(server, profile).await
}
