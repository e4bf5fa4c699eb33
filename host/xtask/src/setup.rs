//! `cargo xtask setup`: everything that a fresh machine needs to build components in three languages.
//!
//! [`prepare`] looks at what is there, gets what is not, and is done in a fraction of a second when nothing is
//! missing; every other command begins with it. What can be kept in the target folder is; only compilers and
//! interpreters are asked of rustup or of the system's packages.

pub(crate) mod llvm;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod rust;
mod system;

use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::{Result, anyhow};

use self::node::Node;
use self::python::Python;
use self::rust::WasmCompiler;
use crate::shell;
use crate::workspace::Workspace;

/// The crate that every Rust tool depends on.
pub(crate) const RUST_SDK: &str = "guest-sdks/rust";
/// The npm package that every JavaScript tool depends on.
pub(crate) const JAVASCRIPT_SDK: &str = "guest-sdks/js";
/// The package that every Python tool imports.
pub(crate) const PYTHON_SDK: &str = "guest-sdks/python";

/// The official conformance suite of MCP, as a test.
pub(crate) const MCP_CONFORMANCE: &str = "tests/mcp-conformance";

/// The npm packages that the tests run: a real identity provider, what drives a real browser, the suite.
const TEST_PACKAGES: [&str; 3] = ["tests/identity-provider", "tests/browser", MCP_CONFORMANCE];

/// The tests of the examples for agents' frameworks, with the packages that those need.
pub(crate) const FRAMEWORKS: &str = "tests/frameworks";

/// The test that tries the description of the REST API out.
pub(crate) const REST: &str = "tests/rest";

/// What builds components on this machine.
pub(crate) struct Toolchain {
    pub(crate) rust: WasmCompiler,
    pub(crate) node: Node,
    pub(crate) python: Python,
}

/// Gets what is missing, and says what it gets.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Toolchain> {
    let toolchain = Toolchain {
        rust: WasmCompiler::find_or_install()?,
        node: Node::find_or_install(workspace)?,
        python: Python::find_or_install(workspace)?,
    };
    // Before any tool that links to it: tools are installed side by side, and this is what they share.
    toolchain
        .node
        .install_packages(&workspace.root().join(JAVASCRIPT_SDK))?;
    println!(
        "set-up: {}, node {}, python {}",
        toolchain.rust.description(),
        toolchain.node.version(),
        toolchain.python.version()
    );
    Ok(toolchain)
}

/// Gets what the tests need besides.
pub(crate) fn prepare_tests(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    for package in TEST_PACKAGES {
        toolchain
            .node
            .install_packages(&workspace.root().join(package))?;
    }
    if shell::find_program("chromium").is_none() {
        system::install("a browser", &["chromium"])?;
    }
    if shell::find_program("faketime").is_none() {
        system::install("a clock that can be set", &["faketime"])?;
    }
    Ok(())
}

/// Gets the frameworks for agents: an environment for each file of requirements, since some want different versions of
/// the same package. They are installed at the same time; it takes two minutes, once.
pub(crate) fn prepare_frameworks(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let tests = workspace.root().join(FRAMEWORKS);
    toolchain.node.install_packages(&tests)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(tests.join("requirements"))? {
        files.push(entry?.path());
    }
    thread::scope(|scope| {
        let install = |file: &PathBuf| {
            let environment = workspace
                .frameworks()
                .join(file.file_stem().unwrap_or_default());
            toolchain.python.install_environment(&environment, file)
        };
        let running: Vec<_> = files
            .iter()
            .map(|file| scope.spawn(move || install(file)))
            .collect();
        running.into_iter().try_for_each(|thread| {
            let panicked = |_| Err(anyhow!("an installation was cut off"));
            thread.join().unwrap_or_else(panicked)
        })
    })
}

/// Gets schemathesis, in an environment of its own.
pub(crate) fn prepare_rest(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let requirements = workspace.root().join(REST).join("requirements.txt");
    toolchain
        .python
        .install_environment(&workspace.rest(), &requirements)
}
