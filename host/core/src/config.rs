//! `holster.toml`: what the operator decides.
//!
//! Every key has a type and a bound, and an error names the file, the line and what is allowed. Paths in the file
//! are relative to the file. Secrets never stand in it: a credential names a variable or a file.

mod component;
mod folders;
mod serve;
mod telemetry;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use holster_broker::{ConfiguredClient, ConfiguredCredential};
use holster_runtime::{EngineSettings, Limits, Sandbox};
use holster_types::{ComponentName, HostPattern, ProfileName, ProviderId};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

pub use crate::policy::Ask;
pub use component::{
    ComponentConfig, ComponentPattern, Components, FolderConfig, InvalidComponentPattern,
};
pub use serve::{IssuerConfig, KeyConfig, ServeConfig, TokenAlgorithm};
pub use telemetry::{NO_COLLECTOR, TelemetryConfig, is_collector};

/// The name of the file that is looked for.
pub const FILE_NAME: &str = "holster.toml";

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "holster.toml")]
pub struct Config {
    /// The plugin directory: every `*.wasm` in it is served. Default: `plugins` in the data folder.
    pub plugins: Option<PathBuf>,
    /// The data folder: vault, keys. Default: `holster` in the user's data folder.
    pub data: Option<PathBuf>,
    /// The folder of the user's own providers, `*.toml`. Default: `holster/providers` in the user's configuration folder.
    pub provider_folder: Option<PathBuf>,
    /// The profile of calls that name none. Default: whichever has the account; where several do, the call is refused.
    pub default_profile: Option<ProfileName>,
    /// Where people connect accounts.
    pub connect: ConnectConfig,
    /// Who may call over HTTP, and where.
    pub serve: ServeConfig,
    /// Who is told how calls go.
    pub telemetry: TelemetryConfig,
    /// Where compiled code is kept.
    pub cache: CacheConfig,
    /// How many calls run at once.
    pub engine: EngineConfig,
    /// What one call may use, for all components.
    pub limits: LimitsConfig,
    /// The personas of the user, each with its accounts.
    pub profiles: BTreeMap<ProfileName, ProfileConfig>,
    /// What this installation adds to the providers' own data.
    pub providers: BTreeMap<ProviderId, ProviderConfig>,
    /// The host's own tools for agents.
    pub built_in: BuiltInConfig,
    /// When what components may do has to be approved.
    pub policy: PolicyConfig,
    /// What single components may do, by the name of their file without `.wasm`, or by a pattern in which `*` stands for any
    /// text. One entry decides: that of the name, or else that of the pattern with the longest text.
    pub components: Components,
    /// The file that all this was read from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// `[built_in]`: the host's own tools, which agents see only where they are allowed here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BuiltInConfig {
    /// `holster_connections`: the connections of the agent's conversation. Default false.
    pub connections: bool,
    /// `holster_disconnect`: forgets an account that was connected in the agent's conversation. Default false.
    pub disconnect: bool,
}

/// `[connect]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectConfig {
    /// Where the connect pages listen. Default: 127.0.0.1:4657, or any other port where that one is taken. Some
    /// providers send browsers back only to an address that was registered with them: name it here.
    pub address: Option<SocketAddr>,
    /// The public `https://` address of the connect pages, where a proxy leads from there to `address`.
    #[schemars(with = "Option<String>")]
    pub public_url: Option<Url>,
    /// The `https://` address of this installation's client id metadata document, for providers that read one.
    #[schemars(with = "Option<String>")]
    pub client_metadata_url: Option<Url>,
}

/// `[cache]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Default: `holster/code` in the user's cache folder.
    pub directory: Option<PathBuf>,
    /// Above this size the least recently used code is removed. MiB, default 4,096.
    #[schemars(range(min = 1))]
    pub max_mib: Option<u64>,
}

