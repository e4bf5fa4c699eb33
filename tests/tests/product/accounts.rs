//! Accounts: whose serves a call, where its secret goes, and where it never is.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use holster_core::types::{ProfileName, ToolName};
use holster_core::{Call, Failure, Outcome};
use holster_tests::loopback_api::{LoopbackApi, Script};
use holster_tests::{Fixture, component, structured};
use serde_json::{Map, Value, json};

/// What is looked for where it must not be.
const SECRET: &str = "work-slack-token";

fn fixture(api: &LoopbackApi, more: &str) -> Fixture {
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "default_profile = 'work'\n{more}\n\
         [profiles.work.credentials.slack]\ntoken = {{ file = 'work' }}\n\
         [profiles.personal.credentials.slack]\ntoken = {{ file = 'personal' }}\n\
         [providers.slack]\nhosts = ['{url}']\n[components.parity-rust.config]\nbase_url = '{url}'\n",
    ));
    fixture.write_private("work", SECRET);
    fixture.write_private("personal", "personal-slack-token");
    fixture.plug_in(&component("parity-rust"));
    fixture
}

fn fetch(profile: &str) -> Call {
    let mut call = Call::local(ToolName::new("fetch").unwrap(), Map::new());
    call.profile = Some(ProfileName::new(profile).unwrap());
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_one_provider_serve_at_once_and_never_cross() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = fixture(&api, "");
    let host = fixture.host().await;
    let pairs = (0..20)
        .map(|_| async { tokio::join!(host.call(fetch("work")), host.call(fetch("personal"))) });
    for pair in pairs {
        let (work, personal) = Box::pin(pair).await;
        assert_eq!(structured(&work)["user"], "ann");
        assert_eq!(structured(&personal)["user"], "annie");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_gets_the_secret_and_the_guest_never_does() {
    let api = LoopbackApi::start().await.unwrap();
    api.script("/auth.test", Script::Echo);
    let fixture = fixture(&api, "");
    let host = fixture.host().await;
    api.take_requests();
    let outcome = host.call(fetch("work")).await;
    // The API echoed the header into a body that the guest did not pass on; what it sent is what counts here.
    let requests = api.take_requests();
    assert_eq!(
        requests[0].headers["authorization"],
        format!("Bearer {SECRET}"),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guests_whole_memory_never_holds_the_secret() {
    let api = LoopbackApi::start().await.unwrap();
    let slow = Script::Body {
        bytes: 64 << 10,
        pause: Duration::from_secs(5),
    };
    api.script("/auth.test", slow);
    let fixture = fixture(&api, "[engine]\npooling = false");
    let host = fixture.host().await;
    host.settled().await;
    let call = tokio::spawn(async move { host.call(fetch("work")).await });
    // The request is out with the real secret in it, and the guest waits for the body.
    while api.take_requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let memories = tokio::task::spawn_blocking(linear_memories).await.unwrap();
    call.abort();
    let sealed: Vec<_> = memories
        .iter()
        .filter(|memory| holds(memory, b"holster-sealed-"))
        .collect();
    assert!(
        !sealed.is_empty(),
        "the guest's memory was not found among {} regions",
        memories.len()
    );
    for memory in &memories {
        assert!(
            !holds(memory, SECRET.as_bytes()),
            "a guest's memory holds the secret"
        );
    }
}

/// The contents of this process's linear memories: writable pages with gibibytes of reserved addresses behind them.
fn linear_memories() -> Vec<Vec<u8>> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let regions: Vec<_> = maps
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            Some((address(start)?, address(end)?, words.next()?.to_owned()))
        })
        .collect();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut contents = Vec::new();
    for (position, (start, end, access)) in regions.iter().enumerate() {
        // The image of a component and what was added to it are neighbouring regions of one memory.
        let behind = regions[position..]
            .iter()
            .find(|(_, _, access)| access.starts_with("---"));
        let is_linear =
            access.starts_with("rw") && behind.is_some_and(|(from, to, _)| to - from > 1 << 30);
        if is_linear && end - start < 1 << 30 {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.seek(SeekFrom::Start(*start)).unwrap();
            if memory.read_exact(&mut bytes).is_ok() {
                contents.push(bytes);
            }
        }
    }
    contents
}

fn holds(memory: &[u8], wanted: &[u8]) -> bool {
    memory.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sent_to_its_providers_hosts_only() {
    let api = LoopbackApi::start().await.unwrap();
    let url = api.url();
    // The component may reach the API, but Slack's secrets may not go there.
    let fixture = Fixture::new(&format!(
        "default_profile = 'work'\n[profiles.work.credentials.slack]\ntoken = {{ file = 'work' }}\n\
         [components.parity-rust]\nhosts = ['{url}']\nconfig = {{ base_url = '{url}' }}\n"
    ));
    fixture.write_private("work", SECRET);
    fixture.plug_in(&component("parity-rust"));
    let host = fixture.host().await;
    match host.call(fetch("work")).await {
        Outcome::Failed(Failure::Run { visits, .. }) => {
            let refused = visits[0].refused.as_deref().unwrap_or_default();
            assert!(refused.contains("sealed token of `slack`"), "{refused}");
        }
        other => panic!("{other:?}"),
    }
    assert!(api.take_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_named_is_not_asked() {
    let api = LoopbackApi::start().await.unwrap();
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "default_profile = 'work'\n[profiles.work.credentials.slack]\ntoken = {{ file = 'work' }}\n\
         [components.parity-rust.config]\nbase_url = '{url}'\n"
    ));
    fixture.write_private("work", SECRET);
    fixture.plug_in(&component("parity-rust"));
    let host = fixture.host().await;
    match host.call(fetch("work")).await {
        Outcome::Failed(Failure::Run { visits, .. }) => {
            let refused = visits[0].refused.as_deref().unwrap_or_default();
            assert!(refused.contains("nor named by the policy"), "{refused}");
        }
        other => panic!("{other:?}"),
    }
    assert!(api.take_requests().is_empty());
}

#[test]
fn a_credential_is_added_listed_used_and_removed_and_never_shown() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api = runtime.block_on(LoopbackApi::start()).unwrap();
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "default_profile = 'work'\n[providers.slack]\nhosts = ['{url}']\n\
         [components.parity-rust.config]\nbase_url = '{url}'\n"
    ));
    fixture.plug_in(&component("parity-rust"));
    let mut said = String::new();
    let mut run = |arguments: &[&str], input: &str, code: i32| {
        let output = fixture.holster_with(arguments, input);
        let text = [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        said.push_str(&text);
        text
    };
    assert!(run(&["call", "fetch"], "", 3).contains("is not connected; open http://127.0.0.1:"));
    run(
        &["-vv", "auth", "add", "slack", "--stdin"],
        "work-slack-token\n",
        0,
    );
    assert!(run(&["auth", "list"], "", 0).contains("slack"));
    assert!(run(&["-vv", "call", "fetch"], "", 0).contains("\"user\": \"ann\""));
    let listed: Value = serde_json::from_str(&run(&["--json", "auth", "list"], "", 0)).unwrap();
    assert_eq!(listed[0]["profile"], json!("work"));
    run(&["auth", "disconnect", "slack"], "", 0);
    run(&["call", "fetch"], "", 3);
    assert!(!said.contains(SECRET), "{said}");
    for file in fixture.files() {
        let bytes = fs::read(&file).unwrap();
        assert!(
            !holds(&bytes, SECRET.as_bytes()),
            "{} holds the secret",
            file.display()
        );
    }
}
