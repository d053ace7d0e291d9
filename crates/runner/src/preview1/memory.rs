//! Reading and writing the guest's memory; an address outside it ends the guest.

use ayni_types::TrapCode;

use crate::contract;
use crate::errno::{Errno, HostResult};
use crate::stop::Stop;

/// The guest's linear memory during one host call.
#[derive(Debug)]
pub(super) struct Memory<'a>(pub(super) &'a mut [u8]);

/// A range of guest memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer {
    pub(super) at: u32,
    pub(super) len: u32,
}

const OUT_OF_BOUNDS: Stop = Stop::Trap(TrapCode::MemoryOutOfBounds);

impl Memory<'_> {
    pub(super) fn bytes(&self, at: u32, len: u32) -> Result<&[u8], Stop> {
        let from = at as usize;
        self.0.get(from..from + len as usize).ok_or(OUT_OF_BOUNDS)
    }

    pub(super) fn bytes_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], Stop> {
        let from = at as usize;
        self.0.get_mut(from..from + len as usize).ok_or(OUT_OF_BOUNDS)
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Stop> {
        let from = at as usize;
        let to = self.0.get_mut(from..from + bytes.len()).ok_or(OUT_OF_BOUNDS)?;
        to.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn u16(&self, at: u32) -> Result<u16, Stop> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    pub(super) fn u32(&self, at: u32) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    pub(super) fn u64(&self, at: u32) -> Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    pub(super) fn set_u32(&mut self, at: u32, value: u32) -> Result<(), Stop> {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn set_u64(&mut self, at: u32, value: u64) -> Result<(), Stop> {
        self.write(at, &value.to_le_bytes())
    }

    /// The buffers of a scattered read or write, each checked to lie in memory.
    pub(super) fn buffers(&self, at: u32, count: u32) -> HostResult<Vec<Buffer>> {
        if count > contract::BUFFERS_MAX {
            return Err(Errno::Invalid.into());
        }
        let mut found = Vec::with_capacity(count as usize);
        for index in 0..count {
            let item = offset(at, index, 8)?;
            let buffer = Buffer { at: self.u32(item)?, len: self.u32(offset(item, 1, 4)?)? };
            self.bytes(buffer.at, buffer.len)?;
            found.push(buffer);
        }
        Ok(found)
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Stop> {
        let from = at as usize;
        let bytes = self.0.get(from..from + N).ok_or(OUT_OF_BOUNDS)?;
        bytes.try_into().map_err(|_| OUT_OF_BOUNDS)
    }
}

/// The address of item `index` of an array of items `bytes` long.
pub(super) fn offset(at: u32, index: u32, bytes: u32) -> Result<u32, Stop> {
    index.checked_mul(bytes).and_then(|by| at.checked_add(by)).ok_or(OUT_OF_BOUNDS)
}

/// The bytes of all buffers together.
pub(super) fn total(buffers: &[Buffer]) -> u64 {
    buffers.iter().map(|b| u64::from(b.len)).sum()
}
