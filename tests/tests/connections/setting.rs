//! What the tests share: a host that a person connects accounts to, and that person.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holster_callers::Callers;
use holster_connect::{ConnectServer, ConnectSettings};
use holster_core::Config;
use holster_core::broker::{
    Broker, BrokerSettings, ConfiguredClient, Connection, ConnectionState, KeyFile, NewConnection,
    Owner, SecretSource, Unmet,
};
use holster_core::types::{
    ConnectionId, ExposeSecret as _, ProfileName, ProviderId, Requirement, TenantId, ThreadId,
};
use holster_types::Grant;
use http::header::{LOCATION, ORIGIN};
use http::{HeaderMap, Response, StatusCode};
use identity_provider::{Browser, IdentityProvider, Options};
use tempfile::TempDir;
use url::Url;

/// Longer than the broker renews ahead of time, so that a token is as good as new through a test.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn id(name: &str) -> ProviderId {
    ProviderId::new(name).unwrap()
}

pub(crate) fn owner(profile: &str) -> Owner {
    Owner::new(&TenantId::local(), ProfileName::new(profile).unwrap())
}

pub(crate) async fn identity_provider(access_token: Duration) -> IdentityProvider {
    let options = Options {
        access_token,
        ..Options::default()
    };
    IdentityProvider::start(options).await.unwrap()
}

/// A provider's file for a server that says where its endpoints are. What `more` says stands in `[oauth]`.
pub(crate) fn file(name: &str, issuer: &str, more: &str) -> String {
    format!(
        "id = '{name}'\n\
         title = 'Provider {name}'\n\
         kinds = ['oauth2', 'api_key']\n\
         doc_url = 'https://provider.example/'\n\
         hosts = ['{issuer}']\n\
         [oauth]\n\
         issuer = '{issuer}'\n\
         discover = true\n\
         device_url = '{issuer}/device/auth'\n\
         client_auth = 'none'\n\
         rotation = 'rotates'\n\
         default_scopes = ['openid', 'offline_access', 'email']\n\
         authorize_params = {{ prompt = 'consent' }}\n\
         {more}\n\
         [identity]\n\
         url = '{issuer}/me'\n\
         pointer = '/email'\n"
    )
}

/// A data folder and providers of its own, and what serves them.
pub(crate) struct Host {
    folder: TempDir,
    clients: BTreeMap<ProviderId, ConfiguredClient>,
    callers: Arc<Callers>,
    running: Option<(Arc<Broker>, ConnectServer)>,
}

impl Host {
    /// Serves with these provider files, each by its name, as the public client `native`.
    pub(crate) async fn start(files: &[(&str, String)]) -> Self {
        let clients = files
            .iter()
            .map(|(name, _)| (id(name), client("native", None)));
        Self::start_as(files, clients.collect()).await
    }

    /// The same with clients of one's own.
    pub(crate) async fn start_as(
        files: &[(&str, String)],
        clients: BTreeMap<ProviderId, ConfiguredClient>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("providers")).unwrap();
        for (name, text) in files {
            let file = folder.path().join("providers").join(format!("{name}.toml"));
            fs::write(file, text).unwrap();
        }
        let mut host = Self {
            folder,
            clients,
            callers: Arc::default(),
            running: None,
        };
        host.serve(0).await;
        host
    }

    /// A host with one provider, `idp`, that is this server.
    pub(crate) async fn of(idp: &IdentityProvider) -> Self {
        Self::start(&[("idp", file("idp", idp.issuer(), ""))]).await
    }

    /// The same for the users that a configuration knows.
    pub(crate) async fn of_users(idp: &IdentityProvider, config: &str) -> Self {
        let mut host = Self::of(idp).await;
        let config = Config::parse(config, "holster.toml".as_ref()).unwrap();
        host.callers = Arc::new(Callers::new(&config.serve));
        host.restart().await;
        host
    }

    async fn serve(&mut self, port: u16) {
        let broker = self.another_broker().await;
        let settings = ConnectSettings {
            listen: Some(([127, 0, 0, 1], port).into()),
            public_url: None,
            callers: Arc::clone(&self.callers),
        };
        let server = ConnectServer::start(Arc::clone(&broker), settings)
            .await
            .unwrap();
        self.running = Some((broker, server));
    }

    /// A broker on the same data, as another process would have it.
    pub(crate) async fn another_broker(&self) -> Arc<Broker> {
        let keeper = Box::new(KeyFile::in_data_folder(&self.data()));
        Arc::new(Broker::open_with(self.settings(), keeper).await.unwrap())
    }

    pub(crate) fn settings(&self) -> BrokerSettings {
        BrokerSettings {
            expected_profiles: BTreeMap::new(),
            data_folder: self.data(),
            provider_folder: Some(self.folder.path().join("providers")),
            configured: BTreeMap::new(),
            extra_hosts: BTreeMap::new(),
            default_profile: None,
            clients: self.clients.clone(),
            variables: BTreeMap::new(),
            client_metadata_url: None,
        }
    }

    /// Ends everything that runs, and begins anew with the same files at the same port.
    pub(crate) async fn restart(&mut self) {
        let port = self.url().port().unwrap();
        let (broker, server) = self.running.take().expect("it runs");
        drop(server);
        drop(broker);
        tokio::task::yield_now().await;
        self.serve(port).await;
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database of the vault.
    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("vault/credentials.db")
    }

    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.running.as_ref().expect("it runs").0
    }

    /// Where the pages are: `http://127.0.0.1:PORT/`.
    pub(crate) fn url(&self) -> &Url {
        &self.running.as_ref().expect("it runs").1.address().url
    }

    /// What the pages call themselves in `Origin`.
    pub(crate) fn origin(&self) -> String {
        self.url().origin().ascii_serialization()
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        self.url().join(path).unwrap()
    }

    /// Begins a connection for a profile, for one conversation, with scopes that are needed.
    pub(crate) async fn connect(&self, profile: &str, provider: &str, scopes: &str) -> Connection {
        self.connect_owner(owner(profile), provider, scopes).await
    }

    /// The same for another user than that of this machine.
    pub(crate) async fn connect_for(
        &self,
        tenant: &str,
        profile: &str,
        provider: &str,
    ) -> Connection {
        let tenant = TenantId::new(tenant).unwrap();
        let owner = Owner::new(&tenant, ProfileName::new(profile).unwrap());
        self.connect_owner(owner, provider, "").await
    }

    async fn connect_owner(&self, owner: Owner, provider: &str, scopes: &str) -> Connection {
        let new = NewConnection {
            owner,
            thread: ThreadId::new("thread").unwrap(),
            provider: id(provider),
            scopes: scopes.split_whitespace().collect(),
        };
        self.broker().connect(new).await.unwrap()
    }

    pub(crate) async fn state(&self, id: &ConnectionId) -> ConnectionState {
        let connection = self.broker().connection(id).await.unwrap();
        connection.expect("it is remembered").state
    }

    /// What a tool of that profile is given.
    pub(crate) async fn resolve(
        &self,
        profile: &str,
        needs: &[(&str, &str)],
    ) -> Result<Vec<Grant>, Unmet> {
        resolve(self.broker(), profile, needs).await
    }

    /// The account of a profile at a provider, as its tools see it.
    pub(crate) async fn grant(&self, profile: &str, provider: &str) -> Grant {
        let grants = self.resolve(profile, &[(provider, "")]).await;
        grants.unwrap_or_else(|unmet| panic!("{unmet}")).remove(0)
    }
}

