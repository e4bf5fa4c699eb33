//! The forms in which a secret is written: as it is, percent-encoded, in base64, in hex, escaped in JSON.
//!
//! Encoders differ in what they leave alone, so each has a row here. Two rows that agree on a secret give one form.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Besides letters and digits, what percent-encoders leave alone.
const KEPT: [&str; 6] = [
    // Nothing.
    "",
    // RFC 3986 §2.3: the unreserved characters, and what JavaScript's `encodeURIComponent` makes of them.
    "-._~",
    "-._~!*'()",
    // application/x-www-form-urlencoded; a space is a plus there.
    "*-._ ",
    // RFC 3986 §3.3 and §3.4: a segment of a path; a query.
    "-._~!$&'()*+,;=:@",
    "-._~!$&'()*+,;=:@/?",
];

/// Besides what JSON has to escape, what writers of JSON escape as `\u….`
const ESCAPED: [&str; 3] = [
    "",    // For JSON that stands in HTML.
    "<>&", // .NET.
    "\"&'+<>`",
];

/// All forms of a secret.
pub(super) fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([secret.to_owned()]);
    for upper in [false, true] {
        forms.insert(hex(secret, upper));
        forms.insert(percent(secret, upper, |_| false));
        for kept in KEPT {
            let keeps = |byte: u8| byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte);
            let written = percent(secret, upper, keeps);
            forms.insert(if kept.contains(' ') {
                written.replace(' ', "+")
            } else {
                written
            });
        }
        forms.insert(json(secret, upper, false, |_| true));
        for escaped in ESCAPED {
            for slash in [false, true] {
                forms.insert(json(secret, upper, slash, |character| {
                    escaped.contains(character)
                }));
                forms.insert(json(secret, upper, slash, |character| {
                    escaped.contains(character) || !character.is_ascii()
                }));
            }
        }
    }
    let base64 = [0, 1, 2].into_iter().flat_map(|offset| {
        [false, true].map(|url_safe| base64_within(secret.as_bytes(), offset, url_safe))
    });
    forms.extend(base64);
    forms.into_iter().map(String::into_bytes).collect()
}

fn digits(text: &mut String, bytes: &[u8], upper: bool) {
    for byte in bytes {
        let written = if upper {
            write!(text, "{byte:02X}")
        } else {
            write!(text, "{byte:02x}")
        };
        written.expect("a string takes it");
    }
}

fn hex(secret: &str, upper: bool) -> String {
    let mut text = String::new();
    digits(&mut text, secret.as_bytes(), upper);
    text
}

fn percent(secret: &str, upper: bool, keeps: impl Fn(u8) -> bool) -> String {
    let mut text = String::new();
    for byte in secret.bytes() {
        if keeps(byte) {
            text.push(byte.into());
        } else {
            text.push('%');
            digits(&mut text, &[byte], upper);
        }
    }
    text
}

/// The characters that are the same whatever stands before and after the secret, `offset` bytes into a group of three.
fn base64_within(secret: &[u8], offset: usize, url_safe: bool) -> String {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(secret);
    let text = if url_safe {
        URL_SAFE_NO_PAD.encode(&padded)
    } else {
        STANDARD_NO_PAD.encode(&padded)
    };
    // A character carries six bits: the first ones mix with what is before, the last one with what follows.
    let (first, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    text[first..end].to_owned()
}

/// RFC 8259 §7.
fn json(secret: &str, upper: bool, slash: bool, escapes: impl Fn(char) -> bool) -> String {
    let mut text = String::new();
    for character in secret.chars() {
        let must = character.is_control() && character.is_ascii();
        if must || escapes(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str("\\u");
                digits(&mut text, &unit.to_be_bytes(), upper);
            }
        } else {
            if matches!(character, '"' | '\\') || (slash && character == '/') {
                text.push('\\');
            }
            text.push(character);
        }
    }
    text
}
