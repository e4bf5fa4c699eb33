//! How a person shows who they are: by a key of theirs, or at an issuer.
//!
//! A browser that signs in becomes another browser: what it was known by before, somebody else may have given it. The
//! person goes on where they were, at the page of a connection, and nowhere else.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use holster_core::broker::{Arrival, Browser, Departure, SignInError, SignInIssuer, User};
use holster_core::types::{ConnectionId, ExposeSecret as _, IssuerName};

use super::{
    Part, failed, not_allowed, not_found, only_get, read, see_other, see_page, to_its_end,
};
use crate::cookie::Cookie;
use crate::site::Site;
use crate::{form, pages};

pub(super) fn routes() -> Router<Arc<Site>> {
    // What is got by HEAD is got for nothing, and a code is worth one exchange.
    let callback = get(arrive).head(only_get).fallback(only_get);
    Router::new()
        .route("/sign-in", post(by_key).fallback(only_post))
        .route("/sign-in/{issuer}", post(depart).fallback(only_post))
        .route("/sign-in/{issuer}/callback", callback)
}

async fn only_post() -> Response {
    not_allowed("POST")
}

async fn by_key(State(site): State<Arc<Site>>, headers: HeaderMap, body: Body) -> Response {
    if !site.is_sender(&headers) {
        return pages::other_origin().into_response();
    }
    let form = match read(body, form::sign_in).await {
        Ok(form) => form,
        Err(page) => return page.into_response(),
    };
    let key = form.key.as_ref();
    let user = key.and_then(|key| site.callers.of_key(key.expose_secret()));
    match user {
        Some(user) => site.welcome(user, &form.connection).await,
        None => pages::not_signed_in("this key is not known here").into_response(),
    }
}

async fn depart(
    State(site): State<Arc<Site>>,
    issuer: Part<IssuerName>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some((name, at)) = site.issuer(issuer) else {
        return not_found().await;
    };
    let browser = match site.sender(&headers) {
        Ok(browser) => browser,
        Err(page) => return page.into_response(),
    };
    let form = match read(body, form::sign_in).await {
        Ok(form) => form,
        Err(page) => return page.into_response(),
    };
    let Some(redirect) = site.redirect(name, &headers) else {
        return not_found().await;
    };
    match site
        .broker
        .depart(at, &redirect, &browser, &form.connection, form.anew)
        .await
    {
        Ok(Departure { url, kept }) => {
            let mut response = see_other(url.as_str());
            let cookie = Cookie::SignIn.set(&kept, site.is_https());
            response.headers_mut().append(SET_COOKIE, cookie);
            response
        }
        Err(error) => refused(&error),
    }
}

async fn arrive(
    State(site): State<Arc<Site>>,
    issuer: Part<IssuerName>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some((name, at)) = site.issuer(issuer) else {
        return not_found().await;
    };
    let callback = form::callback(query.as_deref().unwrap_or_default());
    let kept = Cookie::SignIn.values(&headers, site.is_https()).next();
    let (Some(callback), Some(kept), Some(browser)) = (callback, kept, site.browser(&headers))
    else {
        return not_found().await;
    };
    let arrived = {
        let (site, at, kept) = (Arc::clone(&site), at.clone(), kept.to_owned());
        to_its_end(async move { site.broker.arrive(&at, &browser, &kept, callback).await })
    };
    let arrival: Arrival = match arrived.await {
        Ok(arrival) => arrival,
        Err(SignInError::Unknown) => return not_found().await,
        Err(error) => return refused(&error),
    };
    match site.callers.person(name, &arrival).await {
        Ok(user) => site.welcome(&user, &arrival.connection).await,
        Err(error) => {
            tracing::warn!("a person who came back from {name} was not signed in: {error}");
            pages::not_signed_in(&error.to_string()).into_response()
        }
    }
}

/// The page says what the issuer said; the log says more where it is for the operator.
fn refused(error: &SignInError) -> Response {
    match error {
        SignInError::Refused(reason) => pages::not_signed_in(&format!(
            "the issuer did not let you in (`{}`)",
            reason.chars().take(100).collect::<String>()
        ))
        .into_response(),
        SignInError::Vault(_) | SignInError::ClientSecret { .. } => failed(error),
        error => {
            tracing::warn!("a person was not signed in: {error}");
            pages::not_signed_in(&error.to_string()).into_response()
        }
    }
}

impl Site {
    fn issuer(&self, name: Part<IssuerName>) -> Option<(&IssuerName, &SignInIssuer)> {
        let Path(name) = name.ok()?;
        self.callers.sign_in().get_key_value(&name)
    }

    /// Makes the browser that of a user, and lets it go on.
    async fn welcome(&self, user: &User, connection: &ConnectionId) -> Response {
        let browser = Browser::new();
        let visit = match self.broker.sign_in(&browser, user).await {
            Ok(visit) => visit,
            Err(error) => return failed(&error),
        };
        let mut response = see_page(connection);
        let https = self.is_https();
        for cookie in [
            Cookie::Browser.set(browser.cookie(), https),
            Cookie::Visit.set(&visit, https),
            Cookie::SignIn.clear(https),
        ] {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }
}
