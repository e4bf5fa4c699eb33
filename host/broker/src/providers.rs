//! All providers: the files that came with the program, and the user's own.
//!
//! A user's file adds a provider, or takes the place of the whole file of the same name. A file that cannot be
//! understood stops the start, with its name and line: half a provider would send secrets to the wrong place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holster_types::{HostPattern, ProviderId};
use serde::Serialize;

use crate::BrokerError;
use crate::provider::Provider;

/// The files in `providers/`: name and content.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// The largest file of a user.
const MAX_FILE: u64 = 256 * 1024;

/// Why a provider's file is not used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ProviderError {
    #[error("cannot read the provider's file {}: {error}", .path.display())]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the provider's file {} is larger than {MAX_FILE} bytes", .path.display())]
    TooLarge { path: PathBuf },
    #[error("{}, line {line}: {message}", .path.display())]
    Invalid {
        path: PathBuf,
        line: usize,
        message: String,
    },
}

/// Where a provider's file is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", content = "path", rename_all = "snake_case")]
pub enum ProviderOrigin {
    /// It came with the program.
    BuiltIn,
    /// The user's own.
    File(PathBuf),
}

/// The catalogue of providers.
#[derive(Debug)]
pub struct Providers {
    entries: BTreeMap<ProviderId, Entry>,
}

#[derive(Debug)]
struct Entry {
    provider: Provider,
    origin: ProviderOrigin,
}

impl Providers {
    /// Reads all files. `extra_hosts` are appended to the hosts of their providers.
    pub(crate) fn read(
        folder: Option<&Path>,
        extra_hosts: BTreeMap<ProviderId, Vec<HostPattern>>,
    ) -> Result<Self, BrokerError> {
        let mut entries = BTreeMap::new();
        for (name, text) in BUILT_IN {
            let provider = parse(Path::new(name), text)?;
            entries.insert(
                provider.id.clone(),
                Entry {
                    provider,
                    origin: ProviderOrigin::BuiltIn,
                },
            );
        }
        for path in folder.map(files).transpose()?.unwrap_or_default() {
            let provider = parse(&path, &content(&path)?)?;
            entries.insert(
                provider.id.clone(),
                Entry {
                    provider,
                    origin: ProviderOrigin::File(path),
                },
            );
        }
        let mut providers = Self { entries };
        for (id, hosts) in extra_hosts {
            providers.get(&id)?;
            let entry = providers.entries.get_mut(&id).expect("it was just found");
            entry.provider.hosts.extend(hosts);
        }
        Ok(providers)
    }

    /// The provider of that name. The error names the nearest.
    pub fn get(&self, id: &ProviderId) -> Result<&Provider, BrokerError> {
        self.find(id).ok_or_else(|| BrokerError::UnknownProvider {
            provider: id.clone(),
            similar: self.similar(id),
        })
    }

    /// The provider of that name, if there is one.
    pub fn find(&self, id: &ProviderId) -> Option<&Provider> {
        self.entries.get(id).map(|entry| &entry.provider)
    }

    /// All providers, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.entries.values().map(|entry| &entry.provider)
    }

    /// Where the file of that provider is from.
    pub fn origin(&self, id: &ProviderId) -> Option<&ProviderOrigin> {
        self.entries.get(id).map(|entry| &entry.origin)
    }

    fn similar(&self, id: &ProviderId) -> Option<ProviderId> {
        self.entries
            .keys()
            .map(|known| (strsim::levenshtein(known.as_str(), id.as_str()), known))
            .filter(|(distance, known)| *distance * 2 <= known.as_str().len().max(3))
            .min()
            .map(|(_, known)| known.clone())
    }
}

