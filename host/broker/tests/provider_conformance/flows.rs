//! What people and tools do with an account, by the public face of the broker alone.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_broker::{
    Begun, Broker, BrokerSettings, Browser, Callback, Choice, ChosenWay, ClientAuth,
    ConfiguredClient, ConnectAddress, Connection, ConnectionState, CredentialKind, Disconnected,
    NewConnection, OAuth, Owner, Provider, Redirect, Rotation, SecretSource, SignIn, Stage, Way,
};
use holster_types::{
    ExposeSecret as _, Grant, ProfileName, Requirement, SecretString, TenantId, ThreadId,
};
use tempfile::TempDir;
use url::Url;

use crate::fake::{
    CLIENT_ID, CLIENT_SECRET, Carried, Fake, LABEL, carried, carried_along, is_bound,
};
use crate::fake_server::FakeServer;
use crate::{file, proof};

/// The scopes that a tool wants.
pub(crate) const WANTED: &[&str] = &["kit.read", "kit.write"];

/// Long enough that nothing is renewed meanwhile, in seconds.
const LONG: u64 = 3600;
/// So short that a token is renewed before it is used, in seconds.
const SHORT: u64 = 60;
/// The same for a token that can be renewed: the broker lets it live half its life.
const OVER_SOON: u64 = 2;

/// One provider on this machine, and a broker that knows it.
pub(crate) struct World {
    /// As its file describes it, with the addresses that the file leaves to its metadata.
    provider: Provider,
    variables: BTreeMap<String, String>,
    fake: Arc<Fake>,
    server: FakeServer,
    broker: Broker,
    _folder: TempDir,
}

impl World {
    /// A provider as `provider` has it, and a broker that believes it to be as `believed` has it.
    pub(crate) async fn new(provider: &Provider, believed: &Provider) -> Result<Self> {
        let provider = &file::served(provider);
        let variables: BTreeMap<_, _> = provider
            .variables
            .iter()
            .map(|(name, variable)| {
                let other = variable.values.last().or(variable.example.as_ref());
                let value = other.or(variable.default.as_ref());
                (name.clone(), value.map_or("kit", String::as_str).to_owned())
            })
            .collect();
        let fake = Arc::new(Fake::new(provider.clone(), variables.clone()));
        let answering = Arc::clone(&fake);
        let server = FakeServer::start(move |request| answering.answer(request)).await;
        let folder = tempfile::tempdir()?;
        let files = folder.path().join("providers");
        std::fs::create_dir(&files)?;
        let name = format!("{}.toml", believed.id);
        std::fs::write(files.join(name), file::at(believed, &server.url))?;
        let client = provider
            .oauth
            .as_ref()
            .map(|oauth| client(folder.path(), oauth));
        let client = client
            .transpose()?
            .map(|client| (provider.id.clone(), client));
        let broker = Broker::open(BrokerSettings {
            data_folder: folder.path().join("data"),
            provider_folder: Some(files),
            configured: BTreeMap::new(),
            extra_hosts: BTreeMap::new(),
            default_profile: None,
            clients: client.into_iter().collect(),
            variables: BTreeMap::new(),
            client_metadata_url: None,
            expected_profiles: BTreeMap::new(),
        })
        .await?;
        Ok(Self {
            provider: provider.clone(),
            variables,
            fake,
            server,
            broker,
            _folder: folder,
        })
    }

    /// All that the file says can be done; gives what it was.
    pub(crate) async fn all(&self) -> Result<Vec<String>> {
        let mut passed = Vec::new();
        for kind in self.provider.kinds.clone() {
            match kind {
                CredentialKind::Oauth2 => self.by_consent(&mut passed).await?,
                CredentialKind::ClientCredentials => {
                    self.by_client().await.context("client credentials")?;
                    passed.push("client credentials".to_owned());
                }
                kind => {
                    self.by_secret(kind).await.context(kind)?;
                    passed.push(kind.as_str().replace('_', " "));
                }
            }
        }
        Ok(passed)
    }

