use holster_core::broker::{CredentialKind, Field, InvalidSecret, User, Way};
use holster_core::types::{ConnectionId, ProfileName, ProviderId, Scopes};

use super::*;

const NOW: u64 = 1_800_000_000;

/// What a server, a file or a person may put into any text.
const MARKUP: &str = "<script>alert(1)</script>\"'&";

fn shown(state: ConnectionState, offer: Stage) -> ConnectPage {
    ConnectPage {
        connection: Connection {
            id: ConnectionId::new("kQ3v9tB1xYw2Z5nM8rLpJg").unwrap(),
            owner: Owner {
                tenant: TenantId::local(),
                profile: ProfileName::new("work").unwrap(),
            },
            provider: ProviderId::new("slack").unwrap(),
            scopes: ["channels:history", "chat:write", "users:read"]
                .into_iter()
                .collect(),
            state,
            created_at: NOW - 60,
            expires_at: NOW + 540,
        },
        title: "Slack".to_owned(),
        doc_url: "https://docs.slack.dev/authentication/installing-with-oauth".to_owned(),
        hint: Some("A bot token `xoxb-…` or a user token `xoxp-…`.".to_owned()),
        replaces: None,
        stage: offer,
    }
}

fn field(name: &str, label: &str) -> Field {
    Field {
        name: name.to_owned(),
        label: label.to_owned(),
        example: None,
        choices: Vec::new(),
        value: String::new(),
        secret: false,
        optional: false,
    }
}

fn secret(name: &str, label: &str) -> Field {
    Field {
        secret: true,
        ..field(name, label)
    }
}

fn consent() -> Way {
    Way::Consent {
        host: "slack.com".to_owned(),
        variables: Vec::new(),
    }
}

fn domain() -> Field {
    Field {
        example: Some("acme.my.salesforce.com".to_owned()),
        value: "login.salesforce.com".to_owned(),
        ..field("domain", "Domain of your organisation")
    }
}

fn token() -> Way {
    Way::Enter {
        kind: CredentialKind::ApiKey,
        fields: vec![secret("token", "Token")],
    }
}

fn password() -> Way {
    Way::Enter {
        kind: CredentialKind::Basic,
        fields: vec![
            domain(),
            field("username", "User name"),
            Field {
                optional: true,
                ..secret("password", "Password")
            },
        ],
    }
}

fn choose(ways: Vec<Way>) -> ConnectPage {
    let stage = Stage::Choose {
        ways,
        closed: Vec::new(),
    };
    shown(ConnectionState::Created, stage)
}

fn code() -> DeviceCode {
    DeviceCode {
        user_code: "WDJB-MJHT".to_owned(),
        verification_url: "https://github.com/login/device".to_owned(),
        complete_url: Some("https://github.com/login/device?user_code=WDJB-MJHT".to_owned()),
        expires_at: NOW + 900,
    }
}

/// Nobody has a key, and nobody signs in anywhere.
fn nobody() -> Callers {
    Callers::default()
}

/// Those whom a configuration names.
fn callers(config: &str) -> Callers {
    let config = holster_core::Config::parse(config, "holster.toml".as_ref()).unwrap();
    Callers::new(&config.serve)
}

const ISSUER: &str =
    "[serve.issuers.acme]\nissuer = 'https://login.acme.example'\nclient = { id = 'holster' }\n";

fn key() -> String {
    let digest = holster_core::types::KeyDigest::of("key");
    format!("[serve.keys.agent]\nsha256 = '{digest}'\ntenant = 'ann'\n")
}

fn over(state: ConnectionState) -> ConnectPage {
    shown(state, Stage::Over)
}

fn problem(way: ChosenWay, error: ChoiceError) -> Problem {
    let entered = [
        ("domain", "acme.example"),
        ("username", "anna"),
        ("password", "PLANTED-SECRET"),
        ("token", "PLANTED-SECRET"),
    ];
    Problem {
        way,
        error,
        entered: entered
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into(),
    }
}

