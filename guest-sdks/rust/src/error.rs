//! Why a tool does not succeed.
//!
//! A tool fails with a [`ToolError`]; every error of this crate becomes one by `?`. The texts reach the model and the
//! person, so they say what went wrong and what to do, and hold no secret.

pub use crate::ToolError;
use crate::{auth, config, http};

impl From<auth::Error> for ToolError {
    fn from(error: auth::Error) -> Self {
        match error {
            auth::Error::NotDeclared(provider) => Self::Failed(format!(
                "the tool asked for an account at `{provider}`, which it does not declare"
            )),
            auth::Error::Unavailable(why) => Self::Unavailable(why),
            auth::Error::Unsupported(why) => Self::Failed(why),
        }
    }
}

impl From<config::Error> for ToolError {
    fn from(error: config::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<http::Error> for ToolError {
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Timeout { .. } | http::Error::Unreachable { .. } => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> String {
        "api.example.com".to_owned()
    }

    #[test]
    fn what_may_work_later_is_unavailable_and_the_rest_has_failed() {
        for (error, expected) in [
            (
                http::Error::Timeout { host: host() },
                ToolError::Unavailable("`api.example.com` did not answer in time".into()),
            ),
            (
                http::Error::Unreachable { host: host(), why: "it refuses connections".into() },
                ToolError::Unavailable("`api.example.com` cannot be reached: it refuses connections".into()),
            ),
            (
                http::Error::TooLarge { host: host(), limit: 10 },
                ToolError::Failed("the answer of `api.example.com` is larger than 10 bytes".into()),
            ),
            (
                http::Error::Refused { host: host() },
                ToolError::Failed(
                    "the request to `api.example.com` was refused by the policy of this tool, as its operator set it"
                        .into(),
                ),
            ),
        ] {
            assert_eq!(ToolError::from(error), expected);
        }
    }

    #[test]
    fn an_undeclared_provider_is_the_authors_mistake_and_says_so() {
        let error = ToolError::from(auth::Error::NotDeclared("github".into()));
        let message = "the tool asked for an account at `github`, which it does not declare";
        assert_eq!(error, ToolError::Failed(message.into()));
    }

    #[test]
    fn in_an_authors_own_tests_the_ways_out_say_that_there_is_no_host() {
        let errors = [
            auth::get("github").map(|_| ()).map_err(ToolError::from),
            config::get("base_url").map(|_| ()).map_err(ToolError::from),
            http::get("https://api.example.com")
                .send()
                .map(|_| ())
                .map_err(ToolError::from),
        ];
        for error in errors {
            assert!(
                matches!(&error, Err(ToolError::Unavailable(why)) if why.contains("there is no host here")),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_mistake_in_a_request_is_reported_before_anything_is_sent() {
        let error = http::get("https://api.example.com")
            .path([".."])
            .send()
            .map(|_| ())
            .map_err(ToolError::from);
        assert!(
            matches!(&error, Err(ToolError::Failed(why)) if why.contains("is no URL")),
            "{error:?}"
        );
    }
}