pub(crate) async fn resolve(
    broker: &Broker,
    profile: &str,
    needs: &[(&str, &str)],
) -> Result<Vec<Grant>, Unmet> {
    let requirement = |(provider, scopes): &(&str, &str)| Requirement {
        provider: id(provider),
        scopes: scopes.split_whitespace().collect(),
    };
    let requirements: Vec<_> = needs.iter().map(requirement).collect();
    let Owner { tenant, profile } = owner(profile);
    broker
        .resolve(&tenant, Some(&profile), &requirements)
        .await
        .unwrap()
}

pub(crate) fn client(id: &str, secret: Option<&Path>) -> ConfiguredClient {
    ConfiguredClient {
        id: id.to_owned(),
        secret: secret.map(|path| SecretSource::File(path.to_owned())),
        auth: None,
    }
}

/// The secret that a tool's requests carry.
pub(crate) fn sent(grant: &Grant) -> &str {
    grant.secret.sent().expose_secret()
}

/// What a browser shows.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn says(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// Where it sends the browser on to.
    pub(crate) fn location(&self) -> &str {
        let location = self.headers.get(LOCATION);
        location.map_or("", |location| location.to_str().unwrap())
    }
}

impl From<Response<Bytes>> for Page {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// Somebody with a browser of their own.
#[derive(Clone, Default)]
pub(crate) struct Person {
    pub(crate) browser: Browser,
}

impl Person {
    pub(crate) async fn open(&mut self, url: &Url) -> Page {
        self.browser.get(url).await.unwrap().into()
    }

    /// The page of a connection.
    pub(crate) async fn page(&mut self, host: &Host, id: &ConnectionId) -> Page {
        self.open(&host.at(&format!("connect/{id}"))).await
    }

    /// Sends the form of a connection's page.
    pub(crate) async fn choose(&mut self, host: &Host, id: &ConnectionId, form: &str) -> Page {
        let url = host.at(&format!("connect/{id}"));
        let origin = host.origin();
        let headers = [(ORIGIN.as_str(), origin.as_str())];
        self.browser
            .post(&url, &headers, form)
            .await
            .unwrap()
            .into()
    }

    /// Opens the page, chooses to consent, and is sent to the provider: this is where.
    pub(crate) async fn leave(&mut self, host: &Host, id: &ConnectionId) -> Url {
        let page = self.page(host, id).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let sent = self.choose(host, id, "way=consent").await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        sent.location().parse().unwrap()
    }

    /// Follows the provider's redirect back, to the page that says how it ended.
    pub(crate) async fn come_back(&mut self, host: &Host, back: &Url) -> Page {
        let answer = self.open(back).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        self.open(&host.at(answer.location())).await
    }
}

/// A parameter of an address.
pub(crate) fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(known, _)| known == name);
    let found = found.unwrap_or_else(|| panic!("`{name}` is not in {url}"));
    found.1.into_owned()
}
