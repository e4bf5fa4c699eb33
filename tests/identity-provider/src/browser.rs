//! A browser without a screen: cookies, redirects and forms, and nothing else.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

/// More pages than any login has.
const MAX_STEPS: usize = 30;

/// What the person says when they are asked to consent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Consent,
    Refuse,
}

/// A browser that keeps cookies and follows nothing by itself. A copy is the same browser until one of them gets
/// another cookie.
#[derive(Clone, Default)]
pub struct Browser(Cookies);

impl Browser {
    /// Opens a page.
    pub async fn get(&mut self, url: &Url) -> io::Result<Response<Bytes>> {
        self.send(Method::GET, url, &[], "").await
    }

    /// Sends a form, with these headers besides those that carry it: browsers add `Origin`.
    pub async fn post(
        &mut self,
        url: &Url,
        headers: &[(&str, &str)],
        form: &str,
    ) -> io::Result<Response<Bytes>> {
        let form_type = (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        let headers = [&[form_type], headers].concat();
        self.send(Method::POST, url, &headers, form).await
    }

    /// What it sends to this address in the header `Cookie`.
    pub fn cookies(&self, url: &Url) -> String {
        self.0.header(url)
    }

    /// Any request. A `Host` among the headers goes before that of the address.
    pub async fn send(
        &mut self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Response<Bytes>> {
        let cookies = self.0.header(url);
        let own = [(COOKIE.as_str(), cookies.as_str())];
        let own = own.iter().filter(|(_, value)| !value.is_empty());
        let headers: Vec<_> = own.chain(headers).copied().collect();
        let response = send(method, url, &headers, body).await?;
        self.0.keep(url, &response);
        Ok(response)
    }
}

/// By host, name and path. As RFC 6265 §8.5 has it, they do not tell ports apart.
#[derive(Clone, Default)]
struct Cookies(BTreeMap<(String, String, String), String>);

impl Cookies {
    fn keep(&mut self, url: &Url, response: &Response<Bytes>) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let mut parts = cookie
                .to_str()
                .unwrap_or_default()
                .split(';')
                .map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let path = parts
                .filter_map(|part| part.split_once('='))
                .find_map(|(name, value)| name.eq_ignore_ascii_case("path").then_some(value))
                .unwrap_or("/");
            let key = (host(url), name.to_owned(), path.to_owned());
            if value.is_empty() {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value.to_owned());
            }
        }
    }

    fn header(&self, url: &Url) -> String {
        let sent = self
            .0
            .iter()
            .filter(|((at, _, path), _)| *at == host(url) && url.path().starts_with(path.as_str()));
        let sent: Vec<_> = sent
            .map(|((_, name, _), value)| format!("{name}={value}"))
            .collect();
        sent.join("; ")
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Goes from page to page, until it leaves the server or there is nothing left to fill in.
pub(crate) async fn walk(issuer: &str, start: &Url, user: &str, answer: Answer) -> io::Result<Url> {
    let issuer = Url::parse(issuer).map_err(io::Error::other)?;
    let mut browser = Browser::default();
    let mut url = start.clone();
    let mut form: Option<String> = None;
    for _ in 0..MAX_STEPS {
        if url.origin() != issuer.origin() {
            return Ok(url);
        }
        let response = match form.take() {
            Some(form) => browser.post(&url, &[], &form).await?,
            None => browser.get(&url).await?,
        };
        if response.status().is_redirection() {
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok());
            url = join(&url, location.unwrap_or_default())?;
            continue;
        }
        let page = String::from_utf8_lossy(response.body()).into_owned();
        let asks_consent = page.contains(r#"name="prompt" value="consent""#);
        if answer == Answer::Refuse
            && asks_consent
            && let Some(abort) = attributes(&page, "<a ", "href")
                .into_iter()
                .find(|link| link.contains("/abort"))
        {
            url = join(&url, &abort)?;
            continue;
        }
        let Some(action) = attributes(&page, "<form", "action").into_iter().next() else {
            return if response.status().is_success() {
                Ok(url)
            } else {
                Err(io::Error::other(format!(
                    "{url}: {}: {page}",
                    response.status()
                )))
            };
        };
        url = join(&url, &action)?;
        form = Some(filled(&page, user));
    }
    Err(io::Error::other(format!("the login does not end: {url}")))
}

/// The form of a page, as that user fills it in.
fn filled(page: &str, user: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let mut names = Vec::new();
    for tag in tags(page, "<input") {
        let Some(name) = attribute(tag, "name") else {
            continue;
        };
        let value = match name.as_str() {
            "login" => user.to_owned(),
            "password" => "x".to_owned(),
            _ => attribute(tag, "value").unwrap_or_default(),
        };
        form.append_pair(&name, &value);
        names.push(name);
    }
    // The page on which a person confirms the code of a device.
    if names.iter().any(|name| name == "user_code") && !names.iter().any(|name| name == "confirm") {
        form.append_pair("confirm", "yes");
    }
    form.finish()
}

fn tags<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    page.split(start)
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap_or_default())
        .collect()
}

fn attributes(page: &str, start: &str, name: &str) -> Vec<String> {
    tags(page, start)
        .into_iter()
        .filter_map(|tag| attribute(tag, name))
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}

fn join(url: &Url, next: &str) -> io::Result<Url> {
    url.join(next).map_err(io::Error::other)
}

/// One request on a connection of its own.
pub(crate) async fn send(
    method: Method,
    url: &Url,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Response<Bytes>> {
    let addresses = url.socket_addrs(|| None)?;
    let connection = TcpStream::connect(addresses.as_slice()).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection))
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = Request::builder().uri(path).method(method);
    if !headers.iter().any(|(name, _)| HOST == *name) {
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        request = request.header(HOST, host);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    driver.abort();
    Ok(Response::from_parts(head, body))
}
