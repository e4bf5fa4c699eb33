//! Exports that come back, and files that must not.

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::credential::{OAuthTokens, TokenClient};
use crate::vault::KeyFile;

const PASSPHRASE: &str = "correct horse battery";
const PLANTED: &str = "planted-77d0-secret";

fn open(folder: &TempDir) -> Vault {
    Vault::new(
        folder.path(),
        Box::new(KeyFile::in_data_folder(folder.path())),
    )
}

fn owner(tenant: &str, profile: &str) -> Owner {
    Owner {
        tenant: TenantId::new(tenant).unwrap(),
        profile: ProfileName::new(profile).unwrap(),
    }
}

fn provider(id: &str) -> ProviderId {
    ProviderId::new(id).unwrap()
}

fn tokens(access: &str) -> NewCredential {
    NewCredential {
        account: Some("me".into()),
        scopes: Some(["read"].into_iter().collect()),
        expires_at: Some(1),
        ..NewCredential::new(CredentialSecret::OAuth(OAuthTokens {
            access: access.into(),
            refresh: Some("refresh \"quoted\"\n".into()),
            dpop_key: None,
            client: TokenClient {
                id: "client".into(),
                secret: None,
            },
            variables: BTreeMap::from([("domain".to_owned(), "x.example".to_owned())]),
        }))
    }
}

fn token(text: &str) -> NewCredential {
    NewCredential::new(CredentialSecret::Token(text.into()))
}

async fn filled(folder: &TempDir) -> Vault {
    let vault = open(folder);
    for (owner, id, credential) in [
        (owner("local", "work"), "linear", tokens(PLANTED)),
        (owner("local", "home"), "slack", token(PLANTED)),
        (owner("ann", "work"), "slack", token("hers")),
    ] {
        vault
            .store(&owner, &provider(id), credential)
            .await
            .unwrap();
    }
    let home = owner("local", "home");
    vault
        .set_default_profile(&home.tenant, &provider("slack"), Some(&home.profile))
        .await
        .unwrap();
    vault
}

fn outcomes(report: &[ImportedCredential]) -> Vec<(String, Imported)> {
    report
        .iter()
        .map(|entry| {
            let ImportedCredential {
                tenant,
                profile,
                provider,
                outcome,
            } = entry;
            (format!("{tenant}/{profile}/{provider}"), *outcome)
        })
        .collect()
}

/// An export for a key that is new, and that key.
async fn exported(vault: &Vault) -> (Vec<u8>, SecretString) {
    let identity = x25519::Identity::generate();
    let to = ExportFor::Recipients(vec![identity.to_public().to_string()]);
    let key = identity.to_string().expose_secret().to_owned();
    (vault.export(to).await.unwrap(), key.into())
}

/// JSON as an export carries it, for that key.
fn sealed(json: &str, key: &SecretString) -> Vec<u8> {
    let identity = x25519::Identity::from_str(key.expose_secret()).unwrap();
    age::encrypt(&identity.to_public(), json.as_bytes()).unwrap()
}

#[tokio::test]
async fn what_was_exported_comes_back_in_another_vault() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = filled(&one).await;
    let to = ExportFor::Passphrase(PASSPHRASE.into());
    let file = vault.export(to).await.unwrap();
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));

    let with = ImportWith::Passphrase(PASSPHRASE.into());
    let report = open(&other).import(file, with, false).await.unwrap();
    assert_eq!(
        outcomes(&report),
        [
            ("ann/work/slack".to_owned(), Imported::Added),
            ("local/home/slack".to_owned(), Imported::Added),
            ("local/work/linear".to_owned(), Imported::Added),
        ]
    );
    let vault = open(&other);
    let held = vault
        .find(&owner("local", "work"), &provider("linear"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(held.secret.parts(), tokens(PLANTED).secret.parts());
    assert_eq!(
        (held.account.as_deref(), held.expires_at),
        (Some("me"), Some(1))
    );
    assert_eq!(held.scopes.as_ref().unwrap().to_string(), "read");
    let chosen = vault.default_profiles(&TenantId::local()).await.unwrap();
    assert_eq!(chosen.len(), 1);
}

#[tokio::test]
async fn an_import_that_cannot_write_a_choice_of_a_profile_writes_no_credential() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, key) = exported(&filled(&one).await).await;
    let vault = open(&other);
    let there = owner("local", "there");
    vault
        .store(&there, &provider("slack"), token("mine"))
        .await
        .unwrap();
    let store = vault.existing().await.unwrap().unwrap();
    sqlx::query(
        "CREATE TRIGGER full BEFORE INSERT ON default_profile BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .execute(&mut *store.writer().await.unwrap())
    .await
    .unwrap();
    let with = ImportWith::Identities(key);
    let error = vault.import(file, with, false).await.unwrap_err();
    assert!(matches!(error, VaultError::Database { .. }), "{error:?}");
    let left = vault.list(&TenantId::local()).await.unwrap();
    let left: Vec<_> = left.iter().map(|entry| entry.profile.as_str()).collect();
    assert_eq!(left, ["there"]);
}

