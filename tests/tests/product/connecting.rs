//! Connecting an account: what a call says that lacks one, what a person does, and what an agent may see of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use holster_core::broker::{
    Begun, Browser, Choice, ChosenWay, ConnectAddress, CredentialKind, NewConnection, Owner,
    Reason, SignIn,
};
use holster_core::types::{
    ConnectionId, ProfileName, ProviderId, Scopes, SecretString, TenantId, ThreadId, ToolName,
};
use holster_core::{Call, Failure, Host, Outcome};
use holster_tests::loopback_api::{Answer, LoopbackApi, Script};
use holster_tests::{Fixture, component, structured};
use http::StatusCode;
use identity_provider::{Browser as Agent, IdentityProvider, Options};
use serde_json::{Map, Value, json};
use url::Url;

const SECRET: &str = "work-slack-token";

/// Slack, entered as a key, at the loopback API.
pub(crate) fn fixture(api: &LoopbackApi, more: &str) -> Fixture {
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "provider_folder = 'providers'\n{more}\n[components.parity-rust.config]\nbase_url = '{url}'\n"
    ));
    let provider = format!(
        "id = 'slack'\ntitle = 'Slack'\nkinds = ['api_key']\ndoc_url = 'https://slack.example/'\n\
         hosts = ['{url}']\n[identity]\nurl = '{url}/auth.test'\npointer = '/user'\n"
    );
    fs::create_dir(fixture.path("providers")).unwrap();
    fs::write(fixture.path("providers/slack.toml"), provider).unwrap();
    fixture.plug_in(&component("parity-rust"));
    fixture
}

fn call(tool: &str, thread: &str, profile: Option<&str>) -> Call {
    let mut call = Call::local(ToolName::new(tool).unwrap(), Map::new());
    call.thread = ThreadId::new(thread).unwrap();
    call.profile = profile.map(|name| ProfileName::new(name).unwrap());
    call
}

fn slack() -> ProviderId {
    ProviderId::new("slack").unwrap()
}

fn owner(profile: &str) -> Owner {
    Owner::new(&TenantId::local(), ProfileName::new(profile).unwrap())
}

/// The connection that the call has to wait for.
async fn interrupted(host: &Host, call: Call) -> ConnectionId {
    match host.call(call).await {
        Outcome::Interrupted(interrupted) => {
            let missing = interrupted.unmet.missing();
            assert_eq!(missing.len(), 1, "{missing:?}");
            missing[0]
                .connection
                .clone()
                .expect("a person can connect it")
        }
        other => panic!("{other:?}"),
    }
}

