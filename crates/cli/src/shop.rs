//! `ayni x402`: sells runs over HTTP until it is told to stop.
//!
//! Deliberately not here: everything about payments (`ayni-x402`).

use std::path::Path;

use anyhow::Context as _;
use ayni_api::Client;
use ayni_x402::{Settings, serve};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::ui::Ui;

pub(crate) async fn run(settings: &Path, home: &Path, node: Client, ui: &Ui) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(settings)
        .with_context(|| format!("can't read `{}`", settings.display()))?;
    let settings = Settings::from_toml(&text)?;
    let (shop, listener) = settings.open(home, node).await?;
    let at = listener.local_addr()?;
    ui.show(&json!({ "schema": 1, "listen": at.to_string() }), |_| {
        format!("selling runs at http://{at}/ (plain HTTP: a proxy with TLS belongs before it)")
    });
    // What an earlier life settled and did not see the end of.
    let catching_up = tokio::spawn({
        let shop = shop.clone();
        async move { shop.catch_up().await }
    });
    serve(shop, listener, stopped()?).await?;
    catching_up.abort();
    Ok(())
}

/// Done when this process is told to stop.
pub(crate) fn stopped() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            // Without it, it is stopped by killing it.
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    })
}