#[tokio::test]
async fn an_import_replaces_nothing_unless_it_is_told_to() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, key) = exported(&filled(&one).await).await;
    let vault = open(&other);
    let home = owner("local", "home");
    vault
        .store(&home, &provider("slack"), token("mine"))
        .await
        .unwrap();
    for (replace, expected) in [
        (false, [Imported::Added, Imported::Kept, Imported::Added]),
        (true, [Imported::Replaced; 3]),
    ] {
        let with = ImportWith::Identities(key.clone());
        let report = vault.import(file.clone(), with, replace).await.unwrap();
        assert_eq!(
            report.iter().map(|entry| entry.outcome).collect::<Vec<_>>(),
            expected
        );
        let held = vault.find(&home, &provider("slack")).await.unwrap();
        let parts = if replace { PLANTED } else { "mine" };
        assert_eq!(held.unwrap().secret.parts(), [parts]);
    }
}

#[tokio::test]
async fn the_wrong_key_a_changed_file_or_another_file_imports_nothing() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, key) = exported(&filled(&one).await).await;
    let stranger = x25519::Identity::generate().to_string();
    let stranger = SecretString::from(stranger.expose_secret());
    let cut = file[..file.len() / 2].to_vec();
    let entry = |secret: &str, kind: &str| {
        sealed(
            &format!(
                r#"{{"format":"holster credentials","version":1,"exported_at":1,"default_profiles":[],"credentials":[
                {{"tenant":"local","profile":"work","provider":"slack","kind":"{kind}","account":null,"scopes":null,
                "expires_at":null,"secret":[{secret}]}}]}}"#
            ),
            &key,
        )
    };
    for (file, key, part) in [
        (file.clone(), &stranger, "No matching keys found"),
        (file, &"AGE-SECRET-KEY-1BAD".into(), "the identity is none"),
        (cut, &key, "cannot be imported"),
        (b"not age at all".to_vec(), &key, "cannot be imported"),
        (sealed("{}", &key), &key, "not of credentials"),
        (
            sealed(r#"{"format":"holster credentials","version":2}"#, &key),
            &key,
            "newer Holster",
        ),
        (
            sealed(
                &format!(r#"{{"format":"holster credentials","version":1,"x":"{PLANTED}"}}"#),
                &key,
            ),
            &key,
            "not sound (line 1",
        ),
        (
            entry(&format!(r#""{PLANTED}","{PLANTED}""#), "api_key"),
            &key,
            "other parts than its kind",
        ),
        (
            entry(&format!(r#""{PLANTED}\n""#), "api_key"),
            &key,
            "line break",
        ),
    ] {
        let with = ImportWith::Identities(key.clone());
        let error = open(&other).import(file, with, true).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains(part) && !text.contains(PLANTED),
            "{part}: {text}"
        );
    }
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_export_needs_a_recipient_or_a_good_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    for (to, part) in [
        (
            ExportFor::Passphrase("short".into()),
            "at least 12 characters",
        ),
        (ExportFor::Recipients(Vec::new()), "recipient"),
        (
            ExportFor::Recipients(vec!["me".into()]),
            "`me` is no recipient",
        ),
    ] {
        let error = vault.export(to).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_vault_with_a_credential_that_does_not_open_is_not_exported_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    let store = vault.existing().await.unwrap().unwrap();
    sqlx::query("UPDATE credential SET ciphertext = x'00' WHERE provider = 'linear'")
        .execute(&mut *store.writer().await.unwrap())
        .await
        .unwrap();
    let to = ExportFor::Recipients(vec![x25519::Identity::generate().to_public().to_string()]);
    let error = vault.export(to).await.unwrap_err().to_string();
    assert!(error.contains("`linear` credential"), "{error}");
}
