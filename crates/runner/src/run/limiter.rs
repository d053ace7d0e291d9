//! Memory and table limits of a task.
//!
//! Growth past the limit is told to the guest (`memory.grow` returns −1); a first memory past it
//! ends the task before it begins. The machine refusing what the limit allows is a fault.

use wasmtime::ResourceLimiter;

use crate::contract;

/// The limits of one task.
#[derive(Debug)]
pub struct Limiter {
    memory_bytes: u64,
    memory_used: u64,
    table_elements_used: usize,
    started: bool,
    first_refused: bool,
    machine_refused: bool,
}

impl Limiter {
    /// Linear memory may grow to `memory_bytes`, all memories together.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        Self {
            memory_bytes,
            memory_used: 0,
            table_elements_used: 0,
            started: false,
            first_refused: false,
            machine_refused: false,
        }
    }

    /// Instantiation is over; from here on the guest is told.
    pub fn started(&mut self) {
        self.started = true;
    }

    /// Whether the memory or tables it starts with are past the limit.
    #[must_use]
    pub fn first_memory_refused(&self) -> bool {
        self.first_refused
    }

    /// Whether the machine did not give what the limit allows.
    #[must_use]
    pub fn machine_refused(&self) -> bool {
        self.machine_refused
    }

    fn refuse(&mut self) -> bool {
        self.first_refused |= !self.started;
        false
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.memory_used.saturating_add((desired - current) as u64);
        if maximum.is_some_and(|max| desired > max) {
            return Ok(false);
        }
        if used > self.memory_bytes {
            return Ok(self.refuse());
        }
        self.memory_used = used;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.downcast_ref::<std::io::Error>().is_some() {
            self.machine_refused = true;
            return Err(error);
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.table_elements_used.saturating_add(desired - current);
        if maximum.is_some_and(|max| desired > max) {
            return Ok(false);
        }
        if used > contract::TABLE_ELEMENTS_MAX {
            return Ok(self.refuse());
        }
        self.table_elements_used = used;
        Ok(true)
    }
}
