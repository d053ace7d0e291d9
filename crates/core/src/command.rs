//! What an owner asks of the requester's side: submit, add, close, cancel.

use ayni_types::{BlobRef, JobId, TaskSpec, Verify, limits};
use ayni_wire::{Message, check_task};

use crate::budget::budget_fault;
use crate::core::Core;
use crate::effect::{Effect, NoticeKind};
use crate::event::{Command, CommandError, CommandId, JobSpec, Reply};
use crate::gate::Then;
use crate::job::{Job, Phase, Place};
use crate::journal::{JobRecord, Record, TASKS_PER_RECORD};

/// Longest name of a job in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Longest wall clock a job may allow per task: a week.
const TIMEOUT_MS_MAX: u64 = 7 * 86_400_000;

impl Core {
    pub(crate) fn command(&mut self, id: CommandId, command: Command) {
        let result = match (self.gate.failed(), command) {
            (Some(reason), _) => Err(CommandError::Journal(reason.to_owned())),
            (None, Command::SubmitJob(spec)) => self.submit(spec),
            (None, Command::AddTasks { job, first_index, tasks, sizes }) => {
                self.add_tasks(job, first_index, tasks, &sizes)
            }
            (None, Command::CloseJob { job }) => self.close_job(job),
            (None, Command::CancelJob { job }) => self.cancel_job(job),
            (None, Command::CloseChannel { channel }) => self.close_channel(channel),
            (None, _) => {
                self.query_now();
                Ok(Reply::Done)
            }
        };
        self.dirty = true;
        self.market_dirty = true;
        match result {
            Ok(_) => self.gated(Then::Reply(id, result)),
            // Nothing changed, so nothing has to be durable.
            Err(_) => self.effects.push_back(Effect::Reply { id, result }),
        }
    }

    fn submit(&mut self, spec: JobSpec) -> Result<Reply, CommandError> {
        if let Some(job) = self.jobs.get(&spec.id) {
            return Ok(Reply::Accepted { job: spec.id, held: held_in(job) });
        }
        self.check_job(&spec)?;
        check_tasks(0, &spec.tasks)?;
        let record = JobRecord {
            id: spec.id,
            name: spec.name,
            open: spec.open,
            timeout_ms: spec.timeout_ms,
            deadline: spec.deadline,
            verify: spec.verify,
            providers_max: spec.providers_max,
            home: spec.home,
            nondeterministic: spec.nondeterministic,
            price_max: spec.price_max,
            submitted: self.now,
            budget: spec.budget,
        };
        let tasks = u32::try_from(spec.tasks.len()).expect("checked against the limit");
        self.commit(Record::JobSubmitted(record));
        self.commit_sizes(spec.id, &spec.sizes);
        self.commit_tasks(spec.id, spec.tasks);
        let held = self.jobs.get(&spec.id).map_or(0, held_in);
        self.notice_gated(spec.id, NoticeKind::Accepted { tasks, held });
        if self.wants_offers() {
            self.query_now();
        }
        Ok(Reply::Accepted { job: spec.id, held })
    }

    fn check_job(&self, spec: &JobSpec) -> Result<(), CommandError> {
        let bad = |text: String| Err(CommandError::BadJob(text));
        if spec.name.len() > NAME_BYTES_MAX {
            return bad(format!("the name has {} bytes; at most 200 are allowed", spec.name.len()));
        }
        if spec.tasks.is_empty() && !spec.open {
            return bad("the job has no tasks".to_owned());
        }
        if spec.tasks.len() > limits::JOB_TASKS_MAX {
            return bad(format!(
                "the job has {} tasks; at most {} are allowed (hint: split it)",
                spec.tasks.len(),
                limits::JOB_TASKS_MAX
            ));
        }
        if spec.timeout_ms == 0 || spec.timeout_ms > TIMEOUT_MS_MAX {
            return bad(format!(
                "a timeout of {} ms is not between 1 ms and a week",
                spec.timeout_ms
            ));
        }
        let rule = &spec.verify;
        let shares = [("audit rate", rule.rate), ("share of wrong results", rule.error)];
        for (what, share) in shares.into_iter().filter_map(|(w, s)| Some((w, s?))) {
            if share > 1_000_000 {
                return bad(format!("an {what} of {share} in a million is above 1"));
            }
        }
        if rule.error == Some(0) {
            return bad(
                "no audit makes sure that nothing at all is wrong (hint: audit everything, \
                 or allow 1 in a million)"
                    .to_owned(),
            );
        }
        if rule.hostile >= 1_000_000 {
            return bad("if every provider is hostile nothing can be verified by them (hint: run \
                 it at home)"
                .to_owned());
        }
        if rule.quorum == 0 || rule.quorum > Verify::QUORUM_MAX {
            return bad(format!(
                "a quorum of {} is not between 1 and {}",
                rule.quorum,
                Verify::QUORUM_MAX
            ));
        }
        if rule.quorum > 1 && spec.nondeterministic {
            return bad("results that differ from run to run never agree (hint: no quorum with \
                 nondeterministic)"
                .to_owned());
        }
        if rule.quorum > spec.providers_max && spec.providers_max > 0 {
            return bad(format!(
                "a quorum of {} needs more providers than the {} allowed",
                rule.quorum, spec.providers_max
            ));
        }
        let home = self.config.home.slots > 0;
        if spec.providers_max == 0 && !(spec.home && home) {
            return bad("nobody may run the job: no providers and not at home".to_owned());
        }
        if let Some(fault) = budget_fault(spec.budget, None, &spec.sizes, &spec.tasks) {
            return bad(fault);
        }
        Ok(())
    }

