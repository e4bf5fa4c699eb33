//! Processes that are killed at whatever they do, and what is left of it.

use std::collections::BTreeMap;
use std::io;
use std::process::Output;
use std::time::{Duration, Instant};

use bytes::Bytes;
use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, component, corpus, report_arguments, said, with_note};
use http::{Method, Response, StatusCode};
use identity_provider::{Browser, IdentityProvider, Options};
use tokio::time::{sleep, sleep_until};

use super::{consented, fetch, fetch_of, oauth_machine, page_of, succeeds};
use crate::connecting;
use crate::serve::as_nobody;

/// How many processes are killed, unless `HOLSTER_KILLS` says so.
const KILLS: u32 = 60;

/// How long the work takes, by and large, where it compiles or asks others; and where it does not. Kills are spread over so
/// much time.
const LONG: Duration = Duration::from_millis(120);
const SHORT: Duration = Duration::from_millis(40);

/// So many processes may come to their end for each that is killed before.
const SPARED: u32 = 4;

/// How long an access token lives.
const LIFE: Duration = Duration::from_secs(1);

fn kills() -> u32 {
    let kills = std::env::var("HOLSTER_KILLS").ok();
    kills.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// One installation, and what it must not lose.
struct Machine {
    _api: LoopbackApi,
    provider: IdentityProvider,
    fixture: Fixture,
    parity: Vec<u8>,
    /// The profiles whose keys were written.
    kept: Vec<String>,
    /// When the account of `work` had its last token.
    renewed: tokio::time::Instant,
    /// How many processes ended before their work did, by that work.
    killed: BTreeMap<&'static str, u32>,
}

/// Each piece of work says whether it was killed before its end.
impl Machine {
    async fn new() -> Self {
        let options = Options {
            access_token: LIFE,
            token_delay: LONG / 4,
            ..Options::default()
        };
        let (api, provider, fixture) = oauth_machine(options).await;
        let server = HttpServer::start(&fixture);
        consented(&server, &provider, "work").await;
        Self {
            _api: api,
            provider,
            fixture,
            parity: std::fs::read(component("parity-rust")).expect("it was built"),
            kept: Vec::new(),
            renewed: tokio::time::Instant::now(),
            killed: BTreeMap::new(),
        }
    }

    /// Runs `holster` for as long as `time`, then kills it. Whether it was killed before its end.
    fn is_killed_after(&self, time: Duration, arguments: &[&str], input: &str) -> bool {
        let ended = killed_after(time, &self.fixture, arguments, input);
        if let Some(output) = &ended {
            assert!(output.status.success(), "{arguments:?}: {}", said(output));
        }
        ended.is_none()
    }

    /// Components that are new are read and compiled.
    fn load(&self, round: u32, time: Duration) -> bool {
        let bytes = with_note(&self.parity, &round.to_string());
        // Those of `parity-rust`, whose name comes first, serve its tools.
        self.fixture.plug_in_bytes(&bytes, "second.wasm");
        let name = format!("tool-{round}");
        let schema = br#"{"type":"object"}"#;
        let small = corpus::component_that_lists(name.as_bytes(), b"One more.", schema, None, None);
        let file = format!("small-{}.wasm", round % 5);
        self.fixture.plug_in_bytes(&small, &file);
        self.is_killed_after(time, &["tools", "--json"], "")
    }

    /// A key is written to the vault.
    fn write(&mut self, round: u32, time: Duration) -> bool {
        let profile = format!("person-{round}");
        let add = ["auth", "add", "github", "--profile", &profile, "--stdin"];
        let killed = self.is_killed_after(time, &add, "a-token\n");
        if !killed {
            self.kept.push(profile);
        }
        killed
    }

    /// A tool is called, and that is put on record.
    fn call(&self, time: Duration) -> bool {
        let arguments = report_arguments().to_string();
        self.is_killed_after(time, &["call", "report", &arguments], "")
    }

    /// A person comes back from the provider: the code is exchanged, and what it brings is stored. Who was told that the
    /// account is connected finds it so; everybody else can connect it.
    async fn connect(&self, time: Duration) -> bool {
        let server = HttpServer::start(&self.fixture);
        let account = "v1/accounts/personal/slack";
        let client = as_nobody(&server);
        client.send(Method::DELETE, account, &[], "").await;
        let waiting = fetch(&server, "personal").await;
        let mut browser = Browser::default();
        let back = connecting::log_in(&mut browser, &self.provider, &page_of(&waiting)).await;
        let mut same = browser.clone();
        let coming = async move { same.get(&back).await };
        let told = answered_within(time, server, coming).await;

        let server = HttpServer::start(&self.fixture);
        let mut answer = fetch(&server, "personal").await;
        if told.is_none() && answer.status == StatusCode::ACCEPTED {
            connecting::consent_in(&mut browser, &self.provider, &page_of(&answer)).await;
            answer = fetch(&server, "personal").await;
        }
        assert_eq!(answer.status, StatusCode::OK, "{told:?}: {}", answer.body);
        told.is_none()
    }

    /// A token is renewed, which uses the one up that it is renewed with. Afterwards the account serves; or it is not known
    /// whether the provider has answered, and the person is asked, rather than the provider once more: that would end all
    /// that it ever granted.
    async fn refresh(&mut self, time: Duration) -> bool {
        let server = HttpServer::start(&self.fixture);
        self.provider.reset().await.unwrap();
        sleep_until(self.renewed + LIFE).await;
        let calling = fetch_of(&server, "work");
        let told = answered_within(time, server, calling).await;

        let server = HttpServer::start(&self.fixture);
        // What has just been renewed is over as well.
        sleep(LIFE).await;
        let mut answer = fetch(&server, "work").await;
        if told.is_none() && answer.status == StatusCode::ACCEPTED {
            let message = answer.body["message"].as_str().unwrap();
            assert!(message.contains("a refresh was cut off"), "{message}");
            answer = consented(&server, &self.provider, "work").await;
        }
        assert_eq!(answer.status, StatusCode::OK, "{told:?}: {}", answer.body);
        self.renewed = tokio::time::Instant::now();
        let stats = self.provider.stats().await.unwrap();
        assert_eq!(stats.errors, [""; 0], "{told:?}");
        told.is_none()
    }

    /// Nothing is half done, and nothing is lost that was done.
    fn assert_sound(&self) {
        for check in ["cache", "vault", "audit"] {
            succeeds(&self.fixture, &[check, "verify"]);
        }
        let listed = succeeds(&self.fixture, &["auth", "list"]);
        for profile in &self.kept {
            assert!(listed.contains(profile.as_str()), "{profile}: {listed}");
        }
    }
}

/// Runs `holster` for as long as `time`, then kills it. Says how it ended if it was sooner.
fn killed_after(
    time: Duration,
    fixture: &Fixture,
    arguments: &[&str],
    input: &str,
) -> Option<Output> {
    let mut process = fixture.start(arguments, input);
    let start = Instant::now();
    while start.elapsed() < time {
        if process.try_wait().expect("it is ours").is_some() {
            return Some(process.wait_with_output().expect("it has ended"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().expect("it is ours");
    process.wait().expect("it was killed");
    None
}

/// Lets a server answer for as long as `time`, then kills it. What it has answered, if that was sooner.
async fn answered_within(
    time: Duration,
    server: HttpServer,
    answer: impl Future<Output = io::Result<Response<Bytes>>> + Send + 'static,
) -> Option<StatusCode> {
    let answer = tokio::spawn(answer);
    sleep(time).await;
    drop(server);
    let answer = answer.await.expect("it does not panic").ok();
    answer.map(|answer| answer.status())
}

/// By turns: the load and the compilation of components that are new, a write to the vault, a call with its records, a
/// connection, a refresh; until so many were killed in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_any_point_leaves_nothing_half_done_and_loses_nothing_that_was_done()
 {
    let mut machine = Machine::new().await;
    let report = report_arguments().to_string();
    succeeds(&machine.fixture, &["call", "report", &report]);
    let mut rounds = 0..SPARED * kills();
    while machine.killed.values().sum::<u32>() < kills() {
        let round = rounds
            .next()
            .expect("processes are killed before their end");
        // Another point each time, whatever the work: 101 has no factor in common with anything here.
        let point = |work: Duration| work * (round * 37 % 101) / 101;
        let (work, killed) = match round % 5 {
            0 => ("load", machine.load(round, point(LONG))),
            1 => ("write", machine.write(round, point(SHORT))),
            2 => ("call", machine.call(point(SHORT))),
            3 => ("connect", machine.connect(point(LONG)).await),
            _ => ("refresh", machine.refresh(point(LONG)).await),
        };
        *machine.killed.entry(work).or_default() += u32::from(killed);
        machine.assert_sound();
    }
    println!("{} rounds, killed: {:?}", rounds.start, machine.killed);
    assert!(
        machine.killed.values().all(|&killed| killed > 0),
        "{:?}",
        machine.killed
    );
    // The next start finds everything as it should be.
    let listed = succeeds(&machine.fixture, &["tools"]);
    assert!(
        listed.contains("report") && listed.contains("tool-"),
        "{listed}"
    );
    succeeds(&machine.fixture, &["call", "report", &report]);
}