/// `[engine]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Calls that run at the same time; more wait. 1 to 10,000, default 512.
    #[schemars(range(min = 1, max = 10_000))]
    pub concurrent_calls: Option<u32>,
    /// Reserve address space for all of them at the start. Default true.
    pub pooling: Option<bool>,
}

/// `[limits]`, and `limits` of a component. What is not given has its default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Wall time of a call in milliseconds, less the time for which a person is asked. Default 30,000, at most 600,000.
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: Option<u64>,
    /// Linear memory in bytes. Default 134,217,728 (128 MiB), at most 536,870,912.
    #[schemars(range(min = 1, max = 536_870_912))]
    pub memory_bytes: Option<u64>,
    /// Table elements. Default 65,536, at most 262,144.
    #[schemars(range(min = 1, max = 262_144))]
    pub table_elements: Option<u64>,
    /// Bytes of an answer. Default 8,388,608 (8 MiB), at most 67,108,864.
    #[schemars(range(min = 1, max = 67_108_864))]
    pub output_bytes: Option<u64>,
    /// Outgoing requests. Default 64, at most 4,096.
    #[schemars(range(min = 1, max = 4096))]
    pub requests: Option<u32>,
    /// Bytes of all request bodies. Default 8,388,608, at most 268,435,456.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub request_bytes: Option<u64>,
    /// Bytes of all response bodies. Default 33,554,432, at most 268,435,456.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub response_bytes: Option<u64>,
    /// Bytes that the guest may print into the log, and as many again of messages for the client. Default 65,536, at most
    /// 1,048,576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub log_bytes: Option<u64>,
    /// Bytes that are written into the component's folders, or by which files there become longer; each file and folder that
    /// is made counts 4,096. Default 67,108,864 (64 MiB), at most 4,294,967,296.
    #[schemars(range(min = 1, max = 4_294_967_296_u64))]
    pub file_bytes: Option<u64>,
    /// Calls of the `auth` interface. Default 10,000, at most 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub host_calls: Option<u32>,
}

/// `[profiles.NAME]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileConfig {
    /// Credentials that come from variables or files, by provider. Others are connected with `holster auth connect`.
    pub credentials: BTreeMap<ProviderId, ConfiguredCredential>,
    /// What differs from one account of a provider to the next, such as a domain: by provider, then by name.
    pub variables: BTreeMap<ProviderId, BTreeMap<String, String>>,
}

/// `[providers.ID]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// More hosts that the provider's secrets may be sent to, such as a server of one's own.
    pub hosts: Vec<HostPattern>,
    /// The client that was registered with the provider, for accounts that people connect in the browser.
    pub client: Option<ConfiguredClient>,
}

