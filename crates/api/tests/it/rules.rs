//! One request at a time, without a socket: each rule, and the shape of each refusal.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use ayni_api::{Security, Token, router};
use tower::ServiceExt as _;

use crate::memory::Memory;

const HOST: &str = "127.0.0.1:7700";
const TOKEN: &str = "00112233";

async fn send(request: Request<Body>) -> (u16, String) {
    let security = Security { token: Token::from_text(TOKEN), addr: HOST.parse().unwrap() };
    let response: Response =
        router(Arc::new(Memory::default()), security).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// Status and error code of an answer; the body itself if it is no error.
async fn check(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, text) = send(request.body(Body::from(body.to_owned())).unwrap()).await;
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) if !json["error"].is_null() => {
            let error = &json["error"];
            assert!(error["retryable"].is_boolean() && error["hint"].is_string(), "{text}");
            let (code, message) = (&error["code"], &error["message"]);
            format!("{status} {} {}", code.as_str().unwrap(), message.as_str().unwrap())
        }
        _ => format!("{status} {text}"),
    }
}

const GOOD: &[(&str, &str)] = &[("host", HOST), ("authorization", "Bearer 00112233")];

async fn get(path: &str) -> String {
    check(Method::GET, path, GOOD, "").await
}

async fn post(path: &str, body: &str) -> String {
    let headers = [GOOD, &[("content-type", "application/json")]].concat();
    check(Method::POST, path, &headers, body).await
}

