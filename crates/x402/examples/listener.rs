//! Opens a listener beside a running daemon, by a file of settings.
//!
//! `cargo run -p ayni-x402 --example listener -- HOME SETTINGS.toml`

use std::path::PathBuf;

use ayni_x402::{Settings, serve};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).map(PathBuf::from);
    let (Some(home), Some(file)) = (args.next(), args.next()) else {
        return Err("hint: listener HOME SETTINGS.toml".into());
    };
    let settings = Settings::from_toml(&std::fs::read_to_string(&file)?)?;
    let node = ayni_api::Client::of_home(&home).await?;
    let (shop, listener) = settings.open(&home, node).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::spawn({
        let shop = shop.clone();
        async move { shop.catch_up().await }
    });
    let stop = async {
        // Without a signal to wait for, it is stopped by killing it.
        drop(tokio::signal::ctrl_c().await);
    };
    serve(shop, listener, stop).await?;
    Ok(())
}
