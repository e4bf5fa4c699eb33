//! A plugin directory that is changed in every way while tools of it are called all the time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use holster_tests::{Fixture, HttpServer, corpus};
use http::StatusCode;
use serde_json::{Value, json};

use crate::serve::{Answer, as_nobody};

/// How many call at once.
const CALLERS: usize = 4;

/// How long a change may take to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A change of the plugin directory.
struct Step {
    /// What is there then.
    what: &'static str,
    change: fn(&Fixture),
    /// What the tool says then; nothing if there is none.
    says: Option<&'static str>,
}

fn step(what: &'static str, says: &'static str, change: fn(&Fixture)) -> Step {
    let says = (!says.is_empty()).then_some(says);
    Step { what, change, says }
}

fn saying(word: &str) -> Vec<u8> {
    corpus::component_that_says(word.as_bytes().try_into().expect("four letters"))
}

fn put(fixture: &Fixture, word: &str) {
    fixture.plug_in_bytes(&saying(word), "it.wasm");
}

/// Moves the plugin directory out of the way of another one.
fn move_away(fixture: &Fixture) {
    let mut away = (0..).map(|number| fixture.path(&format!("away-{number}")));
    let free = away.find(|path| !path.exists());
    let free = free.expect("there is no last one");
    fs::rename(fixture.path("plugins"), free).unwrap();
}

/// A folder beside, with a component that says this.
fn folder(fixture: &Fixture, name: &str, word: &str) {
    fs::create_dir(fixture.path(name)).unwrap();
    fs::write(fixture.path(name).join("it.wasm"), saying(word)).unwrap();
}

/// A link that takes the place of what is there, at once.
fn link(fixture: &Fixture, target: &str, place: &str) {
    let beside = fixture.path("link");
    symlink(fixture.path(target), &beside).unwrap();
    fs::rename(beside, fixture.path(place)).unwrap();
}

fn it(fixture: &Fixture) -> impl AsRef<Path> + use<> {
    fixture.path("plugins/it.wasm")
}

fn steps() -> Vec<Step> {
    vec![
        step("a component", "aaaa", |fixture| put(fixture, "aaaa")),
        step("another one", "bbbb", |fixture| put(fixture, "bbbb")),
        step("garbage", "", |fixture| {
            fixture.plug_in_bytes(b"garbage", "it.wasm");
        }),
        step("the first one again", "aaaa", |fixture| {
            put(fixture, "aaaa");
        }),
        step("a directory", "", |fixture| {
            fs::remove_file(it(fixture)).unwrap();
            fs::create_dir(it(fixture)).unwrap();
        }),
        step("a component again", "cccc", |fixture| {
            fs::remove_dir(it(fixture)).unwrap();
            put(fixture, "cccc");
        }),
        step("nothing", "", |fixture| {
            fs::remove_file(it(fixture)).unwrap();
        }),
        step("a link", "dddd", |fixture| {
            folder(fixture, "d", "dddd");
            link(fixture, "d/it.wasm", "plugins/it.wasm");
        }),
        step("a link elsewhere", "eeee", |fixture| {
            folder(fixture, "e", "eeee");
            link(fixture, "e/it.wasm", "plugins/it.wasm");
        }),
        step("a link to nothing", "", |fixture| {
            link(fixture, "nothing", "plugins/it.wasm");
        }),
        step("another plugin directory", "ffff", |fixture| {
            folder(fixture, "f", "ffff");
            move_away(fixture);
            fs::rename(fixture.path("f"), fixture.path("plugins")).unwrap();
        }),
        step("a change in that one", "gggg", |fixture| {
            put(fixture, "gggg");
        }),
        step("no plugin directory", "", move_away),
        step("one again", "hhhh", |fixture| {
            folder(fixture, "plugins", "hhhh");
        }),
        step("a change in it", "iiii", |fixture| put(fixture, "iiii")),
        step("a link to a plugin directory", "jjjj", |fixture| {
            folder(fixture, "j", "jjjj");
            move_away(fixture);
            link(fixture, "j", "plugins");
        }),
        step("a link to another one", "kkkk", |fixture| {
            folder(fixture, "k", "kkkk");
            link(fixture, "k", "plugins");
        }),
        step("a change in that one", "llll", |fixture| {
            put(fixture, "llll");
        }),
        step(
            "many changes, the last of which counts",
            "mmmm",
            |fixture| {
                for _ in 0..20 {
                    put(fixture, "nnnn");
                    put(fixture, "mmmm");
                    std::thread::sleep(Duration::from_millis(20));
                }
            },
        ),
    ]
}

