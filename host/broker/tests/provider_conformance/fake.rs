//! A provider as its file describes it, and so strict that nothing else gets through.
//!
//! What differs from the file is a complaint, and answered with HTTP 418, so that a flow fails where it went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use holster_broker::{
    BodyFormat, ClientAuth, CredentialKind, Identity, Inject, OAuth, Pkce, Provider,
    ResponsePointers, RevokeAuth, RevokeBody, RevokeMethod, RevokedToken, Rotation, UrlTemplate,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use crate::fake_server::{Received, Reply, http};
use crate::file::local;
use crate::proof;

pub(crate) const CLIENT_ID: &str = "kit-client.1";
/// With what has to be escaped in HTTP Basic and in a form.
pub(crate) const CLIENT_SECRET: &str = "kit+secret: 100%&=/é";
pub(crate) const LABEL: &str = "kit@example.com";

/// What has to be in every proof of a key.
const NONCE: &str = "kit-nonce";

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A provider that answers.
pub(crate) struct Fake {
    provider: Provider,
    variables: BTreeMap<String, String>,
    state: Mutex<State>,
}

/// What the provider knows, and how it is to answer next.
#[derive(Default)]
pub(crate) struct State {
    /// What did not fit.
    pub(crate) complaints: Vec<String>,
    /// Seconds that the next access token lives.
    pub(crate) lifetime: u64,
    /// The status and the error of every answer to a client that has shown who it is.
    pub(crate) refusal: Option<(u16, String)>,
    /// What the next credential is, and what a person enters as one: what a header carries of it.
    pub(crate) credential: Option<(CredentialKind, String)>,
    /// How often tokens were refreshed.
    pub(crate) refreshed: u32,
    /// Whether the tokens were revoked.
    pub(crate) revoked: bool,
    /// Whether the question for the label is refused.
    pub(crate) hides_label: bool,
    /// How often the label was asked for.
    pub(crate) asked_for_label: u32,
    codes: BTreeMap<String, Asked>,
    device: Option<Asked>,
    polled: u32,
    issued: u32,
    access: Option<String>,
    refresh: Option<String>,
    redirect: Option<String>,
    /// What was left here for a consent, by what refers to it.
    pushed: BTreeMap<String, Params>,
    /// The thumbprint of the key that the tokens are bound to.
    pub(crate) key: Option<String>,
    /// The ids of all proofs.
    proofs: BTreeSet<String>,
}

/// What a consent was asked for with.
#[derive(Clone, Default)]
struct Asked {
    redirect: String,
    challenge: Option<String>,
    scopes: BTreeSet<String>,
    key: Option<String>,
}

type Params = BTreeMap<String, String>;