    async fn by_consent(&self, passed: &mut Vec<String>) -> Result<()> {
        let oauth = self.oauth()?;
        self.unfit_address_is_closed().await.context("address")?;
        self.connects().await.context("connect")?;
        self.connects_without_label().await.context("label")?;
        passed.push("connect".to_owned());
        self.is_refused().await.context("refusal")?;
        passed.push("refusal".to_owned());
        self.refreshes().await.context("refresh")?;
        passed.push(match oauth.rotation {
            Rotation::NoRefresh => "no refresh".to_owned(),
            Rotation::Stays | Rotation::Rotates => "refresh".to_owned(),
        });
        if oauth.device_url.is_some() {
            self.connects_a_device().await.context("device")?;
            passed.push("device".to_owned());
        }
        let ended = self.disconnects().await.context("disconnect")?;
        passed.push(ended.to_owned());
        Ok(())
    }

    /// A person consents, and a tool gets what the provider wants to see.
    async fn connects(&self) -> Result<()> {
        self.expect(CredentialKind::Oauth2, "", LONG);
        let connection = self.consent("consent").await?;
        self.is_connected(&connection)?;
        let grant = self.grant("consent", WANTED).await?;
        self.carries(&grant, CredentialKind::Oauth2, &self.fake.access()?)?;
        let own = &self.oauth()?.default_scopes;
        for scope in own.iter().map(String::as_str).chain(WANTED.iter().copied()) {
            let granted = grant.scopes.iter().any(|granted| granted == scope);
            ensure!(granted, "`{scope}` is not among {}", grant.scopes);
        }
        let left = grant.expires_at.context("the lifetime is not known")?;
        let life = self.oauth()?.assumed_lifetime_s.unwrap_or(LONG);
        let fits = now() + life / 2..=now() + life;
        ensure!(fits.contains(&left), "it ends at {left}");
        ensure!(
            self.fake.state().refreshed == 0,
            "it was refreshed too soon"
        );
        self.nothing_was_wrong()
    }

    /// The label is a courtesy: an account is connected without it, too.
    async fn connects_without_label(&self) -> Result<()> {
        self.fake.state().hides_label = true;
        let connection = self.consent("nameless").await;
        self.fake.state().hides_label = false;
        let state = connection?.state;
        ensure!(
            state == ConnectionState::Connected { account: None },
            "without a label, the connection {state}"
        );
        self.nothing_was_wrong()
    }

    /// An error is one whatever status it comes with.
    async fn is_refused(&self) -> Result<()> {
        for status in [200, 400] {
            self.fake.state().refusal = Some((status, "kit_refuses".to_owned()));
            let connection = self.consent("refused").await;
            self.fake.state().refusal = None;
            match connection?.state {
                ConnectionState::Refused { reason } if reason.contains("kit_refuses") => {}
                state => bail!("with HTTP {status}, the connection {state}"),
            }
        }
        let Some(issuer) = &self.oauth()?.issuer else {
            return self.nothing_was_wrong();
        };
        let another = Some(format!("{issuer}/other"));
        let none = self.oauth()?.iss_expected.then_some(None);
        for wrong in [Some(another), none].into_iter().flatten() {
            let state = self.consent_by("refused", wrong.clone()).await?.state;
            ensure!(
                matches!(state, ConnectionState::Refused { .. }),
                "with {wrong:?} as its issuer, the connection {state}"
            );
        }
        self.nothing_was_wrong()
    }

