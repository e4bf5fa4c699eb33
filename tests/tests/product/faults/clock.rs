//! Clocks that are set, forward and back, while something is to end by them. Only the time of day jumps: the clock that counts
//! goes on as it does, as on every machine.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use holster_tests::loopback_api::{Answer as Scripted, LoopbackApi, Script};
use holster_tests::{Fixture, HttpServer, component, eventually, report_arguments};
use http::{Method, StatusCode};
use identity_provider::{Browser, IdentityProvider, Options};
use serde_json::json;
use url::Url;

use super::{consented, fetch, oauth_machine, page_of, succeeds};
use crate::serve::{
    Client, as_caller, as_nobody, assert_counted_apart, keys, sign_in_as, without_session,
};
use crate::{audit, connecting};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A clock of an installation's processes, which is set by a file that the library of `faketime` reads.
struct Clock {
    file: PathBuf,
    beside: PathBuf,
    library: String,
}

impl Clock {
    fn of(fixture: &Fixture) -> Self {
        let library = Command::new("faketime")
            .args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"])
            .stderr(Stdio::inherit())
            .output()
            .expect(
                "`faketime` is missing; run `apt-get install --no-install-recommends faketime`",
            );
        let clock = Self {
            file: fixture.path("clock"),
            beside: fixture.path("clock.new"),
            library: String::from_utf8_lossy(&library.stdout).trim().to_owned(),
        };
        clock.set(0);
        clock
    }

    /// So many seconds from the time that it is.
    fn set(&self, seconds: i64) {
        fs::write(&self.beside, format!("{seconds:+}\n")).unwrap();
        fs::rename(&self.beside, &self.file).unwrap();
    }