impl Fake {
    pub(crate) fn new(provider: Provider, variables: BTreeMap<String, String>) -> Self {
        Self {
            provider,
            variables,
            state: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The access token that was issued last.
    pub(crate) fn access(&self) -> Result<String> {
        self.state().access.clone().context("no token was issued")
    }

    /// Consents as a person does whose browser was sent to `url`, and gives a code.
    pub(crate) fn consent(
        &self,
        url: &Url,
        origin: &str,
        redirect: &str,
        wanted: &[&str],
    ) -> Result<(String, String)> {
        let oauth = self.oauth()?;
        let place = oauth.authorize_url.as_ref().context("no `authorize_url`")?;
        let expected = Url::parse(&format!("{origin}{}", self.path(place)))?;
        ensure!(
            url.as_str().split('?').next() == expected.as_str().split('?').next(),
            "a person was sent to {url}"
        );
        let mut params = unique(url.query_pairs().into_owned())?;
        for (name, value) in expected.query_pairs() {
            expect(&mut params, &name, &value)?;
        }
        if oauth.par_url.is_some() {
            let reference = take(&mut params, "request_uri")?;
            expect(&mut params, "client_id", CLIENT_ID)?;
            nothing_left(&params)?;
            let pushed = self.state().pushed.remove(&reference);
            params = pushed.context("nothing was pushed")?;
        }
        for (name, value) in &oauth.authorize_params {
            expect(&mut params, name, value)?;
        }
        expect(&mut params, "response_type", "code")?;
        expect(&mut params, "client_id", CLIENT_ID)?;
        expect(&mut params, "redirect_uri", redirect)?;
        self.expect_resource(&mut params)?;
        let state = take(&mut params, "state")?;
        ensure!(
            state.len() == 43 && URL_SAFE_NO_PAD.decode(&state).is_ok(),
            "the state is not 256 bits"
        );
        let scopes = expect_scopes(oauth, &oauth.scope_param, &mut params, wanted)?;
        let challenge = match oauth.pkce {
            Pkce::S256 => {
                expect(&mut params, "code_challenge_method", "S256")?;
                Some(take(&mut params, "code_challenge")?)
            }
            Pkce::Refused => None,
        };
        let key = oauth.dpop.then(|| take(&mut params, "dpop_jkt"));
        let key = key.transpose()?;
        nothing_left(&params)?;
        let mut known = self.state();
        let code = format!("code/{}+&=", known.codes.len());
        let asked = Asked {
            redirect: redirect.to_owned(),
            challenge,
            scopes,
            key,
        };
        known.codes.insert(code.clone(), asked);
        Ok((state, code))
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, request: &Received) -> Reply {
        self.try_answer(request).unwrap_or_else(|complaint| {
            let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
            let complaint = format!("{} {path}: {complaint:#}", request.method);
            self.state().complaints.push(complaint);
            http(
                418,
                "application/json",
                json!({ "error": "the kit complains" }),
            )
        })
    }

    fn try_answer(&self, request: &Received) -> Result<Reply> {
        let is = |template: &UrlTemplate| self.path(template) == request.path;
        if let Some(oauth) = &self.provider.oauth {
            let is = |template: &Option<UrlTemplate>| template.as_ref().is_some_and(is);
            if is(&oauth.token_url) || is(&oauth.refresh_url) {
                return self.token(oauth, request);
            }
            if is(&oauth.revoke_url) {
                return self.revocation(oauth, request);
            }
            if is(&oauth.device_url) {
                return self.device(oauth, request);
            }
            if is(&oauth.par_url) {
                return self.push(oauth, request);
            }
            if oauth.issuer.as_ref().is_some_and(|issuer| {
                let place = "/.well-known/oauth-authorization-server";
                format!("{place}{}", self.path(issuer)) == request.path
            }) {
                return self.metadata(oauth, request);
            }
        }
        match &self.provider.identity {
            Some(identity) => self.identity(identity, request),
            None => bail!("nothing is here"),
        }
    }

    /// What the issuer says about itself.
    fn metadata(&self, oauth: &OAuth, request: &Received) -> Result<Reply> {
        ensure!(request.method == "GET", "it is a GET");
        let origin = format!("http://{}", request.header("host"));
        let at = |address: &Option<UrlTemplate>| {
            let address = address.as_ref();
            address.map(|address| format!("{origin}{}", self.path(address)))
        };
        let answer = json!({
            "issuer": at(&oauth.issuer),
            "authorization_endpoint": at(&oauth.authorize_url),
            "token_endpoint": at(&oauth.token_url),
            "revocation_endpoint": at(&oauth.revoke_url),
            "device_authorization_endpoint": at(&oauth.device_url),
            "authorization_response_iss_parameter_supported": oauth.iss_expected,
            "code_challenge_methods_supported": ["S256"],
        });
        Ok(http(200, "application/json", answer))
    }

    /// What a consent is to be asked for, left here before the browser comes.
    fn push(&self, oauth: &OAuth, request: &Received) -> Result<Reply> {
        ensure!(request.method == "POST", "it is a POST");
        let mut params = params(request, BodyFormat::Form)?;
        expect_headers(&oauth.token_headers, request)?;
        let client = params.get("client_id").cloned();
        expect_client(oauth.client_auth, request, &mut params)?;
        params.extend(client.map(|client| ("client_id".to_owned(), client)));
        let mut known = self.state();
        let reference = format!(
            "urn:ietf:params:oauth:request_uri:{}+&=",
            known.pushed.len()
        );
        known.pushed.insert(reference.clone(), params);
        let answer = json!({ "request_uri": reference, "expires_in": 60 });
        Ok(http(201, "application/json", answer))
    }

    /// The key that a request shows, where tokens are bound to one; or the answer that asks for the nonce.
    fn proven(
        &self,
        oauth: &OAuth,
        request: &Received,
        access: Option<&str>,
    ) -> Result<Result<Option<String>, Reply>> {
        let proof = request.header("dpop");
        if !oauth.dpop {
            ensure!(proof.is_empty(), "`DPoP` should not be there");
            return Ok(Ok(None));
        }
        let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let url = format!("http://{}{path}", request.header("host"));
        let proven = proof::check(proof, &request.method, &url, access)?;
        let new = self.state().proofs.insert(proven.id);
        ensure!(new, "a proof was used before");
        match proven.nonce.as_deref() {
            Some(NONCE) => Ok(Ok(Some(proven.key))),
            Some(other) => bail!("the nonce is `{other}`"),
            None => {
                let error = "use_dpop_nonce";
                let status = if access.is_some() { 401 } else { 400 };
                Ok(Err(Reply::Http {
                    status,
                    headers: format!(
                        "content-type: application/json\r\ndpop-nonce: {NONCE}\r\n\
                         www-authenticate: DPoP error=\"{error}\"\r\n"
                    ),
                    body: json!({ "error": error }).to_string(),
                }))
            }
        }
    }

    fn token(&self, oauth: &OAuth, request: &Received) -> Result<Reply> {
        ensure!(request.method == "POST", "it is a POST");
        let key = match self.proven(oauth, request, None)? {
            Ok(key) => key,
            Err(asks) => return Ok(asks),
        };
        let mut params = params(request, oauth.body)?;
        expect_headers(&oauth.token_headers, request)?;
        expect_client(oauth.client_auth, request, &mut params)?;
        for (name, value) in &oauth.token_params {
            expect(&mut params, name, value)?;
        }
        self.expect_resource(&mut params)?;
        let grant = take(&mut params, "grant_type")?;
        let here = match (&oauth.refresh_url, grant.as_str()) {
            (Some(place), "refresh_token") => Some(place),
            _ => oauth.token_url.as_ref(),
        };
        ensure!(
            here.is_some_and(|place| self.path(place) == request.path),
            "`{grant}` is not for this address"
        );
        let mut known = self.state();
        let scopes = match grant.as_str() {
            "authorization_code" => {
                let code = take(&mut params, "code")?;
                let asked = known.codes.remove(&code).context("the code is unknown")?;
                expect(&mut params, "redirect_uri", &asked.redirect)?;
                if let Some(challenge) = &asked.challenge {
                    let verifier = take(&mut params, "code_verifier")?;
                    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
                    ensure!(digest == *challenge, "the verifier is another one");
                }
                ensure!(key == asked.key, "the code is bound to another key");
                known.key = key;
                known.redirect = Some(asked.redirect);
                asked.scopes
            }
            DEVICE_GRANT => {
                expect(&mut params, "device_code", "device/code+1")?;
                let asked = known.device.clone().context("no device has asked")?;
                if let Some(name) = &oauth.device_scope_param {
                    let scopes = take(&mut params, name)?;
                    ensure!(
                        scopes == joined(oauth, &asked.scopes),
                        "other scopes: {scopes}"
                    );
                }
                known.polled += 1;
                if known.polled == 1 {
                    nothing_left(&params)?;
                    return Ok(refused(oauth, 400, "authorization_pending"));
                }
                known.key = key;
                known.redirect = None;
                asked.scopes
            }
            "refresh_token" => {
                let token = take(&mut params, "refresh_token")?;
                ensure!(
                    Some(&token) == known.refresh.as_ref(),
                    "the refresh token is not the one that is valid"
                );
                ensure!(key == known.key, "the tokens are bound to another key");
                if oauth.refresh_redirect
                    && let Some(redirect) = &known.redirect
                {
                    expect(&mut params, "redirect_uri", redirect)?;
                }
                known.refreshed += 1;
                BTreeSet::new()
            }
            "client_credentials" => {
                let scopes: BTreeSet<_> = oauth.default_scopes.iter().cloned().collect();
                let _ = expect_scopes(oauth, &oauth.scope_param, &mut params, &[])?;
                known.refresh = None;
                scopes
            }
            other => bail!("`{other}` is no grant"),
        };
        nothing_left(&params)?;
        if let Some((status, error)) = known.refusal.clone() {
            return Ok(refused(oauth, status, &error));
        }
        let answer = issue(oauth, &mut known, &grant, &scopes);
        Ok(http(200, "application/json", answer))
    }

    fn device(&self, oauth: &OAuth, request: &Received) -> Result<Reply> {
        ensure!(request.method == "POST", "it is a POST");
        let mut params = params(request, BodyFormat::Form)?;
        expect_headers(&oauth.token_headers, request)?;
        expect_client(oauth.client_auth, request, &mut params)?;
        self.expect_resource(&mut params)?;
        let name = oauth.device_scope_param.as_ref();
        let name = name.unwrap_or(&oauth.scope_param);
        let scopes = expect_scopes(oauth, name, &mut params, crate::flows::WANTED)?;
        nothing_left(&params)?;
        let mut known = self.state();
        known.polled = 0;
        known.device = Some(Asked {
            scopes,
            ..Asked::default()
        });
        let answer = json!({
            "device_code": "device/code+1",
            "user_code": "KIT-CODE",
            "verification_uri": "https://example.com/device",
            "expires_in": 600,
            "interval": 1,
        });
        Ok(http(200, "application/json", answer))
    }

    fn revocation(&self, oauth: &OAuth, request: &Received) -> Result<Reply> {
        let form = &oauth.revoke;
        let method = match form.method {
            RevokeMethod::Post => "POST",
            RevokeMethod::Delete => "DELETE",
        };
        ensure!(request.method == method, "it is a {method}");
        expect_headers(&oauth.token_headers, request)?;
        let mut known = self.state();
        let access = known.access.clone().context("no token was issued")?;
        let (token, hint) = match (&known.refresh, form.token) {
            (Some(refresh), RevokedToken::Refresh) => (refresh.clone(), "refresh_token"),
            _ => (access.clone(), "access_token"),
        };
        let mut params = match form.body {
            RevokeBody::Form => params(request, BodyFormat::Form)?,
            RevokeBody::Json => params(request, BodyFormat::Json)?,
            RevokeBody::Empty => {
                ensure!(request.body.is_empty(), "it has a body");
                Params::new()
            }
        };
        if form.body != RevokeBody::Empty {
            expect(&mut params, &form.param, &token)?;
        }
        if form.body == RevokeBody::Form && form.param == "token" {
            expect(&mut params, "token_type_hint", hint)?;
        }
        match form.auth {
            RevokeAuth::Client => expect_client(oauth.client_auth, request, &mut params)?,
            RevokeAuth::Basic => expect_client(ClientAuth::Basic, request, &mut params)?,
            RevokeAuth::Post => expect_client(ClientAuth::Post, request, &mut params)?,
            RevokeAuth::ClientId => expect_client(ClientAuth::None, request, &mut params)?,
            RevokeAuth::Bearer => expect_authorization(request, &format!("Bearer {access}"))?,
            RevokeAuth::None => expect_authorization(request, "")?,
        }
        nothing_left(&params)?;
        if let Some((status, error)) = known.refusal.clone() {
            return Ok(refused(oauth, status, &error));
        }
        known.revoked = true;
        Ok(http(200, "text/html", ""))
    }

    fn identity(&self, identity: &Identity, request: &Received) -> Result<Reply> {
        let (kind, entered) = self.state().credential.clone().context("nobody is here")?;
        let sent = match kind {
            CredentialKind::Oauth2 => self.access()?,
            _ => entered,
        };
        if is_bound(&self.provider, kind) {
            match self.proven(self.oauth()?, request, Some(&sent))? {
                Ok(key) => ensure!(key == self.state().key, "the token is bound to another key"),
                Err(asks) => return Ok(asks),
            }
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let place = self.path(&identity.url);
        let (expected, own) = place.split_once('?').unwrap_or((&place, ""));
        ensure!(path == expected, "nothing is here");
        let mut query = unique(form_urlencoded::parse(query.as_bytes()).into_owned())?;
        for (name, value) in form_urlencoded::parse(own.as_bytes()) {
            expect(&mut query, &name, &value)?;
        }
        ensure!(
            identity.kinds.is_empty() || identity.kinds.contains(&kind),
            "a {kind} credential cannot ask"
        );
        let carried = match &identity.inject {
            Some(inject) if kind != CredentialKind::Basic => by(inject, &sent),
            _ => carried(&self.provider, kind, &sent),
        };
        match carried {
            Carried::Header(name, value) => {
                let found = request.header(&name.to_ascii_lowercase());
                ensure!(found == value, "`{name}` is not as the file says");
            }
            Carried::Query(name) => {
                expect(&mut query, &name, &sent)?;
                expect_authorization(request, "")?;
            }
        }
        nothing_left(&query)?;
        expect_headers(&identity.headers, request)?;
        match &identity.body {
            None => ensure!(
                request.method == "GET" && request.body.is_empty(),
                "it is a GET"
            ),
            Some(body) => {
                ensure!(request.method == "POST", "it is a POST");
                ensure!(request.body == *body, "its body is another one");
                let content_type = request.header("content-type");
                ensure!(content_type == "application/json", "it is {content_type}");
            }
        }
        let mut known = self.state();
        known.asked_for_label += 1;
        if known.hides_label {
            return Ok(http(
                403,
                "application/json",
                json!({ "error": "kit_refuses" }),
            ));
        }
        let mut answer = Value::Null;
        put(&mut answer, identity.pointer.as_str(), json!(LABEL));
        Ok(http(200, "application/json", answer))
    }

    fn oauth(&self) -> Result<&OAuth> {
        self.provider.oauth.as_ref().context("no `[oauth]`")
    }

    /// The path of an address of the file at our server, with the variables in it.
    fn path(&self, template: &UrlTemplate) -> String {
        let mut path = local(template.as_str(), "");
        for (name, value) in &self.variables {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        path.replace("{client_id}", CLIENT_ID)
    }

    fn expect_resource(&self, params: &mut Params) -> Result<()> {
        let resource = self.oauth()?.resource.as_ref();
        resource.map_or(Ok(()), |resource| {
            expect(params, "resource", resource.as_str())
        })
    }
}

fn expect_headers(
    headers: &BTreeMap<holster_broker::HeaderName, String>,
    request: &Received,
) -> Result<()> {
    for (name, value) in headers {
        let found = request.header(&name.as_str().to_ascii_lowercase());
        ensure!(found == value, "`{name}: {value}` is missing");
    }
    Ok(())
}

/// How a request carries a secret.
pub(crate) enum Carried {
    Header(String, String),
    Query(String),
}

/// How a request carries a secret of that kind, as the comments of the form promise.
pub(crate) fn carried(provider: &Provider, kind: CredentialKind, sent: &str) -> Carried {
    let inject = match (kind, &provider.inject_key) {
        (CredentialKind::Basic, _) => {
            return Carried::Header("Authorization".to_owned(), format!("Basic {sent}"));
        }
        _ if is_bound(provider, kind) => {
            return Carried::Header("Authorization".to_owned(), format!("DPoP {sent}"));
        }
        (CredentialKind::ApiKey, Some(inject)) => inject,
        _ => &provider.inject,
    };
    by(inject, sent)
}

/// The header in which the second part of a secret of that kind travels along.
pub(crate) fn carried_along(provider: &Provider, kind: CredentialKind) -> Option<String> {
    let name = provider.inject.secret_header.as_ref();
    let name = name.filter(|_| kind == CredentialKind::KeyPair);
    name.map(|name| name.as_str().to_owned())
}

/// Whether secrets of that kind are bound to a key.
pub(crate) fn is_bound(provider: &Provider, kind: CredentialKind) -> bool {
    let oauth = provider.oauth.as_ref();
    kind == CredentialKind::Oauth2 && oauth.is_some_and(|oauth| oauth.dpop)
}

fn by(inject: &Inject, sent: &str) -> Carried {
    match &inject.query {
        Some(name) => Carried::Query(name.clone()),
        None => header(inject, sent),
    }
}

fn header(inject: &Inject, sent: &str) -> Carried {
    let name = inject
        .header
        .as_ref()
        .map_or("Authorization", |name| name.as_str());
    let usual = if name.eq_ignore_ascii_case("authorization") {
        "Bearer"
    } else {
        ""
    };
    let scheme = inject.scheme.as_deref().unwrap_or(usual);
    let space = if scheme.is_empty() || scheme.ends_with('=') {
        ""
    } else {
        " "
    };
    Carried::Header(name.to_owned(), format!("{scheme}{space}{sent}"))
}

/// Where things stand in the answer.
fn pointers(oauth: &OAuth, grant: &str) -> ResponsePointers {
    let mut at = oauth.response.clone();
    if let Some(own) = oauth
        .refresh_response
        .clone()
        .filter(|_| grant == "refresh_token")
    {
        at.access_token = own.access_token.unwrap_or(at.access_token);
        at.refresh_token = own.refresh_token.unwrap_or(at.refresh_token);
        at.expires_in = own.expires_in.unwrap_or(at.expires_in);
        at.scope = own.scope.unwrap_or(at.scope);
    }
    at
}

/// New tokens, where the file has them.
fn issue(oauth: &OAuth, known: &mut State, grant: &str, scopes: &BTreeSet<String>) -> Value {
    known.issued += 1;
    let access = format!("access-{}-~._/+=", known.issued);
    known.access = Some(access.clone());
    let token_type = if oauth.dpop { "DPoP" } else { "bearer" };
    let mut answer = json!({ "ok": true, "token_type": token_type });
    let at = &pointers(oauth, grant);
    let usual = ResponsePointers::default();
    // What stands where others have it belongs to somebody else.
    if at.access_token != usual.access_token {
        put(
            &mut answer,
            usual.access_token.as_str(),
            json!("of-another"),
        );
        put(
            &mut answer,
            usual.refresh_token.as_str(),
            json!("of-another"),
        );
        put(&mut answer, usual.scope.as_str(), json!("of-another"));
    }
    put(&mut answer, at.access_token.as_str(), json!(access));
    // Who says how long a token lives leaves nothing to assume.
    if oauth.assumed_lifetime_s.is_none() {
        put(&mut answer, at.expires_in.as_str(), json!(known.lifetime));
    }
    if !scopes.is_empty() {
        put(&mut answer, at.scope.as_str(), json!(joined(oauth, scopes)));
    }
    for pointer in at.variables.values() {
        put(
            &mut answer,
            pointer.as_str(),
            json!("https://kit.example.com"),
        );
    }
    let brings = match (oauth.rotation, grant) {
        (Rotation::NoRefresh, _)
        | (_, "client_credentials")
        | (Rotation::Stays, "refresh_token") => false,
        (Rotation::Stays | Rotation::Rotates, _) => true,
    };
    if brings {
        let refresh = format!("refresh/{}+&=", known.issued);
        put(&mut answer, at.refresh_token.as_str(), json!(refresh));
        known.refresh = Some(refresh);
    } else if grant != "refresh_token" {
        known.refresh = None;
    }
    answer
}

fn refused(oauth: &OAuth, status: u16, error: &str) -> Reply {
    let mut answer = json!({ "ok": false });
    put(&mut answer, oauth.response.error.as_str(), json!(error));
    http(status, "application/json", answer)
}

fn joined(oauth: &OAuth, scopes: &BTreeSet<String>) -> String {
    let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
    scopes.join(&oauth.scope_separator)
}

/// Exactly the scopes of the file and those that are wanted, with what the file has between them.
fn expect_scopes(
    oauth: &OAuth,
    name: &str,
    params: &mut Params,
    wanted: &[&str],
) -> Result<BTreeSet<String>> {
    let own = oauth.default_scopes.iter().cloned();
    let scopes: BTreeSet<_> = own.chain(wanted.iter().map(ToString::to_string)).collect();
    if !scopes.is_empty() {
        let found = take(params, name)?;
        let found: BTreeSet<_> = found.split(&oauth.scope_separator).collect();
        let expected: BTreeSet<_> = scopes.iter().map(String::as_str).collect();
        ensure!(found == expected, "`{name}` is {found:?}, not {expected:?}");
    }
    Ok(scopes)
}

/// The client shows who it is in that way, and in no other.
fn expect_client(auth: ClientAuth, request: &Received, params: &mut Params) -> Result<()> {
    match auth {
        ClientAuth::Basic => {
            // RFC 6749 §2.3.1
            let encoded =
                |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(CLIENT_ID), encoded(CLIENT_SECRET));
            expect_authorization(request, &format!("Basic {}", STANDARD.encode(pair)))
        }
        ClientAuth::Post => {
            expect(params, "client_id", CLIENT_ID)?;
            expect(params, "client_secret", CLIENT_SECRET)?;
            expect_authorization(request, "")
        }
        ClientAuth::None => {
            expect(params, "client_id", CLIENT_ID)?;
            expect_authorization(request, "")
        }
    }
}

fn expect_authorization(request: &Received, value: &str) -> Result<()> {
    let found = request.header("authorization");
    ensure!(
        found == value,
        "`Authorization` is `{found}`, not `{value}`"
    );
    Ok(())
}

/// The parameters of a body of that form.
fn params(request: &Received, body: BodyFormat) -> Result<Params> {
    let content_type = request.header("content-type");
    match body {
        BodyFormat::Form => {
            let form = content_type == "application/x-www-form-urlencoded";
            ensure!(form, "its body is no form but {content_type}");
            unique(form_urlencoded::parse(request.body.as_bytes()).into_owned())
        }
        BodyFormat::Json => {
            ensure!(
                content_type == "application/json",
                "its body is no JSON but {content_type}"
            );
            serde_json::from_str(&request.body).context("its body is no object of texts")
        }
    }
}

fn unique(pairs: impl Iterator<Item = (String, String)>) -> Result<Params> {
    let mut params = Params::new();
    for (name, value) in pairs {
        let twice = params.insert(name.clone(), value);
        ensure!(twice.is_none(), "`{name}` is there twice");
    }
    Ok(params)
}

fn take(params: &mut Params, name: &str) -> Result<String> {
    params
        .remove(name)
        .with_context(|| format!("`{name}` is missing"))
}

fn expect(params: &mut Params, name: &str, value: &str) -> Result<()> {
    let found = take(params, name)?;
    ensure!(found == value, "`{name}` is `{found}`, not `{value}`");
    Ok(())
}

fn nothing_left(params: &Params) -> Result<()> {
    let names: Vec<_> = params.keys().collect();
    ensure!(names.is_empty(), "{names:?} should not be there");
    Ok(())
}

/// Puts a value at a JSON pointer, and makes what it lies in.
pub(crate) fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        place = if let Ok(index) = segment.parse::<usize>() {
            if !place.is_array() {
                *place = json!([]);
            }
            let list = place.as_array_mut().expect("it is one now");
            list.resize(list.len().max(index + 1), Value::Null);
            &mut list[index]
        } else {
            if !place.is_object() {
                *place = json!({});
            }
            &mut place[segment]
        };
    }
    *place = value;
}
