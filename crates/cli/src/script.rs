//! `ayni run script.py`: a Python script in the place of a program.
//!
//! What runs is the Python guest (`python/guest`, a component of the world `ayni:function`), with the
//! script mounted where the guest looks for one; everything else is as for any program. Deliberately
//! not here: calls of functions, which the Python package makes.

use std::path::{Path, PathBuf};

use ayni_api::{ApiError, codes};

/// Where the guest looks for a script.
pub(crate) const PATH: &str = "/main.py";
/// Says where the guest is.
const VARIABLE: &str = "AYNI_PYTHON_GUEST";
/// The guest beside this executable's folder, as the project's own build puts it.
const BUILT: &str = "python/guest.wasm";

/// The guest that runs `program`, if that is a script.
///
/// # Errors
/// `INPUT_FILE` when there is no guest.
pub(crate) fn guest(program: &Path) -> Result<Option<PathBuf>, ApiError> {
    if program.extension().is_none_or(|extension| extension != "py") {
        return Ok(None);
    }
    let own = std::env::current_exe().ok();
    let built = own.as_deref().and_then(|own| Some(own.parent()?.parent()?.join(BUILT)));
    let path = std::env::var_os(VARIABLE).map(PathBuf::from).or(built);
    match path.filter(|path| path.is_file()) {
        Some(path) => Ok(Some(path)),
        None => Err(missing(program)),
    }
}

fn missing(program: &Path) -> ApiError {
    let looked = match std::env::var_os(VARIABLE) {
        Some(path) => format!("{VARIABLE} is `{}`, which is no file", path.to_string_lossy()),
        None => {
            format!("{VARIABLE} is not set, and there is no `{BUILT}` beside this program's folder")
        }
    };
    let shown = program.display();
    let text = format!("`{shown}` is a Python script and needs the Python guest: {looked}");
    ApiError::new(codes::INPUT_FILE, text).hint("`cargo xtask python guest` builds it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_ask_for_the_guest() {
        for name in ["p.wasm", "py", "a.pyc", "dir.py/p.wasm"] {
            assert_eq!(guest(Path::new(name)).unwrap(), None, "{name}");
        }
    }
}
