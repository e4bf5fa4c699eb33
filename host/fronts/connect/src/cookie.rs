//! The cookie by which a browser is known again.
//!
//! It lasts as long as the browser runs, no script reads it, and no other site's form sends it along. `Lax`, since
//! the provider's redirect is a navigation from another site. Cookies do not tell ports apart (RFC 6265 §8.5), so on
//! a laptop it says which browser this is and nothing more: without the state of the connection it opens nothing.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use holster_core::broker::Browser;
use holster_core::types::ExposeSecret as _;

/// With the prefix, a browser takes the cookie from this very host and over TLS only (RFC 6265bis §4.1.3.2).
fn name(https: bool) -> &'static str {
    if https {
        "__Host-holster_browser"
    } else {
        "holster_browser"
    }
}

/// The browser that sent the request, if it was here before.
pub(crate) fn browser(headers: &HeaderMap, https: bool) -> Option<Browser> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(key, _)| *key == name(https))
        .find_map(|(_, value)| Browser::from_cookie(value))
}

/// The header that makes a browser known.
pub(crate) fn set(browser: &Browser, https: bool) -> HeaderValue {
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Lax{secure}",
        name(https),
        browser.cookie().expose_secret()
    );
    let mut header = HeaderValue::from_str(&cookie).expect("a token of plain characters");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(header: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(header).unwrap())])
    }

    #[test]
    fn the_cookie_is_strict_and_more_so_over_https() {
        let browser = Browser::new();
        let value = browser.cookie().expose_secret();
        assert_eq!(
            set(&browser, false),
            format!("holster_browser={value}; Path=/; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            set(&browser, true),
            format!("__Host-holster_browser={value}; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
    }

    #[test]
    fn a_browser_is_known_by_a_cookie_of_ours_among_others() {
        let ours = Browser::new();
        let value = ours.cookie().expose_secret();
        for (header, https, known) in [
            (format!("holster_browser={value}"), false, true),
            (format!("a=b; holster_browser={value}; c"), false, true),
            (
                format!("holster_browser=old; holster_browser={value}"),
                false,
                true,
            ),
            (format!("__Host-holster_browser={value}"), true, true),
            (format!("holster_browser={value}"), true, false),
            (format!("other={value}"), false, false),
            ("holster_browser=made-up".to_owned(), false, false),
            (String::new(), false, false),
        ] {
            let found = browser(&cookies(&header), https);
            assert_eq!(
                found.map(|found| found.cookie().expose_secret().to_owned()),
                known.then(|| value.to_owned()),
                "{header} {https}"
            );
        }
    }
}
