//! What the court asks of a node: to execute cases as a juror, and to show jurors the cases that it
//! brought. Both run beside the bank, which does not wait for them.
//!
//! Deliberately not here: when either is due, and every step on the chain (`ayni-court`, `bank`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ayni_chain::contracts::{Addresses, stake};
use ayni_chain::{Client, ClientError};
use ayni_core::FetchWhat;
use ayni_court::{Answer, Dispute, Engine, Execution, judge};
use ayni_net::Net;
use ayni_types::{Account, Digest, EngineBuild, Fault, FaultKind, NodeId};
use ayni_wire::runner::CompileHow;
use ayni_wire::{Case, Message, ReceiptFile};

use crate::fetch::Fetcher;
use crate::pump::Handle;
use crate::work::{Shop, fault, witnessed};

/// A juror that was shown a case and did not commit is shown it again after so long.
const SHOW_AGAIN: Duration = Duration::from_secs(5);
/// No execution of a juror takes longer.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A machine that judges.
pub(crate) struct Bench {
    pub(crate) shop: Arc<Shop>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) net: Arc<Net>,
}

/// A juror's machine, with those who may have the blobs of a case.
struct Machine {
    shop: Arc<Shop>,
    fetcher: Arc<Fetcher>,
    from: Vec<NodeId>,
}

impl Engine for Machine {
    fn build(&self) -> EngineBuild {
        self.shop.sandbox.build().clone()
    }

    async fn execute(
        &self,
        case: &ReceiptFile,
        second: bool,
        seed: &Digest,
    ) -> Result<Execution, Fault> {
        let inputs = FetchWhat::Inputs(Box::new(case.task.clone()));
        self.fetcher.fetch(inputs, self.from.clone()).await.map_err(|failure| {
            fault(FaultKind::InputUnavailable, format!("fetching what it reads: {failure:?}"))
        })?;
        let how = if second { CompileHow::Baseline } else { CompileHow::Optimised };
        let (outcome, states) =
            witnessed(&self.shop, &case.task, how, PATIENCE, seed).await?;
        Ok(Execution { outcome, states })
    }
}

impl Bench {
    /// Executes a case and finds the answer.
    pub(crate) fn judge(
        &self,
        dispute: Dispute,
        seed: Digest,
        case: ReceiptFile,
        from: Vec<NodeId>,
        done: impl FnOnce(Option<Answer>) + Send + 'static,
    ) {
        let machine =
            Machine { shop: self.shop.clone(), fetcher: self.fetcher.clone(), from };
        tokio::spawn(async move {
            let found = judge(&machine, &dispute, &seed, &case).await;
            if let Err(error) = &found {
                tracing::warn!("{error}");
            }
            done(found.ok());
        });
    }
}

/// Who was shown what, and when.
#[derive(Default)]
pub(crate) struct Shown(BTreeMap<(u64, Account), Instant>);

impl Shown {
    /// Sends a case to jurors whose nodes are known and who were not shown it lately.
    pub(crate) async fn show(
        &mut self,
        bench: &Bench,
        core: Handle,
        (client, contracts): (Client, Addresses),
        (dispute, jurors): (u64, Vec<Account>),
        case: &ReceiptFile,
    ) -> Result<(), ClientError> {
        for juror in jurors {
            let key = (dispute, juror);
            if self.0.get(&key).is_some_and(|at| at.elapsed() < SHOW_AGAIN) {
                continue;
            }
            self.0.insert(key, Instant::now());
            let Some(node) = stake::node_of(&client, contracts.registry, juror).await? else {
                tracing::warn!("juror {juror} of dispute {dispute} does not say which node it is");
                continue;
            };
            // A stopping node needs no address any more.
            if let Ok(Some(addr)) = core.look(move |core| core.address_of(node)).await {
                bench.net.keep(addr);
            }
            let case = Case {
                chain: contracts.chain,
                disputes: contracts.disputes,
                dispute,
                receipt: case.clone(),
            };
            bench.net.send(node, Message::Case(Box::new(case)));
        }
        Ok(())
    }
}
