//! What browsers and providers send that no specification knows.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use holster_core::broker::{Connection, ConnectionState};
use holster_tests::fuzz::Fuzz;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::fake_provider::{FakeProvider, How, Said};
use crate::setting::{Host, Person, parameter, sent};

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn threads() -> Runtime {
    Runtime::new().unwrap()
}

/// A person who left for the provider.
struct Left {
    connection: Connection,
    state: String,
    /// What the pages know the browser by.
    cookie: String,
    person: Person,
    back: url::Url,
}

impl Left {
    /// For a profile of its own: who is about to connect one goes on with what was begun.
    async fn new(provider: &FakeProvider, host: &Host, number: u32) -> Self {
        let connection = host.connect(&format!("p{number}"), "idp", "").await;
        let mut person = Person::default();
        let left = person.leave(host, &connection.id).await;
        Self {
            state: parameter(&left, "state"),
            cookie: person.browser.cookies(host.url()),
            back: provider.back(host, &left),
            connection,
            person,
        }
    }
}

/// What the server answers to these bytes; nothing if it closes the connection.
fn sent_to(host: &Host, bytes: &[u8]) -> Vec<u8> {
    let address = host.url().socket_addrs(|| None).unwrap();
    let mut stream = TcpStream::connect(&*address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may have had enough before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("no answer within {PATIENCE:?}")
        }
        _ => answer,
    }
}

/// Requests to the pages, with what only this browser and this provider know in some of them. The provider grants
/// nothing, so no request may connect anything, and none may break a page.
#[test]
fn no_request_to_the_pages_breaks_them_or_connects_what_was_not_granted() {
    let threads = threads();
    let provider = threads.block_on(FakeProvider::start());
    provider.refuses(json!({ "error": "invalid_grant" }));
    let host = threads.block_on(provider.host());
    let mut numbers = 0..;
    let mut begin = || {
        Left::new(
            &provider,
            &host,
            numbers.next().expect("there is no last one"),
        )
    };
    let mut left = threads.block_on(begin());
    Fuzz::corpus("callback").run(|input| {
        let request = String::from_utf8_lossy(input)
            .replace("{id}", left.connection.id.as_str())
            .replace("{state}", &left.state)
            .replace("{cookie}", &left.cookie)
            .replace("{issuer}", provider.issuer())
            .replace("{host}", &host.origin()["http://".len()..]);
        let answer = sent_to(&host, request.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 5"), "{request:?}: {answer}");
        assert!(!answer.contains("<script>alert"), "{request:?}: {answer}");
        match threads.block_on(host.state(&left.connection.id)) {
            ConnectionState::Created | ConnectionState::Waiting => {}
            ConnectionState::Refused { .. } | ConnectionState::Expired => {
                left = threads.block_on(begin());
            }
            state @ ConnectionState::Connected { .. } => panic!("{request:?}: {state}"),
        }
    });
    // Who comes back as it should be is still served.
    provider.grants(json!({}));
    let mut left = threads.block_on(begin());
    let page = threads.block_on(left.person.come_back(&host, &left.back));
    assert!(page.says("is connected"), "{}", page.text);
}

/// Answers of a token endpoint: the first line has its status and media type, the rest is the body.
#[test]
fn no_answer_of_a_token_endpoint_breaks_a_page_or_becomes_a_token_that_is_none() {
    let threads = threads();
    let provider = threads.block_on(FakeProvider::start());
    let host = threads.block_on(provider.host());
    Fuzz::corpus("provider").run(|input| {
        let end = input.iter().position(|&byte| byte == b'\n');
        let (head, body) = input.split_at(end.map_or(input.len(), |end| end + 1));
        let (status, media_type) = head.trim_ascii().split_at(head.trim_ascii().len().min(3));
        let status = StatusCode::from_bytes(status).unwrap_or(StatusCode::OK);
        // Others are of the protocol beneath.
        let status = if status.as_u16() < 200 {
            StatusCode::OK
        } else {
            status
        };
        let media_type = HeaderValue::from_bytes(media_type.trim_ascii());
        let media_type = media_type.unwrap_or(HeaderValue::from_static("application/json"));
        provider.says(Said {
            status,
            headers: [(CONTENT_TYPE, media_type)].into_iter().collect(),
            body: Bytes::copy_from_slice(body),
            how: How::Whole,
        });
        threads.block_on(async {
            let mut left = Left::new(&provider, &host, 0).await;
            let page = left.person.come_back(&host, &left.back).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.text);
            assert!(!page.says("<script>alert"), "{}", page.text);
            match host.state(&left.connection.id).await {
                ConnectionState::Refused { reason } => {
                    assert!(
                        !reason.is_empty() && !reason.contains(char::is_control),
                        "{reason:?}"
                    );
                }
                ConnectionState::Connected { .. } => {
                    let grant = host.grant("p0", "idp").await;
                    let token = sent(&grant);
                    assert!(
                        !token.is_empty() && !token.contains(char::is_control),
                        "{token:?}"
                    );
                }
                state => panic!("{state}"),
            }
        });
    });
}
