//! The last few thousand notices, numbered, so that a watcher that lost its connection can go on
//! where it was; and a channel for those that watch now.

use std::collections::VecDeque;
use std::sync::Arc;

use ayni_core::Notice;
use tokio::sync::broadcast;

/// A notice and its number; numbers count up by one from 1 and start anew with the daemon.
pub(crate) type Numbered = (u64, Arc<Notice>);

/// Notices kept: about 200 bytes each.
const KEPT: usize = 8_192;

pub(crate) struct News {
    next: u64,
    kept: VecDeque<Numbered>,
    live: broadcast::Sender<Numbered>,
}

impl News {
    pub(crate) fn new() -> Self {
        let (live, _) = broadcast::channel(4_096);
        Self { next: 1, kept: VecDeque::new(), live }
    }

    pub(crate) fn add(&mut self, notice: Notice) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_core::NoticeKind;
    use ayni_types::Time;

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
