//! A browser without a socket: what it is given without a login, how it logs in, and every way in
//! which another page, port or program might pass for it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use ayni_api::{Security, Token, router};
use tower::ServiceExt as _;

use crate::memory::Memory;

const HOST: &str = "127.0.0.1:7700";
const OWN: (&str, &str) = ("origin", "http://127.0.0.1:7700");
const TOKEN: (&str, &str) = ("authorization", "Bearer 00112233");

fn node() -> Router {
    let security = Security { token: Token::from_text("00112233"), addr: HOST.parse().unwrap() };
    router(Arc::new(Memory::default()), security)
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    /// Status, and the code of the error if it is one.
    fn short(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.text).unwrap_or_default();
        let code = json["error"]["code"].as_str().unwrap_or_default();
        format!("{} {code}", self.status).trim().to_owned()
    }

    fn field(&self, name: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.text).unwrap();
        json[name].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(
    node: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", HOST);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = node.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
    Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

async fn exchange(node: &Router, code: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    let body = serde_json::json!({ "code": code }).to_string();
    send(node, Method::POST, "/v1/session", &headers, &body).await
}

/// A session's cookie and key.
async fn log_in(node: &Router) -> (String, String) {
    let link = send(node, Method::POST, "/v1/login-links", &[TOKEN], "").await;
    assert_eq!(link.status, 200, "{}", link.text);
    assert_eq!(link.field("path"), format!("/#/login/{}", link.field("code")));
    let session = exchange(node, &link.field("code"), &[OWN]).await;
    assert_eq!(session.status, 200, "{}", session.text);
    let cookie = session.header("set-cookie");
    let (pair, rest) = cookie.split_once(';').unwrap();
    assert_eq!(rest, " Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    assert!(pair.starts_with("ayni_7700=") && pair.len() == "ayni_7700=".len() + 64, "{pair}");
    assert!(!session.text.contains(&pair["ayni_7700=".len()..]), "the cookie is not for scripts");
    (pair.to_owned(), session.field("key"))
}

#[tokio::test]
async fn a_link_logs_one_browser_in() {
    let node = node();
    let link = send(&node, Method::POST, "/v1/login-links", &[TOKEN], "").await.field("code");
    assert_eq!(exchange(&node, "", &[OWN]).await.short(), "401 E-API-008");
    assert_eq!(exchange(&node, &link[1..], &[OWN]).await.short(), "401 E-API-008");
    assert_eq!(exchange(&node, &link, &[OWN]).await.short(), "200");
    assert_eq!(exchange(&node, &link, &[OWN]).await.short(), "401 E-API-008", "a second browser");
    let unasked = send(&node, Method::POST, "/v1/login-links", &[OWN], "").await;
    assert_eq!(unasked.short(), "401 E-API-001", "a link without the token");
    let long = "x".repeat(2_000);
    assert_eq!(exchange(&node, &long, &[OWN]).await.short(), "413 E-API-006");
    // A form of another page can send this without asking.
    let form = send(&node, Method::POST, "/v1/session", &[OWN], r#"{"code":"x"}"#).await;
    assert_eq!(form.short(), "400 E-API-004");
}

#[tokio::test]
async fn a_session_is_a_cookie_and_a_key() {
    let node = node();
    let (cookie, key) = log_in(&node).await;
    let get = async |headers: &[(&str, &str)]| {
        send(&node, Method::GET, "/v1/peers", headers, "").await.short()
    };
    let (cookie, key) = (("cookie", cookie.as_str()), ("x-ayni-key", key.as_str()));
    assert_eq!(get(&[cookie, key]).await, "200");
    let among = format!("theme=dark; {}; ayni_7701=ff", cookie.1);
    assert_eq!(get(&[("cookie", &among), key]).await, "200", "among other nodes' cookies");
    let refused: &[&[(&str, &str)]] = &[
        &[cookie],
        &[key],
        &[cookie, ("x-ayni-key", "")],
        &[cookie, ("x-ayni-key", &key.1[1..])],
        &[cookie, key, key],
        &[("cookie", "ayni_7700="), key],
        &[("cookie", &cookie.1[..cookie.1.len() - 1]), key],
        &[("cookie", &cookie.1.replace("7700", "7701")), key],
        &[("cookie", &cookie.1.replace('=', "x=")), key],
        &[cookie, cookie, key],
        &[cookie, key, ("authorization", "Bearer 0")],
    ];
    for headers in refused {
        assert_eq!(get(headers).await, "401 E-API-001", "{headers:?}");
    }
    let (other, _) = log_in(&node).await;
    assert_eq!(get(&[("cookie", &other), key]).await, "401 E-API-001", "two halves");
    let shown = send(&node, Method::GET, "/v1/session", &[cookie, key], "").await;
    assert!(shown.status == 200 && !shown.text.contains("key"), "{}", shown.text);
    let more = send(&node, Method::POST, "/v1/login-links", &[cookie, key, OWN], "").await;
    assert_eq!(more.short(), "401 E-API-001", "a session makes no further one");
    let end = send(&node, Method::DELETE, "/v1/session", &[cookie, key, OWN], "").await;
    assert_eq!(end.short(), "200");
    assert!(end.header("set-cookie").starts_with("ayni_7700=; Path=/; Max-Age=0;"));
    assert_eq!(get(&[cookie, key]).await, "401 E-API-001", "logged out");
}

#[tokio::test]
async fn another_page_can_do_nothing_with_a_session() {
    let node = node();
    let (cookie, key) = log_in(&node).await;
    let own = [("cookie", cookie.as_str()), ("x-ayni-key", key.as_str())];
    let pause = async |more: &[(&str, &str)]| {
        let headers = [&own, more].concat();
        send(&node, Method::POST, "/v1/provider/pause", &headers, "").await.short()
    };
    let site = |site| ("sec-fetch-site", site);
    assert_eq!(pause(&[OWN]).await, "200");
    assert_eq!(pause(&[OWN, site("same-origin")]).await, "200");
    assert_eq!(pause(&[site("same-origin")]).await, "200");
    let refused: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:7701")],
        // Also this node, but not the page's own address.
        &[("origin", "http://localhost:7700")],
        &[OWN, site("same-site")],
        &[site("cross-site")],
        &[site("none")],
        &[site("")],
    ];
    for headers in refused {
        assert_eq!(pause(headers).await, "403 E-API-003", "{headers:?}");
    }
    let rebound = [("host", "evil.example:7700")];
    assert_eq!(pause(&rebound).await, "403 E-API-002");
    let read = async |more: &[(&str, &str)]| {
        let headers = [&own[..], more].concat();
        send(&node, Method::GET, "/v1/peers", &headers, "").await.short()
    };
    assert_eq!(read(&[site("same-origin")]).await, "200");
    assert_eq!(read(&[site("same-site")]).await, "403 E-API-003");
    assert_eq!(read(&[("origin", "http://evil.example")]).await, "403 E-API-003");
}

#[tokio::test]
async fn the_page_is_given_to_anybody_here_and_says_nothing() {
    let node = node();
    let page = send(&node, Method::GET, "/", &[], "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in ["<script>", "<style", " style=", "onload=", "javascript:", "http:", "https:"] {
        assert!(!page.text.contains(inline), "the page has `{inline}` in it");
    }
    // What it loads is there, and of the right kind.
    for part in page.text.split('"').filter(|text| text.starts_with("/assets/")) {
        let file = send(&node, Method::GET, part, &[], "").await;
        let kind = if part.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(file.status == 200 && file.header("content-type").starts_with(kind), "{part}");
        assert!(file.header("cache-control").contains("immutable"), "{part}");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
    }
    let head = send(&node, Method::HEAD, "/index.html", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let elsewhere = send(&node, Method::GET, "/", &[("host", "evil.example:7700")], "").await;
    assert_eq!(elsewhere.short(), "403 E-API-002");
    for path in ["/assets/../api.token", "/api.token", "/assets/", "//index.html", "/%2e%2e/x"] {
        let other = send(&node, Method::GET, path, &[], "").await;
        assert_eq!(other.short(), "401 E-API-001", "{path}");
    }
    let api = send(&node, Method::GET, "/v1/peers", &[TOKEN], "").await;
    assert_eq!(api.header("content-security-policy"), policy);
    assert_eq!(api.header("cache-control"), "no-store");
}
