//! Refreshing against a provider that ends the whole consent when a used token comes back.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Condvar;

use futures::future::join_all;
use holster_types::{ExposeSecret, ProfileName, TenantId};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::*;
use crate::credential::{NewCredential, TokenClient};
use crate::vault::KeyFile;

const ROTATES: RenewPolicy = RenewPolicy {
    reuse_grace_s: 0,
    rotates: true,
};
const SOON: Renew = Renew::Expiring { within_s: 300 };
const HOUR: u64 = 3600;

/// A provider that rotates: each refresh token works once, and ends everything if it comes back.
#[derive(Debug, Default)]
struct Provider {
    state: Mutex<State>,
    waiting: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: u32,
    /// The token that works.
    current: String,
    /// Whether one that was used has come back.
    is_over: bool,
    ready: u32,
}

impl Provider {
    fn consent(&self, refresh: &str) {
        let mut state = self.state.lock().unwrap();
        *state = State {
            current: refresh.to_owned(),
            ..State::default()
        };
    }

    fn requests(&self) -> u32 {
        self.state.lock().unwrap().requests
    }

    /// The access token and the next refresh token.
    fn refresh(&self, refresh: &str) -> Option<(String, String)> {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        if state.is_over || state.current != refresh {
            state.is_over = true;
            return None;
        }
        let number = state.requests;
        state.current = format!("{refresh}.{number}");
        Some((
            format!("access of {}", state.current),
            state.current.clone(),
        ))
    }

    /// A request to it, as the protocol would make it.
    async fn answer(self: Arc<Self>, secret: CredentialSecret) -> Result<Renewed, RenewFailure> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let refresh = refresh_token(&secret);
        match self.refresh(&refresh) {
            Some((access, next)) => Ok(renewed(&access, Some(&next))),
            None => Err(RenewFailure::InvalidGrant("it was used before".to_owned())),
        }
    }

    /// Serves `refresh TOKEN` and `ready`, a line each, until the test ends.
    fn serve(self: Arc<Self>, parties: u32) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let provider = Arc::clone(&self);
                std::thread::spawn(move || provider.converse(&connection.unwrap(), parties));
            }
        });
        address
    }

    fn converse(&self, mut connection: &TcpStream, parties: u32) -> Option<()> {
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).ok()?;
        let answer = if let Some(("refresh", token)) = line.trim().split_once(' ') {
            let answer = self.refresh(token);
            std::thread::sleep(Duration::from_millis(30));
            answer.map_or_else(
                || "invalid_grant\n".to_owned(),
                |(access, refresh)| format!("{access}|{refresh}\n"),
            )
        } else {
            let mut state = self.state.lock().unwrap();
            state.ready += 1;
            self.waiting.notify_all();
            let patience = Duration::from_secs(20);
            drop(
                self.waiting
                    .wait_timeout_while(state, patience, |state| state.ready < parties),
            );
            "go\n".to_owned()
        };
        connection.write_all(answer.as_bytes()).ok()
    }
}

/// One line to the served provider, and its answer.
async fn say(address: SocketAddr, line: String) -> String {
    blocking(move || {
        let mut connection = TcpStream::connect(address).unwrap();
        connection
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        BufReader::new(connection).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    })
    .await
}

async fn ask_served(
    address: SocketAddr,
    secret: CredentialSecret,
) -> Result<Renewed, RenewFailure> {
    let answer = say(address, format!("refresh {}", refresh_token(&secret))).await;
    match answer.split_once('|') {
        Some((access, refresh)) => Ok(renewed(access, Some(refresh))),
        None => Err(RenewFailure::InvalidGrant(answer)),
    }
}

fn oauth(access: &str, refresh: Option<&str>) -> CredentialSecret {
    CredentialSecret::OAuth(OAuthTokens {
        access: access.into(),
        refresh: refresh.map(Into::into),
        dpop_key: None,
        client: TokenClient {
            id: "client".into(),
            secret: None,
        },
        variables: BTreeMap::new(),
    })
}

fn renewed(access: &str, refresh: Option<&str>) -> Renewed {
    Renewed {
        secret: oauth(access, refresh),
        expires_at: Some(now() + HOUR),
        scopes: None,
    }
}