/// `[policy]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// When a component has to be approved (`holster policy approve`) before it is given hosts, settings and accounts:
    /// `changed` (default), `always` or `never`.
    pub ask: Ask,
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{}, line {line}: {error}", .path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        error: String,
    },
    #[error("{}, in {place}: {error}", .path.display())]
    Value {
        path: PathBuf,
        place: String,
        error: String,
    },
    #[error("no folder for {0}: this user has no home folder; name one in {FILE_NAME}")]
    NoHome(&'static str),
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&text, path)
    }

    /// Reads the text of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            // The message alone: its `Display` would also quote the line, and a secret may stand there by mistake.
            error: without_texts(error.message()),
        })?;
        config.check(path)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new(".")));
        config.file = Some(path.to_owned());
        Ok(config)
    }

    /// The file to read where none is named: `holster.toml` here, or else in the user's configuration folder.
    pub fn find() -> Option<PathBuf> {
        let here = PathBuf::from(FILE_NAME);
        let users = etcetera::choose_base_strategy()
            .ok()
            .map(|base| base.config_dir().join("holster").join(FILE_NAME));
        [Some(here), users]
            .into_iter()
            .flatten()
            .find(|path| path.is_file())
    }

    /// The JSON Schema of the file, for editors.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Config).into()
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let failed = |place: String, error: String| ConfigError::Value {
            path: path.to_owned(),
            place,
            error,
        };
        if self
            .engine
            .concurrent_calls
            .is_some_and(|calls| !(1..=10_000).contains(&calls))
        {
            return Err(failed(
                "engine.concurrent_calls".into(),
                "it must be between 1 and 10,000".into(),
            ));
        }
        for (key, url) in [
            ("public_url", &self.connect.public_url),
            ("client_metadata_url", &self.connect.client_metadata_url),
        ] {
            if url.as_ref().is_some_and(|url| url.scheme() != "https") {
                return Err(failed(
                    format!("connect.{key}"),
                    "it must begin with `https://`".into(),
                ));
            }
        }
        if let (Some(address), None) = (self.connect.address, &self.connect.public_url)
            && !address.ip().is_loopback()
        {
            return Err(failed(
                "connect.address".into(),
                "others than this machine could reach it: name a loopback address such as `127.0.0.1:4657`, or set \
                 `public_url` too"
                    .into(),
            ));
        }
        self.serve
            .check()
            .and_then(|()| self.telemetry.check())
            .and_then(|()| self.components.check())
            .map_err(|(place, error)| failed(place, error))?;
        self.common_limits()
            .checked()
            .map_err(|error| failed("limits".into(), error.to_string()))?;
        for (entry, component) in self.components.iter() {
            component
                .limits
                .over(&self.common_limits())
                .checked()
                .map_err(|error| failed(format!("{entry}.limits"), error.to_string()))?;
        }
        Ok(())
    }

    fn resolve_paths(&mut self, folder: &Path) {
        for path in [
            &mut self.plugins,
            &mut self.data,
            &mut self.provider_folder,
            &mut self.cache.directory,
        ]
        .into_iter()
        .flatten()
        {
            *path = folder.join(&*path);
        }
        let components = self.components.iter_mut();
        for given in components.flat_map(|(_, component)| &mut component.folders) {
            given.path = folder.join(&given.path);
        }
        for profile in self.profiles.values_mut() {
            for credential in profile.credentials.values_mut() {
                credential.resolve_paths(folder);
            }
        }
        let of_providers = self.providers.values_mut().map(|own| &mut own.client);
        let of_issuers = self.serve.issuers.values_mut().map(|own| &mut own.client);
        for client in of_providers.chain(of_issuers).flatten() {
            client.resolve_paths(folder);
        }
    }

    /// The data folder.
    pub fn data_folder(&self) -> Result<PathBuf, ConfigError> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => Ok(base("data")?.data_dir().join("holster")),
        }
    }

    /// The plugin directory.
    pub fn plugin_directory(&self) -> Result<PathBuf, ConfigError> {
        match &self.plugins {
            Some(folder) => Ok(folder.clone()),
            None => Ok(self.data_folder()?.join("plugins")),
        }
    }

    /// The folder of the code cache.
    pub fn cache_directory(&self) -> Result<PathBuf, ConfigError> {
        match &self.cache.directory {
            Some(folder) => Ok(folder.clone()),
            None => Ok(base("the code cache")?
                .cache_dir()
                .join("holster")
                .join("code")),
        }
    }

    /// The folder of the user's own providers.
    pub fn provider_folder(&self) -> Option<PathBuf> {
        if self.provider_folder.is_some() {
            return self.provider_folder.clone();
        }
        Some(
            base("providers")
                .ok()?
                .config_dir()
                .join("holster")
                .join("providers"),
        )
    }

    /// The size of the code cache in bytes.
    pub(crate) fn cache_bytes(&self) -> u64 {
        self.cache.max_mib.unwrap_or(4096).saturating_mul(1 << 20)
    }

    pub(crate) fn engine_settings(&self) -> EngineSettings {
        let default = EngineSettings::default();
        EngineSettings {
            concurrent_calls: self
                .engine
                .concurrent_calls
                .unwrap_or(default.concurrent_calls),
            pooling: self.engine.pooling.unwrap_or(default.pooling),
        }
    }

    /// What each call of a component may use that has no limits of its own.
    fn common_limits(&self) -> Limits {
        self.limits.over(&Limits::default())
    }

    /// What each call of a component may use.
    pub fn limits_of(&self, component: &ComponentName) -> Limits {
        let common = self.common_limits();
        match self.components.of(component) {
            None => common,
            Some((_, own)) => own.limits.over(&common),
        }
    }

    /// What a component may do that nobody has approved: compute, within the limits of all, or its own where they are lower.
    pub(crate) fn bare_sandbox(&self, component: &ComponentName) -> Sandbox {
        Sandbox {
            limits: self.limits_of(component).at_most(&self.common_limits()),
            ..Sandbox::default()
        }
    }

    /// What a component may do.
    pub(crate) fn sandbox(&self, component: &ComponentName) -> Sandbox {
        match self.components.of(component) {
            None => self.bare_sandbox(component),
            Some((_, own)) => Sandbox {
                hosts: own.hosts.clone(),
                config: own.config.clone(),
                folders: own.folders.iter().map(FolderConfig::for_guest).collect(),
                environment: own.environment.clone(),
                revealed: own.reveal.clone(),
                limits: self.limits_of(component),
            },
        }
    }
}

