//! The egress towards a server that speaks TLS: connections are kept, and HTTP/2 is spoken, for each user apart.
//!
//! The server is called `localhost`, by a certificate that is made for the test; the host trusts it by `SSL_CERT_FILE`.

use std::convert::Infallible;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use holster_core::broker::{CredentialSecret, NewCredential, Owner};
use holster_tests::{Fixture, HttpServer, component};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::serve::{as_caller, keys};

/// What `localhost` is known by.
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// RFC 5280 §4.1, with no more in it than a client wants to see.
    fn new() -> Self {
        const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
        const ALTERNATIVE_NAME: &[u8] = &[6, 3, 0x55, 0x1d, 0x11];
        const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
        const SERIAL: &[u8] = &[2, 1, 1];
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = key.as_ref().to_vec();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key, &random).unwrap();
        let algorithm = der(0x30, &[ECDSA_WITH_SHA256]);
        let common_name = der(0x30, &[COMMON_NAME, &der(0x0c, &[b"localhost"])]);
        let name = der(0x30, &[&der(0x31, &[&common_name])]);
        let from = der(0x17, &[b"200101000000Z"]);
        let until = der(0x18, &[b"20991231235959Z"]);
        let public = der(3, &[&[0], pair.public_key().as_ref()]);
        let names = der(4, &[&der(0x30, &[&der(0x82, &[b"localhost"])])]);
        let extension = der(0x30, &[ALTERNATIVE_NAME, &names]);
        let signed = der(
            0x30,
            &[
                VERSION_3,
                SERIAL,
                &algorithm,
                &name,
                &der(0x30, &[&from, &until]),
                &name,
                &der(0x30, &[&der(0x30, &[EC_PUBLIC_KEY, P256]), &public]),
                &der(0xa3, &[&der(0x30, &[&extension])]),
            ],
        );
        let signature = pair.sign(&random, &signed).unwrap();
        let signature = der(3, &[&[0], signature.as_ref()]);
        Self {
            certificate: der(0x30, &[&signed, &algorithm, &signature]),
            key,
        }
    }

    /// RFC 7468.
    fn pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    }
}

/// X.690 §8.1: a tag, a length, and what follows.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// The requests of one connection: the version of HTTP, and the fields that say for which host they are.
type Connection = Vec<(Version, Option<String>)>;

/// A server at `https://localhost`, which remembers its connections.
struct TlsServer {
    url: String,
    connections: Arc<Mutex<Vec<Connection>>>,
}

impl TlsServer {
    async fn start(identity: &Identity, protocols: &[&[u8]]) -> Self {
        let provider = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let mut config = provider
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(identity.certificate.clone())],
                PrivatePkcs8KeyDer::from(identity.key.clone()).into(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<Connection>>> = Arc::default();
        let kept = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let number = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Connection::new());
                    kept.len() - 1
                };
                let (kept, acceptor) = (Arc::clone(&kept), acceptor.clone());
                tokio::spawn(async move {
                    let connection = acceptor.accept(connection).await.unwrap();
                    let answer = service_fn(move |request| {
                        kept.lock().unwrap()[number].push(seen(&request));
                        std::future::ready(Ok::<_, Infallible>(answer()))
                    });
                    let speaks_http2 = connection.get_ref().1.alpn_protocol() == Some(b"h2");
                    let connection = TokioIo::new(connection);
                    // Either ends when the client goes away.
                    let _ = if speaks_http2 {
                        let http2 = http2::Builder::new(TokioExecutor::new());
                        http2.serve_connection(connection, answer).await
                    } else {
                        let http1 = http1::Builder::new();
                        http1.serve_connection(connection, answer).await
                    };
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}"),
            connections,
        }
    }

    fn take(&self) -> Vec<Connection> {
        std::mem::take(&mut self.connections.lock().unwrap())
    }
}

fn seen(request: &Request<Incoming>) -> (Version, Option<String>) {
    let host = request.headers().get("host");
    let host = host.map(|host| host.to_str().unwrap().to_owned());
    (request.version(), host)
}

fn answer() -> Response<Full<Bytes>> {
    let body = json!({ "ok": true, "user": "ann" }).to_string();
    Response::new(Full::new(body.into()))
}

/// `holster serve` with two users, each with an account of their own.
async fn serving(server: &TlsServer, identity: &Identity) -> (Fixture, HttpServer) {
    let url = &server.url;
    let fixture = Fixture::new(&format!(
        "connect.address = '127.0.0.1:0'\nprovider_folder = 'providers'\n{}\
         [components.parity-rust.config]\nbase_url = '{url}'\n",
        keys()
    ));
    let provider = format!(
        "id = 'slack'\ntitle = 'Slack'\nkinds = ['api_key']\ndoc_url = 'https://slack.example/'\nhosts = ['{url}']\n"
    );
    fs::create_dir(fixture.path("providers")).unwrap();
    fs::write(fixture.path("providers/slack.toml"), provider).unwrap();
    fs::write(fixture.path("trusted.pem"), identity.pem()).unwrap();
    fixture.plug_in(&component("parity-rust"));
    let host = fixture.host().await;
    for tenant in ["ann", "bob"] {
        let owner = Owner::new(&tenant.parse().unwrap(), "default".parse().unwrap());
        let secret = CredentialSecret::Token("work-slack-token".into());
        let credential = NewCredential::new(secret);
        let provider = "slack".parse().unwrap();
        let added = host.broker().add(&owner, &provider, credential);
        added.await.unwrap();
    }
    let mut command = HttpServer::command(&fixture);
    command.env("SSL_CERT_FILE", fixture.path("trusted.pem"));
    command.env_remove("SSL_CERT_DIR");
    let holster = HttpServer::start_as(command);
    (fixture, holster)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_one_after_another_share_a_connection_for_each_user_in_the_version_that_the_server_speaks()
 {
    let identity = Identity::new();
    for (protocols, version, names_host) in [
        (&[&b"h2"[..], b"http/1.1"][..], Version::HTTP_2, false),
        (&[b"http/1.1"], Version::HTTP_11, true),
        (&[], Version::HTTP_11, true),
    ] {
        let server = TlsServer::start(&identity, protocols).await;
        let (_fixture, holster) = serving(&server, &identity).await;
        for tenant in ["ann", "ann", "bob", "ann", "bob", "ann"] {
            let answer = as_caller(&holster, tenant).call("fetch", json!({})).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        }
        let host = names_host.then(|| server.url.replace("https://", ""));
        let request = (version, host);
        let connections = server.take();
        assert_eq!(connections, [vec![request.clone(); 4], vec![request; 2]]);
    }
}
