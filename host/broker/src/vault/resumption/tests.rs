//! Request states that somebody altered, kept too long, used twice or took to another call.

use tempfile::TempDir;

use super::*;
use crate::vault::KeyFile;

const CALL: &[&[u8]] = &[b"local", b"thread", b"send_message", b"digest"];

fn vault(folder: &TempDir) -> Vault {
    Vault::new(
        folder.path(),
        Box::new(KeyFile::in_data_folder(folder.path())),
    )
}

#[tokio::test]
async fn a_request_state_that_was_altered_opens_nothing() {
    let folder = TempDir::new().unwrap();
    let vault = vault(&folder);
    let resumption = vault.resumption(CALL).await.unwrap();
    for position in [0, 20, 40, resumption.len() - 1] {
        let mut altered = resumption.clone().into_bytes();
        altered[position] = if altered[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let altered = String::from_utf8(altered).unwrap();
        let judged = vault.resume(&altered, CALL).await.unwrap();
        assert_eq!(judged, Err(NotResumable::Foreign), "{position}");
    }
    for nonsense in ["", "x", "not base64!", &"A".repeat(100_000)] {
        let judged = vault.resume(nonsense, CALL).await.unwrap();
        assert_eq!(judged, Err(NotResumable::Foreign));
    }
    assert_eq!(vault.resume(&resumption, CALL).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_request_state_opens_for_its_own_call_alone() {
    let folder = TempDir::new().unwrap();
    let vault = vault(&folder);
    let resumption = vault.resumption(CALL).await.unwrap();
    let others: [&[&[u8]]; 4] = [
        &[b"other", b"thread", b"send_message", b"digest"],
        &[b"local", b"thread", b"delete_message", b"digest"],
        &[b"local", b"thread", b"send_message"],
        &[b"localthread", b"", b"send_message", b"digest"],
    ];
    for other in others {
        let judged = vault.resume(&resumption, other).await.unwrap();
        assert_eq!(judged, Err(NotResumable::Foreign));
    }
    assert_eq!(vault.resume(&resumption, CALL).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_request_state_is_used_once_by_whichever_process() {
    let folder = TempDir::new().unwrap();
    let (vault, other) = (vault(&folder), vault(&folder));
    let resumption = vault.resumption(CALL).await.unwrap();
    assert_eq!(other.resume(&resumption, CALL).await.unwrap(), Ok(()));
    for vault in [&vault, &other] {
        let judged = vault.resume(&resumption, CALL).await.unwrap();
        assert_eq!(judged, Err(NotResumable::Used));
    }
}

#[tokio::test]
async fn a_request_state_expires_and_is_then_forgotten() {
    let folder = TempDir::new().unwrap();
    let vault = vault(&folder);
    let store = vault.made().await.unwrap();
    let old = store.resumption(CALL, now());
    let judged = vault.resume(&old, CALL).await.unwrap();
    assert_eq!(judged, Err(NotResumable::Expired));

    assert!(store.use_up(&[7; ID], now()).await.unwrap());
    assert!(
        store.use_up(&[7; ID], now() + 60).await.unwrap(),
        "what has expired is no longer kept"
    );
    assert!(!store.use_up(&[7; ID], now() + 60).await.unwrap());
}
