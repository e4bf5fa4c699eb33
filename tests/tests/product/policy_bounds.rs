//! Which providers and profiles a component may use, and which entry of the configuration says so.

use std::fs;

use holster_core::types::{ProfileName, TenantId};
use holster_core::{Call, Failure, Host, Outcome};
use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, call, component, report, said, structured};
use http::StatusCode;
use serde_json::json;

use crate::serve::as_nobody;

/// Ann has an account for work and one of her own. What the components may do is `components`.
fn fixture(api: &LoopbackApi, components: &str) -> Fixture {
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "connect.address = '127.0.0.1:0'\n\
         [profiles.work.credentials.slack]\ntoken = {{ file = 'work' }}\n\
         [profiles.personal.credentials.slack]\ntoken = {{ file = 'personal' }}\n\
         [providers.slack]\nhosts = ['{url}']\n{components}\n",
    ));
    fixture.write_private("work", "work-slack-token");
    fixture.write_private("personal", "personal-slack-token");
    fixture.plug_in(&component("parity-rust"));
    fixture
}

/// An entry with what the components need to find the API.
fn entry(api: &LoopbackApi, name: &str, more: &str) -> String {
    format!(
        "[components.'{name}']\nconfig.base_url = '{}'\n{more}\n",
        api.url()
    )
}

fn fetch(profile: Option<&str>) -> Call {
    let mut call = call("fetch", json!({}));
    call.profile = profile.map(|name| ProfileName::new(name).unwrap());
    call
}

