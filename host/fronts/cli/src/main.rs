//! `holster`: the command line.
//!
//! Each command is a file that parses its arguments, asks the library once, and prints. What `--json` prints is for
//! scripts and stays as it is; what people read may change. Diagnostics go to standard error.

#![forbid(unsafe_code)]

mod commands;
mod content;
mod exit;
mod pages;
mod print;
mod progress;
mod prompt;
mod revocations;
mod session;
mod traces;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand};
use holster_core::types::SPANS;
use holster_core::{Config, guest_threads};
use tokio::runtime::{Builder, Handle, Runtime};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::exit::Exit;
use crate::traces::Traces;

/// Runs tools that nobody has to trust, with the accounts of a profile.
///
/// Exit codes: 0 done; 1 it failed, and standard error says why; 2 wrong usage or configuration; 3 a person has to
/// connect an account first.
#[derive(Parser)]
#[command(name = "holster", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Clone, Args)]
struct Global {
    /// The configuration. Default: `holster.toml` here, or in the user's configuration folder.
    #[arg(long, global = true, env = "HOLSTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The plugin directory, instead of the configured one.
    #[arg(long, global = true, env = "HOLSTER_PLUGINS", value_name = "FOLDER")]
    plugins: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Say more on standard error; twice for even more.
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    Tools(commands::tools::Arguments),
    Call(commands::call::Arguments),
    Mcp(commands::mcp::Arguments),
    Serve(commands::serve::Arguments),
    Key(commands::key::Arguments),
    Check(commands::check::Arguments),
    Inspect(commands::inspect::Arguments),
    Auth(commands::auth::Arguments),
    Policy(commands::policy::Arguments),
    Profiles(commands::profiles::Arguments),
    Providers(commands::providers::Arguments),
    Vault(commands::vault::Arguments),
    Audit(commands::audit::Arguments),
    Cache(commands::cache::Arguments),
    Schema(commands::schema::Arguments),
    Completions(commands::completions::Arguments),
}

impl Global {
    /// The configuration's file, if there is one.
    fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(Config::find)
    }

    fn config(&self) -> Result<Config, Exit> {
        let mut config = match self.config_file() {
            Some(path) => Config::read(&path).map_err(Exit::usage)?,
            None => Config::default(),
        };
        if let Some(plugins) = &self.plugins {
            config.plugins = Some(plugins.clone());
        }
        Ok(config)
    }
}

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let runtime = match Builder::new_multi_thread()
        .worker_threads(guest_threads())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(error).report(),
    };
    let traces = match start_traces(&global, &command, runtime.handle()) {
        Ok(traces) => traces,
        Err(exit) => return exit.report(),
    };
    start_log(global.verbose, traces.as_ref());
    refuse_core_dumps();
    outlive_full_files(&runtime);
    let result = runtime.block_on(run(&global, command));
    if let Some(traces) = traces {
        traces.end();
    }
    // It ends with the process. A guest that still computes must not hold that up, and until then needs the clocks of here.
    std::mem::forget(runtime);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

async fn run(global: &Global, command: Command) -> Result<(), Exit> {
    match command {
        Command::Tools(arguments) => commands::tools::run(global, arguments).await,
        Command::Call(arguments) => commands::call::run(global, arguments).await,
        Command::Mcp(arguments) => commands::mcp::run(global, arguments).await,
        Command::Serve(arguments) => commands::serve::run(global, arguments).await,
        Command::Key(arguments) => commands::key::run(global, &arguments),
        Command::Check(arguments) => commands::check::run(global, arguments).await,
        Command::Inspect(arguments) => commands::inspect::run(global, arguments).await,
        Command::Auth(arguments) => commands::auth::run(global, arguments).await,
        Command::Policy(arguments) => commands::policy::run(global, arguments).await,
        Command::Profiles(arguments) => commands::profiles::run(global, arguments).await,
        Command::Providers(arguments) => commands::providers::run(global, arguments).await,
        Command::Vault(arguments) => commands::vault::run(global, arguments).await,
        Command::Audit(arguments) => commands::audit::run(global, &arguments),
        Command::Cache(arguments) => commands::cache::run(global, arguments).await,
        Command::Schema(arguments) => commands::schema::run(&arguments),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments);
            Ok(())
        }
    }
}

/// A core would hold whatever secrets were in memory, in a file that others may come to read.
fn refuse_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        if let Err(error) = setrlimit(Resource::Core, none) {
            tracing::warn!("core dumps cannot be turned off: {error}");
        }
    }
}

/// A file that has reached the limit of the process (`ulimit -f`) would end the process. As it is, it is as a full disk is: who
/// writes is told, and what needs no disk goes on.
fn outlive_full_files(runtime: &Runtime) {
    #[cfg(unix)]
    {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = runtime.enter();
        // Once somebody has listened to a signal, it ends the process no more.
        if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
            tracing::warn!("a file that may not grow any further ends this process: {error}");
        }
    }
}

/// Of what serves agents, while it does: a command that calls once is not worth a trace.
fn start_traces(
    global: &Global,
    command: &Command,
    runtime: &Handle,
) -> Result<Option<Traces>, Exit> {
    match command {
        Command::Serve(_) | Command::Mcp(_) => Traces::start(&global.config()?, runtime),
        _ => Ok(None),
    }
}

/// `HOLSTER_LOG` takes the usual filters, such as `holster=debug`.
fn start_log(verbose: u8, traces: Option<&Traces>) {
    let level = match verbose {
        // What a client did wrong, it is told itself.
        0 => "warn,rmcp=error",
        1 => "warn,holster=info,rmcp=error",
        _ => "info,holster=debug,holster_core=debug,holster_runtime=debug,holster_broker=debug",
    };
    let filter = EnvFilter::try_from_env("HOLSTER_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // Spans are for traces alone. The hint leaves the levels to the other filter: without it, everything is looked at.
    let no_spans = filter_fn(|of| of.target() != SPANS).with_max_level_hint(LevelFilter::TRACE);
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_filter(filter.and(no_spans));
    tracing_subscriber::registry()
        .with(lines)
        .with(traces.map(Traces::layer))
        .init();
}
