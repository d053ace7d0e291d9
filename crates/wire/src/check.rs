//! Task hashes, and the checks that make a decoded task safe to act on.

use ayni_types::{
    Digest, EngineId, GuestPath, MountKind, Outcome, TaskId, TaskSpec, Tree, TreeEntry, limits,
};

use crate::canonical::encode;

/// BLAKE3 of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// The id of a task: BLAKE3 of `ayni task 1` and its canonical encoding.
#[must_use]
pub fn task_id(spec: &TaskSpec) -> TaskId {
    TaskId(
        *blake3::Hasher::new_derive_key("ayni task 1").update(&encode(spec)).finalize().as_bytes(),
    )
}

/// The digest of an outcome: BLAKE3 of `ayni outcome 1` and its canonical encoding.
#[must_use]
pub fn outcome_digest(outcome: &Outcome) -> Digest {
    Digest(
        *blake3::Hasher::new_derive_key("ayni outcome 1")
            .update(&encode(outcome))
            .finalize()
            .as_bytes(),
    )
}

/// What is wrong with a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// No such contract here.
    #[error("engine `{0}` is unknown; this build has `wasi1`")]
    UnknownEngine(String),
    /// Too many or too long.
    #[error("{what}: {size} is more than the limit of {max}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// Given.
        size: u64,
        /// Allowed.
        max: u64,
    },
    /// Text that the guest can't be given.
    #[error("{what} `{text}` {why}")]
    BadText {
        /// Of what.
        what: &'static str,
        /// Given, cut to 100 characters.
        text: String,
        /// Why.
        why: &'static str,
    },
    /// Not in canonical order, or twice.
    #[error("{what} are not sorted, or one is there twice: `{name}`")]
    NotSorted {
        /// Of what.
        what: &'static str,
        /// The first that is out of order.
        name: String,
    },
    /// One mount inside another, or where the guest writes.
    #[error("mount `{0}` overlaps another mount, `/tmp` or `/out`")]
    Overlap(String),
}

fn at_most(what: &'static str, size: u64, max: u64) -> Result<(), TaskError> {
    if size > max { Err(TaskError::TooMuch { what, size, max }) } else { Ok(()) }
}

fn bad_text(what: &'static str, text: &str, why: &'static str) -> TaskError {
    TaskError::BadText { what, text: text.chars().take(100).collect(), why }
}

/// Checks that a task is in canonical form and inside every limit.
///
/// # Errors
/// Names the first rule it breaks.
pub fn check_task(spec: &TaskSpec) -> Result<(), TaskError> {
    if spec.engine.0 != EngineId::WASI1 {
        return Err(TaskError::UnknownEngine(spec.engine.0.chars().take(40).collect()));
    }
    at_most("arguments", spec.args.len() as u64, limits::ARGS_MAX as u64)?;
    at_most("environment variables", spec.env.len() as u64, limits::ENV_MAX as u64)?;
    at_most("mounts", spec.mounts.len() as u64, limits::MOUNTS_MAX as u64)?;
    at_most("memory in bytes", spec.limits.memory_bytes, limits::TASK_MEMORY_BYTES_MAX)?;
    at_most(
        "stack in bytes",
        u64::from(spec.limits.stack_bytes),
        u64::from(limits::TASK_STACK_BYTES_MAX),
    )?;
    at_most("output in bytes", spec.limits.output_bytes, limits::TASK_OUTPUT_BYTES_MAX)?;
    at_most("fuel", spec.limits.fuel.0, i64::MAX as u64)?;
    let text = spec.args.iter().map(|a| a.len() + 1).sum::<usize>()
        + spec.env.iter().map(|e| e.name.len() + e.value.len() + 2).sum::<usize>();
    at_most("arguments and environment in bytes", text as u64, limits::ARGS_ENV_BYTES_MAX as u64)?;
    for arg in &spec.args {
        if arg.contains('\0') {
            return Err(bad_text("argument", arg, "has a NUL"));
        }
    }
    for env in &spec.env {
        if env.name.is_empty() || env.name.contains(['=', '\0']) {
            return Err(bad_text("environment variable", &env.name, "has no usable name"));
        }
        if env.value.contains('\0') {
            return Err(bad_text("environment variable", &env.name, "has a NUL in its value"));
        }
    }
    if let Some(pair) = spec.env.windows(2).find(|p| p[0].name >= p[1].name) {
        return Err(TaskError::NotSorted {
            what: "environment variables",
            name: pair[1].name.clone(),
        });
    }
    if let Some(pair) = spec.mounts.windows(2).find(|p| p[0].path >= p[1].path) {
        return Err(TaskError::NotSorted { what: "mounts", name: pair[1].path.to_string() });
    }
    let reserved = ["/tmp", "/out"].map(|p| GuestPath::new(p).expect("a valid path"));
    for (at, mount) in spec.mounts.iter().enumerate() {
        let overlaps =
            |other: &GuestPath| other.contains(&mount.path) || mount.path.contains(other);
        let others = spec.mounts[..at].iter().map(|m| &m.path);
        if reserved.iter().chain(others).any(overlaps) {
            return Err(TaskError::Overlap(mount.path.to_string()));
        }
        let _: MountKind = mount.kind;
    }
    Ok(())
}