    fn start(&self, fixture: &Fixture) -> HttpServer {
        let mut command = HttpServer::command(fixture);
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        HttpServer::start_as(command)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_be_over_is_renewed_whichever_way_the_clock_was_set() {
    let options = Options {
        access_token: Duration::from_hours(1),
        ..Options::default()
    };
    let (_api, provider, fixture) = oauth_machine(options).await;
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    consented(&server, &provider, "work").await;
    provider.reset().await.unwrap();
    let mut renewals = 0;
    for (seconds, renewed) in [
        (30, false),
        (2 * HOUR, true),
        (2 * HOUR - 30, false),
        (-DAY, true),
        (-DAY + 30, false),
        (DAY, true),
        (0, true),
        (-365 * DAY, true),
        (365 * DAY, true),
        (0, true),
    ] {
        clock.set(seconds);
        let answer = fetch(&server, "work").await;
        assert_eq!(answer.status, StatusCode::OK, "{seconds}: {}", answer.body);
        renewals += u32::from(renewed);
        let stats = provider.stats().await.unwrap();
        assert_eq!(
            (stats.refresh, stats.errors),
            (renewals, Vec::new()),
            "{seconds}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nothing_renews_serves_until_it_is_over_and_is_kept_in_case_the_clock_was_wrong()
 {
    let options = Options {
        access_token: Duration::from_hours(1),
        ..Options::default()
    };
    let (_api, provider, fixture) = oauth_machine(options).await;
    let configuration = fs::read_to_string(fixture.path("holster.toml")).unwrap();
    let without_refresh = configuration.replace("id = 'native'", "id = 'without-refresh'");
    assert_ne!(without_refresh, configuration);
    fs::write(fixture.path("holster.toml"), without_refresh).unwrap();
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    consented(&server, &provider, "work").await;
    provider.reset().await.unwrap();
    for (seconds, is_over) in [
        (HOUR - MINUTE, false),
        (2 * HOUR, true),
        (0, false),
        (-DAY, false),
        (365 * DAY, true),
        (-365 * DAY, false),
    ] {
        clock.set(seconds);
        let answer = fetch(&server, "work").await;
        let expected = if is_over {
            StatusCode::ACCEPTED
        } else {
            StatusCode::OK
        };
        assert_eq!(answer.status, expected, "{seconds}: {}", answer.body);
        let stats = provider.stats().await.unwrap();
        assert_eq!((stats.token, stats.errors), (0, Vec::new()), "{seconds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lives_for_ten_minutes_whichever_way_the_clock_is_set() {
    let (_api, provider, fixture) = oauth_machine(Options::default()).await;
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    let mut browser = Browser::default();
    for (seconds, lives) in [
        (5 * MINUTE, true),
        (-30, true),
        (11 * MINUTE, false),
        (365 * DAY, false),
        (-HOUR, false),
        (-365 * DAY, false),
    ] {
        clock.set(0);
        let page = page_of(&fetch(&server, "work").await);
        let back = connecting::log_in(&mut browser, &provider, &page).await;
        clock.set(seconds);
        browser.get(&back).await.unwrap();
        let mut answer = fetch(&server, "work").await;
        let taken = answer.status == StatusCode::OK;
        assert_eq!(taken, lives, "{seconds}: {}", answer.body);
        if !lives {
            let next = page_of(&answer);
            assert_ne!(next, page, "{seconds}");
            connecting::consent_in(&mut browser, &provider, &next).await;
            answer = fetch(&server, "work").await;
        }
        assert_eq!(answer.status, StatusCode::OK, "{seconds}: {}", answer.body);
        disconnect(&server).await;
    }
}

/// Gives up what `fetch` acts with for profile `work`.
async fn disconnect(server: &HttpServer) {
    let account = "v1/accounts/work/slack";
    let client = as_nobody(server);
    let gone = client.send(Method::DELETE, account, &[], "").await;
    assert_eq!(gone.status, StatusCode::OK, "{}", gone.body);
}

/// The page at which a person gets the code of a device, and enters it at the provider.
async fn enter_code(browser: &mut Browser, provider: &IdentityProvider, page: &Url) {
    let next = connecting::choose(browser, page, "device").await;
    let shown = browser.get(&next).await.unwrap();
    let shown = String::from_utf8_lossy(shown.body()).into_owned();
    let (_, rest) = shown.split_once("<p class=\"code\">").expect(&shown);
    let (code, _) = rest.split_once('<').unwrap();
    provider.enter_code(code, "alice").await.unwrap();
}

/// What is asked every few seconds is asked on, neither at once nor years later.
#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_a_device_is_asked_for_whichever_way_the_clock_was_set() {
    let (_api, provider, fixture) = oauth_machine(Options::default()).await;
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    let client = as_nobody(&server);
    let mut browser = Browser::default();
    for (seconds, lives) in [(5 * MINUTE, true), (-HOUR, false), (365 * DAY, false)] {
        clock.set(0);
        let mut waiting = fetch(&server, "work").await;
        if lives {
            enter_code(&mut browser, &provider, &page_of(&waiting)).await;
        }
        clock.set(seconds);
        if !lives {
            let next = fetch(&server, "work").await;
            assert_ne!(page_of(&next), page_of(&waiting), "{seconds}");
            enter_code(&mut browser, &provider, &page_of(&next)).await;
            waiting = next;
        }
        let number = provider.stats().await.unwrap().device;
        let id = waiting.body["missing"][0]["connection"].as_str().unwrap();
        let ended = client.get(&format!("v1/connections/{id}?wait=30")).await;
        assert_eq!(
            ended.body["state"], "connected",
            "{seconds}: {}",
            ended.body
        );
        let questions = provider.stats().await.unwrap().device - number;
        assert!((1..=4).contains(&questions), "{seconds}: {questions}");
        let answer = fetch(&server, "work").await;
        assert_eq!(answer.status, StatusCode::OK, "{seconds}: {}", answer.body);
        disconnect(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_told_of_a_disconnection_later_whichever_way_the_clock_was_set() {
    let (api, provider, fixture) = oauth_machine(Options::default()).await;
    let file = fixture.path("providers/slack.toml");
    let text = fs::read_to_string(&file).unwrap();
    let revoke = format!("discover = true\nrevoke_url = '{}/revoke'", api.url());
    fs::write(&file, text.replace("discover = true", &revoke)).unwrap();
    let revoked = || {
        let requests = api.take_requests();
        requests.iter().any(|request| request.path == "/revoke")
    };
    let answers = |status| {
        let answer = Scripted::json(status, &json!({}));
        api.script("/revoke", Script::Answer(answer));
    };
    let clock = Clock::of(&fixture);
    for seconds in [2 * MINUTE, DAY, -DAY] {
        clock.set(0);
        let server = clock.start(&fixture);
        consented(&server, &provider, "work").await;
        answers(StatusCode::SERVICE_UNAVAILABLE);
        disconnect(&server).await;
        assert!(revoked(), "it was told, and was busy");
        drop(server);
        clock.set(seconds);
        answers(StatusCode::OK);
        let _server = clock.start(&fixture);
        eventually("the provider is told", revoked).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_between_two_requests_for_a_quarter_of_an_hour_by_any_clock() {
    let fixture = Fixture::new("connect.address = '127.0.0.1:0'");
    fixture.plug_in(&component("parity-rust"));
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    let client = as_nobody(&server);
    for (seconds, goes_on) in [
        (10 * MINUTE, true),
        (-30, true),
        (16 * MINUTE, false),
        (365 * DAY, false),
        (-HOUR, false),
        (-365 * DAY, false),
    ] {
        clock.set(0);
        let asked = without_session(&client, "invite", json!({ "arguments": {} })).await;
        let who = json!({ "name": "Ann", "guests": 2, "meal": "fish" });
        let answer = json!({
            "arguments": {},
            "requestState": asked["result"]["requestState"],
            "inputResponses": { "answer": { "action": "accept", "content": who } },
        });
        clock.set(seconds);
        let ended = without_session(&client, "invite", answer).await;
        if goes_on {
            let said = &ended["result"]["structuredContent"]["who"];
            assert_eq!(said, "Ann with 2 for fish", "{seconds}: {ended}");
        } else {
            assert_eq!(ended["error"]["code"], -32602, "{seconds}: {ended}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_signed_in_for_an_hour_whichever_way_the_clock_is_set() {
    let api = LoopbackApi::start().await.unwrap();
    let pages = format!("connect.address = '127.0.0.1:0'\n{}", keys());
    let fixture = connecting::fixture(&api, &pages);
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    let ann = as_caller(&server, "ann");
    let mut browser = Browser::default();
    let page = page_of(&ann.call("fetch", json!({})).await);
    sign_in_as("ann", &mut browser, &page).await;
    for (seconds, signed_in) in [
        (0, true),
        (50 * MINUTE, true),
        (-30, true),
        (61 * MINUTE, false),
        (365 * DAY, false),
        (-HOUR, false),
        (-365 * DAY, false),
    ] {
        clock.set(seconds);
        let page = page_of(&ann.call("fetch", json!({})).await);
        let shown = browser.get(&page).await.unwrap();
        let shown = String::from_utf8_lossy(shown.body()).into_owned();
        assert_eq!(!shown.contains("Sign in"), signed_in, "{seconds}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_no_time_of_day() {
    let fixture = Fixture::new(&format!(
        "connect.address = '127.0.0.1:0'\nserve.requests_per_second = 5\n{}",
        keys()
    ));
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    let (ann, bob) = (as_caller(&server, "ann"), as_caller(&server, "bob"));
    for seconds in [0, DAY, -DAY, 0] {
        clock.set(seconds);
        assert_counted_apart(&ann, &bob).await;
    }
}

/// A call that computes for ever.
async fn spin(client: &Client<'_>) {
    let answer = client.call("misuse", json!({ "kind": "spin" })).await;
    assert_eq!(
        answer.status,
        StatusCode::GATEWAY_TIMEOUT,
        "{}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_in_time_and_are_on_record_whatever_time_it_is() {
    let fixture = Fixture::new("connect.address = '127.0.0.1:0'\n[limits]\ntime_ms = 1000");
    fixture.plug_in(&component("parity-rust"));
    let clock = Clock::of(&fixture);
    let server = clock.start(&fixture);
    let client = as_nobody(&server);
    let since_1970 = UNIX_EPOCH.elapsed().unwrap().as_secs();
    // A machine whose battery is empty begins with 1970.
    let in_1970 = 10 - i64::try_from(since_1970).unwrap();
    let times = [DAY, -DAY, in_1970, 0];
    for seconds in times {
        let set = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            clock.set(seconds);
        };
        tokio::join!(spin(&client), set);
        let answer = client.call("report", report_arguments()).await;
        assert_eq!(answer.status, StatusCode::OK, "{seconds}: {}", answer.body);
    }
    assert!(server.end(Duration::from_secs(10)));
    succeeds(&fixture, &["audit", "verify"]);
    assert_eq!(audit::lines(&fixture, &[]).len(), 2 * times.len());
}
