//! A real authorisation server on the loopback interface, and a browser that logs in to it.
//!
//! [`IdentityProvider::start`] runs `server.mjs` under Node.js 22 on a free port, installing that and its packages the
//! first time; it ends with the value. [`IdentityProvider::login`] walks through its pages as a person would, up to
//! the redirect to the client, which it does not follow. Which clients it knows stands in `server.mjs`.

#![forbid(unsafe_code)]

mod browser;

pub use browser::Browser;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use url::Url;

/// How long the server may take to listen.
const START: Duration = Duration::from_mins(1);

/// The client id that is an address: of a document that the server knows without asking for it.
pub const DOCUMENT_CLIENT: &str = "https://client.example.test/oauth/client.json";

/// How it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long an access token lives, in whole seconds.
    pub access_token: Duration,
    /// How long the token endpoint waits before it answers.
    pub token_delay: Duration,
    /// Whether a DPoP proof has to hold a nonce of the server.
    pub dpop_nonce: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_token: Duration::from_mins(5),
            token_delay: Duration::ZERO,
            dpop_nonce: false,
        }
    }
}

/// The requests since the start, or since [`IdentityProvider::reset`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// All requests to the token endpoint.
    pub token: u32,
    /// Those that refresh.
    pub refresh: u32,
    /// Those that exchange a code.
    pub code: u32,
    /// Those of the device flow.
    pub device: u32,
    /// Those with client credentials, or of no kind.
    #[serde(rename = "cc")]
    pub client_credentials: u32,
    /// Revocations.
    pub revoke: u32,
    /// Parameters that were left beforehand.
    pub par: u32,
    /// Registrations.
    pub register: u32,
    /// What the server refused, and each family of tokens that it revoked.
    pub errors: Vec<String>,
}

/// The running server. It ends when this is dropped, or when this process does.
pub struct IdentityProvider {
    issuer: String,
    /// Holds its input open.
    _server: Child,
    /// It ends if it cannot write.
    _output: Lines<BufReader<ChildStdout>>,
}

impl IdentityProvider {
    /// Starts it, and waits until it listens.
    pub async fn start(options: Options) -> io::Result<Self> {
        let package = package()?;
        install_packages(&package).await?;
        let mut server = tokio::process::Command::new(node(&package))
            .arg(package.join("server.mjs"))
            .current_dir(&package)
            .env("PORT", "0")
            .env("AT_TTL", options.access_token.as_secs().to_string())
            .env("JITTER_MS", options.token_delay.as_millis().to_string())
            .env("DPOP_NONCE", u8::from(options.dpop_nonce).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                io::Error::other(format!(
                    "`node` cannot be run (Node.js 22 is needed): {error}"
                ))
            })?;
        let output = server.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines();
        let issuer = tokio::time::timeout(START, lines.next_line())
            .await??
            .ok_or_else(|| io::Error::other("`server.mjs` ended before it listened"))?;
        Ok(Self {
            issuer,
            _server: server,
            _output: lines,
        })
    }

    /// Its issuer, such as `http://127.0.0.1:40123`: also where it listens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Opens an address of this server in a fresh browser, logs in as that user and consents to everything. Gives the
    /// address at which the browser leaves the server, or the last page where it does not.
    pub async fn login(&self, url: &Url, user: &str) -> io::Result<Url> {
        browser::walk(&self.issuer, url, user, browser::Answer::Consent).await
    }

    /// Enters the code of a device, logs in as that user and consents to everything.
    pub async fn enter_code(&self, code: &str, user: &str) -> io::Result<()> {
        let mut page = Url::parse(&self.issuer).map_err(io::Error::other)?;
        page.set_path("/device");
        page.query_pairs_mut().append_pair("user_code", code);
        self.login(&page, user).await.map(drop)
    }

    /// The same as a user who logs in and refuses.
    pub async fn refuse(&self, url: &Url, user: &str) -> io::Result<Url> {
        browser::walk(&self.issuer, url, user, browser::Answer::Refuse).await
    }

    /// What it was asked.
    pub async fn stats(&self) -> io::Result<Stats> {
        let body = self.get("/__stats").await?;
        serde_json::from_slice(&body).map_err(io::Error::other)
    }

    /// Forgets what it was asked.
    pub async fn reset(&self) -> io::Result<()> {
        self.get("/__reset").await.map(drop)
    }

    /// Gives it other keys, none of which it had before; tokens for a resource are signed in that way from now on.
    pub async fn rotate_keys(&self, algorithm: &str) -> io::Result<()> {
        self.get(&format!("/__rotate?{algorithm}")).await.map(drop)
    }

    async fn get(&self, path: &str) -> io::Result<bytes::Bytes> {
        let url = Url::parse(&format!("{}{path}", self.issuer)).map_err(io::Error::other)?;
        let response = browser::send(http::Method::GET, &url, &[], "").await?;
        Ok(response.into_body())
    }
}

/// Its npm package, in the checkout in which it runs: a target folder may have been made in another one.
fn package() -> io::Result<PathBuf> {
    let runs = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir()?,
    };
    let packages = runs
        .ancestors()
        .map(|folder| folder.join("tests/identity-provider"));
    let mut found = packages.filter(|package| package.join("server.mjs").is_file());
    found
        .next()
        .ok_or_else(|| io::Error::other("it runs in no checkout, which has `server.mjs`"))
}

/// The Node.js that comes with the packages, where there is one for this machine, or else the one on the path. Up to
/// version 20 a key that is exported can wait for itself for ever: the garbage collector wants the lock of the export.
fn node(package: &Path) -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let bundled = format!(
        "node_modules/node-{}-{architecture}/bin/node",
        std::env::consts::OS
    );
    let bundled = package.join(bundled);
    if bundled.exists() {
        bundled
    } else {
        PathBuf::from("node")
    }
}

/// Installs what the lock file of an npm package says, unless just that is installed. Processes that want the same
/// wait for one another.
pub async fn install_packages(package: &Path) -> io::Result<()> {
    let package = package.to_owned();
    tokio::task::spawn_blocking(move || install(&package))
        .await
        .map_err(io::Error::other)?
}

fn install(package: &Path) -> io::Result<()> {
    let wanted = package.join("package-lock.json");
    let lock = File::open(&wanted)?;
    lock.lock()?;
    let wanted = std::fs::read(&wanted)?;
    let installed = package.join("node_modules/.installed-lock.json");
    if std::fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .env("NPM_CONFIG_UPDATE_NOTIFIER", "false")
        .current_dir(package)
        .output()
        .map_err(|error| io::Error::other(format!("`npm` cannot be run: {error}")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "`npm ci` in {} failed:\n{text}",
            package.display()
        )));
    }
    std::fs::write(installed, wanted)
}
