//! The pages in a real browser, driven by `tests/browser/connect.mjs`.

use std::path::Path;

use holster_core::broker::Connection;
use http::Uri;
use identity_provider::install_packages;
use serde_json::Value;

use crate::setting::{HOUR, Host, file, identity_provider};
use crate::signing_in;

/// What a script of `tests/browser` saw, which finds this in its environment.
async fn seen_by(script: &str, screenshots: &Path, environment: &[(&str, &str)]) -> Value {
    let chromium = holster_tests::chromium();
    let package = holster_tests::repository().join("tests/browser");
    install_packages(&package).await.unwrap();
    let browser = tokio::process::Command::new("node")
        .arg(package.join(script))
        .env("CHROMIUM", &chromium)
        .env("SCREENSHOTS", screenshots)
        .envs(environment.iter().copied())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(std::time::Duration::from_mins(3), browser);
    let output = ended.await.expect("the browser comes to its end").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_person_connects_an_account_in_chromium() {
    let idp = identity_provider(HOUR).await;
    let authorize = format!("authorize_url = '{}/auth'", idp.issuer());
    let host = Host::start(&[("idp", file("idp", idp.issuer(), &authorize))]).await;
    let connection = host.connect("default", "idp", "files:read").await;
    let url = host.at(&format!("connect/{}", connection.id));
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("connect-pages");

    let seen = seen_by(
        "connect.mjs",
        &screenshots,
        &[("CONNECT_URL", url.as_str())],
    )
    .await;

    assert_eq!(seen["chosen"]["title"], "Connect Provider idp · Holster");
    let button = format!(
        "Continue to Provider idp\n\nYou go to {}",
        idp.issuer().parse::<Uri>().unwrap().authority().unwrap()
    );
    let text = seen["chosen"]["text"].as_str().unwrap();
    assert!(
        text.contains(&button) && text.contains("files:read"),
        "{text}"
    );
    assert_eq!(seen["ended"]["title"], "Connected · Holster");
    let text = seen["ended"]["text"].as_str().unwrap();
    assert!(
        text.contains("The profile default now uses Provider idp as alice@example.test."),
        "{text}"
    );
    // Neither the code nor the state stays in the address bar, or one step back in the history.
    assert_eq!(seen["ended"]["url"], url.as_str());
    let elsewhere = seen["elsewhere"]["text"].as_str().unwrap();
    assert!(
        elsewhere.contains("Opened in another browser") && !elsewhere.contains("alice"),
        "{elsewhere}"
    );

    // A page that its own policy stops says so there.
    assert_eq!(seen["complaints"], Value::Array(Vec::new()));
    let cookie = &seen["cookie"];
    assert_eq!(cookie["name"], "holster_browser");
    for (flag, value) in [("httpOnly", true), ("secure", false), ("session", true)] {
        assert_eq!(cookie[flag], value, "{cookie}");
    }
    assert_eq!(cookie["sameSite"], "Lax");
    assert_eq!(cookie["path"], "/");
    for name in [
        "choose-light",
        "choose-dark",
        "connected-light",
        "connected-dark",
    ] {
        assert!(screenshots.join(format!("{name}.png")).is_file(), "{name}");
    }
    let grant = host.grant("default", "idp").await;
    assert_eq!(grant.account.as_deref(), Some("alice@example.test"));
    assert_eq!(idp.stats().await.unwrap().code, 1);
}

#[tokio::test]
async fn a_person_signs_in_in_chromium() {
    let idp = identity_provider(HOUR).await;
    let host = signing_in::host(&idp).await;
    let own = host.connect_for("company/alice", "work", "idp").await;
    let other = host.connect_for("ann", "work", "idp").await;
    let page = |connection: &Connection| host.at(&format!("connect/{}", connection.id));
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sign-in-pages");
    let environment = [("CONNECT_URL", page(&own)), ("OTHER_URL", page(&other))];
    let mut environment: Vec<_> = environment
        .iter()
        .map(|(name, url)| (*name, url.as_str()))
        .collect();
    environment.push(("KEY", signing_in::KEY));
    let seen = seen_by("sign-in.mjs", &screenshots, &environment).await;

    assert_eq!(seen["complaints"], Value::Array(Vec::new()));
    for (name, title, told) in [
        ("asked", "Sign in", "Sign in at company"),
        ("own", "Connect Provider idp", "of company/alice"),
        ("other", "For somebody else", "signed in as company/alice"),
        ("as", "Connect Provider idp", "of ann"),
    ] {
        assert_eq!(seen[name]["title"], format!("{title} · Holster"));
        let text = seen[name]["text"].as_str().unwrap();
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(seen["own"]["url"], page(&own).as_str());
    assert_eq!(seen["as"]["url"], page(&other).as_str());
    let mut names: Vec<_> = seen["cookies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|cookie| cookie["name"].as_str().unwrap().starts_with("holster"))
        .map(|cookie| {
            assert_eq!(cookie["httpOnly"], true, "{cookie}");
            cookie["name"].as_str().unwrap()
        })
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["holster_browser", "holster_visit"]);
}
