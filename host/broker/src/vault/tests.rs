//! The vault against people who write into its files, and against processes that write at the same time.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use holster_types::ExposeSecret;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::credential::{OAuthTokens, TokenClient};
use crate::private;

/// By then a process has noticed what another one wrote.
const NOTICED: Duration = Duration::from_millis(200);

/// A secret that must not be found anywhere but where it is asked for.
const PLANTED: &str = "planted-4f1c9e77-secret";

fn open(folder: &TempDir) -> Vault {
    Vault::new(
        folder.path(),
        Box::new(KeyFile::in_data_folder(folder.path())),
    )
}

fn owner(profile: &str) -> Owner {
    Owner {
        tenant: TenantId::local(),
        profile: ProfileName::new(profile).unwrap(),
    }
}

fn provider(id: &str) -> ProviderId {
    ProviderId::new(id).unwrap()
}

fn token(text: &str) -> NewCredential {
    NewCredential::new(CredentialSecret::Token(text.into()))
}

fn oauth(access: &str) -> CredentialSecret {
    CredentialSecret::OAuth(OAuthTokens {
        access: access.into(),
        refresh: Some(format!("{access}-refresh").into()),
        dpop_key: None,
        client: TokenClient {
            id: "client".into(),
            secret: None,
        },
        variables: BTreeMap::new(),
    })
}

fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("vault/credentials.db")
}

/// The database as somebody without a key sees it.
async fn intruder(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(database(folder))
        .connect()
        .await
        .unwrap()
}

async fn run(folder: &TempDir, statement: &'static str) {
    let mut connection = intruder(folder).await;
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn found(vault: &Vault, profile: &str, id: &str) -> Result<Option<String>, VaultError> {
    let held = vault.find(&owner(profile), &provider(id)).await?;
    Ok(held.map(|held| match &held.secret {
        CredentialSecret::Token(token) => token.expose_secret().to_owned(),
        other => panic!("{other:?}"),
    }))
}

#[tokio::test]
async fn a_vault_without_credentials_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    assert_eq!(found(&vault, "work", "slack").await.unwrap(), None);
    assert!(vault.list(&TenantId::local()).await.unwrap().is_empty());
    assert!(vault.profiles(&TenantId::local()).await.unwrap().is_empty());
    assert!(
        !vault
            .remove(&owner("work"), &provider("slack"))
            .await
            .unwrap()
    );
    assert_eq!(vault.verify().await.unwrap().keeper, None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_stored_is_found_by_another_process_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&folder), open(&folder));
    let (work, slack) = (owner("work"), provider("slack"));
    let credential = NewCredential {
        account: Some("me@x.example".into()),
        scopes: Some(["b", "a"].into_iter().collect()),
        expires_at: Some(2_000_000_000),
        ..token("first")
    };
    assert_eq!(
        one.store(&work, &slack, credential).await.unwrap(),
        Added::New
    );
    let held = other.find(&work, &slack).await.unwrap().unwrap();
    assert_eq!(held.account.as_deref(), Some("me@x.example"));
    assert_eq!(held.scopes.as_ref().unwrap().to_string(), "a b");
    assert_eq!(held.expires_at, Some(2_000_000_000));

    // Cached, so that what follows has to make it forget.
    assert_eq!(
        found(&one, "work", "slack").await.unwrap().as_deref(),
        Some("first")
    );
    assert_eq!(
        one.store(&work, &slack, token("second")).await.unwrap(),
        Added::Replaced
    );
    assert_eq!(
        found(&one, "work", "slack").await.unwrap().as_deref(),
        Some("second")
    );
    tokio::time::sleep(NOTICED).await;
    assert_eq!(
        found(&other, "work", "slack").await.unwrap().as_deref(),
        Some("second")
    );

    assert!(one.remove(&work, &slack).await.unwrap());
    assert_eq!(found(&one, "work", "slack").await.unwrap(), None);
    tokio::time::sleep(NOTICED).await;
    assert_eq!(found(&other, "work", "slack").await.unwrap(), None);
}

