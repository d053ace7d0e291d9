//! The client against the routes over a real loopback socket, and the files by which they meet.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use ayni_api::json::{AddTasks, JobRequest, TaskFilter, TaskState, Text};
use ayni_api::{Client, Endpoint, Security, Token, codes, router, serve};
use ayni_types::{Digest, JobId};

use crate::memory::Memory;

/// A node that serves until the returned sender is dropped.
async fn start(home: &std::path::Path) -> (Client, tokio::sync::oneshot::Sender<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let token = Token::load_or_create(home).unwrap();
    let router = router(Arc::new(Memory::default()), Security { token, addr });
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(serve(listener, router, async {
        let _: Result<(), _> = stopped.await;
    }));
    Endpoint::here(addr, "test").publish(home).unwrap();
    (Client::of_home(home).await.unwrap(), stop)
}

#[tokio::test]
async fn blobs_go_in_and_come_out_in_pieces() {
    let home = tempfile::tempdir().unwrap();
    let (client, _stop) = start(home.path()).await;
    // Larger than the limit of a JSON body, which must not hold for blobs.
    let bytes: Vec<u8> = (0..40 << 20).map(|at: u32| (at >> 7) as u8).collect();
    let stored = client.put_blob(bytes.clone()).await.unwrap();
    assert_eq!((stored.digest.0, stored.size), (ayni_wire::digest(&bytes), bytes.len() as u64));
    assert_eq!(client.blob_size(stored.digest.0).await.unwrap(), Some(stored.size));
    assert_eq!(client.blob_bytes(stored.digest.0, stored.size).await.unwrap(), bytes);
    assert_eq!(client.blob_head(stored.digest.0, 9).await.unwrap(), bytes[..9]);
    let error = client.blob_bytes(stored.digest.0, 100).await.unwrap_err();
    assert_eq!(error.code, codes::API_SIZE);
    let absent = Digest([1; 32]);
    assert_eq!(client.blob_size(absent).await.unwrap(), None);
    assert_eq!(client.blob_bytes(absent, 1).await.unwrap_err().code, codes::BLOB_UNKNOWN);
    let missing = client.missing_blobs(&[absent, stored.digest.0]).await.unwrap();
    assert_eq!(missing, [absent]);
}

#[tokio::test]
async fn a_job_is_submitted_and_large_figures_survive() {
    let home = tempfile::tempdir().unwrap();
    let (client, _stop) = start(home.path()).await;
    let id = JobId([9; 16]);
    let body = format!(r#"{{"id":"{id}","name":"ü","open":true}}"#);
    let request: JobRequest = serde_json::from_str(&body).unwrap();
    assert_eq!(client.submit(&request).await.unwrap().id, Text(id));
    client.add_tasks(id, &AddTasks { first_index: 0, tasks: vec![] }).await.unwrap();
    let detail = client.job(id).await.unwrap();
    assert_eq!((detail.summary.name.as_str(), detail.price), ("ü", Text(u128::MAX)));
    let filter = TaskFilter {
        from: 3,
        count: Some(7),
        state: Some(TaskState::Failed),
        ..TaskFilter::default()
    };
    assert_eq!(client.tasks(id, filter).await.unwrap().next, Some(7));
    assert_eq!(client.receipt(id, 0).await.unwrap(), None);
    let error = client.cancel(JobId([1; 16])).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (codes::JOB_UNKNOWN, false));
}

#[tokio::test]
async fn events_go_on_where_they_were_left() {
    let home = tempfile::tempdir().unwrap();
    let (client, _stop) = start(home.path()).await;
    for (after, expected) in
        [(None, vec![]), (Some(5), vec![6, 7]), (Some(7), vec![]), (Some(1), vec![4, 5, 6, 7])]
    {
        let mut events = client.events(Some(JobId([9; 16])), after).await.unwrap();
        let mut ids = Vec::new();
        while let Some(event) = events.next().await.unwrap() {
            assert_eq!(event.kind.name() == "resync", event.id == 4);
            ids.push(event.id);
        }
        assert_eq!(ids, expected, "after {after:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_said_so() {
    let home = tempfile::tempdir().unwrap();
    let none = Client::of_home(home.path()).await.unwrap_err();
    assert_eq!(none.code, codes::NODE_UNREACHABLE);
    Token::load_or_create(home.path()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = Endpoint::here(listener.local_addr().unwrap(), "test");
    drop(listener);
    dead.publish(home.path()).unwrap();
    let error = Client::of_home(home.path()).await.unwrap_err();
    assert_eq!(error.code, codes::NODE_UNREACHABLE);
    assert!(error.message.contains("does not answer"), "{error}");
    dead.withdraw(home.path());
    assert_eq!(Endpoint::load(home.path()).unwrap(), None);
}

#[test]
fn the_token_is_the_owners_alone_and_stays_the_same() {
    let home = tempfile::tempdir().unwrap();
    let first = Token::load_or_create(home.path()).unwrap();
    assert_eq!(Token::load_or_create(home.path()).unwrap(), first);
    assert_eq!(format!("{first:?}"), "Token(…)");
    let path = home.path().join("api.token");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = Token::load(home.path()).unwrap_err().to_string();
    assert!(error.contains("readable by others (mode 644)"), "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "short").unwrap();
    assert!(Token::load(home.path()).is_err());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "no draft is left behind");
}
