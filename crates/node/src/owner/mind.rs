//! The task that keeps an owner's word: reads the machine, judges, tells the core.
//!
//! What can change within a moment (input, other programs, memory) is read five times a second, so
//! that the machine is its owner's within one; the rest every two seconds. Only what some limit
//! asks for is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ayni_core::{Command, PauseReason};
use tokio::sync::watch;

use super::input::Inputs;
use super::judge::{Judge, Readings};
use super::limits::Limits;
use super::senses::{self, OthersCpu};
use super::{Owner, Rest, Transferred};
use crate::start::Shared;

/// Between two looks at what changes quickly.
const TICK: Duration = Duration::from_millis(200);
/// Between two looks at what does not.
const SLOW: Duration = Duration::from_secs(2);
/// Between two questions to other programs.
const ASK: Duration = Duration::from_secs(20);
/// Between two notes of the bytes transferred.
const NOTE: Duration = Duration::from_secs(30);

/// Keeps the owner's word until the node stops.
pub(crate) async fn mind(shared: Arc<Shared>) {
    let Some(owner) = shared.owner.clone() else { return };
    let started = Instant::now();
    let mut eyes = Eyes::new(&shared);
    let mut judge = Judge::default();
    let mut said = BTreeSet::new();
    let mut lent = owner.limits().lent();
    loop {
        let limits = owner.limits();
        let word = owner.state().word;
        let readings = eyes.look(&shared, &owner, &limits);
        let mut reasons = judge.decide(started.elapsed(), &limits, &readings);
        let until_ms = paused_until(&owner);
        if let Some(until) = until_ms {
            let text = match until {
                None => "its owner said so, until told to go on".to_owned(),
                Some(_) => "its owner said so, for a time".to_owned(),
            };
            reasons.insert(PauseReason::Owner, text);
        }
        let mut commands = Vec::new();
        for reason in reasons.keys().copied().filter(|reason| !said.contains(reason)) {
            commands.push(Command::Pause { reason });
        }
        for reason in said.iter().copied().filter(|reason| !reasons.contains_key(reason)) {
            commands.push(Command::Resume { reason });
        }
        if limits.lent() != lent {
            lent = limits.lent();
            commands.push(Command::Lend(lent));
            let blobs = shared.blobs.clone();
            let bytes = limits.disk_bytes;
            // It may have much to remove; nobody waits for that.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = blobs.set_cache_bytes_max(bytes) {
                    tracing::warn!("the blob cache is still larger than its owner allows: {error}");
                }
            });
        }
        for command in commands {
            tracing::info!("the machine's owner: {command:?}");
            match shared.handle.command(command).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!("an owner's limit is not obeyed: {error}"),
                // It is stopping.
                Err(_) => return,
            }
        }
        said = reasons.keys().copied().collect();
        show(&owner, reasons, until_ms.flatten(), readings);
        owner.obeyed.send_replace(word);
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = owner.changed.notified() => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// `Some` while it rests by its owner's word: until then, or until told.
fn paused_until(owner: &Owner) -> Option<Option<u64>> {
    let mut state = owner.state();
    let paused = state.paused?;
    if paused.until_ms.is_none_or(|until| now_ms() < until) {
        return Some(paused.until_ms);
    }
    state.paused = None;
    // What is not written down now is found to be over again after a restart.
    if let Err(error) = owner.keep(&state) {
        tracing::warn!("{error}");
    }
    None
}

fn show(
    owner: &Owner,
    reasons: BTreeMap<PauseReason, String>,
    until_ms: Option<u64>,
    readings: Readings,
) {
    let mut state = owner.state();
    let before = std::mem::take(&mut state.rests);
    state.rests = reasons
        .into_iter()
        .map(|(reason, text)| {
            let since_ms = before.get(&reason).map_or_else(now_ms, |rest| rest.since_ms);
            let until_ms = until_ms.filter(|_| reason == PauseReason::Owner);
            (reason, Rest { text, since_ms, until_ms })
        })
        .collect();
    state.readings = readings;
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What is read, and when it was last.
struct Eyes {
    inputs: Option<Inputs>,
    others: OthersCpu,
    slow: Option<Instant>,
    asked: Option<Instant>,
    /// The last answer of whoever looks after the network.
    metered: watch::Sender<Option<bool>>,
    read: Readings,
    /// Of this life: bytes that are in the tally already.
    counted: u64,
    noted: Instant,
}

impl Eyes {
    fn new(shared: &Shared) -> Self {
        Self {
            inputs: None,
            others: OthersCpu::default(),
            slow: None,
            asked: None,
            metered: watch::Sender::new(None),
            read: Readings::default(),
            counted: shared.net.transferred(),
            noted: Instant::now(),
        }
    }

    fn look(&mut self, shared: &Shared, owner: &Owner, limits: &Limits) -> Readings {
        let now = jiff::Zoned::now();
        self.read.weekday = usize::from(now.weekday().to_monday_zero_offset().unsigned_abs());
        self.read.minute =
            u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        self.read.transferred_today = self.tally(shared, owner, &now.date().to_string());
        self.read.others_cpu_percent = match limits.others_cpu_percent {
            Some(_) => self.others.read(shared.shop.sandbox.cpu_spent()),
            None => None,
        };
        self.read.free_memory_percent =
            limits.free_memory_percent.and_then(|_| senses::free_memory_percent());
        if limits.in_use_s.is_some() {
            let inputs = self.inputs.get_or_insert_with(Inputs::listen);
            self.read.idle = inputs.idle();
        } else {
            self.inputs = None;
            self.read.idle = None;
        }
        if self.slow.is_none_or(|last| last.elapsed() >= SLOW) {
            self.slow = Some(Instant::now());
            self.read.on_battery = senses::on_battery();
            self.read.temperature = limits.temperature_max.and_then(|_| senses::temperature());
        }
        if limits.metered {
            self.read.metered = None;
        } else {
            if self.asked.is_none_or(|last| last.elapsed() >= ASK) {
                self.asked = Some(Instant::now());
                // A service that is slow to answer must not keep its owner waiting.
                let answer = self.metered.clone();
                tokio::spawn(async move { answer.send_replace(senses::metered().await) });
            }
            self.read.metered = *self.metered.borrow();
        }
        self.read
    }

    /// Adds what was transferred since the last look to the day's tally.
    fn tally(&mut self, shared: &Shared, owner: &Owner, day: &str) -> u64 {
        let all = shared.net.transferred();
        let new = all.saturating_sub(self.counted);
        self.counted = all;
        let mut state = owner.state();
        let before = state.transferred.take().filter(|tally| tally.day == day);
        let bytes = before.map_or(0, |tally| tally.bytes).saturating_add(new);
        state.transferred = Some(Transferred { day: day.to_owned(), bytes });
        let limited =
            state.set.as_ref().unwrap_or(&owner.settings).transfer_per_day_bytes.is_some();
        if limited && self.noted.elapsed() >= NOTE {
            self.noted = Instant::now();
            if let Err(error) = owner.keep(&state) {
                tracing::warn!("{error}");
            }
        }
        bytes
    }
}
