//! Requests whose tokens are bound to a key, with the proof that the API wants (RFC 9449).
//!
//! An API may want a nonce of its own in the proof. The latest of each API is kept; a request that was refused for the
//! lack of one is sent once more with it, if all of its body is still at hand.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use holster_types::{Proof, Reach};
use http::header::{CONTENT_LENGTH, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use super::client::Clients;

/// The header of the proof.
pub(super) const PROOF: &str = "dpop";

/// The header with which an API gives out a nonce.
const NONCE: &str = "dpop-nonce";

/// For how many APIs the nonce is kept.
const KEPT: usize = 1024;

/// A longer nonce is not kept, in bytes.
const LONGEST: usize = 512;

/// A longer body is not sent once more, in bytes.
const REPEATED: usize = 64 << 10;

/// The latest nonce of each API, by its origin.
#[derive(Default)]
pub(super) struct Nonces(Mutex<HashMap<String, String>>);

impl Nonces {
    pub(super) fn of(&self, origin: &str) -> Option<String> {
        self.lock().get(origin).cloned()
    }

    fn keep(&self, origin: &str, nonce: &str) {
        let mut kept = self.lock();
        if kept.len() >= KEPT && !kept.contains_key(origin) {
            // They cost one more request each.
            kept.clear();
        }
        kept.insert(origin.to_owned(), nonce.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request is proven.
pub(super) struct Prover {
    pub(super) proof: Proof,
    pub(super) origin: String,
    pub(super) nonces: Arc<Nonces>,
}

impl Prover {
    /// Sends the request, with a proof, and once more if the API wants its nonce in it.
    pub(super) async fn send(
        &self,
        clients: &Clients,
        reach: Reach,
        request: Request<WasiBody>,
    ) -> Result<Response<Incoming>, Error> {
        let (mut parts, body) = request.into_parts();
        let length = parts.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let (body, copy) = Copied::new(body, length);
        let mut again = parts.clone();
        self.prove(&mut parts)?;
        let request = Request::from_parts(parts, body.boxed_unsync());
        let response = clients.send(reach, request).await?;
        let nonce = response.headers().get(NONCE);
        let Some(nonce) = nonce.and_then(|nonce| nonce.to_str().ok()) else {
            return Ok(response);
        };
        if nonce.len() <= LONGEST {
            self.nonces.keep(&self.origin, nonce);
        }
        match copy.whole().filter(|_| wants_nonce(&response)) {
            None => Ok(response),
            Some(body) => {
                self.prove(&mut again)?;
                let body = Full::new(body).map_err(|never| match never {});
                let request = Request::from_parts(again, body.boxed_unsync());
                clients.send(reach, request).await
            }
        }
    }

    fn prove(&self, parts: &mut http::request::Parts) -> Result<(), Error> {
        // RFC 9449 §4.2: of the URL without query and fragment, which the proof leaves out itself.
        let (method, url) = (parts.method.as_str(), parts.uri.to_string());
        let nonce = self.nonces.of(&self.origin);
        let proof = self.proof.of(method, &url, nonce.as_deref());
        let proof = proof.and_then(|proof| HeaderValue::try_from(proof).ok());
        parts
            .headers
            .insert(PROOF, proof.ok_or(Error::HttpRequestUriInvalid)?);
        Ok(())
    }
}

/// RFC 9449 §9: whether nothing but the nonce was wrong with what was sent.
pub(super) fn wants_nonce<B>(response: &Response<B>) -> bool {
    let challenges = response.headers().get_all(WWW_AUTHENTICATE);
    let mut challenges = challenges.iter().filter_map(|value| value.to_str().ok());
    response.status() == StatusCode::UNAUTHORIZED
        && challenges.any(|challenge| challenge.contains("use_dpop_nonce"))
}

/// A body of which a copy is kept while it passes.
struct Copied {
    body: WasiBody,
    copy: CopyOfBody,
}

#[derive(Clone)]
struct CopyOfBody {
    state: Arc<Mutex<CopyState>>,
    /// As the header says.
    length: Option<u64>,
}

enum CopyState {
    Growing(BytesMut),
    Whole(Bytes),
    /// Too long, or with trailers.
    Given,
}

impl Copied {
    fn new(body: WasiBody, length: Option<u64>) -> (Self, CopyOfBody) {
        let state = Arc::new(Mutex::new(CopyState::Growing(BytesMut::new())));
        let copy = CopyOfBody { state, length };
        let kept = copy.clone();
        (Self { body, copy }, kept)
    }
}

impl CopyOfBody {
    /// All that was sent; `None` if there is more, or too much.
    fn whole(&self) -> Option<Bytes> {
        match &*self.lock() {
            CopyState::Whole(bytes) => Some(bytes.clone()),
            // hyper does not ask for the end of a body whose length it knows.
            CopyState::Growing(bytes) if Some(bytes.len() as u64) == self.length => {
                Some(bytes.clone().freeze())
            }
            CopyState::Growing(_) | CopyState::Given => None,
        }
    }

    fn add(&self, frame: &Frame<Bytes>) {
        let mut state = self.lock();
        if let CopyState::Growing(bytes) = &mut *state {
            match frame.data_ref() {
                Some(data) if bytes.len() + data.len() <= REPEATED => bytes.extend_from_slice(data),
                _ => *state = CopyState::Given,
            }
        }
    }

    fn end(&self) {
        let mut state = self.lock();
        if let CopyState::Growing(bytes) = &mut *state {
            *state = CopyState::Whole(std::mem::take(bytes).freeze());
        }
    }

    fn lock(&self) -> MutexGuard<'_, CopyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Copied {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.copy.add(frame),
            Some(Err(_)) => {}
            None => self.copy.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let ended = self.body.is_end_stream();
        if ended {
            self.copy.end();
        }
        ended
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use holster_http::Connectors;

    use super::super::watched::tests::Frames;
    use super::*;

    #[test]
    fn the_nonces_of_many_apis_are_bounded() {
        let nonces = Nonces::default();
        for api in 0..=KEPT {
            nonces.keep(&format!("https://{api}.example"), "n");
        }
        assert!(nonces.lock().len() <= KEPT);
        nonces.keep("https://a.example", "n-1");
        nonces.keep("https://a.example", "n-2");
        assert_eq!(nonces.of("https://a.example").as_deref(), Some("n-2"));
        assert_eq!(nonces.of("https://b.example"), None);
    }

    #[test]
    fn only_a_401_that_names_it_is_for_the_lack_of_a_nonce() {
        for (status, challenge, wants) in [
            (401, r#"DPoP error="use_dpop_nonce""#, true),
            (401, r#"DPoP error="invalid_token""#, false),
            (403, r#"DPoP error="use_dpop_nonce""#, false),
            (200, r#"DPoP error="use_dpop_nonce""#, false),
        ] {
            let response = Response::builder()
                .status(status)
                .header(WWW_AUTHENTICATE, "Basic")
                .header(WWW_AUTHENTICATE, challenge);
            assert_eq!(wants_nonce(&response.body(()).unwrap()), wants);
        }
    }

    static LONG: [u8; REPEATED] = [0; REPEATED];

    #[tokio::test]
    async fn a_body_is_at_hand_again_only_if_it_was_short_and_whole() {
        let data = |bytes: &'static [u8]| Frame::data(Bytes::from_static(bytes));
        let long = &LONG[..];
        for (frames, read, length, whole) in [
            (vec![data(b"ab"), data(b"c")], 3, None, Some(&b"abc"[..])),
            (vec![data(b"ab"), data(b"c")], 2, None, None),
            (vec![data(b"ab"), data(b"c")], 2, Some(3), Some(&b"abc"[..])),
            (vec![data(b"ab"), data(b"c")], 1, Some(3), None),
            (vec![data(long)], 2, None, Some(long)),
            (vec![data(long), data(b"x")], 3, None, None),
            (
                vec![data(b"ab"), Frame::trailers(http::HeaderMap::new())],
                3,
                None,
                None,
            ),
            (vec![], 1, None, Some(&b""[..])),
        ] {
            let body = Frames(frames.into()).boxed_unsync();
            let (mut body, copy) = Copied::new(body, length);
            for _ in 0..read {
                let _ = body.frame().await;
            }
            assert_eq!(copy.whole().as_deref(), whole);
        }
        let empty = http_body_util::Empty::new().map_err(|never| match never {});
        let (body, copy) = Copied::new(empty.boxed_unsync(), None);
        assert!(body.is_end_stream());
        assert_eq!(copy.whole().as_deref(), Some(&b""[..]));
    }

    /// An API that wants a nonce in each proof, and gives the one of `given` that is not used up. Gives the requests that
    /// it got, as text.
    fn wants(given: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let mut got = Vec::new();
            for nonce in given {
                let (mut connection, _) = listener.accept().unwrap();
                let (mut request, mut chunk) = (String::new(), [0; 1024]);
                let is_whole = |request: &str| {
                    let is_chunked = request.contains("transfer-encoding: chunked");
                    request.ends_with(if is_chunked {
                        "end\r\n0\r\n\r\n"
                    } else {
                        "end"
                    })
                };
                while !is_whole(&request) {
                    let length = connection.read(&mut chunk).unwrap();
                    request.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
                }
                let status = if request.contains(&format!("<{nonce}>")) {
                    "200 OK"
                } else {
                    "401 Unauthorized\r\nwww-authenticate: DPoP error=\"use_dpop_nonce\""
                };
                write!(
                    connection,
                    "HTTP/1.1 {status}\r\ndpop-nonce: {nonce}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                )
                .unwrap();
                got.push(request);
            }
            got
        });
        (origin, served)
    }

    #[tokio::test]
    async fn a_request_is_sent_once_more_with_the_nonce_that_the_api_wants_and_the_next_has_it_at_once()
     {
        let (origin, served) = wants(&["n-1", "n-1", "n-1", "n-2", "n-2", "n-3"]);
        let prover = Prover {
            proof: Proof::new(|method, url, nonce| {
                Some(format!("{method} {url} <{}>", nonce.unwrap_or("none")))
            }),
            origin: origin.clone(),
            nonces: Arc::default(),
        };
        let clients = Clients::new(&Connectors::new());
        let mut statuses = Vec::new();
        for body in ["1 end", "2 end", "3 end", "long"] {
            let mut frames = vec![Frame::data(Bytes::from_static(body.as_bytes()))];
            if body == "long" {
                frames = vec![
                    Frame::data(Bytes::from(vec![b'x'; REPEATED])),
                    Frame::data(Bytes::from_static(b"end")),
                ];
            }
            let request = Request::post(format!("{origin}/a"))
                .header(PROOF, "forged")
                .body(Frames(frames.into()).boxed_unsync());
            let response = prover
                .send(&clients, Reach::Literal, request.unwrap())
                .await;
            statuses.push(response.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [200, 200, 200, 401]);
        let got = served.join().unwrap();
        let proofs: Vec<_> = got
            .iter()
            .flat_map(|request| {
                request
                    .lines()
                    .filter_map(|line| line.strip_prefix("dpop: "))
            })
            .map(|proof| proof.rsplit(' ').next().unwrap())
            .collect();
        let expected = ["<none>", "<n-1>", "<n-1>", "<n-1>", "<n-2>", "<n-2>"];
        assert_eq!(proofs, expected);
        for (request, body) in got.iter().zip(["1", "1", "2", "3", "3"]) {
            assert!(request.contains(&format!("{body} end")), "{request}");
        }
    }
}