    /// A token that is about to end is renewed; twice, since only then it shows which refresh token is kept.
    async fn refreshes(&self) -> Result<()> {
        let assumed = self.oauth()?.assumed_lifetime_s.is_some();
        let renewable = self.oauth()?.rotation != Rotation::NoRefresh;
        let lifetime = if renewable { OVER_SOON } else { SHORT };
        self.expect(CredentialKind::Oauth2, "", lifetime);
        let connection = self.consent("short").await?;
        self.is_connected(&connection)?;
        if renewable && !assumed {
            tokio::time::sleep(Duration::from_millis(1000 * OVER_SOON + 200)).await;
        }
        let first = self.fake.access()?;
        let before = self.fake.state().refreshed;
        self.fake.state().lifetime = LONG;
        let mut grant = self.grant("short", &[]).await?;
        if assumed {
            // It lives too long to wait for its end.
            self.reject("short", &grant).await?;
            grant = self.grant("short", &[]).await?;
        }
        let refreshed = self.fake.state().refreshed - before;
        if !renewable {
            ensure!(refreshed == 0, "there is nothing to refresh with");
            self.carries(&grant, CredentialKind::Oauth2, &first)?;
            return self.nothing_was_wrong();
        }
        ensure!(refreshed == 1, "it was refreshed {refreshed} times");
        ensure!(self.fake.access()? != first, "there is no new token");
        self.carries(&grant, CredentialKind::Oauth2, &self.fake.access()?)?;
        self.reject("short", &grant).await?;
        let refreshed = self.fake.state().refreshed - before;
        ensure!(
            refreshed == 2,
            "after a rejection, it was refreshed {refreshed} times"
        );
        let grant = self.grant("short", &[]).await?;
        self.carries(&grant, CredentialKind::Oauth2, &self.fake.access()?)?;
        ensure!(
            grant.account.as_deref() == self.label(CredentialKind::Oauth2),
            "the label is lost"
        );
        self.ends().await?;
        self.nothing_was_wrong()
    }

    /// What says that a refresh token has ended is understood, in all its words.
    async fn ends(&self) -> Result<()> {
        let words = &self.oauth()?.response.ended;
        for error in words.iter().map(String::as_str).chain(["invalid_grant"]) {
            self.expect(CredentialKind::Oauth2, "", LONG);
            let connection = self.consent("ended").await?;
            self.is_connected(&connection)?;
            let grant = self.grant("ended", &[]).await?;
            self.fake.state().refusal = Some((400, error.to_owned()));
            self.reject("ended", &grant).await?;
            self.fake.state().refusal = None;
            let asked = self.fake.state().refreshed;
            let unmet = self.resolve("ended", &[]).await?.err();
            ensure!(unmet.is_some(), "after `{error}` the account still serves");
            ensure!(
                asked == self.fake.state().refreshed,
                "after `{error}` the provider was asked again"
            );
        }
        Ok(())
    }

    /// A person enters a code elsewhere.
    async fn connects_a_device(&self) -> Result<()> {
        self.expect(CredentialKind::Oauth2, "", LONG);
        let connection = self.begin("device").await?;
        let (address, _) = self.address()?;
        let page = self
            .broker
            .connect_page(&connection.id, None, &address)
            .await?;
        let offered = match page.context("there is no page")?.stage {
            Stage::Choose { ways, .. } => ways.iter().any(|way| matches!(way, Way::Device { .. })),
            _ => false,
        };
        ensure!(offered, "the page offers no code");
        let begun = self
            .choose(&connection, &Browser::new(), ChosenWay::Device, &[])
            .await?;
        let Begun::Code(code) = begun else {
            bail!("there is no code");
        };
        ensure!(
            code.user_code == "KIT-CODE",
            "the code is {}",
            code.user_code
        );
        let waited = self
            .broker
            .wait(&connection.id, Duration::from_secs(20))
            .await?;
        self.is_connected(&waited.context("the connection is gone")?)?;
        let grant = self.grant("device", WANTED).await?;
        self.carries(&grant, CredentialKind::Oauth2, &self.fake.access()?)?;
        self.nothing_was_wrong()
    }

