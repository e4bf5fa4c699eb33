//! The egress: the only door for outgoing HTTP of tools.
//!
//! A request leaves only for a host that the tool's providers or the policy name, and only to an address that is
//! public, unless the name is an address itself. Sealed tokens in it become secrets here, and only for the hosts of
//! their provider. Redirects are not followed: the guest sees them, and each next request is judged
//! anew. Connections are kept, each for whom it spoke before ([`client`]).

mod client;
mod metered;
mod proven;
mod secrets;
mod traced;
mod watched;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holster_types::{Grant, HostPattern, HostRule, Reach};
use http::header::HOST;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use percent_encoding::{percent_decode, percent_decode_str};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

pub(crate) use self::client::Speaker;
use self::client::{Clients, Speakers};
use self::metered::Metered;
use self::proven::{Nonces, Prover, wants_nonce};
use self::traced::Traced;
use self::watched::{Watched, holds_secret};
use crate::call::{HostVisit, Sandbox};
use crate::leak::{LeakPlace, LeakWatch};
use crate::sealing::Sealed;

/// The HTTP clients of the process.
#[derive(Clone, Default)]
pub(crate) struct Egress {
    speakers: Arc<Speakers>,
    nonces: Arc<Nonces>,
}

impl Egress {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The egress of one call. Without a speaker, nothing leaves.
    pub(crate) fn for_call(
        &self,
        speaker: Option<Speaker>,
        watch: &Arc<LeakWatch>,
        sandbox: &Sandbox,
        visits: Arc<Visits>,
    ) -> CallEgress {
        CallEgress {
            speaker,
            speakers: Arc::clone(&self.speakers),
            nonces: Arc::clone(&self.nonces),
            watch: Arc::clone(watch),
            hosts: sandbox.hosts.clone(),
            requests_left: sandbox.limits.requests,
            request_bytes_left: Arc::new(AtomicU64::new(sandbox.limits.request_bytes)),
            response_bytes_left: Arc::new(AtomicU64::new(sandbox.limits.response_bytes)),
            visits,
        }
    }
}

/// What a call sent where, and what it was refused: kept even if the call is ended from outside.
#[derive(Debug, Default)]
pub(crate) struct Visits(Mutex<Vec<HostVisit>>);

impl Visits {
    /// The position of the visit, for [`Visits::answered`].
    fn record(&self, visit: HostVisit) -> usize {
        let mut visits = self.lock();
        visits.push(visit);
        visits.len() - 1
    }

    fn answered<B>(&self, position: usize, response: &Response<B>) {
        // Gone if the call ended before its answer came.
        if let Some(visit) = self.lock().get_mut(position) {
            let status = response.status();
            visit.status = Some(status.as_u16());
            visit.rejected = status == StatusCode::UNAUTHORIZED && !wants_nonce(response);
        }
    }

    /// A request that was broken off.
    fn refused(&self, position: usize, why: &Denied) {
        if let Some(visit) = self.lock().get_mut(position) {
            visit.refused = Some(why.to_string());
        }
    }

    pub(crate) fn take(&self) -> Vec<HostVisit> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HostVisit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The egress of one call: whom it may ask, how often, and with which secrets.
pub(crate) struct CallEgress {
    /// `None` where nobody calls.
    speaker: Option<Speaker>,
    speakers: Arc<Speakers>,
    nonces: Arc<Nonces>,
    watch: Arc<LeakWatch>,
    hosts: Vec<HostRule>,
    requests_left: u32,
    request_bytes_left: Arc<AtomicU64>,
    response_bytes_left: Arc<AtomicU64>,
    visits: Arc<Visits>,
}

/// Where a request goes, as one spelling.
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: u16,
}

impl<'a> Origin<'a> {
    fn of(uri: &'a Uri) -> Option<Self> {
        let authority = uri.authority()?;
        // `user@host` has no use but to deceive: a credential travels in a header.
        if authority.as_str().contains('@') {
            return None;
        }
        let scheme = uri.scheme_str()?;
        let port = authority.port_u16().or(match scheme {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        })?;
        Some(Self {
            scheme,
            host: authority.host(),
            port,
        })
    }

    fn fits(&self, patterns: &[HostPattern]) -> bool {
        patterns
            .iter()
            .any(|pattern| pattern.matches(self.scheme, self.host, self.port))
    }
}

impl std::fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// A request that may leave.
struct Admitted<'a> {
    /// Those of whom it speaks for.
    clients: Arc<Clients>,
    reach: Reach,
    /// Whose secret it carries.
    carried: Option<&'a Grant>,
}