/// The pages for those whom this host does not know, or knows as others.
fn for_strangers() -> Vec<(&'static str, Page)> {
    let stranger = shown(
        ConnectionState::Created,
        Stage::Stranger {
            visitor: User {
                tenant: TenantId::new("acme/bob").unwrap(),
                profile: Some(ProfileName::new("work").unwrap()),
            },
        },
    );
    let sign_in = shown(ConnectionState::Created, Stage::SignIn);
    let asked = |callers: &Callers| connection(&sign_in, callers, NOW, None);
    let both = callers(&format!("{ISSUER}{}", key()));
    vec![
        ("sign-in", asked(&both)),
        ("sign-in-by-key", asked(&callers(&key()))),
        ("sign-in-nowhere", asked(&nobody())),
        ("stranger", connection(&stranger, &both, NOW, None)),
        ("not-signed-in", not_signed_in("this key is not known here")),
    ]
}

/// Every page there is, by a name.
fn gallery() -> Vec<(&'static str, Page)> {
    let page = |page: &ConnectPage| connection(page, &nobody(), NOW, None);
    let mut wide = choose(vec![consent(), Way::Device { variables: vec![] }, token()]);
    wide.connection.owner.tenant = TenantId::new("anna@acme.example").unwrap();
    wide.connection.scopes = (1..=9)
        .map(|number| format!("https://www.googleapis.com/auth/service.{number}.readonly"))
        .collect();
    wide.replaces = Some("anna@acme.example".to_owned());
    let mut closed = choose(vec![token()]);
    closed.stage = Stage::Choose {
        ways: vec![token()],
        closed: vec![
            "consent in the browser: it sends browsers back to a public https address only; set `public_url` in \
             `[connect]`"
                .to_owned(),
        ],
    };
    let mut nothing = closed.clone();
    if let Stage::Choose { ways, .. } = &mut nothing.stage {
        ways.clear();
    }
    let mut waiting = choose(vec![consent(), token()]);
    waiting.connection.state = ConnectionState::Waiting;
    let basic = choose(vec![consent(), password()]);
    let wrong_field = problem(
        ChosenWay::Enter(CredentialKind::Basic),
        ChoiceError::Field {
            label: "Domain of your organisation".to_owned(),
            reason: "use a host name, such as `acme.my.salesforce.com`".to_owned(),
        },
    );
    let not_accepted = problem(
        ChosenWay::Enter(CredentialKind::ApiKey),
        ChoiceError::NotAccepted {
            title: "Slack".to_owned(),
            reason: "it says `invalid_auth`".to_owned(),
        },
    );
    let mut refused = over(ConnectionState::Refused {
        reason: "the person or the provider said no: `access_denied`".to_owned(),
    });
    refused.replaces = Some("anna@acme.example".to_owned());
    let account = |account: Option<&str>| ConnectionState::Connected {
        account: account.map(str::to_owned),
    };
    [
        ("choose-consent", page(&choose(vec![consent()]))),
        ("choose-many", page(&wide)),
        ("choose-token", page(&closed)),
        ("choose-password", page(&choose(vec![password()]))),
        ("choose-nothing", page(&nothing)),
        ("choose-waiting", page(&waiting)),
        (
            "problem-field",
            connection(&basic, &nobody(), NOW, Some(&wrong_field)),
        ),
        (
            "problem-secret",
            connection(&closed, &nobody(), NOW, Some(&not_accepted)),
        ),
        (
            "code",
            page(&shown(ConnectionState::Waiting, Stage::Code(code()))),
        ),
        (
            "elsewhere",
            page(&shown(ConnectionState::Waiting, Stage::Elsewhere)),
        ),
        ("connected", page(&over(account(Some("anna@acme.example"))))),
        ("connected-unknown", page(&over(account(None)))),
        ("refused", page(&refused)),
        ("expired", page(&over(ConnectionState::Expired))),
        ("not-found", not_found()),
        ("not-allowed", not_allowed()),
        (
            "other-name",
            other_name(&"http://127.0.0.1:4657/".parse().unwrap()),
        ),
        ("other-origin", other_origin()),
        ("no-cookie", no_cookie()),
        ("too-large", too_large(StatusCode::PAYLOAD_TOO_LARGE)),
        ("too-slow", too_slow()),
        ("unreadable", unreadable()),
        ("failed", failed()),
    ]
    .into_iter()
    .chain(for_strangers())
    .collect()
}

fn html(page: &ConnectPage) -> String {
    connection(page, &nobody(), NOW, None).html.into_string()
}

