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
            .map(|known| (distance(known.as_str(), id.as_str()), known))
            .filter(|(distance, known)| *distance * 3 <= known.as_str().len().max(3))
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

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
