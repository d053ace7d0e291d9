//! Turns the core's crank: one task owns the core, feeds it what happens and carries out what it
//! asks. Everything slow runs elsewhere and comes back as an event.
//!
//! Views of the core are asked for as closures that run between two events, so that no lock
//! guards it and no reader ever sees it half changed.

use std::collections::BTreeMap;
use std::sync::mpsc as journal_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ayni_core::{Command, CommandError, CommandId, Core, Effect, Event, FetchId, FetchWhat, Reply};
use ayni_net::Net;
use ayni_types::Time;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::bank::BankHandle;
use crate::cheat::Cheat;
use crate::fetch::Fetcher;
use crate::keep::Came;
use crate::news::News;
use crate::persist::Batch;
use crate::work::Work;

/// What the pump's task receives.
pub(crate) enum Input {
    Event(Box<Event>),
    Command(Box<Command>, oneshot::Sender<Result<Reply, CommandError>>),
    Look(Box<dyn FnOnce(&mut Core) + Send>),
}

/// A way to talk to the core. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    inputs: mpsc::UnboundedSender<Input>,
}

/// The pump has ended: the node is shutting down.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the node is shutting down")]
pub(crate) struct Stopped;

impl Handle {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Input>) {
        // Unbounded, because the senders are the node's own adapters, each bounded by itself: peers
        // by the transport's queues, runs by slots, commands by the API's connections.
        let (inputs, receiver) = mpsc::unbounded_channel();
        (Self { inputs }, receiver)
    }

    pub(crate) fn event(&self, event: Event) {
        // When the pump has ended nobody needs the event any more.
        let _ = self.inputs.send(Input::Event(Box::new(event)));
    }

    pub(crate) async fn command(
        &self,
        command: Command,
    ) -> Result<Result<Reply, CommandError>, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Command(Box::new(command), answer)).map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    pub(crate) async fn look<T: Send + 'static>(
        &self,
        view: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let look = Box::new(move |core: &mut Core| {
            // The asker may have gone away meanwhile.
            let _ = answer.send(view(core));
        });
        self.inputs.send(Input::Look(look)).map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

/// The wall clock at start plus a monotonic one, so that time never goes back under the core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    epoch_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch_ms: u64::try_from(since.as_millis()).unwrap_or(0) }
    }

    pub(crate) fn now(&self) -> Time {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Time(self.epoch_ms.saturating_add(elapsed))
    }

    fn until(&self, time: Time) -> Duration {
        Duration::from_millis(time.since_ms(self.now()))
    }
}

/// Everything the pump needs to carry out effects.
pub(crate) struct Pump {
    pub(crate) core: Core,
    pub(crate) clock: Clock,
    pub(crate) handle: Handle,
    pub(crate) net: Arc<Net>,
    pub(crate) journal: journal_channel::Sender<Batch>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) outputs: journal_channel::Sender<Came>,
    pub(crate) work: Work,
    pub(crate) cheat: Option<Arc<Cheat>>,
    pub(crate) bank: Option<BankHandle>,
    pub(crate) news: Arc<Mutex<News>>,
    pub(crate) waiting: BTreeMap<CommandId, oneshot::Sender<Result<Reply, CommandError>>>,
    pub(crate) fetches: BTreeMap<FetchId, AbortHandle>,
    pub(crate) next_command: u64,
}

