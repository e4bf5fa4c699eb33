//! What went wrong, as RFC 9457 has it.

use std::fmt::Display;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What an error is sent as.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of error it is, for programs: a word that stays as it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, to what, and what to do, for people and models.
    detail: String,
    /// How a client can authenticate itself, where that would help.
    #[serde(skip)]
    challenge: Option<HeaderValue>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, detail: impl Display) -> Self {
        Self {
            kind,
            status: status.as_u16(),
            detail: detail.to_string(),
            challenge: None,
        }
    }

    /// With a `WWW-Authenticate` of its own.
    pub(crate) fn challenging(self, challenge: HeaderValue) -> Self {
        Self {
            challenge: Some(challenge),
            ..self
        }
    }

    pub(crate) fn not_found(detail: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn invalid(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    pub(crate) fn internal(detail: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let challenge = self.challenge.take();
        let status = StatusCode::from_u16(self.status).expect("it was one");
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        let usual = || HeaderValue::from_static("Bearer");
        if let Some(challenge) =
            challenge.or_else(|| (status == StatusCode::UNAUTHORIZED).then(usual))
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
