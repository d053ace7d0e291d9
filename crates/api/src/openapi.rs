//! The OpenAPI document, generated from the routes and the shapes.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::json;
use crate::routes::{blobs, events, jobs, money, node, programs, provider, session};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ayni node API",
        description = "The API of one Ayni node, for programs of its owner on the same machine. \
            It listens on the loopback address only. Every request but the health checks and `/metrics` carries \
            the bearer token of the file `api.token` in the node's home; the dashboard in a browser \
            carries a session instead, a cookie and a key.\n\nIds are text; fuel and \
            money are decimal text, because numbers above 2^53 are not safe in JavaScript; bytes, \
            counts and milliseconds are numbers. Every answer carries `schema`; new fields may \
            appear at any time. Every failure is `{\"error\":{code,message,hint,retryable}}`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "http://127.0.0.1:{port}", variables(("port" = (default = "7700"))))),
    security(("token" = []), ("cookie" = [], "key" = [])),
    modifiers(&Token),
    paths(
        node::healthz, node::readyz, node::metrics, node::openapi_json,
        node::status, node::identity, node::peers, node::join, node::invite,
        node::offers, node::proofs, node::why, node::doctor, node::shutdown,
        blobs::put_blob, blobs::missing_blobs, blobs::head_blob, blobs::get_blob,
        jobs::submit_job, jobs::list_jobs, jobs::get_job, jobs::add_tasks,
        jobs::close_job, jobs::cancel_job, jobs::list_tasks, jobs::get_task,
        jobs::get_receipt, jobs::get_evidence, events::job_events, events::all_events,
        programs::exec, programs::check, programs::verify,
        money::wallet, money::quote, money::list_channels, money::close_channel, money::claim,
        money::stake, money::change_stake, money::disputes, money::appeal, money::proposals, money::vote,
        session::login_link, session::begin, session::show, session::end,
        provider::provider, provider::limits, provider::set_limits, provider::reset_limits,
        provider::pause, provider::resume, provider::drain,
    ),
    components(schemas(json::EventJson, json::TaskState))
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The text of `api.token` in the node's home"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        let described = |name: &str, text: &str| ApiKeyValue::with_description(name, text);
        let cookie = described("ayni_PORT", "Set by `POST /v1/session`");
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let key = described("X-Ayni-Key", "Answered by `POST /v1/session`; goes with the cookie");
        components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(key)));
    }
}

/// The document as JSON.
#[must_use]
pub fn openapi() -> String {
    let mut text = Document::openapi().to_pretty_json().expect("plain data becomes JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_resolves() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.values().map(|p| p.as_object().unwrap().len()).sum::<usize>(), 55);
        let text = openapi();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(!document["components"]["schemas"][name].is_null(), "{name}");
        }
        assert_eq!(document["paths"]["/healthz"]["get"]["security"], serde_json::json!([{}]));
    }
}
