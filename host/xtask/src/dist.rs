//! `cargo xtask dist`: the program that is handed out. `cargo xtask performance`: how fast it is.
//!
//! It is built twice: first so that it counts what it does, then optimised for what it did when it was called as agents call
//! it. What it never did lies apart from what it did, so that little of the program is ever read into memory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::api::Api;
use crate::setup::llvm::Compiler;
use crate::workspace::Workspace;
use crate::{components, demo, setup, shell};

/// Has the linker of Linux keep apart what the compiler has told apart by its counts.
const SEPARATED: &str = "-Clink-arg=-Wl,-z,keep-text-section-prefix";

/// Has the linker pack what the program's start goes through to put addresses right: a megabyte that is read once and stays.
const PACKED: &str = "-Clink-arg=-Wl,-z,pack-relative-relocs";

/// The version of glibc since which it unpacks that.
const UNPACKS: (u32, u32) = (2, 36);

/// Calls the program as agents do.
const TRAINING: &str = "tests/training/train.py";

/// The figures, of which this repository keeps the last ones.
const FIGURES: &str = "host/docs/performance.md";

/// What was counted, in the folder of counts.
const COUNTED: &str = "profdata";

pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let toolchain = setup::prepare(workspace)?;
    let compiler = Compiler::find_or_install()?;
    components::build(workspace, &toolchain, &[])?;
    let folder = workspace.training();
    let (counts, scratch) = (folder.join("counts"), folder.join("scratch"));
    for old in [&counts, &scratch] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
        fs::create_dir_all(old)?;
    }

    println!("dist: building a program that counts what it does");
    let target = folder.join("target");
    let counting = [flag("-Cprofile-generate=", &counts)];
    let mut build = cargo("build", workspace, &compiler, &target, &counting);
    shell::stream(build.args(["--bin", "holster", "--bin", "loopback-api"]))?;
    let programs = built(&compiler, &target);

    println!("dist: calling it");
    let api = Api::start(&programs.join("loopback-api"))?;
    let configuration = demo::configuration(&workspace.plugin_directory(), &api.url);
    fs::write(scratch.join("holster.toml"), configuration)?;
    let mut train = toolchain.python.command(workspace.root());
    train
        .arg(TRAINING)
        .arg(programs.join("holster"))
        .arg(&scratch);
    // One file for all processes, to which each adds.
    train.env("LLVM_PROFILE_FILE", counts.join("%1m.profraw"));
    shell::stream(&mut train)?;
    let profile = merge(&compiler, &counts)?;

    println!("dist: building it for what it did");
    let program = build_program(workspace, &compiler, &optimised(&profile))?;
    println!("dist: {}", program.display());
    Ok(())
}

/// Measures the program with the counts of the last `cargo xtask dist`, beside the floor, which is built by the same ones.
pub(crate) fn performance(workspace: &Workspace) -> Result<()> {
    let toolchain = setup::prepare(workspace)?;
    let compiler = Compiler::find_or_install()?;
    components::build(workspace, &toolchain, &[])?;
    let counts = workspace.training().join("counts");
    let profile = counted(&counts).with_context(|| {
        format!(
            "there are no counts in {}; run `cargo xtask dist` first",
            counts.display()
        )
    })?;
    println!("performance: building the program and the bench");
    let flags = optimised(&profile);
    build_program(workspace, &compiler, &flags)?;
    let mut bench = cargo("bench", workspace, &compiler, workspace.target(), &flags);
    shell::stream(bench.args(["--bench", "calls", "--", "--table", FIGURES]))
}

/// The profile there is.
fn counted(counts: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(counts).ok()?;
    let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
    paths.find(|path| path.extension() == Some(OsStr::new(COUNTED)))
}

/// Builds the program that is handed out. Returns where it is.
fn build_program(
    workspace: &Workspace,
    compiler: &Compiler,
    flags: &[OsString],
) -> Result<PathBuf> {
    let target = workspace.target();
    shell::stream(cargo("build", workspace, compiler, target, flags).args(["--bin", "holster"]))?;
    let program = target.join("dist/holster");
    // In place of what cargo built without counts. It is not copied: what one process writes at once, the system gives the next
    // one that runs it at once, up to megabytes of program for a byte.
    if program.exists() {
        fs::remove_file(&program)?;
    }
    fs::create_dir_all(target.join("dist"))?;
    fs::hard_link(built(compiler, target).join("holster"), &program)?;
    Ok(program)
}

/// Flags for a program that does what was counted.
fn optimised(profile: &Path) -> Vec<OsString> {
    let mut optimised = vec![flag("-Cprofile-use=", profile)];
    if cfg!(target_os = "linux") {
        optimised.push(SEPARATED.into());
        if glibc().is_some_and(|version| version >= UNPACKS) {
            optimised.push(PACKED.into());
        }
    }
    optimised
}

/// The version of this machine's glibc. `None` if it has another standard library of C.
fn glibc() -> Option<(u32, u32)> {
    let told = shell::capture(Command::new("getconf").arg("GNU_LIBC_VERSION")).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}

/// Builds with flags for the compiler, which are not for what only runs while something is built.
fn cargo(
    command: &str,
    workspace: &Workspace,
    compiler: &Compiler,
    target: &Path,
    flags: &[OsString],
) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace.root());
    cargo.args([command, "--quiet", "--profile", "dist"]);
    cargo.args(["--target", &compiler.host, "--target-dir"]);
    cargo.arg(target);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
    cargo
}

/// Where that puts programs.
fn built(compiler: &Compiler, target: &Path) -> PathBuf {
    target.join(&compiler.host).join("dist")
}

/// Makes one profile of what was counted. Its name is that of its content: cargo knows by the name alone that a profile is
/// another one.
fn merge(compiler: &Compiler, counts: &Path) -> Result<PathBuf> {
    let merged = counts.join("merged");
    let mut merge = Command::new(&compiler.profdata);
    merge.arg("merge").arg(counts).arg("--output").arg(&merged);
    shell::capture(&mut merge)?;
    let hash = blake3::hash(&fs::read(&merged)?).to_hex();
    let profile = counts.join(hash.as_str()).with_extension(COUNTED);
    fs::rename(&merged, &profile)?;
    Ok(profile)
}
