//! A server that answers as a test tells it, be it HTTP or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::form_urlencoded;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }
}

/// What it answers.
#[derive(Clone)]
pub(crate) enum Reply {
    Http {
        status: u16,
        headers: String,
        body: String,
    },
    Hangup,
    Late(Duration),
}

/// A body, as a test writes it.
pub(crate) struct Text(String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Value> for Text {
    fn from(document: Value) -> Self {
        Self(document.to_string())
    }
}

pub(crate) fn http(status: u16, content_type: &str, body: impl Into<Text>) -> Reply {
    Reply::Http {
        status,
        headers: format!("content-type: {content_type}\r\n"),
        body: body.into().0,
    }
}

pub(crate) fn json(body: impl Into<Text>) -> Reply {
    http(200, "application/json", body)
}

type Answers = dyn Fn(&Received) -> Reply + Send + Sync;

/// It stops when this is dropped.
pub(crate) struct FakeServer {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    _tasks: JoinSet<()>,
}

impl FakeServer {
    pub(crate) async fn start(
        answers: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen): (Arc<Answers>, _) = (Arc::new(answers), Arc::clone(&received));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                connections.spawn(async move {
                    // A client may go away before it has its answer.
                    let _ = serve(connection, &*answers, &seen).await;
                });
            }
        });
        Self {
            url,
            received,
            _tasks: tasks,
        }
    }

    /// Always the same.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn only(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }
}

async fn serve(
    connection: TcpStream,
    answers: &Answers,
    seen: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        connection.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    let received = Received {
        method,
        path,
        headers,
        body: String::from_utf8(body).unwrap(),
    };
    seen.lock().unwrap().push(received.clone());
    match answers(&received) {
        Reply::Hangup => {}
        Reply::Late(time) => tokio::time::sleep(time).await,
        Reply::Http {
            status,
            headers,
            body,
        } => {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(body.as_bytes()).await?;
        }
    }
    connection.shutdown().await
}
