//! What a core asks for, done by the models.

use ayni_core::{Effect, Purpose};
use ayni_types::{Fault, FaultKind};

use super::{Happening, World};
use crate::checkers::j1;

impl World {
    pub(super) fn effect(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.send(at, to, message),
            Effect::Connect(addr) => {
                if let Some(peer) = self.ids.get(&addr.node).copied().filter(|p| *p != at) {
                    self.dial(at, peer);
                }
            }
            Effect::Persist { sequence, records } => self.persist(at, sequence, records),
            Effect::Fetch { id, what, from } => self.fetch(at, id, &what, &from),
            Effect::Run { id, task, timeout_ms, purpose, .. } => {
                self.execute(at, id, &task, timeout_ms, purpose);
            }
            Effect::Kill(run) => {
                if let Some(purpose) = self.nodes[at].runs.get_mut(&run) {
                    // It answers at once, frozen or not.
                    *purpose = Purpose::Home;
                    let detail = "killed".to_owned();
                    let result = Box::new(Err(Fault { kind: FaultKind::Cancelled, detail }));
                    self.schedule(1, at, Happening::RunEnds { run, result });
                }
            }
            Effect::CancelFetch(_)
            | Effect::CloseSlot(_)
            | Effect::Reserve { .. }
            | Effect::Case { .. } => {}
            Effect::WatchStake(stake) => self.stake_asked(at, stake),
            Effect::WatchChannel(paid_by) => self.watch(at, paid_by),
            Effect::Chain { paid_by, step } => self.chain_step(at, paid_by, step),
            Effect::Freeze(frozen) => self.nodes[at].frozen = frozen,
            Effect::Reply { id, result } => self.replied(at, id, result),
            Effect::Notice(notice) => {
                self.note(at, 4, format!("{:?}", notice.kind).as_bytes());
                self.trace.say(self.now, at, || format!("notice {:?}", notice.kind));
                let node = &mut self.nodes[at];
                if node.is_honest() {
                    let gate = node.durable.check_notice(&notice);
                    let honest = self.knobs.is_honest();
                    let told = j1::told(&mut node.told, &notice, honest, &self.liars);
                    self.violations.extend(gate.into_iter().chain(told));
                }
            }
        }
    }
}
