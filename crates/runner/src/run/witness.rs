//! What a juror shows to have executed a task and not copied its outcome: a digest of the state in
//! which a guest stands when its fuel runs out. The normaliser's counters stop it at the same
//! instruction whatever compiled it, so that honest jurors find the same.
//!
//! Deliberately not here: at which fuel to stop (drawn after the jury, `ayni-court`). Locals and the
//! stack are not part of it: they are where back ends differ.

use ayni_types::Digest;
use wasmtime::{AsContext as _, Store, WasmCoreDump};

use super::State;

/// Of all linear memories, then what the guest has written so far.
pub(super) fn digest(store: &Store<State>, error: Option<&wasmtime::Error>) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("ayni witness 1");
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    // A component's memories are in the dump that comes with its trap, in the order of instances.
    let dump = error.and_then(|error| error.downcast_ref::<WasmCoreDump>());
    let dumped = dump.map(WasmCoreDump::memories).unwrap_or_default();
    for memory in dumped.iter().chain(store.data().memory.iter()) {
        part(memory.data(store.as_context()));
    }
    let host = &store.data().host;
    part(&host.stdout);
    part(&host.stderr);
    for (path, bytes) in host.vfs.outputs() {
        part(path.as_bytes());
        part(bytes);
    }
    Digest(*hasher.finalize().as_bytes())
}
