//! The code cache: each component is compiled once, and code that cannot be trusted is compiled again, never loaded.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use holster_core::types::ComponentHash;
use holster_core::{LoadEvent, Outcome, Progress, Runtime};
use holster_tests::{Fixture, component, report, report_arguments, with_note};

/// A component, and where its entry lies.
struct Cached {
    bytes: Vec<u8>,
    entry: PathBuf,
}

fn parity() -> Vec<u8> {
    fs::read(component("parity-rust")).expect("the component was built")
}

/// Whether the runtime had to compile the component.
async fn compiles(runtime: &Runtime, bytes: &[u8]) -> bool {
    let steps = Mutex::new(Vec::new());
    let read = bytes.to_vec();
    runtime
        .load(
            ComponentHash::of(bytes),
            move || Ok(read),
            |step| steps.lock().unwrap().push(step),
        )
        .await
        .expect("the component is sound");
    match steps.into_inner().unwrap()[..] {
        [Progress::Cached] => false,
        [Progress::Compiling, Progress::Compiled(_)] => true,
        ref other => panic!("{other:?}"),
    }
}

/// Compiles a component into the fixture's cache.
async fn cache(fixture: &Fixture, bytes: Vec<u8>) -> Cached {
    let before = entries(fixture);
    assert!(compiles(&fixture.runtime(), &bytes).await);
    let mut new = entries(fixture);
    new.retain(|entry| !before.contains(entry));
    let [entry] = new.try_into().expect("one new entry");
    Cached { bytes, entry }
}

/// The folders of all entries: those of the cache that hold code.
fn entries(fixture: &Fixture) -> Vec<PathBuf> {
    let items = fs::read_dir(fixture.path("code")).into_iter().flatten();
    let mut folders: Vec<_> = items.map(|item| item.unwrap().path()).collect();
    folders.retain(|folder| folder.join("code").is_file());
    folders.sort();
    folders
}

