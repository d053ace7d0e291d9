//! Preview 1: arguments, environment, clocks, randomness, polling; and sockets, of which there are
//! none.

use super::fds::Target;
use super::memory::offset;
use super::{Guest, Reply};
use crate::contract;
use crate::errno::{Errno, HostResult};
use crate::host::{since_start_ns, wall_ns};

const REALTIME: u32 = 0;
const CLOCK_LAST: u32 = 3;

impl Guest<'_> {
    pub(super) fn args_sizes_get(&mut self, count: u32, bytes: u32) -> Reply {
        let args = self.host.args.clone();
        self.sizes(&args, count, bytes)
    }

    pub(super) fn args_get(&mut self, list: u32, at: u32) -> Reply {
        let args = self.host.args.clone();
        self.strings(&args, list, at)
    }

    pub(super) fn environ_sizes_get(&mut self, count: u32, bytes: u32) -> Reply {
        let env = self.environment();
        self.sizes(&env, count, bytes)
    }

    pub(super) fn environ_get(&mut self, list: u32, at: u32) -> Reply {
        let env = self.environment();
        self.strings(&env, list, at)
    }

    fn environment(&self) -> Vec<String> {
        self.host.env.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn sizes(&mut self, texts: &[String], count: u32, bytes: u32) -> Reply {
        let total: usize = texts.iter().map(|t| t.len() + 1).sum();
        self.memory.set_u32(count, u32::try_from(texts.len()).map_err(|_| Errno::Invalid)?)?;
        Ok(self.memory.set_u32(bytes, u32::try_from(total).map_err(|_| Errno::Invalid)?)?)
    }

    fn strings(&mut self, texts: &[String], list: u32, at: u32) -> Reply {
        let mut at = at;
        for (index, text) in (0_u32..).zip(texts) {
            let len = u32::try_from(text.len() + 1).map_err(|_| Errno::Invalid)?;
            self.host.charge_bytes(u64::from(len) + 4)?;
            self.memory.set_u32(offset(list, index, 4)?, at)?;
            self.memory.write(at, text.as_bytes())?;
            self.memory.write(offset(at, len - 1, 1)?, &[0])?;
            at = offset(at, len, 1)?;
        }
        Ok(())
    }

    pub(super) fn clock_res_get(&mut self, clock: u32, out: u32) -> Reply {
        if clock > CLOCK_LAST {
            return Err(Errno::Invalid.into());
        }
        Ok(self.memory.set_u64(out, contract::CLOCK_STEP_NS)?)
    }

    pub(super) fn clock_time_get(&mut self, clock: u32, out: u32) -> Reply {
        if clock > CLOCK_LAST {
            return Err(Errno::Invalid.into());
        }
        let now = self.host.read_clock();
        Ok(self.memory.set_u64(out, if clock == REALTIME { wall_ns(now) } else { now })?)
    }

    pub(super) fn random_get(&mut self, at: u32, len: u32) -> Reply {
        // Charged before the buffer is touched.
        let buffer = self.memory.bytes_mut(at, len)?;
        Ok(self.host.random(buffer)?)
    }

    /// Waiting is moving the virtual clock; files and streams are always ready.
    pub(super) fn poll_oneoff(&mut self, subs: u32, events: u32, count: u32, out: u32) -> Reply {
        if count == 0 || count > contract::SUBSCRIPTIONS_MAX {
            return Err(Errno::Invalid.into());
        }
        self.host.charge(u64::from(count) * contract::ITEM_FUEL)?;
        let mut waits = Vec::new();
        let mut ready = Vec::new();
        for index in 0..count {
            let sub = offset(subs, index, 48)?;
            let user = self.memory.u64(sub)?;
            let tag = self.memory.bytes(offset(sub, 8, 1)?, 1)?[0];
            match tag {
                0 => waits.push((user, self.deadline_ns(sub)?)),
                1 | 2 => ready.push(self.poll_fd(user, tag, sub)?),
                _ => return Err(Errno::Invalid.into()),
            }
        }
        if ready.is_empty()
            && let Some(first) = waits.iter().map(|(_, deadline)| *deadline).min()
        {
            self.host.sleep(first.saturating_sub(self.host.elapsed_ns()));
        }
        let now = self.host.elapsed_ns();
        for (user, deadline) in waits {
            if deadline <= now {
                ready.push(Event { user, errno: 0, tag: 0, bytes: 0 });
            }
        }
        for (index, event) in (0_u32..).zip(&ready) {
            self.memory.write(offset(events, index, 32)?, &event.encode())?;
        }
        let written = u32::try_from(ready.len()).map_err(|_| Errno::Invalid)?;
        Ok(self.memory.set_u32(out, written)?)
    }

    /// When a clock subscription is over, in time since the start.
    fn deadline_ns(&mut self, sub: u32) -> HostResult<u64> {
        let clock = self.memory.u32(offset(sub, 16, 1)?)?;
        let timeout = self.memory.u64(offset(sub, 24, 1)?)?;
        let absolute = self.memory.u16(offset(sub, 40, 1)?)? & 1 != 0;
        match (clock, absolute) {
            (REALTIME, true) => Ok(since_start_ns(timeout)),
            (1..=CLOCK_LAST, true) => Ok(timeout),
            (0..=CLOCK_LAST, false) => Ok(self.host.elapsed_ns().saturating_add(timeout)),
            _ => Err(Errno::Invalid.into()),
        }
    }

    fn poll_fd(&mut self, user: u64, tag: u8, sub: u32) -> HostResult<Event> {
        let fd = self.memory.u32(offset(sub, 16, 1)?)?;
        let event = |errno, bytes| Event { user, errno, tag, bytes };
        let target = match self.fds.fd(fd) {
            Ok(fd) => fd.target.clone(),
            Err(errno) => return Ok(event(errno as u16, 0)),
        };
        let bytes = match (target, tag) {
            (Target::Dir { .. }, _) => return Ok(event(Errno::BadFd as u16, 0)),
            (Target::Stdin, 1) => self.host.stdin()?.len() as u64,
            (Target::File { node, position }, 1) => {
                self.host.vfs.size(node)?.saturating_sub(position)
            }
            _ => 0,
        };
        Ok(event(0, bytes))
    }

    /// No descriptor is ever a socket.
    pub(super) fn no_socket(&mut self, fd: u32) -> Reply {
        self.fds.fd(fd)?;
        Err(Errno::NotSocket.into())
    }
}

/// What a poll reports.
struct Event {
    user: u64,
    errno: u16,
    tag: u8,
    bytes: u64,
}

impl Event {
    fn encode(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.user.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.errno.to_le_bytes());
        bytes[10] = self.tag;
        bytes[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }
}
