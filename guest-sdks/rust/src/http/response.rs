//! What came back.

use super::Error;
use serde::de::DeserializeOwned;

/// A response, with its whole body.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) host: String,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The status, such as 200.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of success, 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, whose case does not matter, if its value is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The seconds for which the service asks for patience, where it says so as a number (`retry-after`).
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.header("retry-after")?.trim().parse().ok()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text. What is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value, read from JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|source| Error::UnexpectedJson {
            host: self.host.clone(),
            status: self.status,
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToolError;

    fn response(headers: &[(&str, &str)], body: &str) -> Response {
        Response {
            host: "api.example.com".into(),
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.into(),
        }
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let response = response(&[("Retry-After", " 30 "), ("x-a", "1"), ("X-A", "2")], "");
        assert_eq!(response.header("X-a"), Some("1"));
        assert_eq!(response.header("x-b"), None);
        assert_eq!(response.retry_after(), Some(30));
    }

    #[test]
    fn a_date_is_not_a_number_of_seconds() {
        assert_eq!(
            response(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")], "").retry_after(),
            None
        );
    }

    #[test]
    fn json_that_is_not_as_expected_makes_the_tool_fail_and_names_the_host() {
        assert_eq!(response(&[], "[1, 2]").json::<Vec<u8>>().unwrap(), [1, 2]);
        let error = ToolError::from(response(&[], "<html>").json::<Vec<u8>>().unwrap_err());
        let ToolError::Failed(text) = &error else {
            panic!("{error:?}")
        };
        assert!(
            text.starts_with("the answer of `api.example.com` (status 200)"),
            "{text}"
        );
    }
}