    /// The provider is told where it can be, and that there is nothing left to revoke is understood in all its words.
    async fn disconnects(&self) -> Result<&'static str> {
        let oauth = self.oauth()?;
        let told = |gone, told| match (gone, oauth.revoke_url.is_some()) {
            (Disconnected::Revoked, true) if told => Ok("revoke"),
            (Disconnected::Forgotten, false) if !told => Ok("forget"),
            _ => bail!("it was {gone:?}"),
        };
        let ended = oauth.revoke.ended.iter().map(String::as_str);
        for error in ended.chain(["invalid_token"]) {
            let gone = self.disconnect(Some((200, error.to_owned()))).await?;
            told(gone, oauth.revoke_url.is_some()).with_context(|| format!("at `{error}`"))?;
        }
        let gone = self.disconnect(None).await?;
        let revoked = self.fake.state().revoked;
        told(gone, revoked)
    }

    async fn disconnect(&self, refusal: Option<(u16, String)>) -> Result<Disconnected> {
        self.expect(CredentialKind::Oauth2, "", LONG);
        let connection = self.consent("gone").await?;
        self.is_connected(&connection)?;
        self.fake.state().refusal = refusal;
        let gone = self
            .broker
            .disconnect(&owner("gone")?, &self.provider.id)
            .await?;
        self.fake.state().refusal = None;
        self.nothing_was_wrong()?;
        Ok(gone)
    }

    /// A client lets itself in.
    async fn by_client(&self) -> Result<()> {
        self.expect(CredentialKind::ClientCredentials, "", LONG);
        let fields = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        self.enter("client", CredentialKind::ClientCredentials, &fields)
            .await?;
        let grant = self.grant("client", &[]).await?;
        self.nothing_was_wrong()?;
        let access = self.fake.access()?;
        self.carries(&grant, CredentialKind::ClientCredentials, &access)
    }

    /// A person enters a secret.
    async fn by_secret(&self, kind: CredentialKind) -> Result<()> {
        let basic = STANDARD.encode("kit-user:kit-password");
        let (sent, fields) = match kind {
            CredentialKind::ApiKey => ("kit-key-1", vec![("token", "kit-key-1")]),
            CredentialKind::KeyPair => (
                "kit-key-1",
                vec![("key", "kit-key-1"), ("secret", "kit-signs")],
            ),
            CredentialKind::Basic => (
                basic.as_str(),
                vec![("username", "kit-user"), ("password", "kit-password")],
            ),
            CredentialKind::Oauth2 | CredentialKind::ClientCredentials => bail!("not entered"),
        };
        let profile = kind.as_str().replace('_', "-");
        self.expect(kind, sent, LONG);
        self.enter(&profile, kind, &fields).await?;
        let grant = self.grant(&profile, &[]).await?;
        self.carries(&grant, kind, sent)?;
        ensure!(
            grant.account.as_deref() == self.label(kind),
            "the label is {:?}",
            grant.account
        );
        let asked = self.fake.state().asked_for_label > 0;
        ensure!(
            asked == self.label(kind).is_some(),
            "the label was not asked for"
        );
        self.nothing_was_wrong()
    }

    /// An address that the provider would send no browser to is refused before anybody is sent there.
    async fn unfit_address_is_closed(&self) -> Result<()> {
        let unfit = match self.oauth()?.redirect {
            Redirect::LoopbackIp | Redirect::Localhost => return Ok(()),
            Redirect::FixedPort | Redirect::LocalhostFixedPort => {
                address("http://127.0.0.1:50123/", false)?
            }
            Redirect::HttpsOnly => address("http://127.0.0.1:4657/", true)?,
        };
        let connection = self.begin("unfit").await?;
        let choice = self.choice(ChosenWay::Consent, &[]);
        let browser = Browser::new();
        let begun = self
            .broker
            .choose(&connection.id, &browser, &unfit, choice)
            .await;
        ensure!(begun.is_err(), "{} was let through", unfit.url);
        Ok(())
    }

    async fn consent(&self, profile: &str) -> Result<Connection> {
        let issuer = self.oauth()?.issuer.as_ref();
        let issuer = issuer.map(|issuer| file::local(issuer.as_str(), &self.server.url));
        self.consent_by(profile, issuer).await
    }

    /// From the page to the callback.
    async fn consent_by(&self, profile: &str, issuer: Option<String>) -> Result<Connection> {
        let (connection, browser) = (self.begin(profile).await?, Browser::new());
        let begun = self
            .choose(&connection, &browser, ChosenWay::Consent, &[])
            .await?;
        let Begun::Leave(url) = begun else {
            bail!("nobody is sent to consent");
        };
        let (address, host) = self.address()?;
        let redirect = format!("{host}callback/{}", self.provider.id);
        let page = address.page(
            self.broker.providers().get(&self.provider.id)?,
            &connection.id,
        );
        ensure!(page.as_str().starts_with(&host), "the page is at {page}");
        let (state, code) = self
            .fake
            .consent(&url, &self.server.url, &redirect, WANTED)?;
        let callback = Callback {
            state: Some(state.into()),
            code: Some(code.into()),
            iss: issuer,
            ..Callback::default()
        };
        let connection = self
            .broker
            .callback(&self.provider.id, callback, Some(&browser), &address)
            .await?;
        self.nothing_was_wrong()?;
        connection.context("the callback is not known")
    }

    async fn begin(&self, profile: &str) -> Result<Connection> {
        let new = NewConnection {
            owner: owner(profile)?,
            thread: ThreadId::new("kit")?,
            provider: self.provider.id.clone(),
            scopes: WANTED.iter().copied().collect(),
        };
        Ok(self.broker.connect(new).await?)
    }

    async fn enter(
        &self,
        profile: &str,
        kind: CredentialKind,
        fields: &[(&str, &str)],
    ) -> Result<()> {
        let connection = self.begin(profile).await?;
        let way = ChosenWay::Enter(kind);
        let begun = self
            .choose(&connection, &Browser::new(), way, fields)
            .await?;
        ensure!(matches!(begun, Begun::Over), "it is not over");
        Ok(())
    }

    async fn choose(
        &self,
        connection: &Connection,
        browser: &Browser,
        way: ChosenWay,
        fields: &[(&str, &str)],
    ) -> Result<Begun> {
        let choice = self.choice(way, fields);
        let (address, _) = self.address()?;
        let begun = self
            .broker
            .choose(&connection.id, browser, &address, choice)
            .await;
        self.nothing_was_wrong()?;
        Ok(begun?)
    }

    fn choice(&self, way: ChosenWay, fields: &[(&str, &str)]) -> Choice {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (format!("variable.{name}"), value.as_str()));
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value));
        let fields = fields.chain(variables);
        Choice {
            way,
            fields: fields
                .map(|(name, value)| (name, SecretString::from(value)))
                .collect(),
        }
    }

    /// Where the broker's pages are, so that the provider sends browsers back; and what they begin with.
    fn address(&self) -> Result<(ConnectAddress, String)> {
        let redirect = self.provider.oauth.as_ref().map(|oauth| oauth.redirect);
        let (own, chosen, seen) = match redirect.unwrap_or_default() {
            Redirect::LoopbackIp => ("http://127.0.0.1:50123/", false, "http://127.0.0.1:50123/"),
            Redirect::Localhost => ("http://127.0.0.1:50123/", false, "http://localhost:50123/"),
            Redirect::FixedPort => ("http://127.0.0.1:4657/", true, "http://127.0.0.1:4657/"),
            Redirect::LocalhostFixedPort => {
                ("http://127.0.0.1:4657/", true, "http://localhost:4657/")
            }
            Redirect::HttpsOnly => ("https://kit.example.com/", true, "https://kit.example.com/"),
        };
        Ok((address(own, chosen)?, seen.to_owned()))
    }

    /// The provider no longer takes what the grant carried.
    async fn reject(&self, profile: &str, grant: &Grant) -> Result<()> {
        let (owner, provider) = (owner(profile)?, &self.provider.id);
        self.broker
            .rejected(&owner, provider, grant.generation)
            .await;
        self.nothing_was_wrong()
    }

    async fn grant(&self, profile: &str, scopes: &[&str]) -> Result<Grant> {
        match self.resolve(profile, scopes).await? {
            Ok(grant) => Ok(grant),
            Err(unmet) => bail!("there is no grant: {unmet}"),
        }
    }

    async fn resolve(&self, profile: &str, scopes: &[&str]) -> Result<Result<Grant, String>> {
        let requirement = Requirement {
            provider: self.provider.id.clone(),
            scopes: scopes.iter().copied().collect(),
        };
        let Owner { tenant, profile } = owner(profile)?;
        let grants = self
            .broker
            .resolve(&tenant, Some(&profile), &[requirement])
            .await?;
        self.nothing_was_wrong()?;
        Ok(match grants {
            Ok(mut grants) => Ok(grants.remove(0)),
            Err(unmet) => Err(format!("{unmet:?}")),
        })
    }

    fn carries(&self, grant: &Grant, kind: CredentialKind, sent: &str) -> Result<()> {
        let found = grant.secret.sent().expose_secret();
        ensure!(found == sent, "the grant carries `{found}`, not `{sent}`");
        match carried(&self.provider, kind, sent) {
            Carried::Header(name, value) => {
                let found = (&grant.header.name, grant.header.value(found));
                ensure!(
                    found == (&name, value.clone()),
                    "{found:?} is not `{name}: {value}`"
                );
                ensure!(grant.query.is_none(), "it travels in the query as well");
            }
            Carried::Query(name) => ensure!(
                grant.query.as_ref() == Some(&name),
                "it travels in {:?} and not in the parameter `{name}`",
                grant.query
            ),
        }
        let second = carried_along(&self.provider, kind);
        ensure!(
            grant.secret_header == second,
            "the second part travels in {:?} and not in {second:?}",
            grant.secret_header
        );
        self.is_proven(grant, kind, sent)?;
        ensure!(
            grant.hosts == self.provider.hosts,
            "it may go to other hosts"
        );
        Ok(())
    }

    /// Where tokens are bound to a key, each request of a tool shows it.
    fn is_proven(&self, grant: &Grant, kind: CredentialKind, sent: &str) -> Result<()> {
        let Some(proof) = &grant.proof else {
            let bound = is_bound(&self.provider, kind);
            ensure!(!bound, "a tool cannot show the key");
            return Ok(());
        };
        ensure!(is_bound(&self.provider, kind), "a tool shows a key");
        let url = "https://api.example/things";
        let proof = proof.of("PATCH", &format!("{url}?page=1"), None);
        let proven = proof::check(
            &proof.context("there is no proof")?,
            "PATCH",
            url,
            Some(sent),
        )?;
        ensure!(
            Some(proven.key) == self.fake.state().key,
            "a tool shows another key"
        );
        Ok(())
    }

    fn is_connected(&self, connection: &Connection) -> Result<()> {
        self.nothing_was_wrong()?;
        match &connection.state {
            ConnectionState::Connected { account } => {
                ensure!(
                    account.as_deref() == self.label(CredentialKind::Oauth2),
                    "the label is {account:?}"
                );
                Ok(())
            }
            state => bail!("the connection {state}"),
        }
    }

    fn label(&self, kind: CredentialKind) -> Option<&'static str> {
        let identity = self.provider.identity.as_ref()?;
        let asked = identity.kinds.is_empty() || identity.kinds.contains(&kind);
        asked.then_some(LABEL)
    }

    fn oauth(&self) -> Result<&OAuth> {
        self.provider.oauth.as_ref().context("no `[oauth]`")
    }

    fn expect(&self, kind: CredentialKind, sent: &str, lifetime: u64) {
        let mut known = self.fake.state();
        known.credential = Some((kind, sent.to_owned()));
        known.lifetime = lifetime;
        known.asked_for_label = 0;
    }

    fn nothing_was_wrong(&self) -> Result<()> {
        let complaints = &self.fake.state().complaints;
        ensure!(complaints.is_empty(), "{}", complaints.join("; "));
        Ok(())
    }
}

fn client(folder: &Path, oauth: &OAuth) -> Result<ConfiguredClient> {
    let path = folder.join("client-secret");
    std::fs::write(&path, CLIENT_SECRET)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let public = oauth.client_auth == ClientAuth::None;
    Ok(ConfiguredClient {
        id: CLIENT_ID.to_owned(),
        secret: (!public).then_some(SecretSource::File(path)),
        auth: None,
    })
}

fn address(url: &str, chosen: bool) -> Result<ConnectAddress> {
    Ok(ConnectAddress {
        url: Url::parse(url)?,
        chosen,
        sign_in: SignIn::Others,
    })
}

fn owner(profile: &str) -> Result<Owner> {
    Ok(Owner::new(&TenantId::local(), ProfileName::new(profile)?))
}

pub(crate) fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
