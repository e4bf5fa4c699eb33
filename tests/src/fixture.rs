//! An installation of its own for one test: configuration, data, cache and plugin directory in a temporary folder.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use holster_core::types::ComponentName;
use holster_core::{Config, Host, LoadEvent, Runtime, open_runtime};
use tempfile::TempDir;

/// What the person who runs the tests may have set for programs of their own.
const VARIABLES: [&str; 7] = [
    "HOLSTER_CONFIG",
    "HOLSTER_PLUGINS",
    "HOLSTER_LOG",
    "HOLSTER_VAULT_KEY",
    "HOLSTER_VAULT_KEYRING",
    "HOLSTER_VAULT_PASSPHRASE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// A folder that is gone with the test.
pub struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// An installation whose `holster.toml` holds `configuration` after the folders.
    pub fn new(configuration: &str) -> Self {
        let folder = TempDir::new().expect("there is room for a temporary folder");
        fs::create_dir(folder.path().join("plugins")).expect("the folder is new");
        let text = format!(
            "plugins = 'plugins'\ndata = 'data'\ncache.directory = 'code'\n{configuration}"
        );
        fs::write(folder.path().join("holster.toml"), text).expect("the folder is writable");
        Self { folder }
    }

    /// A path in the installation.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies a component into the plugin directory, under its own name.
    pub fn plug_in(&self, component: &Path) {
        self.plug_in_as(
            component,
            component
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a plain name"),
        );
    }

    /// Copies a component into the plugin directory under another name. It appears there whole.
    pub fn plug_in_as(&self, component: &Path, name: &str) {
        let bytes = fs::read(component).expect("the component was built");
        self.plug_in_bytes(&bytes, name);
    }

    /// Puts a file with these bytes into the plugin directory. It appears there whole.
    pub fn plug_in_bytes(&self, bytes: &[u8], name: &str) {
        self.plug_in_pieces(&[bytes], name);
    }

    /// Adds a file of several pieces to the plugin directory, at once.
    pub(crate) fn plug_in_pieces(&self, pieces: &[&[u8]], name: &str) {
        let beside = self.path("incoming");
        let mut file = File::create(&beside).expect("the folder is writable");
        // Not all at once: one long call of the system keeps other threads from its core.
        for part in pieces.iter().flat_map(|piece| piece.chunks(64 << 10)) {
            file.write_all(part).expect("the disk has room");
        }
        fs::rename(beside, self.path("plugins").join(name)).expect("the folder is writable");
    }

    /// Writes a file that only the user can read.
    pub fn write_private(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("the folder is writable");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }

    /// The configuration, as the host reads it.
    pub fn config(&self) -> Config {
        Config::read(&self.path("holster.toml")).expect("the test's configuration is valid")
    }

    /// The host, in this process.
    pub async fn host(&self) -> Host {
        Host::open(self.config()).await.expect("the host starts")
    }

    /// The host, in this process; `observer` is told of every step of loading a component.
    pub async fn host_observed(
        &self,
        observer: impl Fn(&ComponentName, LoadEvent) + Send + Sync + 'static,
    ) -> Host {
        Host::open_observed(self.config(), observer)
            .await
            .expect("the host starts")
    }

    /// The runtime alone, with the installation's code cache.
    pub fn runtime(&self) -> Runtime {
        open_runtime(&self.config()).expect("the runtime starts")
    }

    /// Runs `holster` in the installation.
    pub fn holster(&self, arguments: &[&str]) -> Output {
        self.holster_with(arguments, "")
    }

    /// Runs `holster` in the installation, with this on its standard input.
    pub fn holster_with(&self, arguments: &[&str], input: &str) -> Output {
        let process = self.start(arguments, input);
        process.wait_with_output().expect("the command ends")
    }

    /// Starts `holster` in the installation, with this on its standard input.
    pub fn start(&self, arguments: &[&str], input: &str) -> Child {
        Self::start_as(self.command(arguments), input)
    }

    /// Starts this command, with this on its standard input.
    pub fn start_as(mut command: Command, input: &str) -> Child {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`holster` was built with the tests");
        let mut stdin = process.stdin.take().expect("it is piped");
        // A command that reads no input may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        process
    }

    /// `holster` in the installation, ready to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.installed(Command::new(holster()), arguments)
    }

    /// The same by way of a program that becomes the one that its last arguments name.
    pub fn command_by(&self, program: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(holster());
        self.installed(command, arguments)
    }

    fn installed(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).current_dir(self.folder.path());
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// All files of the installation.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for item in fs::read_dir(folder).expect("the folder is ours") {
                let path = item.expect("the folder is ours").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }
}

/// The program. `cargo xtask test` builds it before the tests; cargo alone may leave an older one there.
fn holster() -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its program");
    this.ancestors()
        .nth(2)
        .expect("cargo builds tests two folders deep")
        .join("holster")
}