/// The user's files, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, BrokerError> {
    let failed = |error| BrokerError::ProviderFolder {
        folder: folder.to_owned(),
        error,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn content(path: &Path) -> Result<String, ProviderError> {
    let failed = |error| ProviderError::Read {
        path: path.to_owned(),
        error,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(ProviderError::TooLarge {
            path: path.to_owned(),
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The provider in the text of the file at `path`.
fn parse(path: &Path, text: &str) -> Result<Provider, ProviderError> {
    let invalid = |line, message| ProviderError::Invalid {
        path: path.to_owned(),
        line,
        message,
    };
    let provider: Provider = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        invalid(line_at(text, start), error.message().to_owned())
    })?;
    if path
        .file_stem()
        .is_none_or(|stem| stem != provider.id.as_str())
    {
        let message = format!(
            "`id` is `{}`, so the file has to be called `{0}.toml`",
            provider.id
        );
        return Err(invalid(line_of_key(text, "id"), message));
    }
    provider
        .check()
        .map_err(|(key, message)| invalid(line_of_key(text, key), format!("`{key}`: {message}")))?;
    Ok(provider)
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The line of a key at the top of a file that is known to be TOML; the first line where the key is not there.
fn line_of_key(text: &str, key: &str) -> usize {
    let start = toml::de::DeTable::parse(text).ok().and_then(|table| {
        table
            .get_ref()
            .get_key_value(key)
            .map(|(key, _)| key.span().start)
    });
    line_at(text, start.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CredentialKind;

    /// The providers that a catalogue is expected to have.
    #[rustfmt::skip]
    const EXPECTED: [&str; 74] = [
        "activeloop", "adobe", "affinity", "agentql", "ahrefs", "airtable", "alchemy", "altoviz",
        "apitoken", "asana", "bamboohr", "basicauth", "bitbucket", "bitwarden", "brevo", "brex",
        "cal", "calendly", "canvas", "clickup", "cloudflare", "dailybot", "datadog", "discord",
        "discordbot", "elevenlabs", "exa", "facebook", "finage", "github", "google", "gumloop",
        "happyrobot", "heygen", "hubspot", "jira", "klaviyo", "kraken", "lever", "lever_sandbox",
        "linear", "linkedin", "listennotes", "mailchimp", "mem0", "microsoft_clarity", "neon",
        "ngrok", "notion", "oncehub", "pagerduty", "pandadoc", "pipedrive", "posthog",
        "ravenseotools", "reddit", "salesforce", "semantic_scholar", "sendgrid", "serpapi",
        "slack", "spotify", "stripe", "supabase", "tavily", "timekit", "trello", "valyu",
        "wandb", "weaviate", "workiom", "x", "zinc", "zoom",
    ];

    fn id(text: &str) -> ProviderId {
        ProviderId::new(text).unwrap()
    }

    fn read(folder: &Path) -> Result<Providers, BrokerError> {
        Providers::read(Some(folder), BTreeMap::new())
    }

    #[test]
    fn every_expected_provider_is_there() {
        let providers = Providers::read(None, BTreeMap::new()).unwrap();
        for name in EXPECTED {
            let provider = providers.get(&id(name)).unwrap();
            assert!(!provider.environment.is_empty(), "{name} has no variable");
            assert_eq!(providers.origin(&id(name)), Some(&ProviderOrigin::BuiltIn));
        }
    }

    #[test]
    fn a_provider_without_hosts_says_why() {
        for (name, text) in BUILT_IN {
            if text.contains("hosts = []") {
                assert!(
                    text.contains("[providers."),
                    "{name} does not say who names its hosts"
                );
            }
        }
    }

    #[test]
    fn well_known_quirks_are_in_the_files() {
        let providers = Providers::read(None, BTreeMap::new()).unwrap();
        let oauth = |name: &str| providers.get(&id(name)).unwrap().oauth.clone().unwrap();
        assert_eq!(
            oauth("slack").response.access_token.as_str(),
            "/authed_user/access_token"
        );
        assert_eq!(oauth("slack").scope_separator, ",");
        assert_eq!(oauth("google").authorize_params["access_type"], "offline");
        assert_eq!(oauth("jira").reuse_grace_s, 600);
        assert_eq!(oauth("notion").body, crate::BodyFormat::Json);
        assert_eq!(
            providers.get(&id("kraken")).unwrap().kinds,
            [CredentialKind::KeyPair]
        );
    }

    #[test]
    fn an_error_in_a_file_names_the_file_the_line_and_what_is_allowed() {
        const HEAD: &str = "id = 'x'\ntitle = 'X'\ndoc_url = 'https://x.example/'\n";
        for (rest, parts) in [
            (
                "kinds = ['api_key']\nhost = []",
                &["line 5", "unknown field `host`", "`hosts`"][..],
            ),
            (
                "kinds = ['token']",
                &["line 4", "unknown variant `token`", "`api_key`"],
            ),
            ("kinds = []", &["line 4", "at least one"]),
            ("kinds = ['api_key', 'api_key']", &["line 4", "once"]),
            ("", &["line 1", "missing field `kinds`"]),
            ("kinds = ['oauth2']", &["line 4", "`[oauth]`"]),
            (
                "kinds = ['api_key']\n\n[oauth]\ntoken_url = 'https://x.example/'",
                &["line 6", "`oauth2`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\ntoken_url = 'https://x.example/'",
                &["line 5", "`authorize_url`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\ntoken_url = 'http://x.example/'",
                &["line 6", "`https://…`"],
            ),
            (
                "kinds = ['api_key']\nhosts = ['*']",
                &["line 5", "write `host`"],
            ),
            (
                "kinds = ['api_key']\nenvironment = ['a b']",
                &["line 5", "name of a variable"],
            ),
            (
                "kinds = ['api_key']\n[inject]\nheader = 'a b'",
                &["line 6", "name of a header"],
            ),
            (
                "kinds = ['api_key']\n[inject]\nquery = 'a'\nscheme = 'b'",
                &["line 5", "stands alone"],
            ),
            (
                "kinds = ['api_key']\nverified_on = 'today'",
                &["line 5", "YYYY-MM-DD"],
            ),
            (
                "kinds = ['api_key']\n[identity]\nurl = 'https://{d}.example/'\npointer = '/a'",
                &["`{d}`"],
            ),
            ("kinds = [", &["line 4"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("x.toml"), format!("{HEAD}{rest}")).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            for part in ["x.toml, line "].iter().chain(parts) {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }

    #[test]
    fn a_file_is_called_as_its_provider() {
        let folder = tempfile::tempdir().unwrap();
        let text = "\nid = 'y'\ntitle = 'X'\nkinds = ['basic']\ndoc_url = 'https://x.example/'";
        std::fs::write(folder.path().join("x.toml"), text).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("has to be called `y.toml`"),
            "{error}"
        );
    }

    #[test]
    fn a_users_file_adds_a_provider_or_takes_the_place_of_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["slack", "mine"] {
            let text = format!(
                "id = '{name}'\ntitle = 'Mine'\nkinds = ['basic']\ndoc_url = 'https://x.example/'"
            );
            std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
        }
        std::fs::write(folder.path().join("README.md"), "not a provider").unwrap();
        let providers = read(folder.path()).unwrap();
        for name in ["slack", "mine"] {
            let provider = providers.get(&id(name)).unwrap();
            assert_eq!(
                (provider.title.as_str(), provider.hosts.len()),
                ("Mine", 0),
                "{name}"
            );
            let path = folder.path().join(format!("{name}.toml"));
            assert_eq!(
                providers.origin(&id(name)),
                Some(&ProviderOrigin::File(path))
            );
        }
        assert_eq!(providers.get(&id("github")).unwrap().title, "GitHub");
        assert!(read(&folder.path().join("missing")).is_ok());
    }

    #[test]
    fn the_operators_hosts_come_after_the_providers_own() {
        let own: HostPattern = "http://127.0.0.1:8080".parse().unwrap();
        let extra = BTreeMap::from([(id("slack"), vec![own.clone()])]);
        let providers = Providers::read(None, extra).unwrap();
        let hosts = &providers.get(&id("slack")).unwrap().hosts;
        assert_eq!(hosts.last(), Some(&own));
        assert!(hosts.len() > 1);
    }

    #[test]
    fn an_unknown_provider_is_answered_with_the_nearest() {
        let providers = Providers::read(None, BTreeMap::new()).unwrap();
        for (wrong, similar) in [
            ("slakc", Some("slack")),
            ("git-hub", Some("github")),
            ("y", Some("x")),
            ("quite-another", None),
        ] {
            let error = providers.get(&id(wrong)).unwrap_err().to_string();
            match similar {
                Some(similar) => assert!(
                    error.ends_with(&format!("did you mean `{similar}`?")),
                    "{error}"
                ),
                None => assert!(error.contains("`holster providers list`"), "{error}"),
            }
        }
    }
}
