//! A Rust compiler for `wasm32-wasip2`, and how to call it.
//!
//! The installed target is taken where there is one; else Debian's compiler, if all of it is there; else rustup is
//! asked for the target, for a bounded time because it may hang where it cannot download; else Debian's compiler
//! is installed. Debian has no compiled standard library for the target, so that one is built from source.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::system;
use crate::shell;

/// The target of components.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// How long rustup may take to download some 20 MB.
const RUSTUP_PATIENCE: Duration = Duration::from_mins(3);

const DEBIAN_PACKAGES: &[&str] = &[
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "rust-web-llvm",
    "wasi-libc",
];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";

/// What compiles Rust to components on this machine.
pub(crate) enum WasmCompiler {
    /// The toolchain in use has the target.
    Installed { version: String },
    /// Debian's compiler and library source, which stand beside rustup's, with the linkers of rustup's toolchain.
    Debian { version: String, linkers: PathBuf },
}

impl WasmCompiler {
    pub(super) fn find_or_install() -> Result<Self> {
        if let Some(compiler) = Self::installed()? {
            return Ok(compiler);
        }
        if let Ok(compiler) = Self::debian() {
            return Ok(compiler);
        }
        println!("set-up: rustup target add {TARGET}");
        let rustup = match shell::bounded(
            Command::new("rustup").args(["target", "add", TARGET]),
            RUSTUP_PATIENCE,
        ) {
            Ok(()) => {
                return Self::installed()?
                    .context("rustup added the target, but the compiler in use lacks it");
            }
            Err(error) => error,
        };
        println!("set-up: {rustup:#}");
        let remedy =
            format!("add the target with `rustup target add {TARGET}` where rustup can download");
        system::install("a Rust compiler for components", DEBIAN_PACKAGES)
            .with_context(|| remedy.clone())?;
        Self::debian().with_context(|| remedy)
    }

    fn installed() -> Result<Option<Self>> {
        let library = shell::capture(Command::new("rustc").args([
            "--print=target-libdir",
            "--target",
            TARGET,
        ]))?;
        if !Path::new(library.trim()).is_dir() {
            return Ok(None);
        }
        Ok(Some(Self::Installed {
            version: version("rustc")?,
        }))
    }

    fn debian() -> Result<Self> {
        for part in [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_STD, DEBIAN_LIBC] {
            if !Path::new(part).exists() {
                bail!("Debian's Rust compiler lacks {part}");
            }
        }
        let version = version(DEBIAN_RUSTC)?;
        let wanted = env!("CARGO_PKG_RUST_VERSION");
        if minor(&version) < minor(wanted) {
            bail!("Debian's Rust compiler is {version}, and this workspace needs {wanted}");
        }
        let linkers = linkers()?;
        if !linkers.join("wasm-component-ld").is_file() {
            bail!(
                "the Rust toolchain in use has no linker for components in {}",
                linkers.display()
            );
        }
        Ok(Self::Debian { version, linkers })
    }

    /// For people, and for fingerprints.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Installed { version } => format!("rust {version} with {TARGET}"),
            Self::Debian { version, .. } => format!("Debian's rust {version} for {TARGET}"),
        }
    }

    /// `cargo build` for components, into a target folder of its own: its compiler may not be the one that builds
    /// the host, and neither should wait for the other's lock.
    pub(crate) fn cargo_build(&self, target_directory: &Path) -> Result<Command> {
        let mut command = self.cargo(target_directory)?;
        command.arg("build").args(["--target", TARGET]);
        self.build_std(&mut command);
        Ok(command)
    }

    /// `cargo component build`, by the program in this folder. It compiles for preview 1 and adapts the result.
    pub(crate) fn cargo_component_build(
        &self,
        program: &Path,
        target_directory: &Path,
    ) -> Result<Command> {
        let preview1 = "wasm32-wasip1";
        let mut command = self.cargo(target_directory)?;
        if let Self::Debian { linkers, .. } = self {
            // cargo-component runs the first `rustc` in PATH, and starts only where the folder of the target exists.
            let folder = program.parent().context("a program lies in a folder")?;
            let sysroot = Path::new("/usr/lib/rustlib").join(preview1);
            if !sysroot.is_dir() {
                std::fs::create_dir_all(&sysroot).with_context(|| {
                    format!("cargo-component needs the folder {}", sysroot.display())
                })?;
            }
            command
                .env(
                    "PATH",
                    shell::search_path(
                        &[Path::new("/usr/bin"), folder],
                        &[&linkers.join("gcc-ld")],
                    )?,
                )
                .env("CARGO", DEBIAN_CARGO)
                .env(
                    "CARGO_TARGET_WASM32_WASIP1_LINKER",
                    linkers.join("rust-lld"),
                )
                .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", debian_flags());
        } else {
            let library = shell::capture(Command::new("rustc").args([
                "--print=target-libdir",
                "--target",
                preview1,
            ]))?;
            if !Path::new(library.trim()).is_dir() {
                println!("set-up: rustup target add {preview1}");
                shell::bounded(
                    Command::new("rustup").args(["target", "add", preview1]),
                    RUSTUP_PATIENCE,
                )?;
            }
            command.env(
                "PATH",
                shell::search_path(
                    &[program.parent().context("a program lies in a folder")?],
                    &[],
                )?,
            );
        }
        command.args(["component", "build", "--target", preview1]);
        self.build_std(&mut command);
        Ok(command)
    }

    fn cargo(&self, target_directory: &Path) -> Result<Command> {
        let mut command = match self {
            Self::Installed { .. } => Command::new("cargo"),
            Self::Debian { linkers, .. } => {
                let mut command = Command::new(DEBIAN_CARGO);
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    // `-Z build-std` is for nightly compilers; this lets a stable one do it.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("PATH", shell::search_path(&[], &[&linkers.join("gcc-ld")])?)
                    .env(
                        "CARGO_TARGET_WASM32_WASIP2_LINKER",
                        linkers.join("wasm-component-ld"),
                    )
                    .env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", debian_flags());
                command
            }
        };
        // What the environment says about the host's build, its compiler or its crashes is not meant for components.
        for variable in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "LD_LIBRARY_PATH",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(variable);
        }
        command.env("CARGO_TARGET_DIR", target_directory);
        Ok(command)
    }

    fn build_std(&self, command: &mut Command) {
        if let Self::Debian { .. } = self {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
    }
}

fn debian_flags() -> String {
    format!("-L native={DEBIAN_LIBC} -C link-self-contained=no")
}

/// Where rustup's toolchain keeps its linkers.
fn linkers() -> Result<PathBuf> {
    let sysroot = shell::capture(Command::new("rustc").arg("--print=sysroot"))?;
    let about = shell::capture(Command::new("rustc").arg("-vV"))?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?;
    Ok(Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin"))
}

fn version(rustc: &str) -> Result<String> {
    let about = shell::capture(Command::new(rustc).arg("--version"))?;
    about
        .split_whitespace()
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("`{rustc} --version` says {about}"))
}

fn minor(version: &str) -> u32 {
    version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .unwrap_or(0)
}
