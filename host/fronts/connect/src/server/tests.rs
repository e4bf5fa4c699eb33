use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::test_support::{broker, take_usual_port};

fn listening(listen: &str) -> ConnectSettings {
    ConnectSettings {
        listen: Some(listen.parse().unwrap()),
        public_url: None,
        callers: Arc::default(),
    }
}

/// All that comes back for what is sent.
async fn talk(server: &ConnectServer, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.listens_on()).await.unwrap();
    // The server need not read to the end, and the client may not be able to.
    let _ = stream.write_all(sent).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn is_well(server: &ConnectServer) -> bool {
    let host = server.listens_on();
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n");
    talk(server, request.as_bytes())
        .await
        .starts_with("HTTP/1.1 204")
}

#[tokio::test]
async fn a_taken_port_is_given_way_to_only_if_nobody_chose_it() {
    let (_folder, broker) = broker().await;
    take_usual_port();
    let settings = ConnectSettings::default();
    let first = ConnectServer::start(Arc::clone(&broker), settings)
        .await
        .unwrap();
    assert_ne!(first.listens_on(), USUAL);
    assert_eq!(
        first.address().url.as_str(),
        format!("http://{}/", first.listens_on())
    );
    assert!(first.listens_on().ip().is_loopback() && !first.address().chosen);
    assert!(is_well(&first).await);

    let taken = first.listens_on();
    let error = ConnectServer::start(Arc::clone(&broker), listening(&taken.to_string())).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(&format!("on {taken}: another program")),
        "{error}"
    );
    assert!(
        error.contains("set another `address` in `[connect]`"),
        "{error}"
    );

    first.shutdown().await;
    let again = ConnectServer::start(broker, listening(&taken.to_string()))
        .await
        .unwrap();
    assert!(again.address().chosen);
    assert_eq!(again.listens_on(), taken);
}

#[tokio::test]
async fn other_machines_reach_the_pages_only_by_https() {
    let (_folder, broker) = broker().await;
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:4657"] {
        let error = ConnectServer::start(Arc::clone(&broker), listening(listen)).await;
        let error = error.unwrap_err();
        assert!(matches!(error, ConnectError::Exposed { .. }), "{error}");
    }
    for (url, good) in [
        ("https://holster.example.com", true),
        ("https://holster.example.com:8443/", true),
        ("http://holster.example.com", false),
        ("https://holster.example.com/holster", false),
        ("https://user@holster.example.com", false),
        ("https://holster.example.com/?a", false),
        ("https://holster.example.com/#a", false),
    ] {
        let settings = ConnectSettings {
            public_url: Some(url.parse().unwrap()),
            ..listening("0.0.0.0:0")
        };
        match ConnectServer::start(Arc::clone(&broker), settings).await {
            Ok(server) => assert!(good && server.address().chosen, "{url}"),
            Err(error) => assert!(
                !good && matches!(error, ConnectError::PublicUrl { .. }),
                "{error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_query_of_a_megabyte_is_refused_and_the_server_goes_on() {
    let (_folder, broker) = broker().await;
    let server = ConnectServer::start(broker, listening("127.0.0.1:0"))
        .await
        .unwrap();
    let host = server.listens_on();
    let query = "x".repeat(1024 * 1024);
    let request = format!("GET /callback/slack?state={query} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let answer = talk(&server, request.as_bytes()).await;
    // What the server does not read may reset the connection before the answer is read.
    let refused = ["HTTP/1.1 414", "HTTP/1.1 431"];
    assert!(
        answer.is_empty() || refused.iter().any(|status| answer.starts_with(status)),
        "{answer}"
    );
    assert!(is_well(&server).await);
}

#[tokio::test]
async fn what_is_no_http_leaves_the_server_well() {
    let (_folder, broker) = broker().await;
    let server = ConnectServer::start(broker, listening("127.0.0.1:0"))
        .await
        .unwrap();
    for sent in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET / HTTP/1.1\r\nHost",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.listens_on()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        drop(stream);
        assert!(is_well(&server).await);
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_request_is_let_go() {
    for begun in [&b""[..], b"GET ", b"GET / HTTP/1.1\r\nHost: x\r\n"] {
        let (mut client, server) = tokio::io::duplex(1024);
        let site = TowerToHyperService::new(Router::<()>::new());
        let connection =
            protocol(Duration::from_millis(50)).serve_connection(TokioIo::new(server), site);
        client.write_all(begun).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
        assert!(ended.expect("it ends by itself").is_err());
    }
}

#[tokio::test]
async fn more_connections_than_there_are_places_wait() {
    let (_folder, broker) = broker().await;
    let server = ConnectServer::start(broker, listening("127.0.0.1:0"))
        .await
        .unwrap();
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(server.listens_on()).await.unwrap();
        stream.write_all(b"GET ").await.unwrap();
        idle.push(stream);
    }
    let waiting = is_well(&server);
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "there is no place left");
    idle.pop();
    assert!(waiting.await, "one place was left");
}

#[tokio::test]
async fn the_server_ends_with_its_handle() {
    let (_folder, broker) = broker().await;
    for gracefully in [true, false] {
        let settings = listening("127.0.0.1:0");
        let server = ConnectServer::start(Arc::clone(&broker), settings)
            .await
            .unwrap();
        let address = server.listens_on();
        assert!(is_well(&server).await);
        if gracefully {
            server.shutdown().await;
        } else {
            drop(server);
            tokio::task::yield_now().await;
        }
        TcpListener::bind(address).await.unwrap();
    }
}
