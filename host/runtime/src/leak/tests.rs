use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use holster_types::GrantSecret;

use super::*;
use crate::sealing::tests::grant;

/// A watch for one secret of `slack`.
pub(crate) fn watch(secret: &str) -> Arc<LeakWatch> {
    LeakWatch::new(
        Arc::new([Sealed::seal(grant(secret, &[]), false)]),
        &NeedleCache::new(),
    )
}

fn is_found(watch: &LeakWatch, text: impl AsRef<[u8]>) -> bool {
    watch.finds(text.as_ref(), LeakPlace::Answer)
}

/// With a character of every kind that some encoder treats in its own way.
const SECRET: &str = "planted/secret+of~\"ann\"<&>=";

#[test]
fn a_secret_is_found_however_a_service_writes_it() {
    let (mut percent, mut escaped, mut hex) = (String::new(), String::new(), String::new());
    for byte in SECRET.bytes() {
        write!(percent, "%{byte:02x}").unwrap();
        write!(escaped, "\\u{byte:04X}").unwrap();
        write!(hex, "{byte:02x}").unwrap();
    }
    for form in [
        SECRET.to_owned(),
        percent.clone(),
        percent.to_uppercase(),
        "planted%2Fsecret%2Bof~%22ann%22%3C%26%3E%3D".to_owned(),
        "planted%2fsecret%2bof~%22ann%22%3c%26%3e%3d".to_owned(),
        // A form leaves other characters alone than a query or a path does.
        "planted%2Fsecret%2Bof%7E%22ann%22%3C%26%3E%3D".to_owned(),
        "planted/secret+of~%22ann%22%3C&%3E=".to_owned(),
        "planted%2Fsecret+of~%22ann%22%3C&%3E=".to_owned(),
        hex.clone(),
        hex.to_uppercase(),
        serde_json::to_string(SECRET).unwrap(),
        r#"planted\/secret+of~\"ann\"<&>="#.to_owned(),
        r#"planted/secret+of~\"ann\"\u003c\u0026\u003e="#.to_owned(),
        r"planted/secret\u002Bof~\u0022ann\u0022\u003C\u0026\u003E=".to_owned(),
        escaped,
    ] {
        assert!(
            is_found(&watch(SECRET), format!("you sent {form}, thanks")),
            "{form}"
        );
    }
}

#[test]
fn a_secret_is_found_in_base64_at_each_offset() {
    for secret in [SECRET, "12345678", "123456789", "planted-secret>>>???"] {
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "\"", "}\n"] {
                let whole = format!("{before}{secret}{after}");
                for text in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                    assert!(is_found(&watch(secret), &text), "{whole}: {text}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_secret_is_not_found() {
    let watch = watch("planted-secret");
    for text in [
        "",
        "planted-secre",
        "planted secret",
        "lanted-secret",
        "cGxhbnRlZA==",
        "706c616e746564",
    ] {
        assert!(!is_found(&watch, text), "{text}");
    }
    assert_eq!(watch.found(), None);
}

#[test]
fn a_secret_that_the_guest_may_see_or_that_is_too_short_is_not_looked_for() {
    let revealed = Sealed::seal(grant("planted-secret", &[]), true);
    let watch_of = |grants: Vec<Sealed>| LeakWatch::new(grants.into(), &NeedleCache::new());
    assert!(!is_found(
        &watch_of(vec![revealed.clone()]),
        "planted-secret"
    ));
    assert!(!is_found(&watch("1234567"), "1234567"));
    assert!(is_found(&watch("12345678"), "12345678"));
    assert!(!is_found(&watch_of(Vec::new()), "planted-secret"));
    // One that is revealed does not reveal the others.
    let sealed = Sealed::seal(grant("other-secret", &[]), false);
    assert!(is_found(&watch_of(vec![revealed, sealed]), "other-secret"));
}

#[test]
fn both_parts_of_a_pair_and_what_http_basic_joins_are_looked_for() {
    let watch_for = |secret| {
        let mut grant = grant("", &[]);
        grant.secret = secret;
        LeakWatch::new(Arc::new([Sealed::seal(grant, false)]), &NeedleCache::new())
    };
    let pair = watch_for(GrantSecret::KeyPair {
        key: "planted-key".into(),
        secret: "planted-secret".into(),
    });
    assert!(is_found(&pair, "planted-key") && is_found(&pair, "planted-secret"));
    let encoded = STANDARD.encode("ann:a-planted-password");
    let basic = watch_for(GrantSecret::Basic(encoded.clone().into()));
    for text in [
        encoded.as_str(),
        "ann:a-planted-password",
        "a-planted-password",
    ] {
        assert!(is_found(&basic, text), "{text}");
    }
    assert!(!is_found(&basic, "ann"));
    // Here the user name is the key, and the password a word.
    let encoded = STANDARD.encode("planted-key:api_token");
    let basic = watch_for(GrantSecret::Basic(encoded.into()));
    assert!(is_found(&basic, "planted-key:api_token") && !is_found(&basic, "api_token"));
}

#[test]
fn of_a_long_secret_its_end_is_looked_for() {
    let token = format!("{}{}", "a".repeat(10_000), "b".repeat(64));
    let watch = watch(&token);
    assert!(!is_found(&watch, &token[..token.len() - 1]));
    assert!(is_found(&watch, &token));
    let accented = format!("{}{}", "é".repeat(40), "x".repeat(63));
    assert!(is_found(&super::tests::watch(&accented), &accented));
}

#[test]
fn a_secret_is_found_wherever_its_pieces_are_cut() {
    let text = format!("before {} after", STANDARD.encode(SECRET));
    for cut in 0..text.len() {
        let watch = watch(SECRET);
        let mut following = watch.follow(LeakPlace::RequestBody).unwrap();
        let (first, second) = text.as_bytes().split_at(cut);
        assert!(following.finds(first) || following.finds(second), "{cut}");
        let leak = watch.found().unwrap();
        assert_eq!(leak.place, LeakPlace::RequestBody);
        assert_eq!(leak.provider.as_str(), "slack");
    }
}

#[test]
fn a_leak_names_the_provider_and_the_place_and_never_the_secret() {
    let watch = watch("planted-secret");
    assert!(is_found(&watch, "planted-secret"));
    let leak = watch.found().unwrap();
    assert!(!format!("{leak} {leak:?}").contains("planted"));
    assert_eq!(
        leak.to_string(),
        "the secret of `slack` is in the tool's answer, so that is withheld; a service sent it back to the tool, which \
         must not pass it on"
    );
}

#[test]
fn what_is_looked_for_is_made_once_for_the_same_secrets() {
    let cache = NeedleCache::new();
    let needles = |secret: &str| {
        let grants = [Sealed::seal(grant(secret, &[]), false)];
        cache.needles_of(&grants).unwrap()
    };
    let first = needles("planted-secret");
    assert!(Arc::ptr_eq(&first, &needles("planted-secret")));
    assert!(!Arc::ptr_eq(&first, &needles("renewed-secret")));
    assert!(Arc::ptr_eq(&first, &needles("planted-secret")));
    for other in 0..100 {
        needles(&format!("other-secret-{other}"));
    }
    assert!(!Arc::ptr_eq(&first, &needles("planted-secret")));
    assert!(cache.needles_of(&[]).is_none());
}
