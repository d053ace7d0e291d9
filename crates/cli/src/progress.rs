//! Shows how a job goes: a bar that is drawn over itself on a terminal, else a line every few
//! seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ayni_api::json::{JobDetail, JobState};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::quantity::{show_bytes, show_ms};
use crate::ui::{Ui, escape};

/// Lines no closer than this where nothing is drawn over.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The rate is that of so much past.
const RATE_OVER: Duration = Duration::from_secs(30);

/// A job's progress.
pub(crate) struct Progress {
    ui: Ui,
    bar: Option<ProgressBar>,
    last_line: Option<(Instant, String)>,
    ended: VecDeque<(Instant, u32)>,
    stalled: String,
}

impl Progress {
    pub(crate) fn new(ui: &Ui) -> Self {
        let bar = ui.live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style("{spinner} {msg}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let (ended, stalled) = (VecDeque::new(), String::new());
        Self { ui: ui.clone(), bar, last_line: None, ended, stalled }
    }

    /// A new phase: checking, uploading, matching, …
    pub(crate) fn phase(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.ui.note(text),
        }
    }

    /// Bytes on their way.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("uploading  {} of {}", show_bytes(done), show_bytes(total)));
        }
    }

    /// Where the job stands.
    pub(crate) fn job(&mut self, job: &JobDetail) {
        let counts = &job.summary.counts;
        let now = Instant::now();
        let done = counts.accepted + counts.failed;
        self.ended.push_back((now, done));
        while self.ended.front().is_some_and(|(at, _)| now - *at > RATE_OVER) {
            self.ended.pop_front();
        }
        let text = line(job, self.rate());
        match &self.bar {
            Some(bar) => {
                if bar.length() != Some(counts.tasks.into()) {
                    bar.set_length(counts.tasks.into());
                    bar.set_style(style("{spinner} {bar:24} {msg}"));
                }
                bar.set_position(done.into());
                bar.set_message(text);
            }
            None => {
                let due = self
                    .last_line
                    .as_ref()
                    .is_none_or(|(at, last)| now - *at >= LINE_EVERY && *last != text);
                if due {
                    self.ui.note(&text);
                    self.last_line = Some((now, text));
                }
            }
        }
        let stalled = job.stalled.clone().unwrap_or_default();
        if stalled != self.stalled {
            if !stalled.is_empty() {
                let why = escape(&stalled);
                self.say(|ui| {
                    ui.warn(&format!("nothing moves: {why}"));
                    ui.hint(&format!("`ayni why {}` says more", job.summary.id));
                });
            }
            self.stalled = stalled;
        }
    }

    /// Says something above the bar.
    pub(crate) fn say(&self, what: impl FnOnce(&Ui)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| what(&self.ui)),
            None => what(&self.ui),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Tasks that ended per second.
    fn rate(&self) -> f64 {
        match (self.ended.front(), self.ended.back()) {
            (Some((from, a)), Some((to, b))) if to > from && b > a => {
                f64::from(b - a) / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// One line: phase, counts, rate, time left, and who did how many.
fn line(job: &JobDetail, rate: f64) -> String {
    let counts = &job.summary.counts;
    let done = counts.accepted + counts.failed;
    let phase = if done == counts.tasks && job.summary.state == JobState::Open {
        "waiting for tasks"
    } else if done == counts.tasks {
        "verifying"
    } else if counts.running + counts.delivered > 0 || done > counts.held {
        "running"
    } else {
        "matching"
    };
    let mut text = format!("{phase}  {done}/{}", counts.tasks);
    if counts.failed > 0 {
        text.push_str(&format!("  {} failed", counts.failed));
    }
    if rate > 0.0 && done < counts.tasks {
        let left = f64::from(counts.tasks - done) / rate;
        // At most 100 days: anything longer is only told as such.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let left_ms = (left.min(8_640_000.0) * 1_000.0) as u64;
        text.push_str(&format!("  {rate:.1}/s  {} left", show_ms(left_ms)));
    }
    let mut workers: Vec<_> = job.providers.iter().filter(|p| p.accepted + p.running > 0).collect();
    workers.sort_by_key(|provider| std::cmp::Reverse(provider.accepted));
    let shown = 6;
    for worker in workers.iter().take(shown) {
        let name = worker.node.map_or("home".to_owned(), |node| node.0.short());
        let gone = if worker.lost.is_some() { " (gone)" } else { "" };
        text.push_str(&format!("  {name} {}+{}{gone}", worker.accepted, worker.running));
    }
    if workers.len() > shown {
        text.push_str(&format!("  and {} more", workers.len() - shown));
    }
    text
}
