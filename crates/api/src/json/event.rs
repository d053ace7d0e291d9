//! News, as sent by the event streams.

use ayni_types::{ChannelId, JobId, NodeId, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FaultJson, Mismatch, OutcomeJson, Text, Verification};

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventJson {
    /// Counts up within one run of the node; the id of the SSE event.
    pub id: u64,
    /// When.
    pub time_ms: u64,
    /// Which job; `null` for news of the node.
    #[schema(value_type = Option<String>)]
    pub job: Option<Text<JobId>>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Kinds of news. A provider of `null` is home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The job is in the journal.
    Accepted {
        /// Tasks in all.
        tasks: u32,
        /// Outcomes already held.
        held: u32,
    },
    /// A lease is signed by both.
    Leased {
        /// With whom.
        #[schema(value_type = String)]
        provider: Text<NodeId>,
        /// Slots.
        slots: u32,
    },
    /// A channel that this node pays from can be used from now on, or not any more.
    Channel {
        /// Which.
        #[schema(value_type = String)]
        channel: Text<ChannelId>,
        /// Whom it pays.
        #[schema(value_type = String)]
        provider: Text<NodeId>,
        /// What is in it.
        #[schema(value_type = String)]
        deposit: Text<u128>,
        /// Whether it can be used.
        open: bool,
    },
    /// A provider said no.
    LeaseRefused {
        /// Who.
        #[schema(value_type = String)]
        provider: Text<NodeId>,
        /// As one word.
        code: String,
        /// Why; may come from a stranger.
        reason: String,
    },
    /// A task was handed out.
    Assigned {
        /// Task index.
        index: u32,
        /// To whom.
        #[schema(value_type = Option<String>)]
        provider: Option<Text<NodeId>>,
        /// A second copy of a straggler.
        duplicate: bool,
    },
    /// A provisional outcome arrived.
    Delivered {
        /// Task index.
        index: u32,
        /// From whom.
        #[schema(value_type = Option<String>)]
        provider: Option<Text<NodeId>>,
    },
    /// An outcome is in the journal, with its receipt. Said again if a later audit replaces it.
    TaskAccepted {
        /// Task index.
        index: u32,
        /// Task id.
        #[schema(value_type = String)]
        task: Text<TaskId>,
        /// What came out.
        outcome: OutcomeJson,
        /// From whom.
        #[schema(value_type = Option<String>)]
        provider: Option<Text<NodeId>>,
        /// Its price.
        #[schema(value_type = String)]
        price: Text<u128>,
        /// What it rests on, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verification: Option<Verification>,
    },
    /// No outcome; it is tried elsewhere.
    TaskFaulted {
        /// Task index.
        index: u32,
        /// Where.
        #[schema(value_type = Option<String>)]
        provider: Option<Text<NodeId>>,
        /// Why.
        fault: FaultJson,
    },
    /// A task ended without an outcome.
    TaskFailed {
        /// Task index.
        index: u32,
        /// Why.
        reason: String,
    },
    /// An audit agreed.
    AuditAgreed {
        /// Task index.
        index: u32,
        /// With whom.
        #[schema(value_type = String)]
        provider: Text<NodeId>,
    },
    /// An audit found another outcome.
    Mismatch {
        /// Task index.
        index: u32,
        /// Whose receipt it contradicts.
        #[schema(value_type = String)]
        provider: Text<NodeId>,
        /// The two digests.
        #[serde(flatten)]
        digests: Mismatch,
        /// Outcomes of that provider that are run again.
        rerun: u32,
    },
    /// A provider can't be reached, or ended its lease.
    ProviderLost {
        /// Who.
        #[schema(value_type = String)]
        provider: Text<NodeId>,
        /// Tasks that are queued again.
        requeued: u32,
        /// Why.
        reason: String,
    },
    /// Nothing can move, and why; an empty text when it moves again.
    Stalled {
        /// For people.
        reason: String,
    },
    /// The job ended.
    Ended {
        /// Tasks with an outcome.
        accepted: u32,
        /// Tasks without.
        failed: u32,
        /// It was cancelled.
        cancelled: bool,
    },
    /// Events were missed (the id asked for is too old): read the job again.
    Resync,
}

impl EventKind {
    /// The name of the SSE event.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Leased { .. } => "leased",
            Self::Channel { .. } => "channel",
            Self::LeaseRefused { .. } => "lease_refused",
            Self::Assigned { .. } => "assigned",
            Self::Delivered { .. } => "delivered",
            Self::TaskAccepted { .. } => "task_accepted",
            Self::TaskFaulted { .. } => "task_faulted",
            Self::TaskFailed { .. } => "task_failed",
            Self::AuditAgreed { .. } => "audit_agreed",
            Self::Mismatch { .. } => "mismatch",
            Self::ProviderLost { .. } => "provider_lost",
            Self::Stalled { .. } => "stalled",
            Self::Ended { .. } => "ended",
            Self::Resync => "resync",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::Digest;

    #[test]
    fn an_event_is_one_flat_object_and_survives() {
        let event = EventJson {
            id: 7,
            time_ms: 5,
            job: Some(Text(JobId([1; 16]))),
            kind: EventKind::Mismatch {
                index: 3,
                provider: Text(NodeId([2; 32])),
                digests: Mismatch { claimed: Text(Digest([3; 32])), found: Text(Digest([4; 32])) },
                rerun: 9,
            },
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], event.kind.name());
        assert_eq!(json["claimed"], "03".repeat(32));
        assert_eq!(serde_json::from_value::<EventJson>(json).unwrap(), event);
        let resync = EventJson { id: 1, time_ms: 1, job: None, kind: EventKind::Resync };
        let json = serde_json::to_string(&resync).unwrap();
        assert_eq!(json, r#"{"id":1,"time_ms":1,"job":null,"event":"resync"}"#);
    }
}