#[tokio::test]
async fn only_the_owner_is_answered() {
    let check = async |headers: &[(&str, &str)]| {
        let answer = check(Method::GET, "/v1/peers", headers, "").await;
        answer.split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    let ok = r#"200 {"schema":1,"peers":[]}"#;
    assert_eq!(check(GOOD).await, ok);
    for host in ["localhost:7700", "[::1]:7700", "LOCALHOST:7700"] {
        assert_eq!(check(&[("host", host), GOOD[1]]).await, ok, "{host}");
    }
    for token in ["", "Bearer", "Bearer ", "Bearer 00112234", "Bearer 0011223", "Basic 00112233"] {
        assert_eq!(check(&[GOOD[0], ("authorization", token)]).await, "401 E-API-001", "{token}");
    }
    assert_eq!(check(&[GOOD[0]]).await, "401 E-API-001", "no token");
    assert_eq!(check(&[GOOD[0], GOOD[1], GOOD[1]]).await, "401 E-API-001", "two tokens");
    for host in [
        "evil.example:7700",
        "127.0.0.1",
        "127.0.0.1:7701",
        "127.0.0.1.evil.example:7700",
        "",
        "::1",
    ] {
        assert_eq!(check(&[("host", host), GOOD[1]]).await, "403 E-API-002", "{host}");
    }
    assert_eq!(check(&[GOOD[1]]).await, "403 E-API-002", "no host");
    assert_eq!(check(&[GOOD[0], GOOD[0], GOOD[1]]).await, "403 E-API-002", "two hosts");
    let own = ("origin", "http://127.0.0.1:7700");
    assert_eq!(check(&[GOOD[0], GOOD[1], own]).await, ok);
    for origin in ["http://evil.example", "null", "https://127.0.0.1:7700", "http://127.0.0.1:80"] {
        let headers = [GOOD[0], GOOD[1], ("origin", origin)];
        assert_eq!(check(&headers).await, "403 E-API-003", "{origin}");
    }
}

#[tokio::test]
async fn health_needs_no_token_but_the_right_host() {
    let health = async |host| check(Method::GET, "/healthz", &[("host", host)], "").await;
    assert_eq!(health(HOST).await, "200 ok\n");
    assert_eq!(check(Method::GET, "/readyz", &[("host", HOST)], "").await, "200 ready\n");
    assert!(health("evil.example:7700").await.starts_with("403 E-API-002"));
    let document = check(Method::GET, "/openapi.json", &[("host", HOST)], "").await;
    assert!(document.starts_with("401 E-API-001"), "everything else does");
}

#[tokio::test]
async fn refusals_have_one_shape_and_name_the_place() {
    let zeros = "0".repeat(64);
    insta::assert_snapshot!(get("/v1/nothing").await, @"404 E-API-005 no route GET /v1/nothing");
    insta::assert_snapshot!(post("/v1/status", "").await, @"404 E-API-005 no route POST /v1/status");
    insta::assert_snapshot!(get("/v1/status").await, @"500 E-NODE-001 a bug");
    insta::assert_snapshot!(get("/v1/jobs/xyz").await, @"400 E-API-007 `xyz` is not a job id (32 hex digits)");
    insta::assert_snapshot!(get("/v1/jobs/00000000000000000000000000000000").await, @"404 E-JOB-001 no job 00000000000000000000000000000000 here");
    insta::assert_snapshot!(get("/v1/jobs/00000000000000000000000000000000/tasks/-1").await, @"400 E-API-007 `-1` is not the index of a task");
    insta::assert_snapshot!(get("/v1/jobs/00000000000000000000000000000000/tasks/3/receipt").await, @"404 E-TASK-003 task 3 of job 00000000000000000000000000000000 has no receipt");
    insta::assert_snapshot!(get("/v1/jobs/00000000000000000000000000000000/tasks?count=5000").await, @"400 E-API-004 count is 5000; it must be 1 to 1000");
    insta::assert_snapshot!(get("/v1/jobs/00000000000000000000000000000000/tasks?form=5").await, @"400 E-API-004 Failed to deserialize query string: form: unknown field `form`, expected one of `from`, `count`, `state`, `spec`");
    insta::assert_snapshot!(get(&format!("/v1/blobs/{zeros}")).await, @"404 E-BLOB-001 no blob 0000000000000000000000000000000000000000000000000000000000000000 here");
    insta::assert_snapshot!(post("/v1/peers", r#"{"ticket":"x"}"#).await, @"400 E-NET-001 not a join ticket: x");
    insta::assert_snapshot!(post("/v1/invites", "{").await, @"400 E-API-004 Failed to parse the request body as JSON: EOF while parsing an object at line 1 column 1");
    insta::assert_snapshot!(check(Method::POST, "/v1/invites", GOOD, "{}").await, @"400 E-API-004 the body needs `Content-Type: application/json`");
    insta::assert_snapshot!(post("/v1/verify?re_execute=true", "abc").await, @"400 E-RCPT-002 3 bytes, true");
    insta::assert_snapshot!(get("/v1/provider").await, @"409 E-PROV-001 this node does not provide");
}

#[tokio::test]
async fn jobs_that_break_a_rule_never_reach_the_node() {
    let digest = "ab".repeat(32);
    let task = format!(r#"{{"program":"{digest}","args":["p"]}}"#);
    let job = async |rest: &str| {
        let body = format!(r#"{{"id":"{}",{rest}}}"#, "01".repeat(16));
        post("/v1/jobs", &body).await
    };
    let tasks = format!(r#""tasks":[{task}]"#);
    assert_eq!(
        job(&tasks).await,
        r#"200 {"schema":1,"id":"01010101010101010101010101010101","held":0}"#
    );
    insta::assert_snapshot!(job(r#""tasks":[]"#).await, @"400 E-JOB-004 the job has no tasks and is not open");
    insta::assert_snapshot!(job(&format!(r#"{tasks},"timeout_ms":0"#)).await, @"400 E-JOB-002 a timeout of 0 ms leaves a task no time to start");
    insta::assert_snapshot!(job(&format!(r#"{tasks},"verify":{{"audit_ppm":2000000}}"#)).await, @"400 E-JOB-002 an audit rate of 2000000 millionths is above 1");
    insta::assert_snapshot!(job(&format!(r#"{tasks},"providers_max":0"#)).await, @"400 E-JOB-002 no providers and no cores of its own: nobody would run it");
    insta::assert_snapshot!(job(&format!(r#""tasks":[{task},{}]"#, task.replace(r#"["p"]"#, r#"["a\u0000"]"#))).await, @"400 E-TASK-001 task 1: argument `a\0` has a NUL");
    let many = vec![&*task; 5_001].join(",");
    insta::assert_snapshot!(job(&format!(r#""tasks":[{many}]"#)).await, @"413 E-API-006 5001 tasks; at most 5000 in one request");
    let huge = format!(r#""name":"{}""#, "x".repeat(33 << 20));
    insta::assert_snapshot!(job(&huge).await, @"413 E-API-006 the JSON body is larger than 32 MiB");
    let receipt = "x".repeat(5 << 20);
    insta::assert_snapshot!(post("/v1/verify", &receipt).await, @"413 E-API-006 the receipt is larger than 4194304 bytes");
}
