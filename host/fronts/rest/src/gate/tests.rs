//! The gate without a listener: what it is made of, and what it refuses to be made of.

use holster_core::types::KeyDigest;

use super::*;

fn settings(listens_on: &str) -> GateSettings {
    GateSettings {
        listens_on: listens_on.parse().unwrap(),
        public_url: None,
        allowed_origins: Vec::new(),
        callers: callers(""),
        requests_per_second: None,
    }
}

/// Those whom a configuration names.
fn callers(config: &str) -> Arc<Callers> {
    let config = holster_core::Config::parse(config, "holster.toml".as_ref()).unwrap();
    Arc::new(Callers::new(&config.serve))
}

/// A program with the key `key`.
fn program() -> Arc<Callers> {
    let digest = KeyDigest::of("key");
    callers(&format!(
        "[serve.keys.agent]\nsha256 = '{digest}'\ntenant = 'ann'"
    ))
}

fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
    let entry = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    entries.iter().map(entry).collect()
}

/// Settings of a host behind a proxy, which takes tokens of an issuer that nobody asks here.
fn public() -> GateSettings {
    let issuer =
        "[serve.issuers.company]\nissuer = 'http://127.0.0.1:9'\nscopes = ['tools', 'more']";
    GateSettings {
        public_url: Some("https://holster.example.com/".parse().unwrap()),
        callers: callers(issuer),
        ..settings("127.0.0.1:4658")
    }
}

#[tokio::test]
async fn nobody_is_let_in_from_elsewhere_without_a_key() {
    for exposed in ["0.0.0.0:80", "192.168.1.5:4658", "[::]:4658"] {
        assert!(matches!(
            Gate::new(settings(exposed)),
            Err(GateError::NoKeys(_))
        ));
    }
    // A proxy makes the loopback interface reachable for everybody.
    let mut public = public();
    public.callers = callers("");
    assert!(Gate::new(public.clone()).is_err());
    public.callers = program();
    let gate = Gate::new(public).unwrap();
    assert!(gate.admit("/mcp", &headers(&[])).await.is_err());
    let caller = gate
        .admit("/mcp", &headers(&[("authorization", "bearer key")]))
        .await
        .unwrap();
    assert_eq!(caller.tenant.as_str(), "ann");
}

#[test]
fn only_who_runs_the_host_may_read_what_tells_of_all_users() {
    let (user, watching) = (KeyDigest::of("key"), KeyDigest::of("watching"));
    let mut settings = settings("127.0.0.1:1");
    settings.callers = callers(&format!(
        "[serve.keys.agent]\nsha256 = '{user}'\ntenant = 'ann'\n\
         [serve.keys.prometheus]\nsha256 = '{watching}'\ntenant = 'watch'\nmetrics = true"
    ));
    let private = Gate::new(settings.clone()).unwrap();
    settings.public_url = Some("https://holster.example.com/".parse().unwrap());
    let public = Gate::new(settings).unwrap();
    for (authorization, at_private, at_public) in [
        (None, true, false),
        (Some("Bearer key"), false, false),
        (Some("Bearer watching"), true, true),
        (Some("Bearer other"), false, false),
        (Some("Basic watching"), false, false),
    ] {
        let sent = authorization.map(|value| ("authorization", value));
        let headers = headers(sent.as_slice());
        assert_eq!(private.may_watch(&headers), at_private, "{authorization:?}");
        assert_eq!(public.may_watch(&headers), at_public, "{authorization:?}");
    }
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

#[tokio::test]
async fn a_request_belongs_to_the_conversation_that_it_names() {
    let gate = Gate::new(settings("127.0.0.1:1")).unwrap();
    for (entries, thread) in [
        (&[][..], "http"),
        (&[("mcp-session-id", "s")], "session-s"),
        (&[("mcp-session-id", "s"), ("holster-thread", "t")], "t"),
    ] {
        let caller = gate.admit("/mcp", &headers(entries)).await.unwrap();
        assert_eq!(caller.thread.as_str(), thread);
    }
    let spaced = headers(&[("holster-thread", "a b")]);
    assert!(gate.admit("/mcp", &spaced).await.is_err());
}

#[tokio::test]
async fn who_is_refused_learns_where_tokens_are_issued_and_why() {
    let gate = Gate::new(public()).unwrap();
    let root = "https://holster.example.com/.well-known/oauth-protected-resource";
    let scope = r#"scope="more tools""#;
    for (path, authorization, parts) in [
        (
            "/mcp",
            None,
            [
                format!(r#"resource_metadata="{root}/mcp""#),
                scope.to_owned(),
            ],
        ),
        (
            "/v1/tools",
            None,
            [format!(r#"resource_metadata="{root}""#), scope.to_owned()],
        ),
        (
            "/mcp",
            Some("Bearer holster_x"),
            [
                format!(r#"resource_metadata="{root}/mcp", error="invalid_token""#),
                r#"error_description="this is neither a key of this host nor a JWT""#.to_owned(),
            ],
        ),
    ] {
        let sent: Vec<_> = authorization
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        let problem = gate.admit(path, &headers(&sent)).await.unwrap_err();
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        for part in parts {
            assert!(challenge.contains(&part), "{part} is not in {challenge}");
        }
        assert_eq!(challenge.contains("error="), authorization.is_some());
    }
}

#[test]
fn there_is_metadata_of_the_two_resources_and_of_nothing_else() {
    let gate = Gate::new(public()).unwrap();
    let origin = gate.origin_of(&headers(&[("host", "127.0.0.1:4658")]));
    let at = |path: &str| {
        let metadata = resource::metadata(gate.callers.issuers(), &origin, path)?;
        Some(serde_json::to_value(metadata).unwrap())
    };
    let root = "/.well-known/oauth-protected-resource";
    assert_eq!(
        at(&format!("{root}/mcp")).unwrap(),
        serde_json::json!({
            "resource": "https://holster.example.com/mcp",
            "authorization_servers": ["http://127.0.0.1:9"],
            "scopes_supported": ["more", "tools"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Holster",
        })
    );
    assert_eq!(
        at(root).unwrap()["resource"],
        "https://holster.example.com/"
    );
    for other in ["/v1", "/mcp/", "/../mcp", "x"] {
        assert_eq!(at(&format!("{root}{other}")), None, "{other}");
    }
    let without = Gate::new(settings("127.0.0.1:4658")).unwrap();
    assert!(resource::metadata(without.callers.issuers(), "http://127.0.0.1:4658", root).is_none());
}
