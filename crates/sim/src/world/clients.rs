//! Users: each wants one job done, and asks until it is acknowledged.

use ayni_core::{Command, CommandError, CommandId, Event, JobSpec, Reply};
use ayni_types::{JobId, TaskSpec};

use super::{Happening, Violation, World};

/// A client that heard nothing for so long asks again.
const PATIENCE_MS: u64 = 4_000;

/// See the module.
pub(super) struct Client {
    pub(super) node: usize,
    pub(super) job: JobId,
    pub(super) tasks: Vec<TaskSpec>,
    /// Tasks of the submission; the rest is added later.
    pub(super) first: usize,
    pub(super) stage: Stage,
    pub(super) cancel_at: Option<u64>,
    pub(super) pending: Option<CommandId>,
    pub(super) asked_at: u64,
    pub(super) spec: JobSpec,
}

/// What it wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Stage {
    Submit,
    Add,
    Close,
    Watch,
    Cancel,
    Done,
}

impl World {
    pub(super) fn command(&mut self, at: usize, command: Command) -> CommandId {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.note(at, 11, &self.commands.to_be_bytes());
        self.handle(at, Event::Command { id, command });
        id
    }

    pub(super) fn client(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.stage == Stage::Done {
            return;
        }
        let (node, job) = (client.node, client.job);
        self.schedule(1_000, node, Happening::Client(index));
        let client = &mut self.clients[index];
        if client.stage == Stage::Watch && client.cancel_at.is_some_and(|at| at <= self.now) {
            client.stage = Stage::Cancel;
        }
        let waits = client.pending.is_some() && self.now < client.asked_at + PATIENCE_MS;
        if waits || self.nodes[node].core.is_none() {
            return;
        }
        let client = &mut self.clients[index];
        let command = match client.stage {
            Stage::Submit => Command::SubmitJob(client.spec.clone()),
            Stage::Add => Command::AddTasks {
                job,
                // Some of them again: what is there already is ignored.
                first_index: u32::try_from(client.first / 2).unwrap_or(0),
                tasks: client.tasks[client.first / 2..].to_vec(),
                sizes: Vec::new(),
            },
            Stage::Close => Command::CloseJob { job },
            Stage::Cancel => Command::CancelJob { job },
            Stage::Watch | Stage::Done => return,
        };
        client.asked_at = self.now;
        let next = CommandId(self.commands + 1);
        client.pending = Some(next);
        self.command(node, command);
    }

    pub(super) fn replied(
        &mut self,
        at: usize,
        id: CommandId,
        result: Result<Reply, CommandError>,
    ) {
        self.note(at, 12, format!("{result:?}").as_bytes());
        self.trace.say(self.now, at, || format!("reply {id:?} {result:?}"));
        if let Ok(reply) = &result {
            self.violations.extend(self.nodes[at].durable.check_reply(reply));
            if *reply == Reply::Drained && self.nodes[at].draining {
                // A drained node goes away and comes back as new.
                self.nodes[at].dies_in = Some(0);
                self.nodes[at].wake_at = Some(self.now + 1);
                self.schedule(1, at, Happening::Wake(self.now + 1));
            }
        }
        let asker = |c: &&mut Client| c.node == at && c.pending == Some(id);
        let Some(client) = self.clients.iter_mut().find(asker) else { return };
        client.pending = None;
        client.stage = match (client.stage, result) {
            (_, Err(CommandError::Journal(_))) => return,
            (Stage::Submit, Ok(Reply::Accepted { job, .. })) => {
                self.nodes[at].told.jobs.insert(job, client.tasks.len());
                if client.spec.open { Stage::Add } else { Stage::Watch }
            }
            (Stage::Add, Ok(_)) => Stage::Close,
            (Stage::Close, Ok(_)) => Stage::Watch,
            (Stage::Cancel, Ok(_) | Err(CommandError::Ended { .. })) => Stage::Watch,
            (stage, result) => {
                let text = format!("{stage:?} was answered {result:?}");
                self.violations.push(Violation::new("commands are answered", text));
                return;
            }
        };
        if client.stage == Stage::Watch && client.cancel_at.is_some_and(|at| at <= self.now) {
            client.cancel_at = None;
        }
    }
}