/// Why a request does not leave.
#[derive(Debug)]
enum Denied {
    Nobody,
    BadUri,
    Host,
    Part(String),
    Requests,
    SealedToken(String),
    Secret(LeakPlace),
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Denied::Nobody => f.write_str("nobody has called"),
            Denied::BadUri => f.write_str("the URI names no plain host"),
            Denied::Host => f.write_str(
                "the host is neither one of the tool's providers nor named by the policy",
            ),
            Denied::Part(parts) => {
                write!(f, "the policy allows nothing of this host but {parts}")
            }
            Denied::Requests => {
                f.write_str("the call has sent as many requests as its limit allows")
            }
            Denied::SealedToken(provider) => {
                write!(
                    f,
                    "the sealed token of `{provider}` goes to hosts of that provider only"
                )
            }
            Denied::Secret(place) => write!(f, "a secret is in {place}"),
        }
    }
}

impl CallEgress {
    /// Judges a request and puts the secrets into it.
    fn admit(&mut self, request: &mut Request<WasiBody>) -> Result<Admitted<'_>, Denied> {
        self.look_at(request)?;
        let speaker = self.speaker.as_ref().ok_or(Denied::Nobody)?;
        let clients = self.speakers.clients_of(speaker);
        let uri = request.uri().clone();
        let origin = Origin::of(&uri).ok_or(Denied::BadUri)?;
        let provider_host = self
            .grants()
            .iter()
            .any(|sealed| origin.fits(&sealed.grant.hosts));
        self.check_host(&origin, request, provider_host)?;
        self.requests_left = self.requests_left.checked_sub(1).ok_or(Denied::Requests)?;
        // RFC 9112 §3.2: the client writes it as the URI has it; over HTTP/2 (RFC 9113 §8.3.1), `:authority` says it. A guest
        // cannot set it; whoever comes by another way cannot either.
        request.headers_mut().remove(HOST);
        let carried = secrets::unseal(request, &origin, self.watch.grants())?;
        Ok(Admitted {
            clients,
            reach: Reach::of(origin.host),
            carried,
        })
    }

    /// Whether the policy lets the request go there. What it says of a host goes before what a provider's file says.
    fn check_host(
        &self,
        origin: &Origin<'_>,
        request: &Request<WasiBody>,
        is_of_provider: bool,
    ) -> Result<(), Denied> {
        let is_about = |rule: &&HostRule| rule.is_about(origin.scheme, origin.host, origin.port);
        let rules: Vec<_> = self.hosts.iter().filter(is_about).collect();
        let (method, path) = (request.method().as_str(), request.uri().path());
        match rules.as_slice() {
            [] if is_of_provider => Ok(()),
            [] => Err(Denied::Host),
            rules if rules.iter().any(|rule| rule.allows(method, path)) => Ok(()),
            rules => {
                let parts: Vec<_> = rules.iter().map(|rule| rule.part()).collect();
                Err(Denied::Part(parts.join(", or ")))
            }
        }
    }

    fn grants(&self) -> &[Sealed] {
        self.watch.grants()
    }

    /// What a guest sends holds stand-ins: a secret in it came from a service, and goes nowhere, not even back.
    fn look_at(&self, request: &Request<WasiBody>) -> Result<(), Denied> {
        if self.grants().is_empty() {
            return Ok(());
        }
        let here = |text: &[u8]| self.watch.finds(text, LeakPlace::RequestLine);
        let uri = request.uri().to_string();
        // An encoded secret that was put into a URL is encoded once more there.
        let decoded: Vec<u8> = percent_decode_str(&uri).collect();
        let twice: Vec<u8> = percent_decode(&decoded).collect();
        let method = request.method().as_str();
        if [method.as_bytes(), uri.as_bytes(), &decoded, &twice]
            .into_iter()
            .any(here)
        {
            return Err(Denied::Secret(LeakPlace::RequestLine));
        }
        if holds_secret(request.headers(), &self.watch) {
            return Err(Denied::Secret(LeakPlace::RequestHeader));
        }
        Ok(())
    }
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for CallEgress {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_error: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let unknown = || "?".to_owned();
        let mut target =
            Origin::of(request.uri()).map_or_else(unknown, |origin| origin.to_string());
        let mut method = request.method().to_string();
        let nonces = Arc::clone(&self.nonces);
        let admitted = self.admit(&mut request).map(|admitted| {
            let Admitted {
                clients,
                reach,
                carried,
            } = admitted;
            let provider = carried.map(|grant| grant.provider.clone());
            let proof = carried.and_then(|grant| grant.proof.clone());
            let prover = proof.map(|proof| Prover {
                proof,
                origin: target.clone(),
                nonces,
            });
            (clients, reach, provider, prover)
        });
        if let Err(Denied::Secret(_)) = admitted {
            // The host or the method may be the secret.
            (target, method) = (unknown(), unknown());
        }
        let position = self.visits.record(HostVisit {
            origin: target,
            method,
            refused: admitted.as_ref().err().map(ToString::to_string),
            provider: admitted
                .as_ref()
                .ok()
                .and_then(|(_, _, provider, _)| provider.clone()),
            status: None,
            rejected: false,
        });
        let (clients, reach, prover) = match admitted {
            Ok((clients, reach, _, prover)) => (clients, reach, prover),
            Err(denied) => {
                tracing::debug!("request denied: {denied}");
                Traced::refused();
                return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
            }
        };
        let traced = Traced::sent(request.method(), request.uri().host());
        let request = request.map(|body| {
            let body = Metered::new(body, Arc::clone(&self.request_bytes_left), || {
                Error::HttpRequestBodySize(None)
            });
            let visits = Arc::clone(&self.visits);
            let found = move || {
                visits.refused(position, &Denied::Secret(LeakPlace::RequestBody));
            };
            match Watched::new(body, &self.watch, found) {
                Ok(body) => body.boxed_unsync(),
                Err(body) => body.boxed_unsync(),
            }
        });
        let options = options.unwrap_or_default();
        let response_bytes_left = Arc::clone(&self.response_bytes_left);
        let visits = Arc::clone(&self.visits);
        Box::new(traced.answer(async move {
            let wait = options.connect_timeout.unwrap_or(holster_http::CONNECT)
                + options.first_byte_timeout.unwrap_or(Duration::MAX / 4);
            let sent = async {
                match prover {
                    Some(prover) => prover.send(&clients, reach, request).await,
                    None => clients.send(reach, request).await,
                }
            };
            let response = tokio::time::timeout(wait, sent)
                .await
                .map_err(|_| Error::HttpResponseTimeout)??;
            visits.answered(position, &response);
            let response = response.map(|body| {
                Metered::new(body.map_err(Error::from), response_bytes_left, || {
                    Error::HttpResponseBodySize(None)
                })
                .boxed_unsync()
            });
            // The connection is driven by the client's own task: nothing is left to do here.
            let io: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(std::future::ready(Ok(())));
            Ok((response, io))
        }))
    }
}

