//! Compiled programs: from the cache, or compiled now in a jail of its own. A program wanted by
//! several runs at once is compiled once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ayni_sandbox::{Artefact, ArtefactCache, ArtefactKey, Sandbox, processor};
use ayni_store::Blobs;
use ayni_types::{Digest, EngineId, Fault, FaultKind, limits};
use ayni_wire::runner::{CheckReport, CompileHow};

type Key = (Digest, CompileHow);

/// Whoever waits longer for a program waits for its compilation, not for somebody who looks.
const LOOK_MAX: Duration = Duration::from_millis(50);

pub(crate) struct Programs {
    sandbox: Sandbox,
    cache: ArtefactCache,
    processor: Digest,
    blobs: Arc<Blobs>,
    under_way: Mutex<BTreeMap<Key, Weak<tokio::sync::Mutex<()>>>>,
}

/// Compiled code, and how long compiling took (0 if it was there).
pub(crate) struct Ready {
    pub(crate) artefact: Arc<Artefact>,
    pub(crate) compile_ms: u64,
}

fn fault(kind: FaultKind, detail: impl Into<String>) -> Fault {
    let mut detail = detail.into();
    let mut end = detail.len().min(limits::TEXT_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.truncate(end);
    Fault { kind, detail }
}

impl Programs {
    pub(crate) fn new(sandbox: Sandbox, cache: ArtefactCache, blobs: Arc<Blobs>) -> Self {
        Self {
            sandbox,
            cache,
            processor: processor(),
            blobs,
            under_way: Mutex::new(BTreeMap::new()),
        }
    }

    /// The program's bytes, for a jail to read.
    fn open(&self, program: &Digest) -> Result<std::fs::File, Fault> {
        match self.blobs.open_blob(program) {
            Ok(Some((_, bytes))) if bytes > limits::PROGRAM_BYTES_MAX => {
                let max = limits::PROGRAM_BYTES_MAX;
                Err(fault(FaultKind::InvalidProgram, format!("{bytes} bytes; at most {max}")))
            }
            Ok(Some((file, _))) => Ok(file),
            Ok(None) => {
                Err(fault(FaultKind::InputUnavailable, format!("program {program} is not held")))
            }
            Err(error) => Err(fault(FaultKind::Internal, error.to_string())),
        }
    }

    /// What a program is and whether it can run.
    pub(crate) async fn check(&self, program: &Digest) -> Result<CheckReport, Fault> {
        self.sandbox.foreground().check(self.open(program)?.into()).await
    }

    /// Compiled code of a program; `compiling` is called, once, if it has to be made first, here or
    /// for somebody else. What the owner waits for is `urgent`; the rest is compiled at the lowest
    /// priority.
    pub(crate) async fn ready(
        &self,
        program: &Digest,
        engine: &EngineId,
        how: CompileHow,
        urgent: bool,
        compiling: impl FnOnce(),
    ) -> Result<Ready, Fault> {
        let lock = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, lock| lock.strong_count() > 0);
            let known = under_way.get(&(*program, how)).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                under_way.insert((*program, how), Arc::downgrade(&lock));
                lock
            })
        };
        let began = Instant::now();
        let mut compiling = Some(compiling);
        let _alone = if let Ok(alone) = tokio::time::timeout(LOOK_MAX, lock.lock()).await {
            alone
        } else {
            // To wait for another run's compilation is to compile, to whom it may concern.
            if let Some(tell) = compiling.take() {
                tell();
            }
            lock.lock().await
        };
        let key = ArtefactKey {
            program: *program,
            engine: engine.clone(),
            build: self.sandbox.build().digest,
            how,
            processor: self.processor,
        };
        let found = self.cache.look_up(&key).unwrap_or_else(|error| {
            // A damaged cache only costs a compilation.
            tracing::warn!("compiled code of {program} can't be used: {error}");
            None
        });
        if let Some(artefact) = found {
            // Waiting for another run's compilation is compile time too.
            let waited = began.elapsed();
            let compile_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            let compile_ms = if waited > LOOK_MAX { compile_ms } else { 0 };
            return Ok(Ready { artefact, compile_ms });
        }
        if let Some(tell) = compiling.take() {
            tell();
        }
        let sandbox = if urgent { self.sandbox.foreground() } else { self.sandbox.clone() };
        let compiled = sandbox.compile(self.open(program)?.into(), engine.clone(), how).await?;
        match compiled {
            Ok(compiled) => {
                let kept = self.cache.keep(&key, &compiled.artefact);
                let artefact = kept.unwrap_or_else(|error| {
                    // A full cache only costs the next compilation.
                    tracing::warn!("compiled code of {program} was not cached: {error}");
                    Arc::new(compiled.artefact)
                });
                Ok(Ready { artefact, compile_ms: compiled.compile_ms })
            }
            Err(report) => Err(fault(FaultKind::InvalidProgram, report.problems.join("; "))),
        }
    }
}
