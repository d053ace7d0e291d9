//! Not a target: writes the seeds of all others to `$AYNI_FUZZ_SEEDS/TARGET/NUMBER`. It has the form
//! of one because the instrumented code links with libFuzzer only.
#![no_main]

use std::path::PathBuf;

fn write() -> std::io::Result<()> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(project), Some(folder)) = (path("AYNI_FUZZ_PROJECT"), path("AYNI_FUZZ_SEEDS")) else {
        return Err(std::io::Error::other("AYNI_FUZZ_PROJECT and AYNI_FUZZ_SEEDS say where"));
    };
    for (target, seeds) in ayni_fuzz::seeds::all(&project) {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(number.to_string()), seed)?;
        }
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(
    init: write().expect("the seeds can be written"),
    |_data: &[u8]| {}
);
