//! R1: queues and memory stay under their stated limits, whatever peers do.

use ayni_core::Core;

use super::Violation;

/// Its name.
pub const PROMISE: &str = "R1 limits hold";

/// Looks at a node after it handled an event and its effects were taken.
#[must_use]
pub fn check(core: &Core, slots: u32) -> Option<Violation> {
    let sizes = core.sizes();
    let slots = slots as usize;
    let limits = [
        ("effects left", sizes.effects, 0),
        ("peers", sizes.peers, 4_096),
        ("assignments", sizes.assignments, sizes.hires * 256),
        ("grants", sizes.grants, slots),
        ("work for others", sizes.tenant_work, sizes.grants * 64),
        ("fetches", sizes.fetches, sizes.assignments + sizes.tenant_work),
        ("leases asked or held", sizes.hires, 64),
    ];
    limits
        .into_iter()
        .find(|(_, size, max)| size > max)
        .map(|(what, size, max)| Violation::new(PROMISE, format!("{what}: {size}, at most {max}")))
}
