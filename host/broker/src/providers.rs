//! All providers: the files that came with the program, and the user's own.
//!
//! A user's file adds a provider, or takes the place of the whole file of the same name. A file that cannot be
//! understood stops the start, with its name and line: half a provider would send secrets to the wrong place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holster_types::{HostPattern, ProviderId};
use serde::Serialize;

use crate::provider::{Pkce, Provider};
use crate::{BrokerError, CredentialKind};

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

/// What a file says, and what it leaves unsaid.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderReport {
    /// The provider in the file.
    pub provider: Provider,
    /// What works less well than it could, each as a sentence without a full stop.
    pub warnings: Vec<String>,
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

    /// Reads one file as it would be read from the folder of providers. May wait for a disk.
    pub fn check_file(path: &Path) -> Result<ProviderReport, ProviderError> {
        let provider = parse(path, &content(path)?)?;
        let mut warnings = warnings(&provider);
        let built_in = format!("{}.toml", provider.id);
        if BUILT_IN.iter().any(|(name, _)| **name == built_in) {
            warnings.push(format!(
                "it takes the place of the `{}` that came with the program, as a whole",
                provider.id
            ));
        }
        Ok(ProviderReport { provider, warnings })
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

/// What works less well than it could.
fn warnings(provider: &Provider) -> Vec<String> {
    let id = &provider.id;
    let by_consent = provider.kinds.contains(&CredentialKind::Oauth2);
    let oauth = provider.oauth.as_ref().filter(|_| by_consent);
    let untold = oauth.is_some_and(|oauth| oauth.revoke_url.is_none() && !oauth.discovers());
    let by_query = [Some(&provider.inject), provider.inject_key.as_ref()]
        .into_iter()
        .flatten()
        .any(|inject| inject.query.is_some());
    let mut found: Vec<_> = [
        (
            provider.hosts.is_empty(),
            format!(
                "it has no `hosts`, so its secret can be sent nowhere before the configuration names some under \
                 `[providers.{id}]`"
            ),
        ),
        (
            provider.environment.is_empty(),
            "it has no `environment`, so tools that read their environment do not find the secret"
                .to_owned(),
        ),
        (
            provider.identity.is_none(),
            "it has no `[identity]`, so a list does not tell whose account it is, and a wrong secret is noticed \
             only when it is used"
                .to_owned(),
        ),
        (
            untold,
            "it has no `oauth.revoke_url`, so an account that is disconnected is forgotten here and lives on there"
                .to_owned(),
        ),
        (
            oauth.is_some_and(|oauth| oauth.pkce == Pkce::Refused),
            "it refuses PKCE, so whoever gets hold of a code can use it".to_owned(),
        ),
        (
            by_query,
            "its secret travels in the query, where the service's logs may keep it".to_owned(),
        ),
        (
            provider.verified_on.is_none(),
            "it has no `verified_on`, so nobody knows when it was last compared with what the vendor describes"
                .to_owned(),
        ),
    ]
    .into_iter()
    .filter_map(|(is_so, warning)| is_so.then_some(warning))
    .collect();
    let unused = provider
        .variables
        .keys()
        .filter(|name| !provider.names(name));
    found.extend(unused.map(|name| {
        format!("people are asked for the variable `{name}`, which no address has in it")
    }));
    found
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
    fn a_file_is_checked_and_what_it_leaves_unsaid_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, text: &str| {
            let path = folder.path().join(format!("{name}.toml"));
            std::fs::write(&path, text).unwrap();
            Providers::check_file(&path)
        };
        let bare = "id = 'x1'\ntitle = 'X'\nkinds = ['oauth2']\ndoc_url = 'https://x.example/'\n\
                    inject = { query = 'key' }\n[variables.site]\ntitle = 'S'\n[oauth]\npkce = 'refused'\n\
                    authorize_url = 'https://x.example/a'\ntoken_url = 'https://x.example/t'\n";
        let report = check("x1", bare).unwrap();
        assert_eq!(report.provider.id, id("x1"));
        let expected = [
            "`hosts`",
            "`environment`",
            "`[identity]`",
            "`oauth.revoke_url`",
            "PKCE",
            "the query",
            "`verified_on`",
            "`site`",
        ];
        assert_eq!(
            report.warnings.len(),
            expected.len(),
            "{:?}",
            report.warnings
        );
        for (warning, part) in report.warnings.iter().zip(expected) {
            assert!(warning.contains(part), "`{part}` is not in: {warning}");
        }
        let (_, spotify) = BUILT_IN
            .iter()
            .find(|(name, _)| *name == "spotify.toml")
            .unwrap();
        let warnings = check("spotify", spotify).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("takes the place"), "{warnings:?}");
        let error = check("x2", "id = 'x2'\ntitle = 7").unwrap_err().to_string();
        assert!(error.contains("x2.toml, line 2"), "{error}");
        let missing = Providers::check_file(&folder.path().join("none.toml"));
        assert!(
            matches!(missing, Err(ProviderError::Read { .. })),
            "{missing:?}"
        );
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

    /// Each file, after a common head, is refused with all of these parts in the error.
    fn assert_refused(cases: &[(&str, &[&str])]) {
        const HEAD: &str = "id = 'x'\ntitle = 'X'\ndoc_url = 'https://x.example/'\n";
        for (rest, parts) in cases {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("x.toml"), format!("{HEAD}{rest}")).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            for part in ["x.toml, line "].iter().chain(*parts) {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }

    #[test]
    fn an_error_in_a_file_names_the_file_the_line_and_what_is_allowed() {
        assert_refused(&[
            (
                "kinds = ['api_key']\nhost = []",
                &["line 5", "unknown field `host`", "`hosts`"],
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
                "kinds = ['key_pair']\n[inject]\nquery = 'a'\nsecret_header = 'X-B'",
                &["line 5", "not with `query`"],
            ),
            (
                "kinds = ['api_key']\n[inject]\nsecret_header = 'X-B'",
                &["line 5", "`key_pair` among `kinds`"],
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
        ]);
    }

    #[test]
    fn fields_that_do_not_agree_are_refused_with_what_is_missing() {
        assert_refused(&[
            (
                "kinds = ['oauth2']\n[oauth]\nauthorize_url = 'https://x.example/'",
                &["line 5", "`token_url`", "`issuer`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\ndiscover = true",
                &["line 5", "`issuer`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nauthorize_url = 'https://x.example/'\ntoken_url = 'https://x.example/'\niss_expected = true",
                &["line 5", "`iss_expected`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nauthorize_url = 'https://x.example/'\ntoken_url = 'https://x.example/'\nregistration = 'dynamic'",
                &["line 5", "`registration_url`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://x.example'\nresponse = { variables = { 'A B' = '/a' } }",
                &["line 5", "`response.variables`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://x.example'\nassumed_lifetime_s = 0",
                &["line 5", "`assumed_lifetime_s`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://x.example'\nrevoke = { body = 'empty' }",
                &["line 5", "`revoke.auth"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nauthorize_url = 'https://x.example/'\ntoken_url = 'https://x.example/'\nrevoke = { auth = 'none' }",
                &["line 5", "`revoke_url`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://x.example'\nresponse = { variables = { redirect_uri = '/a' } }",
                &["line 5", "`response.variables`"],
            ),
            (
                "kinds = ['api_key']\n[variables.redirect_uri]\ntitle = 'R'",
                &["line 5", "`redirect_uri`"],
            ),
            (
                "kinds = ['api_key']\n[variables.d]\ntitle = 'D'\nvalues = ['a']\ndefault = 'b'",
                &["line 5", "`d`", "`values`"],
            ),
            (
                "kinds = ['api_key']\n[identity]\nurl = 'https://x.example/'\npointer = '/a'\ninject = { query = 'a', scheme = 'b' }",
                &["line 5", "stands alone"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://x.example/{client_id}'",
                &["`{client_id}`", "not described"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://login.{d}/'\n[variables.d]\ntitle = 'D'",
                &["line 7", "`hosts`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://{d}.example/'\n[variables.d]\ntitle = 'D'",
                &["line 7", "`hosts`"],
            ),
            (
                "kinds = ['oauth2']\n[oauth]\nissuer = 'https://{d}x.example.com/'\n[variables.d]\ntitle = 'D'",
                &["line 7", "`hosts`"],
            ),
        ]);
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
