//! `ayni explorer`: shows what is public of the running node until it is told to stop.
//!
//! Deliberately not here: what is public, and how it is served (`ayni-explorer`).

use std::net::SocketAddr;
use std::path::Path;

use ayni_api::{ApiError, codes};
use ayni_explorer::{Source, serve};
use serde_json::json;
use tokio::net::TcpListener;

use crate::shop::stopped;
use crate::ui::Ui;

pub(crate) async fn run(listen: SocketAddr, home: &Path, ui: &Ui) -> anyhow::Result<()> {
    let source = Source::open(home).await?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        ApiError::new(codes::USAGE, format!("can't listen on {listen}: {error}"))
            .hint("is another program there? --listen chooses another address")
    })?;
    let at = listener.local_addr()?;
    ui.show(&json!({ "schema": 1, "listen": at.to_string() }), |_| {
        format!("explorer at http://{at}/ (plain HTTP: a proxy with TLS belongs before it)")
    });
    serve(source, listener, stopped()?).await?;
    Ok(())
}