/// How far the steps are: twice the number of the step that is seen by now, and one more while the next one is taken.
#[derive(Clone, Default)]
struct Phase(Arc<AtomicUsize>);

impl Phase {
    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn next(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn say(server: &HttpServer) -> Answer {
    as_nobody(server).call("say", json!({})).await
}

/// What the tool has said, if it was called.
fn word(answer: &Answer) -> Option<&str> {
    let said = || answer.body["content"][0]["text"].as_str();
    (answer.status == StatusCode::OK).then(|| said().expect("a word"))
}

/// Whether an answer is right that began in one phase and ended in another.
fn is_right(steps: &[Step], answer: &Answer, began: usize, ended: usize) -> bool {
    let mut there = steps[began / 2..=ended.div_ceil(2)].iter();
    match (answer.status, word(answer)) {
        (_, Some(said)) => there.any(|step| step.says == Some(said)),
        // While one takes the place of the other, there may be none.
        (StatusCode::NOT_FOUND, None) => {
            answer.body["type"] == "unknown_tool"
                && (began != ended || began % 2 == 1 || there.any(|step| step.says.is_none()))
        }
        (StatusCode::BAD_GATEWAY, None) => {
            answer.body["type"] == "component" && (began != ended || began % 2 == 1)
        }
        _ => false,
    }
}

/// What is listed of the tool.
async fn listed(server: &HttpServer) -> Option<Value> {
    let tools = as_nobody(server).get("v1/tools").await.body;
    let mut tools = tools["tools"].as_array().expect("a list").iter();
    let say = tools.find(|tool| tool["name"] == "say")?;
    Some(say["description"].clone())
}

async fn until_listed(server: &HttpServer, step: &Step) {
    let end = Instant::now() + PATIENCE;
    while listed(server).await != step.says.map(Value::from) {
        assert!(Instant::now() < end, "{} is not seen", step.what);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_plugin_directory_what_is_listed_answers_and_nothing_else() {
    let fixture = Fixture::new("connect.address = '127.0.0.1:0'");
    let steps = steps();
    (steps[0].change)(&fixture);
    let server = HttpServer::start(&fixture);
    until_listed(&server, &steps[0]).await;
    let phase = Phase::default();
    let last = 2 * (steps.len() - 1);

    let load = join_all((0..CALLERS).map(async |_| {
        let mut said = 0;
        while phase.now() < last {
            let began = phase.now();
            let answer = say(&server).await;
            let ended = phase.now();
            assert!(
                is_right(&steps, &answer, began, ended),
                "between {} and {}: {} {}",
                steps[began / 2].what,
                steps[ended.div_ceil(2)].what,
                answer.status,
                answer.body
            );
            said += usize::from(word(&answer).is_some());
        }
        said
    }));
    let changes = async {
        for step in &steps[1..] {
            phase.next();
            (step.change)(&fixture);
            until_listed(&server, step).await;
            phase.next();
            // All of them call what is there now.
            for _ in 0..10 {
                assert_eq!(word(&say(&server).await), step.says, "{}", step.what);
            }
        }
    };
    let (said, ()) = tokio::join!(load, changes);
    assert!(said.iter().sum::<usize>() > 10 * steps.len(), "{said:?}");
}