fn base(what: &'static str) -> Result<impl BaseStrategy, ConfigError> {
    etcetera::choose_base_strategy().map_err(|_| ConfigError::NoHome(what))
}

impl LimitsConfig {
    /// These limits, with `base` for what is not given.
    fn over(&self, base: &Limits) -> Limits {
        Limits {
            time: self.time_ms.map_or(base.time, Duration::from_millis),
            memory_bytes: self.memory_bytes.unwrap_or(base.memory_bytes),
            table_elements: self.table_elements.unwrap_or(base.table_elements),
            output_bytes: self.output_bytes.unwrap_or(base.output_bytes),
            requests: self.requests.unwrap_or(base.requests),
            request_bytes: self.request_bytes.unwrap_or(base.request_bytes),
            response_bytes: self.response_bytes.unwrap_or(base.response_bytes),
            log_bytes: self.log_bytes.unwrap_or(base.log_bytes),
            file_bytes: self.file_bytes.unwrap_or(base.file_bytes),
            host_calls: self.host_calls.unwrap_or(base.host_calls),
        }
    }
}

/// The message of a deserialiser, less the text of the file that it quotes. Names are between other marks.
fn without_texts(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}\"…{}", &message[..start], &message[end..])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("/etc/holster.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_error_names_the_file_the_line_and_what_is_allowed() {
        for (text, parts) in [
            (
                "plugin = 'x'",
                &[
                    "/etc/holster.toml",
                    "line 1",
                    "unknown field `plugin`",
                    "expected one of `plugins`",
                ][..],
            ),
            ("\n[engine]\npooling = 3", &["line 3", "expected a boolean"]),
            // It may be a secret in the wrong place.
            (
                "[profiles.work]\ncredentials.github = 'gh\"o_x'",
                &["line 2", ": invalid type: string \"…\", expected"],
            ),
            (
                "connect.public_url = 'gho_x'",
                &["line 1", "relative URL without a base: \"…\""],
            ),
            (
                "[components.x]\nhosts = ['*']",
                &["line 2", "is not a host pattern", "write `host`"],
            ),
            (
                "[profiles.Work]",
                &["line 1", "is not a profile name", "a-z 0-9"],
            ),
            (
                "[components.x.limits]\nmemory_bytes = 99999999999",
                &["components.x.limits", "between 1 and 536870912"],
            ),
            (
                "[connect]\naddress = '0.0.0.0:80'",
                &["connect.address", "loopback address", "`public_url`"],
            ),
            (
                "[connect]\npublic_url = 'http://holster.example.com/'",
                &["connect.public_url", "`https://`"],
            ),
            (
                "[providers.google.client]\nid = 'x'\nsecret = 'planted'",
                &["line 3", "a secret is never written"],
            ),
            (
                "[engine]\nconcurrent_calls = 0",
                &["engine.concurrent_calls", "between 1 and 10,000"],
            ),
            (
                "[serve.keys.agent]\nsha256 = 'abc'\ntenant = 'ann'",
                &["line 2", "64 hexadecimal digits", "`holster key new`"],
            ),
            (
                "[serve.issuers.a]\nissuer = 'http://login.example.com'",
                &[
                    "line 2",
                    "is not the address of a server",
                    "`https://host/path`",
                ],
            ),
            (
                "[serve.issuers.a]\nissuer = 'https://a.example'\nalgorithms = ['HS256']",
                &["line 3", "unknown variant `HS256`", "`RS256`", "`EdDSA`"],
            ),
            (
                "[serve.issuers.a]\nissuer = 'https://a.example'\nalgorithms = []",
                &["serve.issuers.a.algorithms", "one at least: RS256"],
            ),
            (
                "[serve.issuers.a]\nissuer = 'https://a.example/?b'",
                &["serve.issuers.a.issuer", "no query"],
            ),
            (
                "[serve.issuers.a]\nissuer = 'https://a.example'\n[serve.issuers.b]\nissuer = 'https://a.example'",
                &["serve.issuers.b.issuer", "`serve.issuers.a` too"],
            ),
            (
                "[serve.issuers.a]\nissuer = 'https://a.example'\nscopes = ['a b']",
                &["serve.issuers.a.scopes", "without spaces"],
            ),
            (
                "[telemetry]\ntraces = 'http://user:planted@127.0.0.1:4318'",
                &[
                    "telemetry.traces",
                    "address of a collector",
                    "OTEL_EXPORTER_OTLP_HEADERS",
                ],
            ),
            (
                "[serve.issuers.'a/b']\nissuer = 'https://a.example'",
                &["line 1", "is not a name of an issuer", "a-z 0-9"],
            ),
        ] {
            let error = error(text);
            for part in parts {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }

    #[test]
    fn a_secret_that_was_written_into_the_file_is_not_repeated() {
        for text in [
            "[profiles.work.credentials.slack]\ntoken = 'planted-secret'",
            "[profiles.work.credentials.slack]\ntoken = { env = 'X' } 'planted-secret'",
        ] {
            let error = error(text);
            assert!(
                error.contains("line 2") && !error.contains("planted"),
                "{error}"
            );
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = Config::parse(
            "plugins = 'tools'\ndata = '/data'",
            Path::new("/etc/holster/holster.toml"),
        )
        .unwrap();
        assert_eq!(
            config.plugin_directory().unwrap(),
            Path::new("/etc/holster/tools")
        );
        assert_eq!(config.data_folder().unwrap(), Path::new("/data"));
    }

    #[test]
    fn a_components_limits_stand_over_the_common_ones() {
        let text = "[limits]\ntime_ms = 1000\nrequests = 5\n[components.x.limits]\ntime_ms = 2000";
        let config = Config::parse(text, Path::new("holster.toml")).unwrap();
        let limits = config.sandbox(&ComponentName::new("x").unwrap()).limits;
        assert_eq!((limits.time, limits.requests), (Duration::from_secs(2), 5));
        let limits = config.sandbox(&ComponentName::new("y").unwrap()).limits;
        assert_eq!(limits.time, Duration::from_secs(1));
    }

    #[test]
    fn what_nobody_has_approved_has_the_lower_of_the_common_limits_and_its_own() {
        let text = "[limits]\ntime_ms = 1000\nrequests = 5\n[components.x.limits]\ntime_ms = 2000\nrequests = 2";
        let config = Config::parse(text, Path::new("holster.toml")).unwrap();
        let limits = config
            .bare_sandbox(&ComponentName::new("x").unwrap())
            .limits;
        assert_eq!((limits.time, limits.requests), (Duration::from_secs(1), 2));
    }
}
