//! What all pages of this host have in common: how they look, and what browsers are told of them.
//!
//! What a page may do (its `Content-Security-Policy`), and whom it tells where a person came from, differs and is not
//! here.

#![forbid(unsafe_code)]

use http::header::{CACHE_CONTROL, HeaderName, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};

/// The style of what all pages are made of.
pub const STYLE: &str = include_str!("look.css");

/// A rounded square, so that browsers ask for no `/favicon.ico`.
pub const ICON: &str = include_str!("icon.uri");

/// What every answer carries.
pub const HEADERS: [(HeaderName, &str); 7] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];
