//! Folders that components are given, and what is never given: the host's own.

use std::path::{Component, Path, PathBuf, absolute};

use holster_broker::{ConfiguredClient, ConfiguredCredential};

use super::{Config, ConfigError, FILE_NAME};

/// Something of the host's own.
struct Own {
    what: &'static str,
    path: PathBuf,
}

impl Config {
    /// The same, with the components' folders as they are on this machine, without links. Refused where a component would
    /// see or change something of the host's own, and where it could lead another one astray. Looks at the disk.
    pub(crate) fn with_folders(mut self) -> Result<Self, ConfigError> {
        let file = self.file.clone();
        let refused = |entry: &dyn ToString, error: String| ConfigError::Value {
            path: file.clone().unwrap_or_else(|| FILE_NAME.into()),
            place: format!("{}.folders", entry.to_string()),
            error,
        };
        let own = self.own();
        let mut writable = Vec::new();
        for (entry, component) in self.components.iter_mut() {
            for folder in &mut component.folders {
                let shown = folder.path.display().to_string();
                folder.path = real(&folder.path).ok_or_else(|| {
                    let error = format!("{shown} is not there, and leads nowhere for its `..`");
                    refused(entry, error)
                })?;
                if let Some(own) = own.iter().find(|own| overlap(&own.path, &folder.path)) {
                    let Own { what, path } = own;
                    let error = format!(
                        "{shown} would show the component {what}, {}, which none may see: name a folder that lies apart \
                         from it",
                        path.display()
                    );
                    return Err(refused(entry, error));
                }
                if !folder.path.is_dir() {
                    tracing::warn!(
                        "{shown}, which {entry}.folders names, is no folder: calls are refused until it is one"
                    );
                }
                if folder.write {
                    writable.push(folder.path.clone());
                }
            }
        }
        for (entry, component) in self.components.iter() {
            for folder in &component.folders {
                let within =
                    |outer: &&PathBuf| folder.path != **outer && folder.path.starts_with(outer);
                if let Some(outer) = writable.iter().find(within) {
                    let error = format!(
                        "{} lies in {}, in which a component may put something else in its place: give no folder below one \
                         that has `write = true`",
                        folder.path.display(),
                        outer.display()
                    );
                    return Err(refused(entry, error));
                }
            }
        }
        Ok(self)
    }

    fn own(&self) -> Vec<Own> {
        let credentials = self.profiles.values();
        let credentials = credentials.flat_map(|profile| profile.credentials.values());
        let clients = self.providers.values().map(|own| &own.client);
        let clients = clients.chain(self.serve.issuers.values().map(|own| &own.client));
        let secrets = credentials
            .flat_map(ConfiguredCredential::files)
            .chain(clients.flatten().flat_map(ConfiguredClient::files));
        let places = [
            ("the data folder", self.data_folder().ok()),
            ("the code cache", self.cache_directory().ok()),
            ("the plugin directory", self.plugin_directory().ok()),
            ("the folder of providers", self.provider_folder()),
            ("the configuration", self.file.clone()),
        ];
        let places = places
            .into_iter()
            .filter_map(|(what, path)| Some((what, path?)))
            .chain(secrets.map(|path| ("a file with a secret", path.to_owned())));
        let own = places.filter_map(|(what, path)| {
            let path = real(&path)?;
            Some(Own { what, path })
        });
        own.collect()
    }
}

fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The path without links and `..`, as far as it is there. `None` where it goes back from what is not there.
fn real(path: &Path) -> Option<PathBuf> {
    let path = absolute(path).ok()?;
    let (there, there_really) = path
        .ancestors()
        .find_map(|there| Some((there, there.canonicalize().ok()?)))?;
    let rest = path.strip_prefix(there).ok()?.components();
    let goes_back = rest.clone().any(|part| part == Component::ParentDir);
    // Part by part: to join it with nothing would leave a slash at the end.
    (!goes_back).then(|| there_really.components().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What the configuration says of these folders, below a place with all of the host's own.
    fn read(place: &Path, folders: &str) -> Result<Config, String> {
        let text = format!(
            "data = 'data'\nplugins = 'plugins'\nprovider_folder = 'providers'\ncache.directory = 'code'\n\
             profiles.work.credentials.slack.token = {{ file = 'secrets/slack' }}\n\
             providers.google.client = {{ id = 'x', secret = {{ file = 'clients/google' }} }}\n{folders}"
        );
        let config =
            Config::parse(&text, &place.join("holster.toml")).map_err(|error| error.to_string())?;
        config.with_folders().map_err(|error| error.to_string())
    }

    fn given(path: &str) -> String {
        format!("[components.'acme-*']\nfolders = [{{ path = '{path}', as = '/a' }}]")
    }

    #[test]
    fn nothing_of_the_hosts_own_is_given_by_whatever_path() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        for folder in ["data/deep", "reports", "secrets"] {
            fs::create_dir_all(place.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(place.join("data"), place.join("link")).unwrap();
        for (path, what) in [
            ("data", "the data folder"),
            ("data/deep", "the data folder"),
            ("data/not-there-yet", "the data folder"),
            ("reports/../data", "the data folder"),
            ("link", "the data folder"),
            ("link/deep", "the data folder"),
            (".", "which none may see"),
            ("/", "which none may see"),
            ("code", "the code cache"),
            ("plugins", "the plugin directory"),
            ("providers", "the folder of providers"),
            ("holster.toml", "the configuration"),
            ("secrets", "a file with a secret"),
            ("clients", "a file with a secret"),
            ("missing/../data", "`..`"),
        ] {
            let error = read(place, &given(path)).unwrap_err();
            for part in ["holster.toml, in components.\"acme-*\".folders: ", what] {
                assert!(error.contains(part), "{path}: `{part}` is not in: {error}");
            }
        }
        let config = read(place, &given("reports/../reports")).unwrap();
        let given = config.sandbox(&"acme-x".parse().unwrap()).folders;
        assert_eq!(given[0].path, place.canonicalize().unwrap().join("reports"));
    }

    #[test]
    fn no_folder_is_given_below_one_that_may_be_changed() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("reports/old")).unwrap();
        let read = |first: &str, second: &str, write: bool| {
            let folders = format!(
                "[components.a]\nfolders = [{{ path = '{first}', as = '/a', write = {write} }}]\n\
                 [components.b]\nfolders = [{{ path = '{second}', as = '/a' }}]"
            );
            read(place.path(), &folders)
        };
        let error = read("reports", "reports/old", true).unwrap_err();
        assert!(error.contains("components.b.folders: "), "{error}");
        assert!(error.contains("`write = true`"), "{error}");
        for (first, second, write) in [
            ("reports", "reports/old", false),
            ("reports", "reports", true),
            ("reports/old", "reports", true),
            ("reports", "reports-old", true),
        ] {
            assert!(
                read(first, second, write).is_ok(),
                "{first} {second} {write}"
            );
        }
    }
}
