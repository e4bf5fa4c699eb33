//! What authors, operators and clients may hand to the host, and nobody thought of.

use std::time::{Duration, Instant};

use holster_core::conformance::Checker;
use holster_core::types::ComponentHash;
use holster_core::{Config, open_broker};
use holster_tests::Fixture;
use holster_tests::corpus;
use holster_tests::fuzz::Fuzz;
use tokio::runtime::Runtime;

/// Far longer than anything may take: the limits of discovery and of compilation lie below.
const LONGEST: Duration = Duration::from_mins(1);

/// What is larger takes long to alter, and hides nothing else.
const SEED_BYTES: usize = 64 << 10;

fn threads() -> Runtime {
    Runtime::new().unwrap()
}

/// What is said of a file holds nothing but text, and tells of no breakdown of the host.
fn assert_fit_for_a_terminal(said: &str) {
    assert!(!said.contains(char::is_control), "{said:?}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn no_text_makes_a_configuration_that_breaks_the_host() {
    Fuzz::corpus("configuration").run(|input| {
        let text = String::from_utf8_lossy(input);
        if let Err(error) = Config::parse(&text, "/etc/holster.toml".as_ref()) {
            let said = error.to_string();
            assert!(said.contains("/etc/holster.toml"), "{said}");
            // As a value; the name of a key that is not known is said.
            assert!(!said.contains("\"PLANTED-SECRET"), "{said}");
        }
    });
}

/// Those of the adversarial corpus, and what comes of them when they are altered.
#[test]
fn no_file_breaks_the_check_of_a_component() {
    let threads = threads();
    let fixture = Fixture::new("");
    let runtime = fixture.runtime();
    let broker = threads.block_on(open_broker(&fixture.config())).unwrap();
    let checker = Checker::new(&runtime, broker.providers());
    let seeds = corpus::cases().into_iter().map(|case| case.bytes);
    let seeds = seeds.filter(|bytes| bytes.len() <= SEED_BYTES).collect();
    let file = fixture.path("plugins").join("altered.wasm");
    Fuzz::with("component", seeds).run(|input| {
        fixture.plug_in_bytes(input, "altered.wasm");
        let start = Instant::now();
        let report = threads.block_on(checker.check(&file));
        assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
        assert_eq!(report.hash, Some(ComponentHash::of(input)));
        for finding in &report.findings {
            assert_fit_for_a_terminal(&finding.message);
        }
    });
}

/// What a component says of its tool, a line for each: name, description, both schemas, provider.
#[test]
fn no_words_of_a_component_about_its_tool_break_the_host() {
    let threads = threads();
    let fixture = Fixture::new("");
    let runtime = fixture.runtime();
    Fuzz::corpus("metadata").run(|input| {
        let mut parts = input.split(|&byte| byte == b'\n').collect::<Vec<_>>();
        parts.resize(5, b"");
        let [name, description, input_schema, output_schema, provider] = parts[..] else {
            unreachable!("there are five");
        };
        let bytes = corpus::component_that_lists(
            name,
            description,
            input_schema,
            (!output_schema.is_empty()).then_some(output_schema),
            (!provider.is_empty()).then_some(provider),
        );
        let start = Instant::now();
        let loaded =
            threads.block_on(runtime.load(ComponentHash::of(&bytes), || Ok(bytes), |_| {}));
        assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
        match loaded {
            Ok(component) => {
                let [tool] = component.tools() else {
                    panic!("one tool was listed, and {} came", component.tools().len());
                };
                assert_eq!(tool.name.as_str().as_bytes(), name);
                assert!(!tool.description.is_empty());
            }
            Err(error) => {
                assert_fit_for_a_terminal(&error.to_string());
            }
        }
    });
}

/// States of a client: the one true one, and what comes of it when it is altered.
#[test]
fn no_state_but_the_true_one_resumes_a_call() {
    let threads = threads();
    let fixture = Fixture::new("");
    let host = threads.block_on(fixture.host());
    let broker = host.broker();
    let call = ["local", "thread", "work", "echo", "{}"];
    let state = threads.block_on(broker.resumption(&call)).unwrap();
    Fuzz::with(
        "resumption",
        vec![state.clone().into_bytes(), b"asked.".to_vec()],
    )
    .run(|input| {
        let altered = String::from_utf8_lossy(input);
        if altered == state {
            return;
        }
        let judged = threads.block_on(broker.resume(&altered, &call)).unwrap();
        assert!(judged.is_err(), "{altered}");
    });
    let judged = threads.block_on(broker.resume(&state, &call)).unwrap();
    judged.unwrap();
}