impl Pump {
    /// Runs until every [`Handle`] is gone or `stop` fires.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::UnboundedReceiver<Input>,
        mut stop: oneshot::Receiver<()>,
    ) {
        self.carry_out();
        loop {
            let wait = self.core.poll_timeout().map(|at| self.clock.until(at));
            let tick = async move {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = &mut stop => break,
                input = inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => break,
                },
                () = tick => self.core.handle(self.clock.now(), Event::Tick),
            }
            // What has come meanwhile is taken before effects go out, so that they are batched;
            // bounded, so that effects are never starved.
            for _ in 0..64 {
                let Ok(input) = inputs.try_recv() else { break };
                self.take(input);
            }
            self.carry_out();
        }
        self.work.stop_all().await;
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => {
                if let Event::Fetched { fetch, .. } = &*event {
                    self.fetches.remove(fetch);
                }
                self.core.handle(self.clock.now(), *event);
            }
            Input::Command(command, answer) => {
                let id = CommandId(self.next_command);
                self.next_command += 1;
                self.waiting.insert(id, answer);
                self.core.handle(self.clock.now(), Event::Command { id, command: *command });
            }
            Input::Look(look) => look(&mut self.core),
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send { to, message } => match &self.cheat {
                    None => self.net.send(to, message),
                    Some(cheat) => {
                        for message in cheat.twist(message) {
                            self.net.send(to, message);
                        }
                    }
                },
                Effect::Connect(addr) => self.net.keep(addr),
                Effect::Persist { sequence, records } => {
                    // The thread ends only with the pump.
                    let _ = self.journal.send((sequence, records));
                }
                // Nothing to fetch for a tiny task: what it reads is here, what it gave came along.
                Effect::Fetch { id, what: FetchWhat::Inputs(task), .. }
                    if self.fetcher.holds_all(&task) =>
                {
                    let fetched = Event::Fetched { fetch: id, result: Ok(()) };
                    self.core.handle(self.clock.now(), fetched);
                }
                Effect::Fetch { id, what: FetchWhat::Outputs { here, rest }, .. }
                    if rest.is_empty() =>
                {
                    // The thread ends only with the pump.
                    let _ = self.outputs.send((id, here));
                }
                Effect::Fetch { id, what, from } => {
                    let (fetcher, handle) = (self.fetcher.clone(), self.handle.clone());
                    let task = tokio::spawn(async move {
                        let result = fetcher.fetch(what, from).await;
                        handle.event(Event::Fetched { fetch: id, result });
                    });
                    self.fetches.insert(id, task.abort_handle());
                }
                Effect::CancelFetch(id) => {
                    if let Some(task) = self.fetches.remove(&id) {
                        task.abort();
                        let result = Err(ayni_core::FetchFailure::Cancelled);
                        self.handle.event(Event::Fetched { fetch: id, result });
                    }
                }
                Effect::Run { id, slot, task, timeout_ms, purpose } => {
                    self.work.run(id, slot, task, Duration::from_millis(timeout_ms), purpose);
                }
                Effect::Kill(id) => self.work.kill(id),
                Effect::CloseSlot(slot) => self.work.close(slot),
                Effect::Freeze(frozen) => self.work.freeze(frozen),
                // Without a bank nothing is paid, and a core that has none asks for nothing but what
                // an earlier life left behind.
                Effect::WatchChannel(paid_by) => {
                    if let Some(bank) = &self.bank {
                        bank.watch(paid_by);
                    }
                }
                Effect::Chain { paid_by, step } => {
                    if let Some(bank) = &self.bank {
                        bank.step(paid_by, step);
                    }
                }
                Effect::Reserve { requester, amount, least_until, until } => {
                    if let Some(bank) = &self.bank {
                        bank.reserve(requester, amount, least_until, until);
                    }
                }
                Effect::WatchStake(stake) => {
                    if let Some(bank) = &self.bank {
                        bank.watch_stake(stake);
                    }
                }
                Effect::Case { from, case } => {
                    if let Some(bank) = &self.bank {
                        bank.case(from, case);
                    }
                }
                Effect::Reply { id, result } => {
                    if let Some(answer) = self.waiting.remove(&id) {
                        // The asker may have hung up; the command stands all the same.
                        let _ = answer.send(result);
                    }
                }
                Effect::Notice(notice) => {
                    self.news.lock().unwrap_or_else(PoisonError::into_inner).add(notice);
                }
            }
        }
    }
}