#[tokio::test]
async fn every_kind_of_secret_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    let secrets = [
        CredentialSecret::Token("t".into()),
        CredentialSecret::Basic {
            username: "u".into(),
            password: "p:ä".into(),
        },
        CredentialSecret::Basic {
            username: "".into(),
            password: "p".into(),
        },
        CredentialSecret::KeyPair {
            key: "k".into(),
            secret: "line\nline".into(),
        },
        oauth("a"),
        CredentialSecret::OAuth(OAuthTokens {
            access: "a".into(),
            refresh: None,
            dpop_key: Some("d".into()),
            client: TokenClient {
                id: "c".into(),
                secret: Some("s".into()),
            },
            variables: [("domain", "x.example"), ("", "refresh")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }),
        CredentialSecret::ClientCredentials {
            id: "refresh".into(),
            secret: "s".into(),
            access: None,
            variables: BTreeMap::new(),
        },
        CredentialSecret::ClientCredentials {
            id: "i".into(),
            secret: "s".into(),
            access: Some("a".into()),
            variables: [("access".to_owned(), "b".to_owned())].into(),
        },
    ];
    for (number, secret) in secrets.iter().enumerate() {
        let id = provider(&format!("p{number}"));
        vault
            .store(&owner("work"), &id, NewCredential::new(secret.clone()))
            .await
            .unwrap();
        let held = open(&folder)
            .find(&owner("work"), &id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(held.secret.kind(), secret.kind());
        assert_eq!(held.secret.parts(), secret.parts());
    }
}

#[test]
fn parts_of_a_newer_holster_are_refused_not_dropped() {
    let parts = |texts: &[&str]| {
        let parts = texts.iter().map(|&text| text.into()).collect();
        CredentialSecret::from_parts(CredentialKind::Oauth2, parts)
    };
    assert!(parts(&["client_id", "c", "access", "a"]).is_some());
    for unknown in [
        &["client_id", "c", "access", "a", "from the future", "x"][..],
        &["client_id", "c", "access", "a", "access", "b"],
        &["client_id", "c", "access", "a", "refresh"],
        &["client_id", "c"],
        &["access", "a"],
        &[],
    ] {
        assert!(parts(unknown).is_none(), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_vault_of_the_first_version_opens_and_keeps_its_credentials() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder)
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap();
    // As the first version left it.
    for statement in [
        "DROP TABLE refresh",
        "DROP TABLE default_profile",
        "DROP TABLE connection_thread",
        "DROP TABLE connection",
        "DROP TABLE revocation",
        "DROP TABLE client",
        "DROP TABLE resumption",
        "ALTER TABLE credential DROP COLUMN trouble",
        "DELETE FROM _sqlx_migrations WHERE version > 1",
    ] {
        run(&folder, statement).await;
    }
    let vault = open(&folder);
    assert_eq!(
        found(&vault, "work", "slack").await.unwrap().as_deref(),
        Some("t")
    );
    vault
        .store(
            &owner("work"),
            &provider("x"),
            NewCredential::new(oauth("a")),
        )
        .await
        .unwrap();
    assert_eq!(vault.verify().await.unwrap().credentials, 2);
}

#[tokio::test]
async fn a_default_profile_is_chosen_for_a_provider_and_goes_with_its_credential() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    let (local, slack) = (TenantId::local(), provider("slack"));
    let (work, home) = (owner("work").profile, owner("home").profile);
    vault
        .set_default_profile(&local, &slack, None)
        .await
        .unwrap();
    assert!(!database(&folder).exists(), "nothing to take back");
    for profile in ["work", "home"] {
        vault
            .store(&owner(profile), &slack, token("t"))
            .await
            .unwrap();
    }
    assert_eq!(
        vault.holders(&local, &slack).await.unwrap(),
        [home.clone(), work.clone()]
    );
    let chosen = async || vault.default_profiles(&local).await.unwrap();
    assert_eq!(chosen().await, BTreeMap::new());
    for profile in [&work, &home] {
        vault
            .set_default_profile(&local, &slack, Some(profile))
            .await
            .unwrap();
        assert_eq!(chosen().await, [(slack.clone(), profile.clone())].into());
    }
    // Neither another profile's removal nor a replacement takes it back.
    vault.remove(&owner("work"), &slack).await.unwrap();
    vault
        .store(&owner("home"), &slack, token("new"))
        .await
        .unwrap();
    assert_eq!(chosen().await.len(), 1);
    let ann = TenantId::new("ann").unwrap();
    assert!(vault.default_profiles(&ann).await.unwrap().is_empty());
    vault.remove(&owner("home"), &slack).await.unwrap();
    assert_eq!(chosen().await, BTreeMap::new());
    assert!(vault.holders(&local, &slack).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_default_profile_that_was_written_without_the_key_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    let local = TenantId::local();
    for id in ["slack", "github"] {
        vault
            .set_default_profile(&local, &provider(id), Some(&owner("work").profile))
            .await
            .unwrap();
    }
    run(
        &folder,
        "UPDATE default_profile SET profile = 'home' WHERE provider = 'slack'",
    )
    .await;
    let chosen: Vec<_> = vault
        .default_profiles(&local)
        .await
        .unwrap()
        .into_keys()
        .collect();
    assert_eq!(chosen, [provider("github")]);
}

#[tokio::test]
async fn profiles_and_tenants_never_cross() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    let ann = Owner {
        tenant: TenantId::new("ann").unwrap(),
        ..owner("work")
    };
    vault
        .store(&owner("work"), &provider("slack"), token("mine"))
        .await
        .unwrap();
    vault
        .store(&owner("home"), &provider("slack"), token("home"))
        .await
        .unwrap();
    vault
        .store(&ann, &provider("slack"), token("hers"))
        .await
        .unwrap();
    assert_eq!(
        found(&vault, "work", "slack").await.unwrap().as_deref(),
        Some("mine")
    );
    assert_eq!(
        found(&vault, "home", "slack").await.unwrap().as_deref(),
        Some("home")
    );
    let names: Vec<_> = vault.profiles(&ann.tenant).await.unwrap();
    assert_eq!(names, [(ProfileName::new("work").unwrap(), 1)]);
    assert_eq!(vault.list(&TenantId::local()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_row_that_was_moved_rolled_back_or_altered_is_refused_and_the_others_are_served() {
    for (attack, statements) in [
        (
            "swapped ciphertexts",
            &["UPDATE credential SET ciphertext = (SELECT ciphertext FROM credential AS o WHERE o.provider = 'github')
               WHERE provider = 'slack'"][..],
        ),
        ("moved to another profile", &["UPDATE credential SET profile = 'other' WHERE provider = 'slack'"]),
        (
            "an old ciphertext under a new generation",
            &["UPDATE credential SET ciphertext = (SELECT ciphertext FROM old) WHERE provider = 'slack'"],
        ),
        ("another generation", &["UPDATE credential SET generation = generation + 1 WHERE provider = 'slack'"]),
        ("another kind", &["UPDATE credential SET kind = 'basic' WHERE provider = 'slack'"]),
        ("wider scopes", &["UPDATE credential SET scopes = '[\"admin\"]' WHERE provider = 'slack'"]),
        ("unknown scopes", &["UPDATE credential SET scopes = NULL WHERE provider = 'slack'"]),
        ("another account", &["UPDATE credential SET account = 'eve' WHERE provider = 'slack'"]),
        ("no expiry", &["UPDATE credential SET expires_at = NULL WHERE provider = 'slack'"]),
        ("an emptied ciphertext", &["UPDATE credential SET ciphertext = x'' WHERE provider = 'slack'"]),
        (
            "a flipped byte",
            &["UPDATE credential SET ciphertext = unhex(CASE WHEN substr(hex(ciphertext), -2) = '00' THEN
               substr(hex(ciphertext), 1, length(hex(ciphertext)) - 2) || '01' ELSE
               substr(hex(ciphertext), 1, length(hex(ciphertext)) - 2) || '00' END) WHERE provider = 'slack'"],
        ),
        ("another birthday", &["UPDATE credential SET created_at = 1 WHERE provider = 'slack'"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let vault = open(&folder);
        let full = NewCredential {
            account: Some("me".into()),
            scopes: Some(["read"].into_iter().collect()),
            expires_at: Some(2_000_000_000),
            ..token("old")
        };
        vault.store(&owner("work"), &provider("slack"), full.clone()).await.unwrap();
        run(&folder, "CREATE TABLE old AS SELECT * FROM credential").await;
        vault.store(&owner("work"), &provider("slack"), full).await.unwrap();
        vault.store(&owner("work"), &provider("github"), token("good")).await.unwrap();
        for statement in statements {
            run(&folder, statement).await;
        }

        let vault = open(&folder);
        let profile = if attack.starts_with("moved") { "other" } else { "work" };
        let error = found(&vault, profile, "slack").await.expect_err(attack);
        assert!(error.concerns_one_row(), "{attack}: {error:?}");
        assert!(error.to_string().contains("was altered in the vault"), "{attack}: {error}");
        assert_eq!(found(&vault, "work", "github").await.unwrap().as_deref(), Some("good"), "{attack}");

        let listed = vault.list(&TenantId::local()).await.unwrap();
        let problems: Vec<_> = listed.iter().map(|row| (row.provider.as_str(), row.problem.is_some())).collect();
        assert_eq!(listed.len(), 2, "{attack}");
        assert!(problems.contains(&("slack", true)) && problems.contains(&("github", false)), "{attack}");
        let report = vault.verify().await.unwrap();
        assert_eq!((report.credentials, report.problems.len()), (1, 1), "{attack}: {report:?}");
    }
}

#[tokio::test]
async fn a_whole_row_that_was_put_back_is_refused_by_who_has_seen_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    vault
        .store(&owner("work"), &provider("slack"), token("old"))
        .await
        .unwrap();
    run(&folder, "CREATE TABLE old AS SELECT * FROM credential").await;
    vault
        .store(&owner("work"), &provider("slack"), token("new"))
        .await
        .unwrap();
    assert_eq!(
        found(&vault, "work", "slack").await.unwrap().as_deref(),
        Some("new")
    );
    run(
        &folder,
        "INSERT OR REPLACE INTO credential SELECT * FROM old",
    )
    .await;
    tokio::time::sleep(NOTICED).await;
    let error = found(&vault, "work", "slack")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("put an old one back"), "{error}");
    assert!(
        vault.list(&TenantId::local()).await.unwrap()[0]
            .problem
            .is_some()
    );
}

#[tokio::test]
async fn a_generation_is_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    let mut seen = Vec::new();
    for _ in 0..3 {
        vault
            .store(&owner("work"), &provider("slack"), token("t"))
            .await
            .unwrap();
        let mut connection = intruder(&folder).await;
        let generation: i64 = sqlx::query_scalar("SELECT generation FROM credential")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        seen.push(generation);
        vault
            .remove(&owner("work"), &provider("slack"))
            .await
            .unwrap();
    }
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test]
async fn the_key_of_another_vault_opens_nothing_and_the_error_says_what_to_do() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&folder, &other] {
        open(folder)
            .store(&owner("work"), &provider("slack"), token("t"))
            .await
            .unwrap();
    }
    let key = |folder: &TempDir| folder.path().join("vault/master.key");
    std::fs::copy(key(&other), key(&folder)).unwrap();
    let error = found(&open(&folder), "work", "slack").await.unwrap_err();
    assert!(matches!(error, VaultError::WrongKey { .. }), "{error:?}");
    for part in [
        "its key file does not open",
        "credentials.db",
        "put the right one back",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }

    std::fs::remove_file(key(&folder)).unwrap();
    let error = open(&folder)
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VaultError::KeyFileMissing { .. }),
        "{error:?}"
    );
    assert!(
        !key(&folder).exists(),
        "a new key would make the old credentials unreadable for good"
    );
}