async fn failed(host: &Host, call: Call) -> Failure {
    match host.call(call).await {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_gets_no_account_at_a_provider_that_is_not_allowed() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, &entry(&api, "parity-*", "providers = ['github']"));
    let refused = fixture.holster(&["call", "fetch", "--profile", "work"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let told = said(&refused);
    for part in [
        "`fetch` was not called: it needs an account at `slack`",
        "`[components.\"parity-*\"]`",
        "`slack` is not among its `providers`",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(api.take_requests().is_empty(), "nothing was sent");
    let recorded = said(&fixture.holster(&["audit", "list", "--last", "100"]));
    assert!(
        recorded.contains("it needs an account at `slack`"),
        "{recorded}"
    );
    let explained = said(&fixture.holster(&["policy", "explain", "fetch"]));
    for part in [
        "approved), by `[components.\"parity-*\"]`",
        "- be called: it needs an account at slack, which is not among its `providers`",
    ] {
        assert!(explained.contains(part), "{part} is not in {explained}");
    }
    // What it needs is not asked for either.
    let prepared = fixture.holster(&["auth", "prepare", "fetch", "--profile", "work"]);
    assert_eq!(prepared.status.code(), Some(1), "{}", said(&prepared));
    let server = HttpServer::start(&fixture);
    let answer = as_nobody(&server).call("fetch", json!({})).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    assert_eq!(answer.body["type"], "provider_not_allowed");
    // What needs no account goes on.
    let host = fixture.host().await;
    assert!(matches!(host.call(report()).await, Outcome::Finished(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_called_for_the_profiles_that_are_allowed_and_no_other() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, &entry(&api, "parity-rust", "profiles = ['work']"));
    let host = fixture.host().await;
    // Without a word, the only one that is allowed is meant, although two have an account.
    for call in [fetch(Some("work")), fetch(None)] {
        assert_eq!(structured(&host.call(call).await)["user"], "ann");
    }
    api.take_requests();
    let refused = failed(&host, fetch(Some("personal"))).await;
    assert!(
        matches!(refused, Failure::ProfileNotAllowed { .. }),
        "{refused:?}"
    );
    assert!(refused.is_refusal());
    let told = refused.to_string();
    for part in [
        "`fetch` was not called for profile `personal`",
        "`[components.parity-rust]`",
        "for `work` alone",
        "add `personal` to its `profiles`",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // A tool without accounts does not run for it either.
    let mut plain = report();
    plain.profile = fetch(Some("personal")).profile;
    let refused = failed(&host, plain).await;
    assert!(
        matches!(refused, Failure::ProfileNotAllowed { .. }),
        "{refused:?}"
    );
    assert!(api.take_requests().is_empty(), "nothing was sent");
    let server = HttpServer::start(&fixture);
    let arguments = json!({ "arguments": {}, "for": { "profile": "personal" } });
    let answer = as_nobody(&server)
        .post("v1/tools/fetch/call", &arguments)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    assert_eq!(answer.body["type"], "profile_not_allowed");
    let explained = said(&fixture.holster(&["policy", "explain", "report"]));
    assert!(
        explained.contains("- be called for another profile than work"),
        "{explained}"
    );
}

async fn choose(host: &Host, profile: &str) {
    let (slack, profile) = ("slack".parse().unwrap(), profile.parse().unwrap());
    let local = TenantId::local();
    let chosen = host.broker().set_default(&local, &slack, Some(&profile));
    chosen.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_several_profiles_are_allowed_the_one_that_serves_must_be_among_them() {
    let api = LoopbackApi::start().await.unwrap();
    let several = entry(&api, "parity-rust", "profiles = ['home', 'work']");
    let fixture = fixture(&api, &several);
    let host = fixture.host().await;
    let refused = failed(&host, fetch(None)).await;
    assert!(matches!(refused, Failure::Ambiguous { .. }), "{refused:?}");
    choose(&host, "personal").await;
    let refused = failed(&host, fetch(None)).await;
    assert!(
        refused.to_string().contains("for `home` and `work` alone"),
        "{refused}"
    );
    choose(&host, "work").await;
    assert_eq!(structured(&host.call(fetch(None)).await)["user"], "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_entry_decides_and_nothing_of_another_is_added() {
    let api = LoopbackApi::start().await.unwrap();
    let entries = [
        entry(&api, "*", "profiles = ['personal']"),
        entry(&api, "parity-*", "profiles = ['work']"),
        "[components.parity-rust-2]\nprofiles = ['work']\n".to_owned(),
    ];
    let fixture = fixture(&api, &entries.concat());
    let explain = || said(&fixture.holster(&["policy", "explain", "fetch"]));
    assert!(
        explain().contains("by `[components.\"parity-*\"]`"),
        "{}",
        explain()
    );
    assert!(explain().contains("settings base_url"), "{}", explain());
    fs::remove_file(fixture.path("plugins/parity-rust.wasm")).unwrap();
    fixture.plug_in_as(&component("parity-rust"), "parity-rust-2.wasm");
    assert!(
        explain().contains("by `[components.parity-rust-2]`"),
        "{}",
        explain()
    );
    assert!(!explain().contains("settings"), "{}", explain());
    fs::remove_file(fixture.path("plugins/parity-rust-2.wasm")).unwrap();
    fixture.plug_in_as(&component("parity-rust"), "other.wasm");
    assert!(
        explain().contains("by `[components.\"*\"]`"),
        "{}",
        explain()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_patterns_that_say_as_much_of_a_name_are_refused_with_both_their_names() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "[components.'acme-*']\n[components.'*-tool']\n");
    let refused = fixture.holster(&["tools"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    for part in [
        "holster.toml, in components.\"acme-*\"",
        "`components.\"*-tool\"`",
    ] {
        assert!(
            said(&refused).contains(part),
            "{part} is not in {}",
            said(&refused)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_component_gets_by_a_pattern_what_it_is_asked_for_and_no_more() {
    let api = LoopbackApi::start().await.unwrap();
    let always = format!("[policy]\nask = 'always'\n{}", entry(&api, "*", ""));
    let fixture = fixture(&api, &always);
    let refused = fixture.holster(&["call", "fetch", "--profile", "work"]);
    assert!(
        said(&refused).contains("`holster policy approve"),
        "{}",
        said(&refused)
    );
    let approved = fixture.holster(&["policy", "approve", "parity-rust", "--yes"]);
    let shown = said(&approved);
    for part in [
        &format!("+ host     {}", api.url()),
        "  granted  setting base_url",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let served = fixture.holster(&["call", "fetch", "--profile", "work"]);
    assert!(served.status.success(), "{}", said(&served));
    // One that comes later under the same pattern has yet to be approved.
    fs::rename(
        fixture.path("plugins/parity-rust.wasm"),
        fixture.path("plugins/another.wasm"),
    )
    .unwrap();
    let refused = fixture.holster(&["call", "fetch", "--profile", "work"]);
    assert!(
        said(&refused).contains("`holster policy approve another`"),
        "{}",
        said(&refused)
    );
}
