//! Components that were linked as the tools link them, as they are and merged.

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::{WORTHWHILE, merged};

/// A component in the order in which `wit-component` links: what the host gives is called through a shim, `main` owns memory and
/// table, calls forward through the table, and knows where everything lies; an adapter, two libraries, and what fills the rest.
fn linked(init: &str) -> String {
    let padding = "$add ".repeat(WORTHWHILE);
    format!(
        r#"(component
  (import "host" (func $host (param "of" string) (result u32)))
  (core module $main
    (type $unary (func (param i32) (result i32)))
    (import "old" "reset" (func $reset))
    (table (export "table") 1000 funcref)
    (memory (export "memory") 1)
    (global (export "a:table_base") i32 (i32.const 1))
    (global (export "b:table_base") i32 (i32.const 600))
    (global (export "a:memory_base") i32 (i32.const 1024))
    (global (export "counter") (mut i32) (i32.const 5))
    (func (export "later") (param i32) (result i32)
      (call_indirect (type $unary) (local.get 0) (i32.const 900)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
    (data (i32.const 1024) "hello"))
  (core module $adapter
    (import "env" "memory" (memory 0))
    (global $state (mut i32) (i32.const 7))
    (func (export "reset") (global.set $state (i32.load8_u (i32.const 1024)))))
  (core module $a
    (type $unary (func (param i32) (result i32)))
    (type $none (func))
    (import "env" "memory" (memory 1))
    (import "env" "table" (table 1 funcref))
    (import "env" "base" (global $base i32))
    (import "env" "memory_base" (global $memory_base i32))
    (import "env" "later" (func $later (type $unary)))
    (import "host" "of" (func $of (param i32 i32) (result i32)))
    (global $own (mut i32) (i32.const 100))
    (global (export "data") i32 (i32.const 3))
    (func $add (type $unary) (i32.add (local.get 0) (global.get $own)))
    (func (export "own") (param i32) (result i32)
      (global.set $own (i32.add (global.get $own) (i32.const 1)))
      (call_indirect (type $unary) (call $later (local.get 0)) (i32.add (global.get $base) (i32.const 2))))
    (func (export "length") (result i32) (call $of (global.get $memory_base) (i32.const 5)))
    (elem (global.get $base) func {padding}))
  (core module $b
    (type $binary (func (param i32 i32) (result i32)))
    (type $unary (func (param i32) (result i32)))
    (import "env" "table" (table 1 funcref))
    (import "env" "base" (global $base i32))
    (import "env" "counter" (global $counter (mut i32)))
    (import "a" "own" (func $own (type $unary)))
    (import "a" "length" (func $length (result i32)))
    (import "old" "reset" (func $reset))
    (func $double (export "double") (type $unary) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "run") (type $unary)
      (call $reset)
      (global.set $counter (i32.add (global.get $counter) (call $own (local.get 0))))
      (table.set (i32.const 900) (ref.func $double))
      (i32.add (i32.mul (global.get $counter) (i32.const 1000)) (call $length)))
    (elem (global.get $base) func $double $own))
  (core module $init
    (import "main" "table" (table 1 funcref))
    (import "b" "double" (func $double (param i32) (result i32)))
    (import "adapter" "reset" (func $reset))
    (elem (i32.const 900) func $double)
    {init})
  (core module $shim
    (type $of (func (param i32 i32) (result i32)))
    (type $reset (func))
    (table (export "table") 2 2 funcref)
    (func (export "0") (type $of) (call_indirect (type $of) (local.get 0) (local.get 1) (i32.const 0)))
    (func (export "1") (type $reset) (call_indirect (type $reset) (i32.const 1))))
  (core module $fixup
    (import "" "table" (table 2 2 funcref))
    (import "" "0" (func $of (param i32 i32) (result i32)))
    (import "" "1" (func $reset))
    (elem (i32.const 0) func $of $reset))
  (core instance $shim (instantiate $shim))
  (alias core export $shim "1" (core func $reset-shim))
  (core instance $old (export "reset" (func $reset-shim)))
  (core instance $main (instantiate $main (with "old" (instance $old))))
  (alias core export $main "memory" (core memory $memory))
  (core instance $adapter-env (export "memory" (memory $memory)))
  (core instance $adapter (instantiate $adapter (with "env" (instance $adapter-env))))
  (alias core export $main "table" (core table $table))
  (alias core export $main "a:table_base" (core global $a-base))
  (alias core export $main "b:table_base" (core global $b-base))
  (alias core export $main "a:memory_base" (core global $a-memory))
  (alias core export $main "counter" (core global $counter))
  (alias core export $main "later" (core func $later))
  (alias core export $shim "0" (core func $of-shim))
  (core instance $a-host (export "of" (func $of-shim)))
  (core instance $a-env
    (export "memory" (memory $memory)) (export "table" (table $table)) (export "base" (global $a-base))
    (export "memory_base" (global $a-memory)) (export "later" (func $later)))
  (core instance $a (instantiate $a (with "env" (instance $a-env)) (with "host" (instance $a-host))))
  (core instance $b-env
    (export "table" (table $table)) (export "base" (global $b-base)) (export "counter" (global $counter)))
  (alias core export $adapter "reset" (core func $reset))
  (core instance $b-old (export "reset" (func $reset)))
  (core instance $b (instantiate $b (with "env" (instance $b-env)) (with "a" (instance $a)) (with "old" (instance $b-old))))
  (alias core export $main "realloc" (core func $realloc))
  (core func $of (canon lower (func $host) (memory $memory) (realloc $realloc)))
  (alias core export $shim "table" (core table $shim-table))
  (core instance $fixup-args (export "table" (table $shim-table)) (export "0" (func $of)) (export "1" (func $reset)))
  (core instance (instantiate $fixup (with "" (instance $fixup-args))))
  (core instance (instantiate $init (with "main" (instance $main)) (with "b" (instance $b))
    (with "adapter" (instance $adapter))))
  (alias core export $b "run" (core func $run))
  (func (export "run") (param "of" u32) (result u32) (canon lift (core func $run))))"#
    )
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
    let few = linked("").replace(&"$add ".repeat(WORTHWHILE), "$add $add $add ");
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
        ("no modules", "(component)".to_owned()),
    ] {
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(merged(&component).is_none(), "{what}");
    }
}
