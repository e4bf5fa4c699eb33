//! The routes, and what each asks the broker.
//!
//! A GET shows, and binds nothing: whoever previews a link spends nothing of it. Only a form of these pages acts.

mod sign_in;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use holster_callers::Callers;
use holster_core::broker::{
    Begun, Broker, BrokerError, Browser, ChoiceError, ConnectAddress, ConnectPage,
};
use holster_core::types::{ConnectionId, ProviderId};
use url::Url;

use crate::cookie::{self, Cookie};
use crate::pages::{self, Problem};
use crate::site::Site;
use crate::{form, guard, server};

/// More than any form of these pages has: the longest secrets, private keys, have a few KiB.
const MAX_BODY: usize = 64 * 1024;

/// How long a browser may take to send a form.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The part of a path that is parsed into `T`.
type Part<T> = Result<Path<T>, PathRejection>;

/// The connect pages at a public address, to be merged into a router of one's own. Whoever may call can show there who
/// they are.
pub fn router(broker: Arc<Broker>, url: Url, callers: Arc<Callers>) -> (ConnectAddress, Router) {
    let address = ConnectAddress {
        sign_in: server::sign_in(Some(&url), &callers),
        chosen: true,
        url,
    };
    let site = Site::new(broker, address.clone(), callers);
    (address, guarded(routes(), site))
}

/// The connect pages at `address`, and nothing else.
pub(crate) fn whole_site(
    broker: Arc<Broker>,
    address: ConnectAddress,
    callers: Arc<Callers>,
) -> Router {
    let routes = routes()
        .route("/health", get(health).fallback(only_get))
        .fallback(not_found);
    guarded(routes, Site::new(broker, address, callers))
}

fn guarded(routes: Router<Arc<Site>>, site: Site) -> Router {
    let site = Arc::new(site);
    routes
        .with_state(Arc::clone(&site))
        .layer(from_fn_with_state(site, guard::guard))
}

fn routes() -> Router<Arc<Site>> {
    // What is got by HEAD is got for nothing, and a code is worth one exchange.
    let callback = get(callback).head(only_get).fallback(only_get);
    Router::new()
        .route(
            "/connect/{id}",
            get(show).post(submit).fallback(get_or_post),
        )
        .route("/callback/{provider}", callback)
        .route("/connect.css", get(style).fallback(only_get))
        .merge(sign_in::routes())
}

async fn show(
    State(site): State<Arc<Site>>,
    id: Part<ConnectionId>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(id)) = id else {
        return not_found().await;
    };
    let browser = site.browser(&headers);
    let page = match site.page(&id, browser.as_ref()).await {
        Ok(Some(page)) => page,
        Ok(None) => return not_found().await,
        Err(error) => return failed(&error),
    };
    if let Some(right) = site.right_name(&page, &headers) {
        return see_other(&right);
    }
    let mut response = pages::connection(&page, &site.callers, now(), None).into_response();
    if browser.is_none() {
        let cookie = Cookie::Browser.set(Browser::new().cookie(), site.is_https());
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

async fn submit(
    State(site): State<Arc<Site>>,
    id: Part<ConnectionId>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(Path(id)) = id else {
        return not_found().await;
    };
    let browser = match site.sender(&headers) {
        Ok(browser) => browser,
        Err(page) => return page.into_response(),
    };
    let choice = match read(body, form::choice).await {
        Ok(choice) => choice,
        Err(page) => return page.into_response(),
    };
    let (way, entered) = (choice.way, choice.fields.clone());
    let chosen = {
        let (site, id, browser) = (Arc::clone(&site), id.clone(), browser.clone());
        to_its_end(async move {
            site.broker
                .choose(&id, &browser, &site.address, choice)
                .await
        })
    };
    let problem = match chosen.await {
        Ok(Begun::Leave(url)) => return see_other(url.as_str()),
        // The page says it, whatever it is.
        Ok(Begun::Code(_) | Begun::Over)
        | Err(
            ChoiceError::SignIn
            | ChoiceError::Stranger
            | ChoiceError::Elsewhere
            | ChoiceError::Over(_),
        ) => {
            return see_page(&id);
        }
        Err(ChoiceError::Unknown) => return not_found().await,
        Err(ChoiceError::Broker(error)) => return failed(&error),
        Err(error) => Problem {
            way,
            error,
            entered,
        },
    };
    match site.page(&id, Some(&browser)).await {
        Ok(Some(page)) => {
            pages::connection(&page, &site.callers, now(), Some(&problem)).into_response()
        }
        Ok(None) => not_found().await,
        Err(error) => failed(&error),
    }
}

async fn callback(
    State(site): State<Arc<Site>>,
    provider: Part<ProviderId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(provider)) = provider else {
        return not_found().await;
    };
    let Some(callback) = form::callback(query.as_deref().unwrap_or_default()) else {
        return not_found().await;
    };
    let browser = site.browser(&headers);
    let answered = to_its_end(async move {
        site.broker
            .callback(&provider, callback, browser.as_ref(), &site.address)
            .await
    });
    match answered.await {
        // So that no code stays in the address bar and the history.
        Ok(Some(connection)) => see_page(&connection.id),
        Ok(None) => not_found().await,
        Err(error) => failed(&error),
    }
}