#[track_caller]
fn assert_has(html: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(html.contains(text), "{text} is not in {html}");
    }
}

/// With `HOLSTER_PAGES=FOLDER` the pages are written there, to be looked at.
#[test]
fn every_page_is_whole_and_needs_no_script() {
    let folder = std::env::var_os("HOLSTER_PAGES").map(std::path::PathBuf::from);
    for (name, page) in gallery() {
        let html = page.html.into_string();
        assert_has(
            &html,
            &[
                "<!DOCTYPE html><html lang=\"en\">",
                "<meta name=\"viewport\"",
                "<title>",
                "<main>",
                "<h1>",
                "<footer>",
                "href=\"/connect.css\"",
            ],
        );
        assert_eq!(html.matches("<h1>").count(), 1, "{name}");
        // The policy would forbid both.
        assert!(
            !html.contains("<script") && !html.contains(" style="),
            "{name}"
        );
        if let Some(folder) = &folder {
            let beside = html.replace("/connect.css", "connect.css");
            std::fs::write(folder.join(format!("{name}.html")), beside).unwrap();
        }
    }
    if let Some(folder) = &folder {
        std::fs::write(folder.join("connect.css"), STYLE.as_str()).unwrap();
    }
}

#[test]
fn nothing_that_others_say_becomes_markup() {
    let text = || MARKUP.to_owned();
    let evil = |name: &str| Field {
        name: format!("{name}{MARKUP}"),
        label: text(),
        example: Some(text()),
        choices: Vec::new(),
        value: text(),
        secret: false,
        optional: true,
    };
    let ways = vec![
        Way::Consent {
            host: text(),
            variables: vec![evil("a")],
        },
        Way::Enter {
            kind: CredentialKind::Basic,
            fields: vec![evil("b")],
        },
    ];
    let device = DeviceCode {
        user_code: text(),
        verification_url: format!("https://example.com/{MARKUP}"),
        complete_url: Some(text()),
        expires_at: NOW,
    };
    let offers = [
        Stage::Choose {
            ways,
            closed: vec![text()],
        },
        Stage::Code(device),
        Stage::Elsewhere,
        Stage::Over,
    ];
    let states = [
        ConnectionState::Waiting,
        ConnectionState::Connected {
            account: Some(text()),
        },
        ConnectionState::Refused { reason: text() },
    ];
    let evil_problem = Problem {
        entered: BTreeMap::from([(format!("b{MARKUP}"), MARKUP.into())]),
        ..problem(
            ChosenWay::Enter(CredentialKind::Basic),
            ChoiceError::Field {
                label: text(),
                reason: text(),
            },
        )
    };
    for offer in offers {
        for state in &states {
            let mut page = shown(state.clone(), offer.clone());
            page.connection.scopes = Scopes::from_iter([MARKUP]);
            page.title = text();
            page.doc_url = text();
            page.hint = Some(text());
            page.replaces = Some(text());
            for problem in [None, Some(&evil_problem)] {
                let html = connection(&page, &nobody(), NOW, problem)
                    .html
                    .into_string();
                assert!(!html.contains("<script"), "{html}");
                assert!(!html.contains("\"'"), "{html}");
            }
        }
    }
}

#[test]
fn a_page_says_who_gets_what_and_where_the_button_leads() {
    let html = html(&choose(vec![consent()]));
    assert_has(
        &html,
        &[
            "The profile <strong>work</strong> will be able to use Slack as the account you choose.",
            "<code>channels:history</code>",
            "Continue to Slack",
            "<strong>slack.com</strong>",
            "The link works for another 9 minutes.",
            "name=\"way\" value=\"consent\"",
        ],
    );
    assert!(
        !html.contains("local"),
        "the one user of a laptop needs no name: {html}"
    );
}

#[test]
fn the_user_and_the_account_before_are_shown_where_there_are_any() {
    let mut page = choose(vec![consent()]);
    page.connection.owner.tenant = TenantId::new("anna").unwrap();
    page.replaces = Some("old@acme.example".to_owned());
    assert_has(
        &html(&page),
        &[
            "<strong>work</strong> of <strong>anna</strong>",
            "old@acme.example, which is connected now",
        ],
    );
}

