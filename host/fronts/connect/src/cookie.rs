//! The cookies by which a browser, and the person at it, are known again.
//!
//! They last as long as the browser runs, no script reads them, and no other site's form sends them along. `Lax`, since
//! the provider's redirect is a navigation from another site. Cookies do not tell ports apart (RFC 6265 §8.5), so on
//! a laptop the first says which browser this is and nothing more: without the state of the connection it opens nothing.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use holster_core::broker::Browser;
use holster_core::types::{ExposeSecret as _, SecretString};

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Which browser it is.
    Browser,
    /// That its person has signed in.
    Visit,
    /// That its person is on the way to an issuer.
    SignIn,
}

impl Cookie {
    /// With the prefix, a browser takes the cookie from this very host and over TLS only (RFC 6265bis §4.1.3.2).
    fn name(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Browser, true) => "__Host-holster_browser",
            (Self::Browser, false) => "holster_browser",
            (Self::Visit, true) => "__Host-holster_visit",
            (Self::Visit, false) => "holster_visit",
            (Self::SignIn, true) => "__Host-holster_sign_in",
            (Self::SignIn, false) => "holster_sign_in",
        }
    }

    /// Its values among those that a request brings.
    pub(crate) fn values(self, headers: &HeaderMap, https: bool) -> impl Iterator<Item = &str> {
        let pairs = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .filter(move |(key, _)| *key == self.name(https))
            .map(|(_, value)| value)
    }

    /// The header that makes a browser keep it.
    pub(crate) fn set(self, value: &SecretString, https: bool) -> HeaderValue {
        self.header(value.expose_secret(), "", https)
    }

    /// The header that makes a browser forget it.
    pub(crate) fn clear(self, https: bool) -> HeaderValue {
        self.header("", "; Max-Age=0", https)
    }

    fn header(self, value: &str, age: &str, https: bool) -> HeaderValue {
        let secure = if https { "; Secure" } else { "" };
        let name = self.name(https);
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
        let mut header = HeaderValue::from_str(&cookie).expect("a token of plain characters");
        header.set_sensitive(true);
        header
    }
}

/// The browser that sent the request, if it was here before.
pub(crate) fn browser(headers: &HeaderMap, https: bool) -> Option<Browser> {
    let visit = Cookie::Visit.values(headers, https).next();
    Cookie::Browser
        .values(headers, https)
        .find_map(Browser::from_cookie)
        .map(|browser| browser.with_visit(visit.map(SecretString::from)))
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
            Cookie::Browser.set(browser.cookie(), false),
            format!("holster_browser={value}; Path=/; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            Cookie::Browser.set(browser.cookie(), true),
            format!("__Host-holster_browser={value}; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
    }

    #[test]
    fn what_is_forgotten_is_gone_at_once() {
        assert_eq!(
            Cookie::SignIn.clear(true),
            "__Host-holster_sign_in=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
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
