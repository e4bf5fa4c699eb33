use super::*;
use crate::test_support::{broker, take_usual_port};

async fn ensure(folder: &Path, broker: &Arc<Broker>) -> SharedServer {
    take_usual_port();
    SharedServer::ensure(folder, Arc::clone(broker), ConnectSettings::default())
        .await
        .unwrap()
}

/// Whether the pages answer where the handle says that they are.
async fn answers(shared: &SharedServer) -> bool {
    let url = &shared.address().url;
    let port = url.port().unwrap();
    let status = health(url, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
    status.is_ok_and(|status| status == StatusCode::NO_CONTENT)
}

/// Lets the handle keep the pages until they are here.
async fn keep_until_here(shared: &mut SharedServer) {
    let taken_over = timeout(Duration::from_secs(10), async {
        while shared.is_elsewhere() {
            let kept = timeout(PAUSE * 2, shared.keep()).await;
            assert!(kept.is_err(), "{}", kept.unwrap());
        }
    });
    taken_over.await.expect("the other server has ended");
}

#[tokio::test]
async fn one_of_two_serves_and_both_know_where() {
    let (folder, broker) = broker().await;
    let one = ensure(folder.path(), &broker).await;
    let other = ensure(folder.path(), &broker).await;
    assert!(!one.is_elsewhere());
    assert!(other.is_elsewhere());
    assert_eq!(one.address(), other.address());
    assert!(answers(&other).await);
    // Who only looks on takes nothing away by leaving.
    other.shutdown().await;
    assert!(answers(&one).await);
}

#[tokio::test]
async fn of_many_that_start_at_once_one_serves() {
    let (folder, broker) = broker().await;
    let start = || ensure(folder.path(), &broker);
    let (a, b, c, d) = tokio::join!(start(), start(), start(), start());
    let all = [a, b, c, d];
    assert_eq!(
        all.iter().filter(|shared| !shared.is_elsewhere()).count(),
        1
    );
    for shared in &all {
        assert_eq!(shared.address(), all[0].address());
    }
}

#[tokio::test]
async fn two_data_folders_are_two_servers() {
    let (one_folder, broker_of_one) = broker().await;
    let (other_folder, broker_of_other) = broker().await;
    let one = ensure(one_folder.path(), &broker_of_one).await;
    let other = ensure(other_folder.path(), &broker_of_other).await;
    assert!(!one.is_elsewhere() && !other.is_elsewhere());
    assert_ne!(one.address(), other.address());
}

#[tokio::test]
async fn the_other_takes_over_at_the_same_address_however_the_first_ends() {
    let (folder, broker) = broker().await;
    for gracefully in [true, false] {
        let first = ensure(folder.path(), &broker).await;
        let mut other = ensure(folder.path(), &broker).await;
        let address = first.address().clone();
        if gracefully {
            first.shutdown().await;
        } else {
            drop(first);
        }
        keep_until_here(&mut other).await;
        assert_eq!(*other.address(), address);
        assert!(answers(&other).await);
        other.shutdown().await;
    }
}

#[tokio::test]
async fn a_third_learns_where_the_pages_went() {
    let (folder, broker) = broker().await;
    let first = ensure(folder.path(), &broker).await;
    let mut second = ensure(folder.path(), &broker).await;
    let mut third = ensure(folder.path(), &broker).await;
    let port = first.address().url.port().unwrap();
    first.shutdown().await;
    // Another program gets the port in between.
    let stranger = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    keep_until_here(&mut second).await;
    assert_ne!(second.address().url.port(), Some(port));
    let moved = timeout(Duration::from_secs(10), async {
        while third.address() != second.address() {
            let _ = timeout(PAUSE * 2, third.keep()).await;
        }
    });
    moved.await.expect("the third reads the notice");
    assert!(third.is_elsewhere());
    drop(stranger);
}

#[tokio::test]
async fn a_notice_of_a_server_that_is_gone_misleads_nobody() {
    let (folder, broker) = broker().await;
    let notice = folder.path().join("connect.json");
    for old in [
        "{\"url\":\"http://127.0.0.1:1/\",\"chosen\":true,\"listens_on\":\"127.0.0.1:1\"}",
        "{",
        "",
    ] {
        fs::write(&notice, old).unwrap();
        let shared = ensure(folder.path(), &broker).await;
        assert!(!shared.is_elsewhere());
        assert!(answers(&shared).await);
        shared.shutdown().await;
        assert!(!notice.exists());
    }
}

#[tokio::test]
async fn a_lock_whose_holder_serves_nothing_is_an_error_that_names_it() {
    let (folder, broker) = broker().await;
    let files = Files::in_folder(folder.path()).unwrap();
    let _lock = files.try_lock().unwrap().expect("nobody else holds it");
    let error = SharedServer::ensure(folder.path(), broker, ConnectSettings::default()).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("connect.lock, but serves no connect pages"),
        "{error}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, broker) = broker().await;
    let _shared = ensure(folder.path(), &broker).await;
    for name in ["connect.lock", "connect.json"] {
        let mode = fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