    fn commit_tasks(&mut self, job: JobId, mut tasks: Vec<TaskSpec>) {
        while !tasks.is_empty() {
            let rest = tasks.split_off(tasks.len().min(TASKS_PER_RECORD));
            self.commit(Record::TasksAdded { job, tasks });
            tasks = rest;
        }
    }

    fn open_job(&mut self, id: JobId) -> Result<&mut Job, CommandError> {
        let job = self.jobs.get_mut(&id).ok_or(CommandError::UnknownJob(id))?;
        let state = match job.ended {
            Some(end) if end.cancelled => "was cancelled",
            Some(_) => "has ended",
            None if !job.record.open => "is closed",
            None => return Ok(job),
        };
        Err(CommandError::Ended { job: id, state })
    }

    fn add_tasks(
        &mut self,
        id: JobId,
        first_index: u32,
        mut tasks: Vec<TaskSpec>,
        sizes: &[BlobRef],
    ) -> Result<Reply, CommandError> {
        let job = self.open_job(id)?;
        let have = job.tasks.len();
        let first = first_index as usize;
        if first > have {
            return Err(CommandError::BadJob(format!(
                "tasks from index {first} leave a gap: the job has {have}"
            )));
        }
        if first.saturating_add(tasks.len()) > limits::JOB_TASKS_MAX {
            return Err(CommandError::BadJob(format!(
                "the job would have more than {} tasks",
                limits::JOB_TASKS_MAX
            )));
        }
        let new = tasks.split_off((have - first).min(tasks.len()));
        check_tasks(have, &new)?;
        let job = self.open_job(id)?;
        if let Some(fault) = budget_fault(job.record.budget, Some(&job.spending), sizes, &new) {
            return Err(CommandError::BadJob(fault));
        }
        self.commit_sizes(id, sizes);
        self.commit_tasks(id, new);
        Ok(Reply::Done)
    }

    fn close_job(&mut self, id: JobId) -> Result<Reply, CommandError> {
        match self.open_job(id) {
            Ok(_) => self.commit(Record::JobClosed { job: id }),
            Err(CommandError::Ended { state: "is closed" | "has ended", .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(Reply::Done)
    }

    fn cancel_job(&mut self, id: JobId) -> Result<Reply, CommandError> {
        let job = self.jobs.get(&id).ok_or(CommandError::UnknownJob(id))?;
        match job.ended {
            Some(end) if end.cancelled => Ok(Reply::Done),
            Some(_) => Err(CommandError::Ended { job: id, state: "has ended" }),
            None => {
                self.end_job(id, true);
                Ok(Reply::Done)
            }
        }
    }

    /// Ends jobs that have nothing left to do.
    pub(crate) fn settle(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            let Some(job) = self.jobs.get(&id) else { continue };
            if job.ended.is_some() {
                continue;
            }
            if !job.record.open && job.unfinished == 0 {
                self.close_draws(id);
            }
            if self.jobs.get(&id).is_some_and(Job::is_settled) {
                self.end_job(id, false);
            }
        }
    }

    /// Writes the end of a job and stops what still runs for it.
    pub(crate) fn end_job(&mut self, id: JobId, cancelled: bool) {
        self.commit(Record::JobEnded { job: id, time: self.now, cancelled });
        self.stop_attempts(id, None);
        for (run, home) in &mut self.home_runs {
            if home.job == id && !home.abandoned {
                home.abandoned = true;
                self.effects.push_back(Effect::Kill(*run));
            }
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let (mut accepted, mut failed) = (0, 0);
        for index in 0..u32::try_from(job.tasks.len()).unwrap_or(u32::MAX) {
            match job.task(job.leader(index)).map(|t| &t.phase) {
                Some(Phase::Done) => accepted += 1,
                Some(Phase::Failed(_)) => failed += 1,
                _ => {}
            }
        }
        self.gated(Then::JobDurable(id));
        self.notice_gated(id, NoticeKind::Ended { accepted, failed, cancelled });
        self.dirty = true;
    }

    /// Cancels the attempts of a job, or of one of its tasks.
    pub(crate) fn stop_attempts(&mut self, id: JobId, only: Option<u32>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.in_flight == 0 {
            return;
        }
        let range = only.map_or(0..job.tasks.len(), |i| i as usize..i as usize + 1);
        let places: Vec<(u32, Place)> = (0..)
            .zip(&job.tasks)
            .skip(range.start)
            .take(range.len())
            .flat_map(|(index, task)| task.live.iter().map(move |live| (index, live.place)))
            .collect();
        for (index, place) in places {
            job.attempt_ended(index, place);
            match place {
                Place::Lease { lease, number, provider } => {
                    let Some(hire) = self.hires.get_mut(&lease) else { continue };
                    let Some(work) = hire.work.get_mut(&number) else { continue };
                    work.abandoned = true;
                    if work.delivered.is_none() {
                        let assignment = ayni_types::AssignmentId { lease, number };
                        self.effects.push_back(Effect::Send {
                            to: provider,
                            message: Message::Cancel { assignment },
                        });
                    }
                }
                Place::Home(run) => {
                    if let Some(home) = self.home_runs.get_mut(&run)
                        && !home.abandoned
                    {
                        home.abandoned = true;
                        self.effects.push_back(Effect::Kill(run));
                    }
                }
            }
        }
    }
}

fn check_tasks(first: usize, tasks: &[TaskSpec]) -> Result<(), CommandError> {
    for (at, task) in tasks.iter().enumerate() {
        check_task(task).map_err(|error| CommandError::BadTask {
            index: first + at,
            reason: printable(&error.to_string()),
        })?;
    }
    Ok(())
}

fn held_in(job: &Job) -> u32 {
    let held = job.tasks.iter().filter(|t| t.accepted.as_ref().is_some_and(|a| a.held)).count();
    u32::try_from(held).unwrap_or(u32::MAX)
}

/// A text that may quote its user, without what would move a cursor.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}