#[test]
fn many_rights_are_folded() {
    let mut page = choose(vec![consent()]);
    assert!(!html(&page).contains("rights</summary>"));
    page.connection.scopes = (0..7).map(|number| format!("right.{number}")).collect();
    assert_has(&html(&page), &["<summary>7 rights</summary>", "right.6"]);
}

#[test]
fn every_field_has_a_label_and_secrets_are_not_shown() {
    let html = html(&choose(vec![password()]));
    assert_has(
        &html,
        &[
            "<label for=\"way-1-1\">Domain of your organisation</label>",
            "<input id=\"way-1-1\" name=\"domain\" type=\"text\" value=\"login.salesforce.com\" required \
             autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\" aria-describedby=\"way-1-1-example\">",
            "<p class=\"note\" id=\"way-1-1-example\">For example <code>acme.my.salesforce.com</code></p>",
            "<label for=\"way-1-3\">Password <span class=\"optional\">(optional)</span></label>",
            "<input id=\"way-1-3\" name=\"password\" type=\"password\" autocomplete=\"off\"",
            "value=\"enter:basic\"",
        ],
    );
}

#[test]
fn a_problem_is_told_at_its_field_and_what_is_no_secret_stays_entered() {
    let wrong = problem(
        ChosenWay::Enter(CredentialKind::Basic),
        ChoiceError::Field {
            label: "User name".to_owned(),
            reason: "it is `empty`".to_owned(),
        },
    );
    let page = connection(
        &choose(vec![consent(), password()]),
        &nobody(),
        NOW,
        Some(&wrong),
    );
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let html = page.html.into_string();
    assert_has(
        &html,
        &[
            "<details open><summary>Enter a user name and a password</summary>",
            "value=\"acme.example\"",
            "value=\"anna\" required autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\" \
             aria-describedby=\"way-2-2-error\" aria-invalid=\"true\" autofocus>",
            "<p class=\"problem\" id=\"way-2-2-error\">It is <code>empty</code>.</p>",
        ],
    );
    assert!(!html.contains("PLANTED-SECRET"), "{html}");
}

#[test]
fn a_problem_of_no_field_is_told_at_its_form() {
    for (error, status, told) in [
        (
            ChoiceError::Secret(InvalidSecret::Empty("token")),
            StatusCode::UNPROCESSABLE_ENTITY,
            "<p class=\"problem\" role=\"alert\">The token is empty.</p>",
        ),
        (
            ChoiceError::Unreachable {
                title: "Slack".to_owned(),
                reason: "no answer in 10 s".to_owned(),
            },
            StatusCode::BAD_GATEWAY,
            "<p class=\"problem\" role=\"alert\">Slack cannot be asked now: no answer in 10 s; try again.</p>",
        ),
    ] {
        let problem = problem(ChosenWay::Enter(CredentialKind::ApiKey), error);
        let page = connection(
            &choose(vec![consent(), token()]),
            &nobody(),
            NOW,
            Some(&problem),
        );
        assert_eq!(page.status, status);
        let html = page.html.into_string();
        assert_eq!(html.matches("role=\"alert\"").count(), 1, "{html}");
        assert_has(&html, &[told]);
        assert!(!html.contains("PLANTED-SECRET"), "{html}");
    }
}

#[test]
fn a_way_that_the_page_does_not_offer_is_refused_on_top() {
    let closed = ChoiceError::Closed("`public_url` is not set".to_owned());
    let problem = problem(ChosenWay::Device, closed);
    let page = connection(&choose(vec![consent()]), &nobody(), NOW, Some(&problem));
    assert_has(
        &page.html.into_string(),
        &["role=\"alert\">That way in is not open here: <code>public_url</code> is not set.</p>"],
    );
}

#[test]
fn the_page_with_a_code_looks_again_until_it_is_over() {
    let refresh = "<meta http-equiv=\"refresh\" content=\"5\">";
    for (name, page) in gallery() {
        let html = page.html.into_string();
        assert_eq!(html.contains(refresh), name == "code", "{name}");
    }
}

