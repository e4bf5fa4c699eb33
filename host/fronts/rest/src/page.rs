//! The page at `/`: tools, accounts, connections and calls, live, for a person with a browser.
//!
//! Its three files are the same for everybody and hold nothing of anybody, so no key is needed for them. What the page
//! shows, its script asks `/v1` for as any program does, with the key that the person enters where one is needed; and
//! what tools say of themselves it puts there as text, which its policy holds it to.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::gate::{Gate, by_name};

const HTML: &str = include_str!("page/page.html");
const SCRIPT: &str = include_str!("page/page.js");
static STYLE: LazyLock<String> =
    LazyLock::new(|| [holster_look::STYLE, include_str!("page/page.css")].concat());

/// What the page may do: look like itself, run its own script and ask this host. No text becomes markup or a script:
/// with `require-trusted-types-for`, browsers refuse whatever would make it so.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The page and what it is made of.
pub(crate) fn routes(gate: Arc<Gate>) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(async move || ([(CONTENT_TYPE, kind)], text).into_response())
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", HTML))
        .route("/page.css", file("text/css; charset=utf-8", STYLE.as_str()))
        .route("/page.js", file("text/javascript; charset=utf-8", SCRIPT))
        .layer(from_fn_with_state(gate, by_name))
        .layer(map_response(protect))
}

async fn protect(mut response: Response) -> Response {
    let own = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in holster_look::HEADERS.into_iter().chain(own) {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_neither_script_nor_style_of_its_own_nor_anything_from_elsewhere() {
        for wrong in [" style=", "<style", " onclick=", " onload=", "://"] {
            let at = HTML
                .find(wrong)
                .map(|at| &HTML[at..(at + 60).min(HTML.len())]);
            // The icon names the kind of drawing that it is.
            let is_icon = at.is_some_and(|at| at.starts_with("://www.w3.org/2000/svg"));
            assert!(at.is_none() || is_icon, "{at:?}");
        }
        let scripts: Vec<_> = HTML.match_indices("<script").collect();
        assert_eq!(scripts.len(), 1);
        assert!(HTML.contains("<script type=\"module\" src=\"/page.js\"></script>"));
        for wrong in ["url(", "@import", "://"] {
            assert!(!STYLE.contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_icon_is_that_of_all_pages() {
        assert!(HTML.contains(holster_look::ICON));
    }

    #[test]
    fn no_text_becomes_markup() {
        for wrong in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "localStorage",
            "document.cookie",
        ] {
            assert!(!SCRIPT.contains(wrong), "{wrong}");
        }
    }
}
