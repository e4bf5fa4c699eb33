//! Components that were linked as the tools link them, as they are and merged.

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::{WORTHWHILE, merged};

/// A component as `linked.wat` has it, with as many elements in its table as make it worthwhile, and with `more` in the module that
/// fills the rest.
fn linked(more: &str) -> String {
    include_str!("linked.wat")
        .replace("(;padding;)", &"$add ".repeat(WORTHWHILE))
        .replace(";; more of init", more)
}

/// What `run` answers to some numbers, one after the other in one instance.
fn answers(component: &[u8]) -> Vec<u32> {
    let engine = Engine::default();
    let component = Component::new(&engine, component).unwrap();
    let mut linker = Linker::new(&engine);
    linker
        .root()
        .func_wrap("host", |_, (text,): (String,)| {
            Ok((u32::try_from(text.len()).unwrap(),))
        })
        .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance
        .get_typed_func::<(u32,), (u32,)>(&mut store, "run")
        .unwrap();
    [1, 10, 1, 7]
        .map(|number| run.call(&mut store, (number,)).unwrap().0)
        .to_vec()
}

/// How many instances of modules a component makes.
fn instances(component: &[u8]) -> usize {
    let payloads = wasmparser::Parser::new(0).parse_all(component);
    let sections = payloads.filter_map(|payload| match payload.unwrap() {
        wasmparser::Payload::InstanceSection(section) => Some(section),
        _ => None,
    });
    let made = |instance: &wasmparser::Instance<'_>| {
        matches!(instance, wasmparser::Instance::Instantiate { .. })
    };
    sections
        .flat_map(|section| section.into_iter().map(Result::unwrap))
        .filter(made)
        .count()
}

#[test]
fn linked_modules_do_as_one_what_they_did() {
    let component = wat::parse_str(linked("")).unwrap();
    let merged = merged(&component).expect("they are merged");
    assert_eq!(answers(&merged), answers(&component));
    assert_eq!(instances(&component), 7);
    // The shim, what fills it, and the one.
    assert_eq!(instances(&merged), 3);
}

#[test]
fn the_answers_are_those_of_the_text() {
    let component = wat::parse_str(linked("")).unwrap();
    // `later` doubles; `own` counts from 100, and adds what it has counted to; the length is that of `hello`.
    let own = [2 + 101, 20 + 102, 2 + 103, 14 + 104];
    let mut counter = 5;
    let expected = own.map(|own| {
        counter += own;
        counter * 1000 + 5
    });
    assert_eq!(answers(&component), expected);
}

#[test]
fn what_cannot_be_merged_without_a_doubt_stays_as_it_is() {
    let starts = "(func $nothing) (start $nothing)";
    let few = linked("").replace(&"$add ".repeat(WORTHWHILE), "$add $add ");
    // The host's function would need the memory before the module that needs the function is there.
    let crossed = linked("").replace(
        r#"(export "of" (func $of-shim))"#,
        r#"(export "of" (func $of))"#,
    );
    let lower =
        "  (core func $of (canon lower (func $host) (memory $memory) (realloc $realloc)))\n";
    let realloc = "  (alias core export $main \"realloc\" (core func $realloc))\n";
    let before = "  (core instance $a-host";
    let crossed = crossed
        .replace(lower, "")
        .replace(realloc, "")
        .replace(before, &format!("{realloc}{lower}{before}"));
    // Two instances of one module each have their own state.
    let twice = linked("").replace(
        "  (alias core export $b \"run\"",
        "  (core instance (instantiate $adapter (with \"env\" (instance $adapter-env))))\n  (alias core export $b \"run\"",
    );
    for (what, text) in [
        ("code runs at the start", linked(starts)),
        ("a small table", few),
        ("a member is needed too early", crossed),
        ("a module twice", twice),
        ("two memories", linked("(memory 1)")),
        ("no modules", "(component)".to_owned()),
    ] {
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(merged(&component).is_none(), "{what}");
    }
}

#[test]
fn whatever_a_valid_component_is_like_it_is_merged_or_left() {
    let component = wat::parse_str(linked("")).unwrap();
    let is_valid = |component: &[u8]| {
        let mut validator = wasmparser::Validator::new();
        validator.validate_all(component).is_ok()
    };
    let (mut merged_ones, mut left) = (0, 0);
    for position in 0..component.len() {
        for flip in [0x01, 0x02, 0x10, 0xff] {
            let mut altered = component.clone();
            altered[position] ^= flip;
            if is_valid(&altered) {
                match merged(&altered) {
                    Some(merged) => {
                        assert!(is_valid(&merged), "byte {position} ^ {flip}");
                        merged_ones += 1;
                    }
                    None => left += 1,
                }
            }
        }
    }
    assert!(merged_ones > 100 && left > 0, "{merged_ones} {left}");
}