/// Does it even if the browser goes away meanwhile: a code that is exchanged halfway is lost.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

async fn style() -> Response {
    (
        [(CONTENT_TYPE, "text/css; charset=utf-8")],
        pages::STYLE.as_str(),
    )
        .into_response()
}

async fn health() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn not_found() -> Response {
    pages::not_found().into_response()
}

async fn only_get() -> Response {
    not_allowed("GET")
}

async fn get_or_post() -> Response {
    not_allowed("GET, HEAD, POST")
}

fn not_allowed(methods: &'static str) -> Response {
    ([(ALLOW, methods)], pages::not_allowed()).into_response()
}

/// The log says more than the page, which anybody may see.
fn failed(error: &impl std::fmt::Display) -> Response {
    tracing::error!("a connect page cannot be shown: {error}");
    pages::failed().into_response()
}

fn see_page(id: &ConnectionId) -> Response {
    see_other(&format!("/connect/{id}"))
}

fn see_other(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(mut location) => {
            // It may hold the state.
            location.set_sensitive(true);
            (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
        }
        Err(_) => pages::failed().into_response(),
    }
}

async fn read<T>(body: Body, form: impl Fn(&[u8]) -> Option<T>) -> Result<T, pages::Page> {
    let body = tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY))
        .await
        .map_err(|_| pages::too_slow())?
        .map_err(|_| pages::too_large(StatusCode::PAYLOAD_TOO_LARGE))?;
    form(&body).ok_or_else(pages::unreadable)
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Site {
    fn browser(&self, headers: &HeaderMap) -> Option<Browser> {
        cookie::browser(headers, self.is_https())
    }

    /// The browser in which a person sent a form of this site.
    fn sender(&self, headers: &HeaderMap) -> Result<Browser, pages::Page> {
        if !self.is_sender(headers) {
            return Err(pages::other_origin());
        }
        self.browser(headers).ok_or_else(pages::no_cookie)
    }

    async fn page(
        &self,
        id: &ConnectionId,
        browser: Option<&Browser>,
    ) -> Result<Option<ConnectPage>, BrokerError> {
        self.broker.connect_page(id, browser, &self.address).await
    }

    /// Where the page is, if it has to be seen under another name: the provider sends the browser back to one name,
    /// and the cookie is for one name.
    fn right_name(&self, page: &ConnectPage, headers: &HeaderMap) -> Option<String> {
        let connection = &page.connection;
        let provider = self.broker.providers().find(&connection.provider)?;
        let right = self.address.page(provider, &connection.id);
        let name = self.name(headers)?;
        (right[url::Position::BeforeHost..url::Position::AfterPort] != *name).then(|| right.into())
    }
}

#[cfg(test)]
mod tests;
