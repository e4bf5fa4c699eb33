//! The architecture, as `DESIGN` draws it: which crate may import which, and where `unsafe` may stand.
//!
//! Fronts → core → {runtime, broker} → types, and never back. Only the code cache is `unsafe`, since it loads machine
//! code; every other crate of the host forbids it.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use holster_tests::{cargo_metadata, repository};
use serde_json::Value;

/// What a crate of the host may import of this repository, be it for its tests only. A front may import the core,
/// who its callers are, the clients for what it asks itself, and what all pages have in common.
const LAYERS: &[(&str, &[&str])] = &[
    ("holster-types", &[]),
    ("holster-http", &["holster-types"]),
    ("holster-look", &[]),
    ("holster-audit", &["holster-types"]),
    ("holster-runtime", &["holster-http", "holster-types"]),
    (
        "holster-broker",
        &["holster-audit", "holster-http", "holster-types"],
    ),
    (
        "holster-core",
        &[
            "holster-audit",
            "holster-broker",
            "holster-runtime",
            "holster-types",
        ],
    ),
    ("holster-callers", &["holster-core", "holster-http"]),
];
const FRONT: &[&str] = &[
    "holster-callers",
    "holster-core",
    "holster-http",
    "holster-look",
];
/// The one executable, which puts the host and its servers together: the only front that imports others.
const EXECUTABLE: &str = "holster-cli";
/// What stands beside the host and may be used by the tests of any crate.
const TEST_SUPPORT: &[&str] = &["identity-provider", "loopback-api"];

/// The only module with a reason.
const CODE_CACHE: &[&str] = &[
    "host/runtime/src/code_cache.rs",
    "host/runtime/src/code_cache/",
];

/// A crate of this repository.
struct Crate {
    name: String,
    /// Below the root.
    folder: String,
    /// Which other crates of this repository it names, and whether only its tests do.
    imports: Vec<Import>,
}

struct Import {
    name: String,
    for_tests: bool,
}

impl Crate {
    fn is_front(&self) -> bool {
        self.folder.starts_with("host/fronts/")
    }

    fn read(package: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("cargo gives a text").to_owned();
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest)
            .parent()
            .and_then(|folder| folder.strip_prefix(repository()).ok());
        let imports = package["dependencies"]
            .as_array()
            .expect("a package has dependencies")
            .iter();
        let own = imports.filter(|import| import["path"].is_string());
        Self {
            name: text(&package["name"]),
            folder: folder
                .expect("a member lies in the repository")
                .to_string_lossy()
                .into_owned(),
            imports: own
                .map(|import| Import {
                    name: text(&import["name"]),
                    for_tests: import["kind"] == "dev",
                })
                .collect(),
        }
    }
}

fn crates() -> Vec<Crate> {
    let metadata = cargo_metadata();
    metadata["packages"]
        .as_array()
        .expect("a workspace has packages")
        .iter()
        .map(Crate::read)
        .collect()
}

#[test]
fn every_crate_of_the_host_imports_only_what_lies_below_it() {
    let mut wrong = Vec::new();
    let mut layers = 0;
    let crates = crates();
    let fronts: Vec<String> = crates
        .iter()
        .filter(|member| member.is_front())
        .map(|member| member.name.clone())
        .collect();
    for member in &crates {
        let layer = LAYERS
            .iter()
            .find(|(layer, _)| *layer == member.name)
            .map(|(_, allowed)| *allowed);
        layers += usize::from(layer.is_some());
        let Some(allowed) = layer.or_else(|| member.is_front().then_some(FRONT)) else {
            continue;
        };
        for import in &member.imports {
            let composes = member.name == EXECUTABLE && fronts.contains(&import.name);
            let supports_tests = import.for_tests && TEST_SUPPORT.contains(&import.name.as_str());
            if !allowed.contains(&import.name.as_str()) && !supports_tests && !composes {
                wrong.push(format!("{} imports {}", member.name, import.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(layers, LAYERS.len(), "a layer was renamed or removed");
}

#[test]
fn every_crate_under_host_has_its_place_in_the_architecture() {
    let has_place =
        |member: &Crate| member.is_front() || LAYERS.iter().any(|(layer, _)| *layer == member.name);
    let under_host = crates()
        .into_iter()
        .filter(|member| member.folder.starts_with("host/"));
    let strangers: Vec<String> = under_host
        .filter(|member| !has_place(member))
        .map(|member| member.name)
        .collect();
    assert_eq!(strangers, ["xtask"], "a new crate needs a line in LAYERS");
}

#[test]
fn nothing_but_the_executable_and_the_end_to_end_tests_imports_a_front() {
    let crates = crates();
    let fronts: Vec<&str> = crates
        .iter()
        .filter(|member| member.is_front())
        .map(|member| &*member.name)
        .collect();
    assert!(!fronts.is_empty());
    let imports_front = |member: &Crate| {
        member
            .imports
            .iter()
            .any(|import| fronts.contains(&&*import.name))
    };
    let importers: Vec<&str> = crates
        .iter()
        .filter(|member| imports_front(member))
        .map(|member| &*member.name)
        .collect();
    assert!(
        importers
            .iter()
            .all(|name| ["holster-tests", EXECUTABLE].contains(name)),
        "{importers:?}"
    );
}

#[test]
fn only_the_code_cache_is_unsafe() {
    let mut found = Vec::new();
    for file in rust_sources(&repository()) {
        if CODE_CACHE.iter().any(|place| file.starts_with(place)) {
            continue;
        }
        let source = fs::read_to_string(repository().join(&file)).expect("a source can be read");
        for (number, line) in source.lines().enumerate() {
            if says_unsafe(line) {
                found.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_crate_of_the_host_forbids_unsafe_code() {
    let mut without = Vec::new();
    for Crate { name, folder, .. } in crates() {
        // The compiler refuses `forbid` where one module below allows it, so the runtime denies.
        let attribute = if name == "holster-runtime" {
            "#![deny(unsafe_code)]"
        } else {
            "#![forbid(unsafe_code)]"
        };
        let of_host =
            folder.starts_with("host/") || folder == "tests" || folder == "tests/loopback-api";
        for root in ["src/lib.rs", "src/main.rs"] {
            let file = repository().join(&folder).join(root);
            let Ok(source) = fs::read_to_string(&file) else {
                continue;
            };
            if of_host && !source.lines().any(|line| line == attribute) {
                without.push(format!("{folder}/{root} lacks `{attribute}`"));
            }
        }
    }
    assert_eq!(without, Vec::<String>::new());
}

/// Whether a line of code, not a comment and not a text, holds the keyword.
fn says_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let outside_texts = code.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    outside_texts
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == "unsafe")
}

#[test]
fn the_keyword_is_told_from_the_word() {
    assert!(says_unsafe("    unsafe { component.deserialise() }"));
    assert!(says_unsafe("pub unsafe fn load() {} // why"));
    assert!(!says_unsafe("#![forbid(unsafe_code)]"));
    assert!(!says_unsafe("// unsafe: see below"));
    let quoted = format!("fail({0}unsafe{0})", '"');
    assert!(!says_unsafe(&quoted));
}

fn rust_sources(root: &Path) -> Vec<String> {
    const NOT_OURS: &[&str] = &["target", "node_modules", ".git", ".venv", "dist"];
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let below = path.strip_prefix(root).expect("it was found there");
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found
}