/// What a person does on the page.
async fn enter(host: &Host, connection: &ConnectionId, secret: &str) {
    let address = ConnectAddress {
        url: "http://127.0.0.1:4657/".parse().unwrap(),
        chosen: false,
        sign_in: SignIn::Others,
    };
    let choice = Choice {
        way: ChosenWay::Enter(CredentialKind::ApiKey),
        fields: BTreeMap::from([("token".to_owned(), SecretString::from(secret))]),
    };
    let begun = host
        .broker()
        .choose(connection, &Browser::new(), &address, choice)
        .await
        .unwrap();
    assert!(matches!(begun, Begun::Over), "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_two_threads_wait_for_one_connection_and_both_go_on() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "");
    let host = fixture.host().await;
    let first = interrupted(&host, call("fetch", "one", Some("default"))).await;
    let second = interrupted(&host, call("fetch", "two", Some("default"))).await;
    assert_eq!(first, second);

    enter(&host, &first, SECRET).await;
    for thread in ["one", "two"] {
        match host.call(call("fetch", thread, Some("default"))).await {
            Outcome::Finished(finished) => {
                assert_eq!(finished.output.structured().unwrap()["user"], "ann");
                assert_eq!(finished.accounts[0].account.as_deref(), Some("ann"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_two_accounts_could_serve_the_call_is_refused_with_the_choices() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "");
    let host = fixture.host().await;
    let none = interrupted(&host, call("fetch", "t", None)).await;
    enter(&host, &none, SECRET).await;
    // The only one that there is serves, whatever its profile is called.
    assert_eq!(
        structured(&host.call(call("fetch", "t", None)).await)["user"],
        "ann"
    );

    let personal = host
        .broker()
        .connect(NewConnection {
            owner: owner("personal"),
            thread: ThreadId::new("t").unwrap(),
            provider: slack(),
            scopes: Scopes::default(),
        })
        .await
        .unwrap();
    enter(&host, &personal.id, "personal-slack-token").await;
    match host.call(call("fetch", "t", None)).await {
        Outcome::Failed(Failure::Ambiguous { unmet, .. }) => {
            let profiles = ["default", "personal"].map(|name| ProfileName::new(name).unwrap());
            assert_eq!(
                unmet.missing()[0].reason,
                Reason::Ambiguous {
                    profiles: profiles.to_vec()
                }
            );
        }
        other => panic!("{other:?}"),
    }

    let chosen = ProfileName::new("personal").unwrap();
    host.broker()
        .set_default(&TenantId::local(), &slack(), Some(&chosen))
        .await
        .unwrap();
    match host.call(call("fetch", "t", None)).await {
        Outcome::Finished(finished) => {
            assert_eq!(finished.output.structured().unwrap()["user"], "annie");
            assert_eq!(finished.accounts[0].profile, chosen);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_is_called_without_an_interrupt() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "");
    let host = fixture.host().await;
    let (tenant, thread) = (TenantId::local(), ThreadId::new("t").unwrap());
    // All tools, among them several that need Slack: one connection, for what they need together.
    let unmet = host.prepare(&tenant, &thread, None, &[]).await.unwrap();
    let unmet = unmet.expect("nothing is connected yet");
    assert_eq!(unmet.missing().len(), 1, "{unmet}");
    let connection = unmet.missing()[0].connection.clone().unwrap();
    enter(&host, &connection, SECRET).await;
    assert!(
        host.prepare(&tenant, &thread, None, &[])
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        structured(&host.call(call("fetch", "t", None)).await)["user"],
        "ann"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_tools_are_off_unless_they_are_allowed() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "");
    let host = fixture.host().await;
    assert_eq!(host.built_in().count(), 0);
    for tool in ["holster_connections", "holster_disconnect"] {
        let outcome = host.call(call(tool, "t", None)).await;
        assert!(
            matches!(outcome, Outcome::Failed(Failure::UnknownTool { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sees_and_undoes_the_connections_of_its_own_thread_alone() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "[built_in]\nconnections = true\ndisconnect = true");
    let host = fixture.host().await;
    let connection = interrupted(&host, call("fetch", "mine", None)).await;
    let listed = async |thread: &str| {
        structured(&host.call(call("holster_connections", thread, None)).await)["connections"]
            .clone()
    };
    assert_eq!(listed("mine").await[0]["state"], "created");
    enter(&host, &connection, SECRET).await;

    let mine = listed("mine").await;
    assert_eq!(
        (
            &mine[0]["state"],
            &mine[0]["account"],
            &mine[0]["connection"]
        ),
        (&json!("connected"), &json!("ann"), &json!(connection))
    );
    assert!(!mine.to_string().contains(SECRET));
    assert_eq!(listed("another").await, json!([]));

    let disconnect = async |thread: &str| {
        let mut call = call("holster_disconnect", thread, None);
        call.arguments
            .insert("connection".to_owned(), json!(connection));
        host.call(call).await
    };
    let refused = disconnect("another").await;
    assert!(matches!(refused, Outcome::Failed(_)), "{refused:?}");
    assert_eq!(
        structured(&host.call(call("fetch", "mine", None)).await)["user"],
        "ann"
    );

    assert_eq!(structured(&disconnect("mine").await)["result"], "forgotten");
    interrupted(&host, call("fetch", "mine", None)).await;
}

/// Slack, with the identity provider in its place.
pub(crate) fn oauth_fixture(api: &LoopbackApi, issuer: &str, more: &str) -> Fixture {
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "provider_folder = 'providers'\n{more}\n[profiles.work]\n[profiles.personal]\n[providers.slack.client]\nid = 'native'\n\
         [components.parity-rust.config]\nbase_url = '{url}'\n"
    ));
    let provider = format!(
        "id = 'slack'\ntitle = 'Slack'\nkinds = ['oauth2']\ndoc_url = 'https://slack.example/'\nhosts = ['{url}']\n\
         [oauth]\nissuer = '{issuer}'\ndiscover = true\nclient_auth = 'none'\nrotation = 'rotates'\n\
         default_scopes = ['openid', 'offline_access', 'email']\nauthorize_params = {{ prompt = 'consent' }}\n\
         [identity]\nurl = '{issuer}/me'\npointer = '/email'\n"
    );
    fs::create_dir(fixture.path("providers")).unwrap();
    fs::write(fixture.path("providers/slack.toml"), provider).unwrap();
    fixture.plug_in(&component("parity-rust"));
    fixture
}

/// What a person does: opens the page, logs in at the provider, consents, comes back.
pub(crate) async fn consent(idp: &IdentityProvider, page: &Url) {
    consent_in(&mut Agent::default(), idp, page).await;
}

/// The same in a browser that has been there before.
pub(crate) async fn consent_in(browser: &mut Agent, idp: &IdentityProvider, page: &Url) {
    let back = log_in(browser, idp, page).await;
    let taken = browser.get(&back).await.unwrap();
    let ended = browser.get(&location(page, &taken)).await.unwrap();
    let text = String::from_utf8_lossy(ended.body()).into_owned();
    assert!(text.contains("alice@example.test"), "{text}");
}

/// Opens the page, logs in at the provider and consents: this is the way back.
pub(crate) async fn log_in(browser: &mut Agent, idp: &IdentityProvider, page: &Url) -> Url {
    let next = choose(browser, page, "consent").await;
    idp.login(&next, "alice").await.unwrap()
}

/// Opens the page and chooses a way: this is where it sends the browser on to.
pub(crate) async fn choose(browser: &mut Agent, page: &Url, way: &str) -> Url {
    let shown = browser.get(page).await.unwrap();
    assert!(shown.status().is_success(), "{}", shown.status());
    let origin = page.origin().ascii_serialization();
    let form = format!("way={way}");
    let sent = browser.post(page, &[("origin", &origin)], &form).await;
    let sent = sent.unwrap();
    assert_eq!(sent.status(), StatusCode::SEE_OTHER, "{sent:?}");
    location(page, &sent)
}

/// Where a page sends the browser on to.
fn location(page: &Url, answer: &http::Response<bytes::Bytes>) -> Url {
    let location = answer.headers()["location"].to_str().unwrap();
    page.join(location).unwrap()
}

/// The first address in a text.
pub(crate) fn address_in(text: &str) -> Option<Url> {
    let start = text.find("http://127.0.0.1:")?;
    let end = text[start..].find(char::is_whitespace)?;
    text[start..start + end].parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_call_prints_a_page_and_goes_on_once_a_person_has_connected() {
    let api = LoopbackApi::start().await.unwrap();
    let idp = IdentityProvider::start(Options::default()).await.unwrap();
    let fixture = oauth_fixture(&api, idp.issuer(), "");
    let answer = Answer::json(StatusCode::OK, &json!({ "ok": true, "user": "alice" }));
    api.script("/auth.test", Script::Answer(answer));
    let fixture = std::sync::Arc::new(fixture);
    let run = async |arguments: &'static [&'static str]| {
        let fixture = std::sync::Arc::clone(&fixture);
        tokio::task::spawn_blocking(move || fixture.holster(arguments))
            .await
            .unwrap()
    };

    // Without waiting: the pages outlive the command, and the same call goes through afterwards.
    let output = run(&["call", "fetch", "--profile", "work"]).await;
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    consent(&idp, &address_in(&said).expect(&said)).await;
    let output = run(&["--json", "call", "fetch", "--profile", "work"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let outcome: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        outcome["accounts"],
        json!([{ "provider": "slack", "profile": "work", "account": "alice@example.test" }])
    );

    // Waiting: one command, from the interrupt to the answer.
    let mut waiting = fixture
        .command(&["call", "fetch", "--profile", "personal", "--wait", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(waiting.stderr.take().unwrap());
    let page = loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended");
        if let Some(page) = address_in(&line) {
            break page;
        }
    };
    consent(&idp, &page).await;
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("alice"));

    // What the API got was issued for that account, and two accounts have two.
    let sent: Vec<_> = api
        .take_requests()
        .into_iter()
        .map(|request| request.headers["authorization"].clone())
        .collect();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);

    let output = run(&["auth", "disconnect", "slack", "--profile", "work"]).await;
    assert!(output.status.success());
    assert_eq!(idp.stats().await.unwrap().revoke, 1);
}
