//! The last few thousand notices, numbered, so that a watcher that lost its connection can go on
//! where it was; a channel for those that watch now; and when each job took which part of its way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ayni_api::json::{Phase, PhaseJson};
use ayni_core::{Notice, NoticeKind};
use ayni_types::JobId;
use tokio::sync::broadcast;

/// A notice and its number; numbers count up by one from 1 and start anew with the daemon.
pub(crate) type Numbered = (u64, Arc<Notice>);

/// Notices kept: about 200 bytes each.
const KEPT: usize = 8_192;
/// Jobs whose phases are kept, the last to begin: about 400 bytes each.
const JOBS_KEPT: usize = 4_096;

pub(crate) struct News {
    next: u64,
    kept: VecDeque<Numbered>,
    live: broadcast::Sender<Numbered>,
    phases: BTreeMap<JobId, BTreeMap<Phase, PhaseJson>>,
    /// Keys of `phases`, oldest first.
    jobs: VecDeque<JobId>,
}

impl News {
    pub(crate) fn new() -> Self {
        let (live, _) = broadcast::channel(4_096);
        let (phases, jobs) = (BTreeMap::new(), VecDeque::new());
        Self { next: 1, kept: VecDeque::new(), live, phases, jobs }
    }

    pub(crate) fn add(&mut self, notice: Notice) {
        if let (Some(job), Some(phase)) = (notice.job, phase(&notice.kind)) {
            self.note(job, phase, notice.time.0);
        }
        let numbered = (self.next, Arc::new(notice));
        self.next += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(numbered.clone());
        // Nobody may be watching.
        let _ = self.live.send(numbered);
    }

    /// What came after number `after`, and all that comes from now on. `None` in place of the past
    /// when some of it is no longer held.
    pub(crate) fn watch(
        &self,
        after: u64,
    ) -> (Option<Vec<Numbered>>, broadcast::Receiver<Numbered>) {
        let oldest = self.next - self.kept.len() as u64;
        let past = (after + 1 >= oldest && after < self.next)
            .then(|| self.kept.iter().filter(|(n, _)| *n > after).cloned().collect());
        (past, self.live.subscribe())
    }

    /// Number of the newest notice.
    pub(crate) fn newest(&self) -> u64 {
        self.next - 1
    }

    /// What this run of the node saw of a job.
    pub(crate) fn phases(&self, job: JobId) -> Vec<PhaseJson> {
        self.phases.get(&job).map(|seen| seen.values().copied().collect()).unwrap_or_default()
    }

    fn note(&mut self, job: JobId, phase: Phase, at_ms: u64) {
        if !self.phases.contains_key(&job) {
            if self.jobs.len() == JOBS_KEPT
                && let Some(oldest) = self.jobs.pop_front()
            {
                self.phases.remove(&oldest);
            }
            self.jobs.push_back(job);
        }
        let first = PhaseJson { phase, first_ms: at_ms, last_ms: at_ms, count: 0 };
        let seen = self.phases.entry(job).or_default().entry(phase).or_insert(first);
        seen.last_ms = at_ms;
        seen.count = seen.count.saturating_add(1);
    }
}

/// The part of a job's way that a notice tells of.
fn phase(kind: &NoticeKind) -> Option<Phase> {
    Some(match kind {
        NoticeKind::Accepted { .. } => Phase::Submitted,
        NoticeKind::Leased { .. } => Phase::Leased,
        NoticeKind::Assigned { .. } => Phase::Assigned,
        NoticeKind::Delivered { .. } => Phase::Delivered,
        NoticeKind::TaskAccepted { .. } => Phase::Accepted,
        NoticeKind::AuditAgreed { .. } | NoticeKind::Mismatch { .. } => Phase::Audited,
        NoticeKind::ProviderLost { requeued: 1.., .. } => Phase::Moved,
        NoticeKind::Ended { .. } => Phase::Ended,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::Time;

    #[test]
    fn phases_of_a_job_are_counted_and_those_of_old_jobs_forgotten() {
        let mut news = News::new();
        let mut say = |job: u8, at: u64, kind| {
            news.add(Notice { time: Time(at), job: Some(JobId([job; 16])), kind });
        };
        say(1, 5, NoticeKind::Accepted { tasks: 2, held: 0 });
        for at in [7, 9] {
            say(1, at, NoticeKind::Assigned { index: 0, provider: None, duplicate: false });
        }
        say(1, 11, NoticeKind::Stalled { reason: String::new() });
        let seen = |phase, first_ms, last_ms, count| PhaseJson { phase, first_ms, last_ms, count };
        let expected = [seen(Phase::Submitted, 5, 5, 1), seen(Phase::Assigned, 7, 9, 2)];
        assert_eq!(news.phases(JobId([1; 16])), expected);
        for number in 0..u16::try_from(JOBS_KEPT).unwrap() {
            let mut id = [255; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let kind = NoticeKind::Accepted { tasks: 1, held: 0 };
            news.add(Notice { time: Time(0), job: Some(JobId(id)), kind });
        }
        assert_eq!((news.phases(JobId([1; 16])).len(), news.phases.len()), (0, JOBS_KEPT));
    }

    #[test]
    fn a_watcher_resumes_where_it_was_or_is_told_that_it_cannot() {
        let mut news = News::new();
        let notice = || Notice {
            time: Time(0),
            job: None,
            kind: NoticeKind::Stalled { reason: String::new() },
        };
        assert_eq!(news.watch(0).0.unwrap().len(), 0);
        for _ in 0..KEPT + 10 {
            news.add(notice());
        }
        assert!(news.watch(0).0.is_none());
        assert!(news.watch(9).0.is_none());
        assert_eq!(news.watch(10).0.unwrap().len(), KEPT);
        assert_eq!(news.watch(news.newest()).0.unwrap().len(), 0);
        assert!(news.watch(news.newest() + 1).0.is_none(), "a number of another daemon's life");
    }
}
