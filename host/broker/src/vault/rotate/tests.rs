//! Rotation while others use the vault, and rotation that is cut off.

use std::collections::BTreeMap;
use std::path::PathBuf;

use holster_types::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::credential::{CredentialSecret, NewCredential};
use crate::vault::{EnvironmentKey, KeyFile, Passphrase};

const PROVIDERS: [&str; 3] = ["slack", "github", "linear"];

fn owner() -> Owner {
    Owner {
        tenant: TenantId::local(),
        profile: ProfileName::new("work").unwrap(),
    }
}

fn provider(id: &str) -> ProviderId {
    ProviderId::new(id).unwrap()
}

fn token(text: &str) -> NewCredential {
    NewCredential {
        account: Some("me".into()),
        ..NewCredential::new(CredentialSecret::Token(text.into()))
    }
}

fn open(folder: &TempDir) -> Vault {
    Vault::new(
        folder.path(),
        Box::new(KeyFile::in_data_folder(folder.path())),
    )
}

/// A vault with a token for each provider, which is its id.
async fn filled(folder: &TempDir) -> Vault {
    let vault = open(folder);
    for id in PROVIDERS {
        vault
            .store(&owner(), &provider(id), token(id))
            .await
            .unwrap();
    }
    vault
        .set_default_profile(&owner().tenant, &provider("slack"), Some(&owner().profile))
        .await
        .unwrap();
    vault
}

async fn check(vault: &Vault) {
    for id in PROVIDERS {
        let held = vault.find(&owner(), &provider(id)).await.unwrap().unwrap();
        let CredentialSecret::Token(token) = &held.secret else {
            panic!("{held:?}")
        };
        assert_eq!(token.expose_secret(), id);
        assert_eq!(held.account.as_deref(), Some("me"));
    }
    let chosen = vault.default_profiles(&owner().tenant).await.unwrap();
    assert_eq!(
        chosen,
        BTreeMap::from([(provider("slack"), owner().profile)])
    );
    let report = vault.verify().await.unwrap();
    assert_eq!((report.credentials, report.problems), (3, Vec::new()));
}

fn key_files(folder: &TempDir) -> Vec<PathBuf> {
    std::fs::read_dir(folder.path().join("vault"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "key"))
        .collect()
}

#[tokio::test]
async fn after_a_rotation_everything_opens_with_the_new_key_and_nothing_with_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    let old = vault.existing().await.unwrap().unwrap().unlocked();
    let old_file = key_files(&folder).remove(0);
    for _ in 0..2 {
        let rotation = vault.rotate_key(None).await.unwrap().unwrap();
        assert_eq!((rotation.credentials, rotation.leftover), (3, None));
        check(&vault).await;
        check(&open(&folder)).await;
        assert_eq!(key_files(&folder).len(), 1);
    }
    assert!(!old_file.exists());
    let store = vault.existing().await.unwrap().unwrap();
    let mut reader = store.reader().await.unwrap();
    for row in reader.rows(&owner().tenant).await.unwrap() {
        let row = row.unwrap();
        let place = store.place(&owner().tenant, &row);
        assert!(old.key.open(&place, &row.ciphertext).is_none());
    }
}

#[tokio::test]
async fn a_process_that_has_the_vault_open_follows_the_rotation_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    let other = open(&folder);
    check(&other).await;
    vault.rotate_key(None).await.unwrap();
    // What it writes first must be sealed with the new key.
    other
        .store(&owner(), &provider("slack"), token("slack"))
        .await
        .unwrap();
    other
        .set_default_profile(&owner().tenant, &provider("slack"), Some(&owner().profile))
        .await
        .unwrap();
    check(&other).await;
    check(&vault).await;
    vault.rotate_key(None).await.unwrap();
    check(&other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_rotations_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    let mut writers = tokio::task::JoinSet::new();
    for id in PROVIDERS {
        let other = open(&folder);
        writers.spawn(async move {
            for _ in 0..10 {
                other
                    .store(&owner(), &provider(id), token(id))
                    .await
                    .unwrap();
                assert!(other.find(&owner(), &provider(id)).await.unwrap().is_some());
            }
        });
    }
    for _ in 0..5 {
        vault.rotate_key(None).await.unwrap();
    }
    writers.join_all().await;
    check(&vault).await;
}

#[tokio::test]
async fn the_master_key_moves_from_the_file_to_a_passphrase_and_on_to_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    let passphrase = || Passphrase::new("correct horse battery".into()).unwrap();
    let rotation = vault
        .rotate_key(Some(Box::new(passphrase())))
        .await
        .unwrap();
    assert!(rotation.unwrap().keeper.contains("passphrase"));
    assert_eq!(key_files(&folder), Vec::<PathBuf>::new());
    check(&vault).await;
    let error = open(&folder).verify().await.unwrap_err().to_string();
    assert!(error.contains("HOLSTER_VAULT_PASSPHRASE"), "{error}");

    let vault = Vault::new(folder.path(), Box::new(passphrase()));
    check(&vault).await;
    let key = || EnvironmentKey::new(&format!("{}=", "A".repeat(43)).into()).unwrap();
    vault.rotate_key(Some(Box::new(key()))).await.unwrap();
    check(&Vault::new(folder.path(), Box::new(key()))).await;
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_leaves_the_vault_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let vault = filled(&folder).await;
    let before = vault.existing().await.unwrap().unwrap().unlocked();
    // As a crash before the commit: the new key file is there, and nothing else.
    KeyFile::in_data_folder(folder.path()).renew().unwrap();
    check(&open(&folder)).await;
    assert_eq!(key_files(&folder).len(), 2);
    // One that does not open stops it.
    let store = vault.existing().await.unwrap().unwrap();
    sqlx::query("UPDATE credential SET ciphertext = x'00' WHERE provider = 'github'")
        .execute(&mut *store.writer().await.unwrap())
        .await
        .unwrap();
    let error = vault.rotate_key(None).await.unwrap_err().to_string();
    assert!(
        error.contains("`github` credential of profile `work`"),
        "{error}"
    );
    assert_eq!(
        vault.existing().await.unwrap().unwrap().unlocked().wrapped,
        before.wrapped
    );
    assert_eq!(key_files(&folder).len(), 2, "its key file is taken away");
    let held = open(&folder).find(&owner(), &provider("linear")).await;
    assert!(held.unwrap().is_some());
}

#[tokio::test]
async fn there_is_nothing_to_rotate_without_a_vault() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(&folder).rotate_key(None).await.unwrap(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