fn flip_a_bit(file: &Path, position: impl FnOnce(usize) -> usize) {
    let mut bytes = fs::read(file).unwrap();
    let position = position(bytes.len());
    bytes[position] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn swap(left: &Path, right: &Path) {
    let aside = left.with_extension("aside");
    fs::rename(left, &aside).unwrap();
    fs::rename(right, left).unwrap();
    fs::rename(aside, right).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_age(file: &Path, age: Duration) {
    let time = SystemTime::now() - age;
    File::open(file).unwrap().set_modified(time).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_start_compiles_nothing() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    for expected in [true, false] {
        let compiled = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&compiled);
        let host = fixture
            .host_observed(move |_, event| {
                *seen.lock().unwrap() |= event == LoadEvent::Progress(Progress::Compiling);
            })
            .await;
        let outcome = host.call(report()).await;
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        assert_eq!(*compiled.lock().unwrap(), expected);
    }
    assert!(!compiles(&fixture.runtime(), &parity()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_entry_is_reported_and_compiled_again_and_never_loaded() {
    type Forge = fn(&Path, &Path);
    let forgeries: [(&str, Forge, &str); 9] = [
        (
            "a bit of the code",
            |entry, _| flip_a_bit(&entry.join("code"), |length| length / 2),
            "its code has a wrong MAC",
        ),
        (
            "the last bit of the code",
            |entry, _| flip_a_bit(&entry.join("code"), |length| length - 1),
            "its code has a wrong MAC",
        ),
        (
            "a bit of the manifest",
            |entry, _| flip_a_bit(&entry.join("manifest"), |length| length / 2),
            "its manifest has a wrong MAC",
        ),
        (
            "a bit of the manifest's MAC",
            |entry, _| flip_a_bit(&entry.join("manifest"), |_| 0),
            "its manifest has a wrong MAC",
        ),
        (
            "half of the code",
            |entry, _| {
                let code = File::options()
                    .write(true)
                    .open(entry.join("code"))
                    .unwrap();
                code.set_len(code.metadata().unwrap().len() / 2).unwrap();
            },
            "its code has a wrong MAC",
        ),
        (
            "an empty manifest",
            |entry, _| fs::write(entry.join("manifest"), "").unwrap(),
            "its manifest has a wrong MAC",
        ),
        (
            "no code",
            |entry, _| fs::remove_file(entry.join("code")).unwrap(),
            "there is no such entry",
        ),
        (
            "the code of another component",
            |entry, other| swap(&entry.join("code"), &other.join("code")),
            "its code has a wrong MAC",
        ),
        (
            "the place of another component",
            swap,
            "it belongs to another component or engine",
        ),
    ];
    let fixture = Fixture::new("");
    let victim = cache(&fixture, parity()).await;
    let other = fs::read(component("text-statistics")).unwrap();
    let other = cache(&fixture, other).await;
    for (what, forge, reason) in forgeries {
        forge(&victim.entry, &other.entry);
        let output = fixture.holster(&["cache", "verify"]);
        let verdicts = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{what}: {verdicts}");
        let name = victim.entry.file_name().unwrap().display();
        let verdict = format!("{name}: {reason}");
        assert!(verdicts.contains(&verdict), "{what}: {verdicts}");

        let runtime = fixture.runtime();
        assert!(compiles(&runtime, &victim.bytes).await, "{what}");
        compiles(&runtime, &other.bytes).await;
        let output = fixture.holster(&["cache", "verify"]);
        assert!(
            output.status.success(),
            "{what}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_entry_outlives_a_key_that_is_another_damaged_or_readable_by_others() {
    let fixture = Fixture::new("");
    let cached = cache(&fixture, parity()).await;
    let key = fixture.path("code.key");
    let mut last = fs::read(&key).unwrap();
    assert_eq!((last.len(), mode(&key)), (32, 0o600));
    let readable = || fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let changes: [(&str, &dyn Fn()); 5] = [
        ("another key", &|| fs::write(&key, [7; 32]).unwrap()),
        ("a short key", &|| fs::write(&key, [7; 31]).unwrap()),
        ("a long key", &|| fs::write(&key, [7; 33]).unwrap()),
        ("no key", &|| fs::remove_file(&key).unwrap()),
        ("a key that others could read", &readable),
    ];
    for (what, change) in changes {
        change();
        assert!(compiles(&fixture.runtime(), &cached.bytes).await, "{what}");
        let now = fs::read(&key).unwrap();
        assert_eq!((now.len(), mode(&key)), (32, 0o600), "{what}");
        assert_ne!(now, last, "{what}");
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_want_the_same_component_compile_it_once() {
    let fixture = Fixture::new("");
    // Each runtime has locks of its own for its tasks, as each process has.
    let runtimes = [fixture.runtime(), fixture.runtime()];
    let loads = runtimes.iter().cycle().take(16).map(|runtime| {
        let runtime = runtime.clone();
        tokio::spawn(async move { compiles(&runtime, &parity()).await })
    });
    let loads: Vec<_> = loads.collect();
    let mut compiled = 0;
    for load in loads {
        compiled += u32::from(load.await.unwrap());
    }
    assert_eq!(compiled, 1);
}

#[test]
fn processes_that_want_the_same_component_compile_it_once() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    let processes: Vec<_> = (0..4)
        .map(|_| {
            let mut warm = fixture.command(&["-vv", "cache", "warm"]);
            warm.stdout(Stdio::null()).stderr(Stdio::piped());
            warm.spawn().expect("`holster` was built with the tests")
        })
        .collect();
    let mut log = String::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        log += &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
    }
    assert_eq!(log.matches("compiled component").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn above_its_size_the_least_recently_used_code_goes_first() {
    let size = {
        let fixture = Fixture::new("");
        let entry = cache(&fixture, parity()).await.entry;
        ["code", "manifest"].map(|file| fs::metadata(entry.join(file)).unwrap().len())
    };
    let size: u64 = size.iter().sum();
    let mebibytes = ((2 * size) >> 20) + 1;
    assert!(
        mebibytes << 20 < 3 * size,
        "no number of MiB holds two entries of {size} B and not three"
    );
    let fixture = Fixture::new(&format!("cache.max_mib = {mebibytes}"));
    let first = cache(&fixture, parity()).await;
    let second = cache(&fixture, with_note(&parity(), "second")).await;
    // The first is older, but it is used once more.
    set_age(&first.entry.join("manifest"), Duration::from_hours(2));
    set_age(&second.entry.join("manifest"), Duration::from_hours(1));
    assert!(!compiles(&fixture.runtime(), &first.bytes).await);

    let third = with_note(&parity(), "third");
    assert!(compiles(&fixture.runtime(), &third).await);
    let left = entries(&fixture);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&first.entry) && !left.contains(&second.entry));
    assert!(!compiles(&fixture.runtime(), &third).await);
}

#[test]
fn a_crash_in_the_middle_leaves_a_whole_entry_or_none() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    for milliseconds in [10, 50, 150, 300, 500, 700, 900, 1200] {
        let mut warm = fixture.command(&["cache", "warm"]);
        let mut process = warm
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`holster` was built with the tests");
        std::thread::sleep(Duration::from_millis(milliseconds));
        process.kill().unwrap();
        process.wait().unwrap();
        let output = fixture.holster(&["cache", "verify"]);
        assert!(
            output.status.success(),
            "killed after {milliseconds} ms: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let output = fixture.holster(&["call", "report", &report_arguments().to_string()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_under_construction_harms_nothing_and_is_removed_when_it_is_old() {
    let fixture = Fixture::new("");
    let cached = cache(&fixture, parity()).await;
    let [young, old] = ["young", "old"].map(|age| fixture.path(&format!("code/.tmp-{age}")));
    for folder in [&young, &old] {
        fs::create_dir(folder).unwrap();
        fs::copy(cached.entry.join("code"), folder.join("code")).unwrap();
    }
    set_age(&old, Duration::from_hours(2));
    let runtime = fixture.runtime();
    assert!(!compiles(&runtime, &cached.bytes).await);
    assert_eq!(runtime.cache().verify().unwrap().len(), 1);
    // Another process may be at work in the young one.
    assert!(young.is_dir() && !old.exists());
}

#[test]
fn only_the_user_can_enter_the_cache() {
    let fixture = Fixture::new("");
    let folder = fixture.path("code");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fixture.plug_in(&component("parity-rust"));
    assert!(fixture.holster(&["cache", "warm"]).status.success());
    assert_eq!(mode(&folder), 0o700);
    let [entry] = entries(&fixture).try_into().expect("one entry");
    assert_eq!(mode(&entry), 0o700);
    for file in ["code", "manifest"] {
        assert_eq!(mode(&entry.join(file)), 0o600, "{file}");
    }
}
