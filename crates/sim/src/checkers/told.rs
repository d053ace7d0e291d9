//! What the user of one requester was told.

use std::collections::BTreeMap;

use ayni_types::{Digest, JobId};

/// See the module.
#[derive(Debug, Default)]
pub struct Told {
    pub(super) accepted: BTreeMap<(JobId, u32), Digest>,
    pub(super) failed: BTreeMap<(JobId, u32), String>,
    pub(super) ended: BTreeMap<JobId, (u32, u32, bool)>,
    /// Jobs whose submission was acknowledged, and their tasks.
    pub jobs: BTreeMap<JobId, usize>,
    /// Lies found.
    pub mismatches: u32,
}
