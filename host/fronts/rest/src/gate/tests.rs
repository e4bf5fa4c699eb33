//! The gate without a listener: what it is made of, and what it refuses to be made of.

use super::*;

fn settings(listens_on: &str) -> GateSettings {
    GateSettings {
        listens_on: listens_on.parse().unwrap(),
        public_url: None,
        allowed_origins: Vec::new(),
        keys: Vec::new(),
        requests_per_second: None,
    }
}

fn key() -> CallerKey {
    CallerKey {
        digest: KeyDigest::of("key"),
        tenant: TenantId::new("ann").unwrap(),
        profile: None,
    }
}

fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
    let entry = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    entries.iter().map(entry).collect()
}

#[test]
fn nobody_is_let_in_from_elsewhere_without_a_key() {
    for exposed in ["0.0.0.0:80", "192.168.1.5:4658", "[::]:4658"] {
        assert!(matches!(
            Gate::new(settings(exposed)),
            Err(GateError::NoKeys(_))
        ));
    }
    // A proxy makes the loopback interface reachable for everybody.
    let mut public = settings("127.0.0.1:4658");
    public.public_url = Some("https://holster.example.com/".parse().unwrap());
    assert!(Gate::new(public.clone()).is_err());
    public.keys.push(key());
    let gate = Gate::new(public).unwrap();
    assert!(gate.admit(&headers(&[])).is_err());
    let caller = gate
        .admit(&headers(&[("authorization", "bearer key")]))
        .unwrap();
    assert_eq!(caller.tenant.as_str(), "ann");
}

#[test]
fn an_origin_is_written_as_browsers_write_it() {
    for wrong in [
        "agents.example.com",
        "https://",
        "https://a.example/path",
        "null",
        "*",
    ] {
        let mut settings = settings("127.0.0.1:1");
        settings.allowed_origins.push(wrong.to_owned());
        assert!(
            matches!(Gate::new(settings), Err(GateError::Origin(_))),
            "{wrong}"
        );
    }
}

#[test]
fn a_request_belongs_to_the_conversation_that_it_names() {
    let gate = Gate::new(settings("127.0.0.1:1")).unwrap();
    for (entries, thread) in [
        (&[][..], "http"),
        (&[("mcp-session-id", "s")], "session-s"),
        (&[("mcp-session-id", "s"), ("holster-thread", "t")], "t"),
    ] {
        let caller = gate.admit(&headers(entries)).unwrap();
        assert_eq!(caller.thread.as_str(), thread);
    }
    let spaced = headers(&[("holster-thread", "a b")]);
    assert!(gate.admit(&spaced).is_err());
}
