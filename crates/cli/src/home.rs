//! Where a node keeps its things.

use std::path::{Path, PathBuf};

use ayni_api::{ApiError, codes};

/// The home folder: `--home`, or `ayni` under the XDG data folder. Made absolute, because a daemon
/// that is started from here has another working directory.
pub(crate) fn resolve(given: Option<&Path>) -> Result<PathBuf, ApiError> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => data_folder()?.join("ayni"),
    };
    std::path::absolute(&folder).map_err(|error| {
        let shown = folder.display();
        ApiError::new(codes::NODE_HOME, format!("home folder `{shown}`: {error}"))
    })
}

fn data_folder() -> Result<PathBuf, ApiError> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share"))).ok_or_else(
        || {
            ApiError::new(codes::NODE_HOME, "neither HOME nor XDG_DATA_HOME is set")
                .hint("give a folder with --home")
        },
    )
}