/// Checks that a tree is in canonical form and inside every limit.
///
/// # Errors
/// Names the first rule it breaks.
pub fn check_tree(tree: &Tree) -> Result<(), TaskError> {
    at_most("files in a tree", tree.entries.len() as u64, limits::TREE_FILES_MAX as u64)?;
    for entry in &tree.entries {
        if let Some(why) = TreeEntry::path_fault(&entry.path) {
            return Err(bad_text("path", &entry.path, why));
        }
    }
    // In component order a folder's entries follow it at once, so looking at neighbours is enough.
    for pair in tree.entries.windows(2) {
        if pair[0].path.split('/').ge(pair[1].path.split('/')) {
            return Err(TaskError::NotSorted { what: "paths", name: pair[1].path.clone() });
        }
        if pair[1].path.strip_prefix(&pair[0].path).is_some_and(|rest| rest.starts_with('/')) {
            return Err(bad_text("path", &pair[1].path, "lies inside a file"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::{EnvVar, Fuel, Limits, Mount};

    fn task() -> TaskSpec {
        TaskSpec {
            engine: EngineId::wasi1(),
            program: digest(b"program"),
            args: vec!["p".into()],
            env: vec![],
            stdin: None,
            mounts: vec![],
            limits: Limits::default(),
            blind: None,
        }
    }

    fn mount(path: &str) -> Mount {
        Mount { path: GuestPath::new(path).unwrap(), kind: MountKind::File, blob: digest(b"") }
    }

    fn env(name: &str) -> EnvVar {
        EnvVar { name: name.into(), value: String::new() }
    }

    #[test]
    fn each_rule_is_enforced() {
        let check = |change: &dyn Fn(&mut TaskSpec)| {
            let mut spec = task();
            change(&mut spec);
            check_task(&spec).map_err(|e| e.to_string())
        };
        assert_eq!(check(&|_| {}), Ok(()));
        assert_eq!(check(&|t| t.mounts = vec![mount("/a"), mount("/b/c")]), Ok(()));
        type Change<'a> = &'a dyn Fn(&mut TaskSpec);
        let refused: [(Change<'_>, &str); 9] = [
            (&|t| t.engine = EngineId("wasi9".into()), "wasi9"),
            (&|t| t.args = vec![String::new(); 5_000], "arguments: 5000"),
            (&|t| t.args = vec!["x".repeat(200_000)], "arguments and environment"),
            (&|t| t.args = vec!["a\0b".into()], "NUL"),
            (&|t| t.env = vec![env("B"), env("A")], "not sorted"),
            (&|t| t.env = vec![env("A=")], "usable name"),
            (&|t| t.mounts = vec![mount("/a"), mount("/a/b")], "overlaps"),
            (&|t| t.mounts = vec![mount("/out/x")], "overlaps"),
            (&|t| t.limits.fuel = Fuel(u64::MAX), "fuel"),
        ];
        for (change, part) in refused {
            let error = check(change).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn trees_are_sorted_and_flat() {
        let tree = |paths: &[&str]| {
            check_tree(&Tree {
                entries: paths
                    .iter()
                    .map(|p| TreeEntry { path: (*p).into(), blob: digest(b""), size: 0 })
                    .collect(),
            })
        };
        assert!(tree(&["a/b", "a/c", "a.txt", "b"]).is_ok());
        for bad in [&["b", "a"][..], &["a", "a"], &["a", "a/b"], &["../a"], &["/a"], &[""]] {
            assert!(tree(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_task_id_covers_every_field() {
        let id = task_id(&task());
        assert_eq!(id, task_id(&task()));
        let mut other = task();
        other.limits.stack_bytes += 1;
        assert_ne!(id, task_id(&other));
    }
}
