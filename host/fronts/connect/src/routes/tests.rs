use axum::http::{Method, Request};
use tower_service::Service as _;

use super::*;
use crate::test_support::{address, broker};

/// A site that nobody listens for.
struct Asked(Router);

impl Asked {
    fn local(broker: Arc<Broker>) -> Self {
        Self(whole_site(
            broker,
            address("http://127.0.0.1:4657/"),
            Arc::default(),
        ))
    }

    async fn ask(&self, request: Request<Body>) -> (Response<()>, String) {
        let response = self.0.clone().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (Response::from_parts(head, ()), body)
    }

    async fn status(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> StatusCode {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.ask(request).await.0.status()
    }
}

const HOST: (&str, &str) = ("host", "127.0.0.1:4657");
const ORIGIN: (&str, &str) = ("origin", "http://127.0.0.1:4657");
const FORM: &str = "/connect/kQ3v9tB1xYw2Z5nM8rLpJg";

#[tokio::test]
async fn only_the_hosts_own_names_are_heard() {
    let (_folder, broker) = broker().await;
    let local = Asked::local(Arc::clone(&broker));
    let public = Asked(whole_site(
        broker,
        address("https://holster.example.com/"),
        Arc::default(),
    ));
    for (host, heard_here, heard_in_public) in [
        ("127.0.0.1:4657", true, false),
        ("localhost:4657", true, false),
        ("[::1]:4657", true, false),
        ("holster.example.com", false, true),
        ("holster.example.com:443", false, false),
        ("127.0.0.1", false, false),
        ("127.0.0.1:80", false, false),
        ("127.0.0.1:46570", false, false),
        ("localhost.:4657", false, false),
        ("rebound.example:4657", false, false),
        ("", false, false),
    ] {
        for (site, heard) in [(&local, heard_here), (&public, heard_in_public)] {
            let status = site.status(Method::GET, "/health", &[("host", host)]).await;
            let wanted = if heard {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::MISDIRECTED_REQUEST
            };
            assert_eq!(status, wanted, "{host}");
        }
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    for (target, hosts) in [
        ("/health", &[][..]),
        ("/health", &[HOST, ("host", "rebound.example:4657")]),
        ("http://rebound.example:4657/health", &[HOST]),
    ] {
        let status = site.status(Method::GET, target, hosts).await;
        assert_eq!(
            status,
            StatusCode::MISDIRECTED_REQUEST,
            "{target} {hosts:?}"
        );
    }
    let same = "http://127.0.0.1:4657/health";
    assert_eq!(
        site.status(Method::GET, same, &[HOST]).await,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_form_of_another_origin_is_refused() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    let cookie = Cookie::Browser.set(Browser::new().cookie(), false);
    let cookie = ("cookie", cookie.to_str().unwrap());
    for origin in [
        None,
        Some("null"),
        Some(""),
        Some("https://127.0.0.1:4657"),
        Some("http://127.0.0.1"),
        Some("http://127.0.0.1:4658"),
        // The same site by another name is another origin.
        Some("http://localhost:4657"),
        Some("http://evil.example"),
    ] {
        let origin = origin.map(|origin| ("origin", origin));
        let headers: Vec<_> = [HOST, cookie].into_iter().chain(origin).collect();
        let status = site.status(Method::POST, FORM, &headers).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{origin:?}");
    }
    let twice = [HOST, cookie, ORIGIN, ORIGIN];
    assert_eq!(
        site.status(Method::POST, FORM, &twice).await,
        StatusCode::FORBIDDEN
    );
    // The site's own origin is heard; the form is empty, though.
    let own = [HOST, cookie, ORIGIN];
    assert_eq!(
        site.status(Method::POST, FORM, &own).await,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_browser_without_the_cookie_cannot_act() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    for cookie in ["", "holster_browser=guessed", "other=x"] {
        let headers = [HOST, ORIGIN, ("cookie", cookie)];
        let status = site.status(Method::POST, FORM, &headers).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{cookie}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_form_is_refused() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    let cookie = Cookie::Browser.set(Browser::new().cookie(), false);
    for (body, status) in [
        ("x".repeat(MAX_BODY + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ("x".repeat(MAX_BODY), StatusCode::BAD_REQUEST),
        ("way=enter:nothing".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let request = Request::post(FORM)
            .header(HOST.0, HOST.1)
            .header(ORIGIN.0, ORIGIN.1)
            .header("cookie", &cookie)
            .body(Body::from(body))
            .unwrap();
        assert_eq!(site.ask(request).await.0.status(), status);
    }
}

#[tokio::test]
async fn a_redirect_that_names_no_state_is_not_found() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    for path in [
        "/callback/slack",
        "/callback/slack?code=c",
        "/callback/slack?error=access_denied",
        "/callback/slack?error=<script>&error_description=<script>alert(1)</script>",
        "/callback/slack?state=a&state=b&code=c",
        "/callback/SLACK?state=a",
        "/callback/?state=a",
        "/callback?state=a",
    ] {
        let path = path.replace('<', "%3C").replace('>', "%3E");
        let request = Request::get(&path).header(HOST.0, HOST.1);
        let (answer, body) = site.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(
            !body.contains("script") && !body.contains("access_denied"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_query_that_no_provider_sends_is_refused() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    for (length, status) in [
        (16 * 1024, StatusCode::NOT_FOUND),
        (16 * 1024 + 1, StatusCode::URI_TOO_LONG),
    ] {
        let path = format!("/callback/slack?{}", "x".repeat(length));
        assert_eq!(site.status(Method::GET, &path, &[HOST]).await, status);
    }
}

#[tokio::test]
async fn a_method_that_has_no_meaning_does_nothing() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    // With a state: whatever reached the broker would be answered otherwise.
    let callback = "/callback/slack?state=known&code=c";
    for (method, path) in [
        (Method::HEAD, callback),
        (Method::POST, callback),
        (Method::PUT, callback),
        (Method::OPTIONS, callback),
        (Method::PUT, FORM),
        (Method::DELETE, FORM),
        (Method::OPTIONS, FORM),
        (Method::POST, "/connect.css"),
        (Method::POST, "/health"),
    ] {
        let status = site.status(method.clone(), path, &[HOST, ORIGIN]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_no_page_is_not_found() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    let long = format!("/connect/{}", "x".repeat(65));
    for path in [
        "/",
        "/favicon.ico",
        "/connect",
        "/connect/",
        "/connect/a/b",
        "/connect/a.b",
        &long,
        "/connect/%FF",
    ] {
        let status = site.status(Method::GET, path, &[HOST]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn no_answer_lacks_a_header() {
    let (_folder, broker) = broker().await;
    let site = Asked::local(broker);
    for (method, path, host) in [
        (Method::GET, "/health", HOST.1),
        (Method::GET, "/connect.css", HOST.1),
        (Method::GET, "/nothing", HOST.1),
        (Method::POST, "/health", HOST.1),
        (Method::POST, FORM, HOST.1),
        (Method::GET, "/health", "rebound.example"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host);
        let (answer, _) = site.ask(request.body(Body::empty()).unwrap()).await;
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", pages::POLICY),
        ] {
            assert_eq!(header(name), Some(value), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn the_pages_can_be_part_of_another_router() {
    let (_folder, broker) = broker().await;
    let url = address("http://127.0.0.1:4657/").url;
    let (_, pages) = router(broker, url, Arc::default());
    let other = Router::new().route("/mcp", get(|| async { "other" }));
    let site = Asked(
        other
            .fallback(|| async { StatusCode::IM_A_TEAPOT })
            .merge(pages),
    );
    for (path, host, status) in [
        ("/connect.css", HOST.1, StatusCode::OK),
        (
            "/connect.css",
            "rebound.example",
            StatusCode::MISDIRECTED_REQUEST,
        ),
        // Whether the whole process is well, the other router says.
        ("/health", HOST.1, StatusCode::IM_A_TEAPOT),
        ("/mcp", "rebound.example", StatusCode::OK),
        ("/nothing", HOST.1, StatusCode::IM_A_TEAPOT),
    ] {
        assert_eq!(
            site.status(Method::GET, path, &[("host", host)]).await,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_was_begun_is_finished_though_the_browser_goes_away() {
    let (finish, finished) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel();
    let mut work = Box::pin(to_its_end(async move {
        may_go_on.await.unwrap();
        finish.send("finished").unwrap();
    }));
    // Begun, and dropped, as hyper does when the connection ends.
    let begun = tokio::time::timeout(Duration::from_millis(1), &mut work).await;
    assert!(begun.is_err());
    drop(work);
    go_on.send(()).unwrap();
    assert_eq!(finished.await, Ok("finished"));
}