#[tokio::test]
async fn a_damaged_database_is_named_with_the_remedy() {
    let whole = tempfile::tempdir().unwrap();
    let vault = open(&whole);
    for number in 0..60 {
        let id = provider(&format!("p{number}"));
        vault
            .store(&owner("work"), &id, token(&"x".repeat(500)))
            .await
            .unwrap();
    }
    run(&whole, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let bytes = std::fs::read(database(&whole)).unwrap();
    let half = bytes.len() / 2 / 4096 * 4096;
    for (detail, content) in [
        ("it is empty", Vec::new()),
        ("", bytes[..50].to_vec()),
        ("", bytes[..4096].to_vec()),
        ("", bytes[..half].to_vec()),
        ("not a database", vec![b'x'; bytes.len()]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        private::create_folder(&folder.path().join("vault")).unwrap();
        let key = "vault/master.key";
        std::fs::copy(whole.path().join(key), folder.path().join(key)).unwrap();
        private::create(&database(&folder), &content).unwrap();
        let vault = open(&folder);
        let error = vault.list(&TenantId::local()).await.unwrap_err();
        let length = content.len();
        assert!(
            matches!(error, VaultError::Damaged { .. }),
            "{length} bytes: {error:?}"
        );
        for part in ["credentials.db is damaged", "backup", detail] {
            assert!(error.to_string().contains(part), "{length} bytes: {error}");
        }
    }
}

#[tokio::test]
async fn a_newer_vault_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder)
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap();
    run(
        &folder,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    let error = found(&open(&folder), "work", "slack").await.unwrap_err();
    assert!(error.to_string().contains("newer Holster"), "{error}");
}

#[tokio::test]
async fn files_that_others_may_use_are_refused_with_the_command_that_helps() {
    for (path, mode, part) in [
        ("vault", 0o755, "chmod 700"),
        ("vault/credentials.db", 0o644, "chmod 600"),
        ("vault/master.key", 0o644, "chmod 600"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        open(&folder)
            .store(&owner("work"), &provider("slack"), token("t"))
            .await
            .unwrap();
        let path = folder.path().join(path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = found(&open(&folder), "work", "slack")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(part) && error.contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_vaults_files_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    vault
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path().join("vault")), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("vault")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(entry.path()), 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "credentials.db",
            "credentials.db-shm",
            "credentials.db-wal",
            "lock",
            "master.key"
        ]
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(&data, "a file where a folder should be").unwrap();
    let vault = Vault::new(&data, Box::new(KeyFile::in_data_folder(&data)));
    let error = vault
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap_err()
        .to_string();
    for part in ["data/vault", "cannot be used", "can be written to"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_seems_to_have_begun_in_the_future_is_over() {
    let now = now();
    for (expires_at, goes_on) in [
        (0, false),
        (now, false),
        (now + 5, true),
        (now + 600, true),
        (now + 630, true),
        (now + 700, false),
        (u64::MAX, false),
    ] {
        assert_eq!(lasts(expires_at, 600), goes_on, "{expires_at} at {now}");
    }
}

#[tokio::test]
async fn a_half_made_database_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    private::create_folder(&folder.path().join("vault")).unwrap();
    std::fs::write(
        folder.path().join("vault/credentials.new"),
        "what a crash left",
    )
    .unwrap();
    let vault = open(&folder);
    assert_eq!(found(&vault, "work", "slack").await.unwrap(), None);
    vault
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap();
    assert_eq!(
        found(&vault, "work", "slack").await.unwrap().as_deref(),
        Some("t")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_and_readers_at_once_lose_nothing() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let folder = Arc::clone(&folder);
        tasks.spawn(async move {
            // Each with connections of its own, the first of them making the vault.
            let vault = open(&folder);
            for round in 0..5 {
                let text = format!("{number}-{round}");
                vault
                    .store(
                        &owner("own"),
                        &provider(&format!("p{number}")),
                        token(&text),
                    )
                    .await
                    .unwrap();
                assert_eq!(
                    found(&vault, "own", &format!("p{number}")).await.unwrap(),
                    Some(text)
                );
                vault
                    .store(&owner("shared"), &provider("slack"), token("shared"))
                    .await
                    .unwrap();
                assert!(found(&vault, "shared", "slack").await.unwrap().is_some());
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let report = open(&folder).verify().await.unwrap();
    assert_eq!((report.credentials, report.problems), (9, Vec::new()));
}

/// Run by the next test, in processes of its own.
#[tokio::test]
#[ignore = "run by `two_processes_that_add_at_once_make_one_vault`"]
async fn one_of_two_processes() {
    let data = PathBuf::from(std::env::var_os("HOLSTER_TEST_DATA").unwrap());
    let name = std::env::var("HOLSTER_TEST_NAME").unwrap();
    let vault = Vault::new(&data, Box::new(KeyFile::in_data_folder(&data)));
    for number in 0..10 {
        let id = provider(&format!("{name}{number}"));
        assert_eq!(
            vault
                .store(&owner("work"), &id, token(&name))
                .await
                .unwrap(),
            Added::New
        );
    }
}

#[tokio::test]
async fn two_processes_that_add_at_once_make_one_vault() {
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "vault::tests::one_of_two_processes", "--ignored"])
            .env("HOLSTER_TEST_DATA", folder.path())
            .env("HOLSTER_TEST_NAME", name)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    for mut process in ["a", "b"].map(start) {
        assert!(process.wait().unwrap().success());
    }
    let report = open(&folder).verify().await.unwrap();
    assert_eq!((report.credentials, report.problems), (20, Vec::new()));
    assert_eq!(
        found(&open(&folder), "work", "b9")
            .await
            .unwrap()
            .as_deref(),
        Some("b")
    );
}

#[tokio::test]
async fn no_file_of_the_vault_holds_a_secret_in_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder);
    for (id, secret) in [
        ("token", CredentialSecret::Token(PLANTED.into())),
        (
            "basic",
            CredentialSecret::Basic {
                username: PLANTED.into(),
                password: PLANTED.into(),
            },
        ),
        (
            "pair",
            CredentialSecret::KeyPair {
                key: PLANTED.into(),
                secret: PLANTED.into(),
            },
        ),
        ("oauth", oauth(PLANTED)),
    ] {
        assert!(!format!("{secret:?}").contains(PLANTED));
        vault
            .store(&owner("work"), &provider(id), NewCredential::new(secret))
            .await
            .unwrap();
    }
    vault
        .find(&owner("work"), &provider("token"))
        .await
        .unwrap();
    let shown = format!(
        "{vault:?} {:?}",
        vault.list(&TenantId::local()).await.unwrap()
    );
    assert!(!shown.contains(PLANTED));
    for entry in std::fs::read_dir(folder.path().join("vault")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            !bytes
                .windows(PLANTED.len())
                .any(|window| window == PLANTED.as_bytes()),
            "{} holds the secret",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_passphrase_opens_the_vault_that_it_made_and_no_other_keeper_does() {
    let folder = tempfile::tempdir().unwrap();
    let with = |passphrase: &str| {
        Vault::new(
            folder.path(),
            Box::new(Passphrase::new(passphrase.into()).unwrap()),
        )
    };
    with("correct horse battery")
        .store(&owner("work"), &provider("slack"), token("t"))
        .await
        .unwrap();
    assert!(!folder.path().join("vault/master.key").exists());
    assert!(
        found(&with("correct horse battery"), "work", "slack")
            .await
            .unwrap()
            .is_some()
    );
    let error = found(&with("another passphrase"), "work", "slack")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the passphrase in `HOLSTER_VAULT_PASSPHRASE` does not open"),
        "{error}"
    );
    let error = found(&open(&folder), "work", "slack")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("HOLSTER_VAULT_PASSPHRASE"), "{error}");
}

#[tokio::test]
async fn a_panic_that_names_all_that_is_held_of_an_account_shows_no_secret() {
    let planted = || PLANTED.into();
    let secrets = [
        CredentialSecret::Token(planted()),
        CredentialSecret::Basic {
            username: planted(),
            password: planted(),
        },
        CredentialSecret::KeyPair {
            key: planted(),
            secret: planted(),
        },
        CredentialSecret::OAuth(OAuthTokens {
            access: planted(),
            refresh: Some(planted()),
            dpop_key: None,
            client: TokenClient {
                id: "client".into(),
                secret: Some(planted()),
            },
            variables: BTreeMap::new(),
        }),
        CredentialSecret::ClientCredentials {
            id: "client".into(),
            secret: planted(),
            access: Some(planted()),
            variables: BTreeMap::new(),
        },
    ];
    for secret in secrets {
        let folder = TempDir::new().unwrap();
        let vault = open(&folder);
        let credential = NewCredential::new(secret);
        let named = format!("{credential:?} {credential:#?}");
        vault
            .store(&owner("work"), &provider("slack"), credential)
            .await
            .unwrap();
        let held = vault.find(&owner("work"), &provider("slack")).await;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            panic!("{named} {held:?} {held:#?} {vault:?}");
        }));
        let message = panicked.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("slack") || message.contains("redacted"));
        assert!(!message.contains(PLANTED), "{message}");
    }
}