#[test]
fn only_a_web_address_becomes_a_link() {
    for (url, linked) in [
        ("https://github.com/login/device", true),
        ("http://127.0.0.1:8080/device", true),
        ("javascript:alert(1)", false),
        ("data:text/html,hello", false),
        ("github.com/login/device", false),
        ("", false),
    ] {
        let code = DeviceCode {
            verification_url: url.to_owned(),
            complete_url: None,
            ..code()
        };
        let html = html(&shown(ConnectionState::Waiting, Stage::Code(code)));
        assert_eq!(html.contains(&format!("href=\"{url}\"")), linked, "{html}");
        assert_has(&html, &["WDJB-MJHT", url]);
    }
}

#[test]
fn a_form_may_lead_only_to_where_its_ways_do() {
    let way = |host: &str| Way::Consent {
        host: host.to_owned(),
        variables: Vec::new(),
    };
    for (ways, form_action) in [
        (vec![token()], "form-action 'self';"),
        (
            vec![Way::Device { variables: vec![] }],
            "form-action 'self';",
        ),
        (
            vec![token(), way("slack.com")],
            "form-action 'self' https:;",
        ),
        (
            vec![way("localhost:9000")],
            "form-action 'self' https: http://127.0.0.1:* http://localhost:*;",
        ),
        (
            vec![way("127.0.0.1")],
            "form-action 'self' https: http://127.0.0.1:* http://localhost:*;",
        ),
        (vec![way("{domain}")], "form-action 'self' https:;"),
    ] {
        let page = connection(&choose(ways), &nobody(), NOW, None);
        assert!(page.policy.contains(form_action), "{}", page.policy);
    }
    let sign_in = shown(ConnectionState::Created, Stage::SignIn);
    let local = ISSUER.replace("https://login.acme.example", "http://127.0.0.1:9");
    for (callers, form_action) in [
        (nobody(), "form-action 'self';"),
        (callers(&key()), "form-action 'self';"),
        (callers(ISSUER), "form-action 'self' https:;"),
        (
            callers(&local),
            "form-action 'self' https: http://127.0.0.1:* http://localhost:*;",
        ),
    ] {
        let page = connection(&sign_in, &callers, NOW, None);
        assert!(page.policy.contains(form_action), "{}", page.policy);
    }
}

#[test]
fn who_has_not_shown_who_they_are_learns_nothing_of_the_connection() {
    for (name, page) in for_strangers() {
        let html = page.html.into_string();
        for private in ["Slack", "slack", "chat:write"] {
            assert!(!html.contains(private), "{private} in {name}: {html}");
        }
    }
}

#[test]
fn the_end_says_what_became_of_it_and_what_to_do() {
    for (name, told) in [
        (
            "connected",
            "now uses Slack as <strong>anna@acme.example</strong>.",
        ),
        ("connected", "You can close this page"),
        (
            "connected-unknown",
            "The profile <strong>work</strong> can use Slack now.",
        ),
        ("refused", "said no: <code>access_denied</code>."),
        (
            "refused",
            "<strong>anna@acme.example</strong> stays connected",
        ),
        ("expired", "ask for a new link"),
        ("elsewhere", "in another browser"),
        ("sign-in", "Sign in at acme"),
        ("sign-in", "<strong>login.acme.example</strong>"),
        ("sign-in-by-key", "type=\"password\""),
        ("sign-in-nowhere", "holster key new"),
        ("stranger", "signed in as <strong>acme/bob</strong>"),
        ("not-signed-in", "Nothing was done."),
        ("choose-nothing", "no way in"),
        ("choose-nothing", "<code>public_url</code>"),
        ("choose-waiting", "Waiting for Slack's answer."),
    ] {
        let gallery = gallery();
        let (_, page) = gallery
            .into_iter()
            .find(|(other, _)| *other == name)
            .unwrap();
        assert_has(&page.html.into_string(), &[told]);
    }
}

#[test]
fn times_and_sentences_are_for_people() {
    assert_eq!(time_left(NOW, NOW), "no longer");
    assert_eq!(time_left(NOW + 60, NOW), "another minute");
    assert_eq!(time_left(NOW + 61, NOW), "another 2 minutes");
    assert_eq!(time_left(NOW + 86_400, NOW), "another 24 hours");
    assert_eq!(sentence("élan"), "Élan.");
    assert_eq!(sentence("Why?"), "Why?");
    assert_eq!(sentence(""), ".");
}