fn access_token(held: &Held) -> String {
    match &held.secret {
        CredentialSecret::OAuth(tokens) => tokens.access.expose_secret().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn refresh_token(secret: &CredentialSecret) -> String {
    secret.renewed_with().unwrap().expose_secret().to_owned()
}

fn owner() -> Owner {
    Owner {
        tenant: TenantId::local(),
        profile: ProfileName::new("work").unwrap(),
    }
}

fn linear() -> ProviderId {
    ProviderId::new("linear").unwrap()
}

fn vault(folder: &Path) -> Arc<Vault> {
    Arc::new(Vault::new(
        folder,
        Box::new(KeyFile::in_data_folder(folder)),
    ))
}

/// A vault with one consent of an hour ago, whose access token expires in so many seconds; less than none: it has.
struct Setting {
    folder: TempDir,
    vault: Arc<Vault>,
    provider: Arc<Provider>,
}

impl Setting {
    async fn expiring_in(seconds: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setting = Self {
            vault: vault(folder.path()),
            folder,
            provider: Arc::default(),
        };
        setting.connect("first", seconds).await;
        setting
    }

    async fn connect(&self, refresh: &str, seconds: i64) {
        self.provider.consent(refresh);
        let credential = NewCredential {
            account: Some("me".into()),
            scopes: Some(["read", "write"].into_iter().collect()),
            expires_at: now().checked_add_signed(seconds),
            ..NewCredential::new(oauth("old", Some(refresh)))
        };
        let store = self.vault.made().await.unwrap();
        store
            .put(&owner(), &linear(), &credential, now() - HOUR)
            .await
            .unwrap();
        self.vault.has_written();
    }

    /// As another process sees it.
    fn other_process(&self) -> Arc<Vault> {
        vault(self.folder.path())
    }

    async fn renew(&self, why: Renew) -> Outcome {
        let provider = Arc::clone(&self.provider);
        renew_with(&self.vault, why, ROTATES, move |secret| {
            provider.answer(secret)
        })
        .await
    }

    async fn fail(&self, why: Renew, failure: RenewFailure) -> Outcome {
        renew_with(&self.vault, why, ROTATES, move |_| async { Err(failure) }).await
    }

    async fn found(&self) -> Option<Arc<Held>> {
        self.vault.find(&owner(), &linear()).await.unwrap()
    }

    async fn generation(&self) -> i64 {
        self.found().await.unwrap().generation
    }

    async fn problem(&self) -> Option<String> {
        let listed = self.vault.list(&TenantId::local()).await.unwrap();
        listed[0].problem.clone()
    }

    async fn run(&self, statement: &'static str) {
        let mut connection = SqliteConnectOptions::new()
            .filename(self.folder.path().join("vault/credentials.db"))
            .connect()
            .await
            .unwrap();
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// The refresh tokens that the provider is to be told of now.
    async fn to_revoke(&self) -> Vec<String> {
        let due = self.vault.due_revocations().await.unwrap();
        due.iter()
            .map(|due| due.revoked.refresh.as_ref().unwrap().expose_secret())
            .map(str::to_owned)
            .collect()
    }

    async fn journal(&self) -> i64 {
        let (store, ..) = self.vault.read(&owner(), &linear()).await.unwrap().unwrap();
        sqlx::query_scalar("SELECT count(*) FROM refresh")
            .fetch_one(&mut *store.writer().await.unwrap())
            .await
            .unwrap()
    }
}

async fn renew_with<F, R>(
    vault: &Arc<Vault>,
    why: Renew,
    policy: RenewPolicy,
    request: F,
) -> Outcome
where
    F: FnOnce(CredentialSecret) -> R + Send + 'static,
    R: Future<Output = Result<Renewed, RenewFailure>> + Send + 'static,
{
    vault
        .renewed(&owner(), &linear(), why, policy, request)
        .await
}

/// A request that must not be made.
async fn nobody(_: CredentialSecret) -> Result<Renewed, RenewFailure> {
    panic!("the provider was asked");
}

/// Ages everything that is paused, so that no test waits.
fn end_pauses(vault: &Vault) {
    let mut pauses = vault.refreshes.pauses.lock().unwrap();
    for pause in pauses.values_mut() {
        pause.until = Instant::now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tasks_make_one_request_and_the_next_refresh_succeeds() {
    let setting = Setting::expiring_in(-1).await;
    let all = join_all((0..100).map(|_| setting.renew(SOON))).await;
    let tokens: Vec<_> = all
        .into_iter()
        .map(|outcome| access_token(&outcome.unwrap()))
        .collect();
    assert_eq!(tokens, vec!["access of first.1"; 100]);
    assert_eq!(setting.provider.requests(), 1);
    assert_eq!(setting.journal().await, 0);

    let generation = setting.generation().await;
    let next = setting.renew(Renew::Rejected { generation }).await.unwrap();
    assert_eq!(access_token(&next), "access of first.1.2");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_of_100_tasks_make_one_request_and_the_next_refresh_succeeds() {
    const PROCESSES: u32 = 4;
    if let Ok(address) = std::env::var("HOLSTER_TEST_PROVIDER") {
        return one_of_four_processes(address.parse().unwrap()).await;
    }
    let setting = Setting::expiring_in(-1).await;
    let address = Arc::clone(&setting.provider).serve(PROCESSES);
    for round in 0..20 {
        setting.connect(&format!("round{round}"), -1).await;
        let start = |_| {
            start_again(
                "four_processes_of_100_tasks_make_one_request_and_the_next_refresh_succeeds",
                address,
                setting.folder.path(),
            )
        };
        let processes: Vec<_> = (0..PROCESSES).map(start).collect();
        for mut process in processes {
            assert!(process.wait().unwrap().success(), "round {round}");
        }
        assert_eq!(setting.provider.requests(), 1, "round {round}");
        let generation = setting
            .other_process()
            .find(&owner(), &linear())
            .await
            .unwrap()
            .unwrap()
            .generation;
        setting
            .renew(Renew::Rejected { generation })
            .await
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}

async fn one_of_four_processes(address: SocketAddr) {
    let vault = vault(Path::new(&std::env::var_os("HOLSTER_TEST_DATA").unwrap()));
    assert!(vault.find(&owner(), &linear()).await.unwrap().is_some());
    assert_eq!(say(address, "ready".to_owned()).await, "go");
    let tasks = (0..100).map(|_| {
        let vault = Arc::clone(&vault);
        tokio::spawn(async move {
            renew_with(&vault, SOON, ROTATES, move |secret| {
                ask_served(address, secret)
            })
            .await
            .map(|held| access_token(&held))
            .unwrap()
        })
    });
    for token in join_all(tasks).await {
        assert!(token.unwrap().starts_with("access of round"));
    }
}

/// This test binary once more, for one test.
fn start_again(test: &str, address: SocketAddr, data: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("vault::refresh::tests::{test}")])
        .env("HOLSTER_TEST_PROVIDER", address.to_string())
        .env("HOLSTER_TEST_DATA", data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_process_that_is_killed_between_answer_and_save_leaves_no_lock_and_an_uncertain_credential()
 {
    if let Ok(address) = std::env::var("HOLSTER_TEST_PROVIDER") {
        let address = address.parse().unwrap();
        let vault = vault(Path::new(&std::env::var_os("HOLSTER_TEST_DATA").unwrap()));
        let outcome = renew_with(&vault, SOON, ROTATES, move |secret| async move {
            ask_served(address, secret).await?;
            say(address, "ready".to_owned()).await;
            std::future::pending().await
        });
        panic!("{:?}", outcome.await);
    }
    let setting = Setting::expiring_in(-1).await;
    // The child says that it is ready when it has the answer, and so does the parent when it has noticed.
    let address = Arc::clone(&setting.provider).serve(2);
    let mut child = start_again(
        "a_process_that_is_killed_between_answer_and_save_leaves_no_lock_and_an_uncertain_credential",
        address,
        setting.folder.path(),
    );
    assert_eq!(say(address, "ready".to_owned()).await, "go");
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(setting.provider.requests(), 1);
    assert_eq!(setting.journal().await, 1);
    let error = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(error, Err(RenewError::Uncertain)), "{error:?}");
    let problem = setting.problem().await.unwrap();
    for part in ["cut off", "holster auth connect linear --profile work"] {
        assert!(problem.contains(part), "{problem}");
    }

    setting.connect("second", -1).await;
    assert_eq!(setting.journal().await, 0);
    assert_eq!(setting.problem().await, None);
    let held = setting.renew(SOON).await.unwrap();
    assert_eq!(access_token(&held), "access of second.1");
}

/// Ends a refresh as a crash would, so many seconds ago.
async fn crash(setting: &Setting, seconds_ago: u64) {
    let (store, row, held) = setting
        .vault
        .read(&owner(), &linear())
        .await
        .unwrap()
        .unwrap();
    let started_at = seconds(now() - seconds_ago);
    store
        .begin_refresh(&owner(), &row, &held.secret, started_at)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn after_a_crash_the_old_token_is_replayed_only_inside_the_grace_of_the_provider() {
    for (rotates, reuse_grace_s, seconds_ago, is_asked) in [
        (true, 0, 0, false),
        (true, 60, 10, true),
        (true, 60, 61, false),
        (false, 0, 1_000_000, true),
    ] {
        let setting = Setting::expiring_in(-1).await;
        crash(&setting, seconds_ago).await;
        let policy = RenewPolicy {
            reuse_grace_s,
            rotates,
        };
        let outcome = renew_with(&setting.vault, SOON, policy, |_| async {
            Ok(renewed("new", None))
        })
        .await;
        match outcome {
            Ok(held) => assert!(is_asked && access_token(&held) == "new", "{policy:?}"),
            Err(error) => {
                assert!(
                    !is_asked && matches!(error, RenewError::Uncertain),
                    "{policy:?}: {error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_grace_is_counted_from_the_first_request_not_from_the_last_try() {
    let setting = Setting::expiring_in(-1).await;
    crash(&setting, 50).await;
    let policy = RenewPolicy {
        reuse_grace_s: 60,
        rotates: true,
    };
    // Not even a try that certainly did not reach the provider undoes the doubt.
    for failure in [
        RenewFailure::Transient("lost".into()),
        RenewFailure::Unused("refused".into()),
    ] {
        let outcome = renew_with(&setting.vault, SOON, policy, move |_| async {
            Err(failure)
        })
        .await;
        assert!(
            matches!(outcome, Err(RenewError::Transient(_))),
            "{outcome:?}"
        );
        end_pauses(&setting.vault);
    }
    setting
        .run("UPDATE refresh SET started_at = started_at - 11")
        .await;
    let error = renew_with(&setting.vault, SOON, policy, nobody).await;
    assert!(matches!(error, Err(RenewError::Uncertain)), "{error:?}");
}

#[tokio::test]
async fn an_uncertain_credential_serves_until_its_access_token_expires() {
    let setting = Setting::expiring_in(60).await;
    crash(&setting, 1).await;
    for _ in 0..3 {
        let held = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
        assert_eq!(access_token(&held.unwrap()), "old");
    }
    assert!(setting.problem().await.is_some(), "a list says so already");
    let generation = setting.generation().await;
    let rejected = Renew::Rejected { generation };
    let error = renew_with(&setting.vault, rejected, ROTATES, nobody).await;
    assert!(matches!(error, Err(RenewError::Uncertain)), "{error:?}");
}

#[tokio::test]
async fn the_same_refresh_token_written_once_more_is_as_doubtful_as_before() {
    let setting = Setting::expiring_in(-1).await;
    crash(&setting, 1).await;
    setting.connect("first", -1).await;
    let error = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(error, Err(RenewError::Uncertain)), "{error:?}");
}

#[tokio::test]
async fn a_fresher_generation_under_the_lock_means_no_request() {
    let setting = Setting::expiring_in(-1).await;
    let other = setting.other_process();
    assert!(other.find(&owner(), &linear()).await.unwrap().is_some());
    let new = setting.renew(SOON).await.unwrap();
    // Still cached there.
    let held = renew_with(&other, SOON, ROTATES, nobody).await.unwrap();
    assert_eq!(held.generation, new.generation);
}

#[tokio::test]
async fn a_valid_token_is_given_without_a_request() {
    let setting = Setting::expiring_in(1000).await;
    let held = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert_eq!(access_token(&held.unwrap()), "old");
    // What lives shorter than the margin is not renewed at every use.
    let credential = NewCredential {
        expires_at: Some(now() + 100),
        ..NewCredential::new(oauth("short", Some("first")))
    };
    setting
        .vault
        .store(&owner(), &linear(), credential)
        .await
        .unwrap();
    let held = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert_eq!(access_token(&held.unwrap()), "short");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_401s_forces_one_refresh() {
    let setting = Setting::expiring_in(1000).await;
    let generation = setting.generation().await;
    let rejected = Renew::Rejected { generation };
    let all = join_all((0..100).map(|_| setting.renew(rejected))).await;
    assert!(all.iter().all(Result::is_ok));
    // A late one, of the same old token.
    setting.renew(rejected).await.unwrap();
    assert_eq!(setting.provider.requests(), 1);
}

#[tokio::test]
async fn who_wants_more_than_the_refresh_under_way_gives_asks_again() {
    let setting = Setting::expiring_in(1000).await;
    let generation = setting.generation().await;
    let wide = Renew::Expiring { within_s: 300 };
    // The first finds nothing to do, once it holds the lock; the second has seen a 401.
    let vault = Arc::clone(&setting.vault);
    let task = Task {
        vault: Arc::clone(&vault),
        key: (owner().tenant, owner().profile, linear()),
        owner: owner(),
        provider: linear(),
        why: wide,
        policy: ROTATES,
        seen: generation,
    };
    let key = task.key.clone();
    let (_, lead) = vault.refreshes.join(&key);
    let landing = Landing {
        vault: Arc::clone(&vault),
        key,
    };
    let (first, second) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            task.fly(nobody, lead.unwrap(), landing).await;
        },
        setting.renew(Renew::Rejected { generation }),
    );
    assert_eq!((first, setting.provider.requests()), ((), 1));
    assert!(second.unwrap().generation > generation);
}

#[tokio::test]
async fn the_first_waiter_goes_away_and_the_others_still_get_the_token() {
    let setting = Setting::expiring_in(-1).await;
    let (asked, is_asked) = oneshot::channel();
    let (answer, is_answered) = oneshot::channel();
    let vault = Arc::clone(&setting.vault);
    let first = tokio::spawn(async move {
        renew_with(&vault, SOON, ROTATES, move |_| async move {
            asked.send(()).unwrap();
            is_answered.await.unwrap()
        })
        .await
    });
    is_asked.await.unwrap();
    let others = join_all((0..5).map(|_| renew_with(&setting.vault, SOON, ROTATES, nobody)));
    let ending = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(answer.send(Ok(renewed("new", Some("next")))).is_ok());
    };
    let (others, ()) = tokio::join!(others, ending);
    for outcome in others {
        assert_eq!(access_token(&outcome.unwrap()), "new");
    }
}

#[tokio::test]
async fn a_credential_that_is_removed_during_a_refresh_is_not_resurrected() {
    let setting = Setting::expiring_in(-1).await;
    let vault = Arc::clone(&setting.vault);
    let outcome = renew_with(&setting.vault, SOON, ROTATES, move |_| async move {
        assert!(vault.remove(&owner(), &linear()).await.unwrap());
        Ok(renewed("late", Some("late")))
    })
    .await;
    assert!(matches!(outcome, Err(RenewError::Gone)), "{outcome:?}");
    assert!(setting.found().await.is_none());
    assert_eq!(setting.to_revoke().await, ["late"]);
}

#[tokio::test]
async fn a_credential_that_is_replaced_during_a_refresh_wins_over_the_late_answer() {
    for answer in [
        Ok(renewed("late", Some("late"))),
        Err(RenewFailure::InvalidGrant("late".into())),
    ] {
        let setting = Arc::new(Setting::expiring_in(-1).await);
        let inner = Arc::clone(&setting);
        let outcome = renew_with(&setting.vault, SOON, ROTATES, move |_| async move {
            inner.connect("second", 1000).await;
            answer
        })
        .await;
        let held = outcome.unwrap();
        assert_eq!((access_token(&held), held.ended), ("old".to_owned(), false));
        assert_eq!(
            refresh_token(&setting.found().await.unwrap().secret),
            "second"
        );
        assert_eq!(setting.problem().await, None);
        assert!(
            setting.to_revoke().await.is_empty(),
            "that could end the new consent"
        );
    }
}

#[tokio::test]
async fn invalid_grant_on_the_current_generation_ends_the_credential_and_connecting_anew_begins_it()
{
    let setting = Setting::expiring_in(100).await;
    let generation = setting.generation().await;
    let failure = || RenewFailure::InvalidGrant("the grant is over".into());
    let rejected = Renew::Rejected { generation };
    let outcome = setting.fail(rejected, failure()).await;
    assert!(matches!(outcome, Err(RenewError::Ended)), "{outcome:?}");
    let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(outcome, Err(RenewError::Ended)), "{outcome:?}");
    assert!(setting.found().await.unwrap().ended, "the row stays");
    let problem = setting.problem().await.unwrap();
    assert!(problem.contains("ended by the provider"), "{problem}");

    setting.connect("second", 1000).await;
    assert!(!setting.found().await.unwrap().ended);
    assert_eq!(setting.problem().await, None);
}

#[tokio::test]
async fn errors_timeouts_and_garbage_never_delete_a_credential() {
    let garbage = |secret| {
        Ok(Renewed {
            secret,
            expires_at: None,
            scopes: None,
        })
    };
    for answer in [
        Err(RenewFailure::Unused("503".into())),
        Err(RenewFailure::Transient("no answer".into())),
        garbage(oauth("line\nbreak", None)),
        garbage(oauth("", None)),
        garbage(CredentialSecret::Token("t".into())),
    ] {
        let what = format!("{answer:?}");
        let setting = Setting::expiring_in(-1).await;
        let outcome = renew_with(&setting.vault, SOON, ROTATES, move |_| async { answer }).await;
        assert!(
            matches!(outcome, Err(RenewError::Transient(_))),
            "{what}: {outcome:?}"
        );
        let held = setting.found().await.unwrap();
        assert_eq!(
            (access_token(&held), held.ended),
            ("old".to_owned(), false),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_token_that_was_not_used_is_asked_with_again_and_one_that_may_have_been_is_not() {
    let setting = Setting::expiring_in(-1).await;
    let outcome = setting.fail(SOON, RenewFailure::Unused("503".into())).await;
    assert!(
        matches!(outcome, Err(RenewError::Transient(_))),
        "{outcome:?}"
    );
    end_pauses(&setting.vault);
    let outcome = setting
        .fail(SOON, RenewFailure::Transient("lost".into()))
        .await;
    assert!(
        matches!(outcome, Err(RenewError::Transient(_))),
        "{outcome:?}"
    );
    end_pauses(&setting.vault);
    let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(outcome, Err(RenewError::Uncertain)), "{outcome:?}");
}

#[tokio::test]
async fn a_request_that_panics_leaves_its_token_in_doubt_and_nobody_waiting() {
    let setting = Setting::expiring_in(-1).await;
    let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(
        matches!(outcome, Err(RenewError::Transient(_))),
        "{outcome:?}"
    );
    let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(outcome, Err(RenewError::Uncertain)), "{outcome:?}");
}

#[tokio::test]
async fn after_a_failure_the_provider_is_left_alone_and_what_is_valid_serves() {
    let setting = Setting::expiring_in(60).await;
    let generation = setting.generation().await;
    let rejected = Renew::Rejected { generation };
    let outcome = setting
        .fail(rejected, RenewFailure::Unused("503".into()))
        .await;
    assert!(
        matches!(outcome, Err(RenewError::Transient(_))),
        "{outcome:?}"
    );
    let outcome = renew_with(&setting.vault, rejected, ROTATES, nobody).await;
    assert!(
        matches!(outcome, Err(RenewError::Transient(_))),
        "{outcome:?}"
    );
    let held = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert_eq!(access_token(&held.unwrap()), "old");

    end_pauses(&setting.vault);
    assert!(setting.renew(rejected).await.is_ok());
}

#[tokio::test]
async fn pauses_grow_and_end_with_a_success() {
    let refreshes = Refreshes::default();
    let key = (owner().tenant, owner().profile, linear());
    let length = || refreshes.pauses.lock().unwrap()[&key].length.as_secs();
    let mut lengths = Vec::new();
    for _ in 0..7 {
        refreshes.pause(&key, 1);
        lengths.push(length());
    }
    assert_eq!(lengths, [2, 4, 8, 16, 32, 60, 60]);
    assert!(refreshes.is_paused(&key, 1));
    assert!(!refreshes.is_paused(&key, 2), "another credential");
    refreshes.pause(&key, 2);
    assert_eq!(length(), 2);
    refreshes.unpause(&key);
    assert!(!refreshes.is_paused(&key, 2));
}

#[tokio::test]
async fn what_the_answer_leaves_out_stays_as_it_was_and_what_it_narrows_is_narrowed() {
    let setting = Setting::expiring_in(-1).await;
    let outcome = renew_with(&setting.vault, SOON, ROTATES, |_| async {
        Ok(renewed("second", None))
    });
    let held = outcome.await.unwrap();
    assert_eq!(refresh_token(&held.secret), "first", "RFC 6749 §6");
    assert_eq!(held.account.as_deref(), Some("me"));
    assert_eq!(held.scopes.as_ref().unwrap().to_string(), "read write");

    let rejected = Renew::Rejected {
        generation: held.generation,
    };
    let outcome = renew_with(&setting.vault, rejected, ROTATES, |_| async {
        Ok(Renewed {
            scopes: Some(["read"].into_iter().collect()),
            ..renewed("third", None)
        })
    });
    assert_eq!(
        outcome.await.unwrap().scopes.as_ref().unwrap().to_string(),
        "read"
    );
    let found = setting
        .other_process()
        .find(&owner(), &linear())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(access_token(&found), "third");
    assert_eq!(found.scopes.as_ref().unwrap().to_string(), "read");
}

#[tokio::test]
async fn while_a_person_is_asked_for_wider_scopes_the_old_credential_is_used_and_renewed() {
    let setting = Setting::expiring_in(-1).await;
    // The person is at it; until the new credential is stored, the old one lives its own life.
    let held = setting.renew(SOON).await.unwrap();
    assert_eq!(held.scopes.as_ref().unwrap().to_string(), "read write");
    let wider = NewCredential {
        scopes: Some(["admin", "read", "write"].into_iter().collect()),
        ..NewCredential::new(oauth("wide", Some("wide")))
    };
    setting
        .vault
        .store(&owner(), &linear(), wider)
        .await
        .unwrap();
    let found = setting.found().await.unwrap();
    assert_eq!(
        found.scopes.as_ref().unwrap().to_string(),
        "admin read write"
    );
}

#[tokio::test]
async fn a_client_without_a_token_gets_one_and_is_never_uncertain() {
    let setting = Setting::expiring_in(-1).await;
    let client = |access: Option<&str>| CredentialSecret::ClientCredentials {
        id: "i".into(),
        secret: "s".into(),
        access: access.map(Into::into),
        variables: BTreeMap::new(),
    };
    setting
        .vault
        .store(&owner(), &linear(), NewCredential::new(client(None)))
        .await
        .unwrap();
    let outcome = setting
        .fail(SOON, RenewFailure::Transient("lost".into()))
        .await;
    assert!(
        matches!(outcome, Err(RenewError::Transient(_))),
        "{outcome:?}"
    );
    end_pauses(&setting.vault);
    let answer = Renewed {
        secret: client(Some("bearer")),
        ..renewed("", None)
    };
    let outcome = renew_with(&setting.vault, SOON, ROTATES, |_| async { Ok(answer) }).await;
    assert!(outcome.unwrap().secret.has_access());
}

#[tokio::test]
async fn what_no_one_can_renew_serves_until_it_ends() {
    let setting = Setting::expiring_in(-1).await;
    for (seconds, serves) in [(1, true), (-1, false)] {
        let credential = NewCredential {
            expires_at: now().checked_add_signed(seconds),
            ..NewCredential::new(oauth("old", None))
        };
        setting
            .vault
            .store(&owner(), &linear(), credential)
            .await
            .unwrap();
        let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
        assert_eq!(outcome.is_ok(), serves, "{outcome:?}");
        if let Err(error) = outcome {
            assert!(matches!(error, RenewError::NotRenewable), "{error:?}");
        }
    }
    setting.vault.remove(&owner(), &linear()).await.unwrap();
    let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(outcome, Err(RenewError::Gone)), "{outcome:?}");
}

/// As a full disk does it: the statement fails, and the whole transaction is rolled back.
const FILL_DISK: &str = "CREATE TRIGGER full BEFORE UPDATE OF ciphertext ON credential BEGIN \
     SELECT RAISE(ROLLBACK, 'database or disk is full'); END";
const FREE_DISK: &str = "DROP TRIGGER full";

#[tokio::test]
async fn when_the_disk_is_full_the_answer_serves_from_memory_until_it_is_stored() {
    let setting = Setting::expiring_in(-1).await;
    let generation = setting.generation().await;
    setting.run(FILL_DISK).await;
    let held = setting.renew(SOON).await.unwrap();
    assert_eq!(access_token(&held), "access of first.1");
    assert!(held.generation > generation);

    // In this process it serves.
    assert_eq!(setting.found().await.unwrap().generation, held.generation);
    for generation in [generation, held.generation] {
        let rejected = Renew::Rejected { generation };
        let again = renew_with(&setting.vault, rejected, ROTATES, nobody).await;
        assert_eq!(again.unwrap().generation, held.generation);
    }
    // Another one sees the old token, and waits for the lock rather than use it twice.
    let other = setting.other_process();
    let seen = other.find(&owner(), &linear()).await.unwrap().unwrap();
    assert_eq!(access_token(&seen), "old");
    let waits = tokio::spawn(async move { renew_with(&other, SOON, ROTATES, nobody).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished());

    setting.run(FREE_DISK).await;
    let seen = waits.await.unwrap().unwrap();
    assert_eq!(
        (access_token(&seen), seen.generation),
        (access_token(&held), held.generation)
    );
    assert_eq!(setting.journal().await, 0);
    assert_eq!(setting.found().await.unwrap().generation, held.generation);
}

#[tokio::test]
async fn what_is_removed_while_its_answer_waits_to_be_stored_stays_removed() {
    let setting = Setting::expiring_in(-1).await;
    setting.run(FILL_DISK).await;
    setting.renew(SOON).await.unwrap();
    setting.vault.remove(&owner(), &linear()).await.unwrap();
    assert!(setting.found().await.is_none());
    setting.run(FREE_DISK).await;
    let outcome = renew_with(&setting.vault, SOON, ROTATES, nobody).await;
    assert!(matches!(outcome, Err(RenewError::Gone)), "{outcome:?}");
    tokio::time::sleep(LONGEST_RETRY.min(Duration::from_millis(500))).await;
    assert!(setting.found().await.is_none());
    assert_eq!(setting.to_revoke().await, ["first.1"]);
}

#[tokio::test]
async fn a_full_disk_does_not_leave_the_vault_unable_to_write() {
    let setting = Setting::expiring_in(-1).await;
    let store = setting.vault.existing().await.unwrap().unwrap();
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(&mut *store.writer().await.unwrap())
        .await
        .unwrap();
    let large = NewCredential::new(oauth(&"x".repeat(60_000), None));
    let error = setting
        .vault
        .store(&owner(), &linear(), large)
        .await
        .unwrap_err();
    assert!(matches!(error, VaultError::Full { .. }), "{error:?}");
    assert_eq!(access_token(&setting.found().await.unwrap()), "old");
    setting.connect("second", 1000).await;
    assert_eq!(
        refresh_token(&setting.found().await.unwrap().secret),
        "second"
    );
}

#[tokio::test]
async fn credentials_are_renewed_side_by_side() {
    let setting = Setting::expiring_in(-1).await;
    let names = ["a", "b", "c"].map(|name| ProviderId::new(name).unwrap());
    for name in &names {
        let credential = NewCredential {
            expires_at: Some(1),
            ..NewCredential::new(oauth("old", Some(name.as_str())))
        };
        setting
            .vault
            .store(&owner(), name, credential)
            .await
            .unwrap();
    }
    // Each waits for all the others to be at it.
    let barrier = Arc::new(tokio::sync::Barrier::new(names.len()));
    let renewals = names.iter().map(|name| {
        let barrier = Arc::clone(&barrier);
        let access = format!("new {name}");
        let owner = owner();
        let vault = Arc::clone(&setting.vault);
        async move {
            vault
                .renewed(&owner, name, SOON, ROTATES, move |_| async move {
                    barrier.wait().await;
                    Ok(renewed(&access, None))
                })
                .await
                .map(|held| (name.to_string(), access_token(&held)))
        }
    });
    let results: HashMap<_, _> = join_all(renewals)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(results.len(), 3);
    assert!(
        results
            .iter()
            .all(|(name, access)| *access == format!("new {name}"))
    );
}