/// Takes `bytes` from a shared allowance; `false` if there is not so much left.
fn take(left: &AtomicU64, bytes: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(bytes)
    })
    .is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};

    use holster_types::{ComponentHash, TenantId};
    use http::HeaderValue;
    use http_body_util::Empty;

    use super::*;
    use crate::leak::NeedleCache;
    use crate::limits::Limits;
    use crate::sealing::tests::grant;

    fn egress(hosts: &[&str], provider_hosts: &[&str]) -> CallEgress {
        let sandbox = Sandbox {
            hosts: hosts
                .iter()
                .map(|host| host.parse::<HostPattern>().unwrap().into())
                .collect(),
            limits: Limits {
                requests: 3,
                ..Limits::default()
            },
            ..Sandbox::default()
        };
        with(grant("planted-secret", provider_hosts), &sandbox)
    }

    fn with(grant: Grant, sandbox: &Sandbox) -> CallEgress {
        for_call(&Egress::new(), "a", "ann", grant, sandbox)
    }

    /// The egress of a call of the component whose bytes these are, for a user.
    fn for_call(
        egress: &Egress,
        component: &str,
        tenant: &str,
        grant: Grant,
        sandbox: &Sandbox,
    ) -> CallEgress {
        let grants: Arc<[_]> = Arc::new([Sealed::seal(grant, false)]);
        let (component, tenant) = (
            ComponentHash::of(component.as_bytes()),
            TenantId::new(tenant),
        );
        let speaker = Speaker::new(component, tenant.unwrap(), &grants);
        let watch = LeakWatch::new(grants, &NeedleCache::new());
        egress.for_call(Some(speaker), &watch, sandbox, Arc::default())
    }

    fn request(uri: &str, token: &str) -> Request<WasiBody> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Request::builder()
            .uri(uri)
            .header("authorization", format!("Bearer {token}"))
            .body(body)
            .unwrap()
    }

    #[test]
    fn a_request_leaves_only_for_a_named_host() {
        for (uri, admitted) in [
            ("https://slack.com/api/auth.test", true),
            ("https://SLACK.com:443/api", true),
            ("https://files.example.org/x", true),
            ("http://slack.com/api", false),
            ("https://slack.com.evil.example/", false),
            ("https://evil.example/?slack.com", false),
            ("https://slack.com@evil.example/", false),
            ("https://evil@slack.com/", false),
            ("https://slack.com:8443/", false),
            ("https://169.254.169.254/latest/meta-data", false),
        ] {
            let mut egress = egress(&["files.example.org"], &["slack.com"]);
            assert_eq!(
                egress.admit(&mut request(uri, "none")).is_ok(),
                admitted,
                "{uri}"
            );
        }
    }

    #[test]
    fn a_request_leaves_only_for_the_part_of_a_host_that_the_policy_names() {
        let rules = serde_json::json!([
            { "host": "api.example.com", "path": "/v1/", "methods": ["GET"] },
            { "host": "api.example.com", "path": "/upload", "methods": ["POST"] },
            { "host": "provider.example.com", "methods": ["GET"] },
            "free.example.com",
        ]);
        let sandbox = Sandbox {
            hosts: serde_json::from_value(rules).unwrap(),
            ..Sandbox::default()
        };
        let hosts = &["provider.example.com", "other.example.com"];
        for (method, uri, leaves) in [
            ("GET", "https://api.example.com/v1/users?x=/../", true),
            ("POST", "https://api.example.com/v1/users", false),
            ("GET", "https://api.example.com/v2/users", false),
            ("GET", "https://api.example.com/v1/%2e%2e/v2/users", false),
            ("GET", "https://api.example.com/v1/../v2/users", false),
            ("POST", "https://api.example.com/upload", true),
            ("GET", "https://api.example.com/upload", false),
            ("GET", "https://API.example.com./v1/users", true),
            ("GET", "https://API.example.com./v2/users", false),
            // A host of a provider is narrowed as well; one that is not named is not.
            ("GET", "https://provider.example.com/anything", true),
            ("DELETE", "https://provider.example.com/anything", false),
            ("DELETE", "https://other.example.com/anything", true),
            ("DELETE", "https://free.example.com/anything", true),
            ("GET", "https://unknown.example.com/v1/", false),
        ] {
            let mut egress = with(grant("planted-secret", hosts), &sandbox);
            let mut request = request(uri, "nothing");
            *request.method_mut() = method.parse().unwrap();
            let admitted = egress.admit(&mut request);
            assert_eq!(admitted.is_ok(), leaves, "{method} {uri}");
        }
        let mut egress = with(grant("planted-secret", hosts), &sandbox);
        let mut refused = request("https://api.example.com/", "nothing");
        let said = egress
            .admit(&mut refused)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(
            said.ends_with("but GET below /v1/, or POST below /upload"),
            "{said}"
        );
    }

    #[test]
    fn a_sealed_token_is_exchanged_for_its_providers_hosts_only() {
        let mut egress = egress(&["files.example.org"], &["slack.com"]);
        let sealed = egress.grants()[0].shown().to_owned();

        let mut to_provider = request("https://slack.com/api", &sealed);
        egress.admit(&mut to_provider).unwrap();
        assert_eq!(
            to_provider.headers()["authorization"],
            "Bearer planted-secret"
        );
        assert!(to_provider.headers()["authorization"].is_sensitive());

        let mut elsewhere = request("https://files.example.org/x", &sealed);
        assert!(matches!(
            egress.admit(&mut elsewhere),
            Err(Denied::SealedToken(_))
        ));
        assert!(!format!("{:?}", elsewhere.headers()).contains("planted-secret"));
    }

    #[test]
    fn a_host_header_of_the_guests_own_does_not_leave() {
        let mut egress = egress(&["files.example.org"], &["slack.com"]);
        for uri in ["https://slack.com/api", "https://files.example.org/"] {
            let mut request = request(uri, "none");
            let headers = request.headers_mut();
            headers.append(HOST, HeaderValue::from_static("evil.example"));
            headers.append(HOST, HeaderValue::from_static("evil2.example"));
            egress.admit(&mut request).unwrap();
            assert_eq!(request.headers().get(HOST), None);
        }
    }

    #[test]
    fn a_secret_leaves_in_no_part_of_a_request_not_even_for_its_providers_hosts() {
        let secret = "planted-secret";
        let hex = "706c616e7465642d736563726574";
        for (method, uri, header) in [
            ("GET", format!("https://slack.com/{secret}"), "none"),
            ("GET", format!("https://slack.com/?a={hex}"), "none"),
            ("GET", format!("https://{hex}.evil.example/"), "none"),
            (secret, "https://slack.com/".to_owned(), "none"),
            ("GET", "https://slack.com/".to_owned(), secret),
            ("GET", "https://files.example.org/".to_owned(), hex),
        ] {
            let mut egress = egress(&["files.example.org"], &["slack.com"]);
            let mut request = request(&uri, header);
            *request.method_mut() = method.parse().unwrap();
            assert!(
                matches!(egress.admit(&mut request), Err(Denied::Secret(_))),
                "{uri}"
            );
            let sent = egress.send_request(request, None, Box::new(std::future::ready(Ok(()))));
            drop(sent);
            let visits = format!("{:?}", egress.visits.take());
            assert!(
                !visits.contains(secret) && !visits.contains(hex),
                "{visits}"
            );
            assert!(visits.contains("a secret is in"), "{visits}");
        }
    }

    #[test]
    fn the_number_of_requests_is_limited() {
        let mut egress = egress(&[], &["slack.com"]);
        for _ in 0..3 {
            egress
                .admit(&mut request("https://slack.com/", "none"))
                .unwrap();
        }
        assert!(matches!(
            egress.admit(&mut request("https://slack.com/", "none")),
            Err(Denied::Requests)
        ));
    }

    /// A server of plain HTTP/1.1: its address, and how many connections it got so far, with the `Host` of each request.
    fn server() -> (String, Arc<Mutex<Vec<Vec<String>>>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let kept = Arc::clone(&connections);
        std::thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                kept.lock().unwrap().push(Vec::new());
                let (kept, mut connection) = (Arc::clone(&kept), connection.unwrap());
                std::thread::spawn(move || {
                    let mut request = [0; 4096];
                    while let Ok(length @ 1..) = connection.read(&mut request) {
                        let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
                        let hosts = text.lines().filter_map(|line| line.strip_prefix("host: "));
                        kept.lock().unwrap()[number].extend(hosts.map(str::to_owned));
                        let _ =
                            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                    }
                });
            }
        });
        (url, connections)
    }

    async fn sent(egress: &mut CallEgress, url: &str) {
        let sent = egress.send_request(
            request(url, "none"),
            None,
            Box::new(std::future::ready(Ok(()))),
        );
        let (response, _) = Box::into_pin(sent).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }

    #[tokio::test]
    async fn requests_of_one_call_after_another_share_a_connection_and_nobody_elses_use_it() {
        let (url, connections) = server();
        let egress = Egress::new();
        let host: HostPattern = url.parse().unwrap();
        let sandbox = Sandbox {
            hosts: vec![host.clone().into()],
            ..Sandbox::default()
        };
        let of_generation = |generation| Grant {
            generation,
            ..grant("planted-secret", &["slack.com"])
        };
        // Another component, another user, a renewed token.
        for (component, tenant, generation, connected) in [
            ("a", "ann", 1, 1),
            ("a", "ann", 1, 1),
            ("b", "ann", 1, 2),
            ("a", "bob", 1, 3),
            ("a", "ann", 2, 4),
            ("a", "ann", 1, 4),
        ] {
            let grant = of_generation(generation);
            let mut call = for_call(&egress, component, tenant, grant, &sandbox);
            for _ in 0..3 {
                sent(&mut call, &format!("{url}/a")).await;
            }
            let connections = connections.lock().unwrap().len();
            assert_eq!(connections, connected, "{component} {tenant} {generation}");
        }
        let connections = connections.lock().unwrap();
        let requests: Vec<_> = connections.iter().map(Vec::len).collect();
        assert_eq!(requests, [9, 3, 3, 3]);
        let host = url.strip_prefix("http://").unwrap();
        assert!(connections.concat().iter().all(|named| named == host));
    }

    #[tokio::test]
    async fn a_connection_that_was_made_by_one_name_serves_no_other() {
        let (url, connections) = server();
        let by_name = url.replace("127.0.0.1", "localhost");
        let sandbox = Sandbox {
            hosts: [&url, &by_name]
                .map(|host| host.parse::<HostPattern>().unwrap().into())
                .into(),
            ..Sandbox::default()
        };
        let mut call = with(grant("planted-secret", &["slack.com"]), &sandbox);
        for url in [&url, &by_name, &url, &by_name] {
            sent(&mut call, url).await;
        }
        assert_eq!(connections.lock().unwrap().len(), 2);
    }

    #[test]
    fn where_nobody_calls_nothing_leaves() {
        let watch = LeakWatch::new(Arc::new([]), &NeedleCache::new());
        let host: HostPattern = "slack.com".parse().unwrap();
        let sandbox = Sandbox {
            hosts: vec![host.into()],
            ..Sandbox::default()
        };
        let mut egress = Egress::new().for_call(None, &watch, &sandbox, Arc::default());
        let mut request = request("https://slack.com/", "none");
        assert!(matches!(egress.admit(&mut request), Err(Denied::Nobody)));
    }
}
