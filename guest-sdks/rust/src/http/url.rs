//! As much of a URL as a request needs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986, section 2.3: these never need encoding.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A URL in the making, and the first thing that was wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) secure: bool,
    pub(crate) authority: String,
    path: String,
    query: String,
    error: Option<&'static str>,
}

impl Url {
    pub(crate) fn parse(url: &str) -> Self {
        let (secure, rest, mut error) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest, None),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest, None),
            _ => (
                true,
                url,
                Some("it has to begin with `https://` or `http://`"),
            ),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() {
            error = error.or(Some("it names no host"));
        }
        if authority.contains('@') {
            error = error.or(Some(
                "a name or password has no place in it; use the `authorization` header",
            ));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            error = error.or(Some(
                "it has a space or another character that must be percent-encoded",
            ));
        }
        Self {
            secure,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            error,
        }
    }

    /// Appends segments to the path. Whatever they hold, each stays one segment.
    pub(crate) fn push(&mut self, segments: impl IntoIterator<Item = impl AsRef<str>>) {
        for segment in segments {
            let segment = segment.as_ref();
            // Servers and proxies resolve these even where they are encoded.
            if matches!(segment, "" | "." | "..") {
                self.error = self
                    .error
                    .or(Some("a segment of its path is empty, `.` or `..`"));
            }
            if !self.path.ends_with('/') {
                self.path.push('/');
            }
            self.path.extend(utf8_percent_encode(segment, RESERVED));
        }
    }

    /// Appends a parameter to the query.
    pub(crate) fn query(&mut self, name: &str, value: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.extend(utf8_percent_encode(name, RESERVED));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, RESERVED));
    }

    pub(crate) fn path_with_query(&self) -> String {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        match self.query.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    pub(crate) fn check(&self) -> Result<(), super::Error> {
        match self.error {
            None => Ok(()),
            Some(why) => Err(super::Error::InvalidUrl {
                url: self.without_query(),
                why,
            }),
        }
    }

    /// For errors: a query may hold what should not be shown.
    fn without_query(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = self.authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_parameters_are_encoded() {
        let mut url = Url::parse("https://api.example.com/v1/?a=b#fragment");
        url.push(["repos", "a/b", "c d", "é?"]);
        url.query("state", "open&x=1");
        assert_eq!(
            url.path_with_query(),
            "/v1/repos/a%2Fb/c%20d/%C3%A9%3F?a=b&state=open%26x%3D1"
        );
        assert_eq!(
            (url.secure, url.authority.as_str()),
            (true, "api.example.com")
        );
        assert!(url.check().is_ok());
    }

    #[test]
    fn a_url_without_path_asks_for_the_root() {
        assert_eq!(Url::parse("http://127.0.0.1:8080").path_with_query(), "/");
        assert_eq!(
            Url::parse("http://127.0.0.1:8080?q").path_with_query(),
            "/?q"
        );
    }

    #[test]
    fn a_url_that_cannot_be_asked_for_says_why() {
        for (url, reason) in [
            ("ftp://example.com", "begin with"),
            ("example.com/a", "begin with"),
            ("https:///a", "names no host"),
            ("https://me:hunter2@example.com", "name or password"),
            ("https://example.com/a b", "percent-encoded"),
            ("https://example.com/a\r\nx: y", "percent-encoded"),
        ] {
            let error = Url::parse(url).check().expect_err(url).to_string();
            assert!(error.contains(reason), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_segment_cannot_climb() {
        for segment in ["", ".", ".."] {
            let mut url = Url::parse("https://example.com/repos");
            url.push([segment]);
            assert!(url.check().is_err(), "{segment:?}");
        }
    }
}
