//! A network of several real nodes on this machine.

use std::process::ExitCode;

use ayni_api::{ApiError, codes};

use crate::args::DevArgs;
use crate::ui::Ui;

/// Starts the nodes, says how to use them, and ends them on Ctrl-C.
#[allow(clippy::unused_async)]
pub(crate) async fn run(args: DevArgs, ui: &Ui) -> anyhow::Result<ExitCode> {
    let _ = (args, ui);
    Err(ApiError::new(codes::NODE_CONFIG, "this build of `ayni` has no node in it").into())
}
