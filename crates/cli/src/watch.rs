//! Follows a job: draws its progress, writes results as they are accepted, says loudly what is
//! wrong. The daemon does the work; this may end at any time and begin again.

use std::time::{Duration, Instant};

use ayni_api::client::Events;
use ayni_api::json::{EventJson, EventKind, JobDetail};
use ayni_api::{ApiError, Client, codes};
use ayni_types::JobId;

use crate::output::Writer;
use crate::progress::Progress;
use crate::ui::escape;

/// How long a daemon may be silent before we stop watching.
const PATIENCE: Duration = Duration::from_secs(30);

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// The job ended.
    Ended,
    /// So many of its tasks ended.
    Settled(u32),
}

/// Why watching stopped.
#[derive(Debug)]
pub(crate) enum Seen {
    /// What was waited for.
    Reached(Box<JobDetail>),
    /// Ctrl-C.
    Interrupted,
}

/// Watches `job`.
pub(crate) async fn watch(
    client: &Client,
    job: JobId,
    progress: &mut Progress,
    mut writer: Option<&mut Writer>,
    until: Until,
) -> Result<Seen, ApiError> {
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stream: Option<Events> = None;
    let mut last_id = None;
    let mut silent_since: Option<Instant> = None;
    let mut failed: Option<String> = None;
    loop {
        if stream.is_none()
            && let Ok(events) = client.events(Some(job), last_id).await
        {
            stream = Some(events);
            // What happened before the stream began is only in the lists.
            if let Some(writer) = writer.as_deref_mut() {
                writer.sync().await?;
            }
        }
        let mut look = false;
        tokio::select! {
            _ = &mut interrupt => return Ok(Seen::Interrupted),
            event = next(&mut stream) => match event {
                Some(event) => {
                    last_id = Some(event.id);
                    look = matches!(event.kind, EventKind::Ended { .. });
                    let again = matches!(&event.kind, EventKind::TaskFailed { reason, .. }
                        if failed.replace(reason.clone()).as_ref() == Some(reason));
                    if again {
                        // The summary counts those that fail for one reason.
                        continue;
                    }
                    handle(&event, job, progress, writer.as_deref_mut()).await?;
                }
                None => {
                    stream = None;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            _ = tick.tick() => look = true,
        }
        if !look {
            continue;
        }
        match client.job(job).await {
            Ok(detail) => {
                silent_since = None;
                progress.job(&detail);
                let counts = &detail.summary.counts;
                let reached = match until {
                    Until::Ended => detail.summary.state.is_final(),
                    Until::Settled(count) => {
                        counts.accepted + counts.failed >= count || detail.summary.state.is_final()
                    }
                };
                if reached {
                    if let Some(writer) = writer.as_deref_mut() {
                        // What was doubted when it was to be written may be there now.
                        writer.flush().await?;
                        writer.sync().await?;
                        writer.flush().await?;
                    }
                    return Ok(Seen::Reached(Box::new(detail)));
                }
            }
            Err(error) if error.code == codes::NODE_UNREACHABLE => {
                let since = *silent_since.get_or_insert_with(|| {
                    progress.say(|ui| ui.warn("the daemon does not answer; waiting for it"));
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(error.hint(format!(
                        "the job is in the daemon's journal: start it again, then \
                         `ayni job attach {job}`"
                    )));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The next event; `None` when the stream broke. Never, when there is none.
async fn next(stream: &mut Option<Events>) -> Option<EventJson> {
    match stream {
        Some(events) => events.next().await.unwrap_or(None),
        None => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            None
        }
    }
}

async fn handle(
    event: &EventJson,
    job: JobId,
    progress: &Progress,
    writer: Option<&mut Writer>,
) -> Result<(), ApiError> {
    match &event.kind {
        EventKind::TaskAccepted { index, outcome, .. } => {
            if let Some(writer) = writer {
                writer.accepted(*index, outcome.digest.0).await?;
            }
        }
        EventKind::Resync => {
            if let Some(writer) = writer {
                writer.sync().await?;
            }
        }
        EventKind::Mismatch { index, provider, digests, rerun } => progress.say(|ui| {
            ui.alarm(&format!(
                "{provider} signed a wrong result for task {index}\n  \
                 signed {}\n  found  {}\n  {rerun} of its other results are run again",
                digests.claimed, digests.found
            ));
            ui.hint(&format!("`ayni job show {job} --evidence` shows the bytes that differ"));
        }),
        EventKind::ProviderLost { provider, requeued, reason } => progress.say(|ui| {
            ui.warn(&format!(
                "provider {} is gone ({}); {requeued} of its tasks move to others",
                provider.0.short(),
                escape(reason)
            ));
        }),
        EventKind::TaskFailed { index, reason } => progress.say(|ui| {
            ui.warn(&format!("task {index} failed: {}", escape(reason)));
        }),
        EventKind::LeaseRefused { provider, reason, .. } => {
            tracing::info!(provider = %provider.0.short(), "lease refused: {}", escape(reason));
        }
        EventKind::TaskFaulted { index, provider, fault } => {
            let place = provider.map_or("home".to_owned(), |node| node.0.short());
            tracing::info!(index, place, "fault {}: {}", fault.kind, escape(&fault.detail));
        }
        _ => {}
    }
    Ok(())
}
