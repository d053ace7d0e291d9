//! Makes the tasks of a job: pure, from what was read of the machine to the tasks, so that every
//! rule can be tested without a file.

use std::collections::{BTreeMap, HashSet};

use ayni_api::json::{LimitsJson, MountJson, MountKindJson, TaskJson, Text};
use ayni_api::{ApiError, codes};
use ayni_types::{Digest, EngineId, TaskSpec, limits};

use crate::template::Template;

/// What all tasks share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// The program, and its name for `argv[0]`.
    pub(crate) program: Digest,
    pub(crate) program_name: String,
    /// Arguments after the name, with placeholders.
    pub(crate) args: Vec<String>,
    /// Environment, with placeholders in the values.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) stdin: Option<Digest>,
    pub(crate) mounts: Vec<MountJson>,
    pub(crate) limits: LimitsJson,
}

/// How a job is cut into tasks.
#[derive(Debug, Clone)]
pub(crate) enum Split {
    /// One task, arguments as they are.
    Single,
    /// A task a file.
    Map(Vec<MapFile>),
    /// A task a piece of `from..to`.
    Range { from: i64, to: i64, step: u64 },
    /// A task a row.
    Params { columns: Vec<String>, rows: Vec<Vec<String>> },
}

/// One input file of a map.
#[derive(Debug, Clone)]
pub(crate) struct MapFile {
    /// File name with extension.
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// One task, with a name for people and for its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) label: String,
    /// How much of the input it has, in the unit of the split: bytes, numbers or rows.
    pub(crate) size: u64,
    pub(crate) task: TaskJson,
}

/// Folder of mapped files inside the guest.
const MAP_FOLDER: &str = "/in";

impl Split {
    /// How many tasks it makes.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Single => 1,
            Self::Map(files) => files.len() as u64,
            Self::Range { from, to, step } => to.abs_diff(*from).div_ceil(*step),
            Self::Params { rows, .. } => rows.len() as u64,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Self::Single => return Vec::new(),
            Self::Map(_) => vec![String::new(), "name".to_owned()],
            Self::Range { .. } => vec!["start".to_owned(), "end".to_owned()],
            Self::Params { columns, .. } => columns.clone(),
        };
        if !names.iter().any(|name| name == "index") {
            names.push("index".to_owned());
        }
        names
    }

    /// The label, size and values of the task at `index`, and the file that it has for itself.
    fn piece(&self, index: usize) -> Piece<'_> {
        let width = self.count().saturating_sub(1).max(1).ilog10() as usize + 1;
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut piece = match self {
            Self::Single => {
                return Piece { label: "task".to_owned(), size: 1, values: vec![], file: None };
            }
            Self::Map(files) => {
                let file = &files[index];
                let stem = file.name.rsplit_once('.').map_or(&*file.name, |(stem, _)| stem);
                let stem = if stem.is_empty() { &file.name } else { stem };
                let path = format!("{MAP_FOLDER}/{}", file.name);
                let values = vec![pair("", path), pair("name", stem.to_owned())];
                Piece { label: stem.to_owned(), size: file.size, values, file: Some(file) }
            }
            Self::Range { from, to, step } => {
                let start = from.saturating_add_unsigned(step.saturating_mul(index as u64));
                let end = start.saturating_add_unsigned(*step).min(*to);
                let last = to.saturating_sub(1);
                let digits = from.to_string().len().max(last.to_string().len());
                Piece {
                    label: format!("{start:0digits$}"),
                    size: end.abs_diff(start),
                    values: vec![pair("start", start.to_string()), pair("end", end.to_string())],
                    file: None,
                }
            }
            Self::Params { columns, rows } => Piece {
                label: format!("{index:0width$}"),
                size: 1,
                values: columns.iter().cloned().zip(rows[index].iter().cloned()).collect(),
                file: None,
            },
        };
        if !piece.values.iter().any(|(name, _)| name == "index") {
            piece.values.push(pair("index", index.to_string()));
        }
        piece
    }
}

struct Piece<'a> {
    label: String,
    size: u64,
    values: Vec<(String, String)>,
    file: Option<&'a MapFile>,
}

/// Makes every task of a job.
pub(crate) fn expand(common: &Common, split: &Split) -> Result<Vec<Planned>, ApiError> {
    let count = split.count();
    if count == 0 {
        return Err(ApiError::new(codes::JOB_NO_TASKS, "the inputs yield no task"));
    }
    if count > limits::JOB_TASKS_MAX as u64 {
        let max = limits::JOB_TASKS_MAX;
        let text = format!("the inputs yield {count} tasks; a job has at most {max}");
        return Err(ApiError::new(codes::JOB_BAD, text).hint("make each task larger, with --step"));
    }
    let names = split.names();
    let parse = |text: &String| match split {
        Split::Single => verbatim(text),
        _ => Template::parse(text, &names),
    };
    let args = common.args.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let env = common
        .env
        .iter()
        .map(|(name, value)| Ok((name, parse(value)?)))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let mut labels = HashSet::new();
    let mut planned = Vec::new();
    for index in 0..usize::try_from(count).expect("a job's tasks fit memory") {
        let piece = split.piece(index);
        let mut mounts = common.mounts.clone();
        mounts.extend(piece.file.map(|file| MountJson {
            path: format!("{MAP_FOLDER}/{}", file.name),
            kind: MountKindJson::File,
            blob: Text(file.digest),
        }));
        mounts.sort_by(|a, b| a.path.cmp(&b.path));
        let mut argv = vec![common.program_name.clone()];
        argv.extend(args.iter().map(|arg| arg.fill(&piece.values)));
        let task = TaskJson {
            engine: EngineId::WASI1.to_owned(),
            program: Text(common.program),
            args: argv,
            env: env.iter().map(|(n, v)| ((*n).clone(), v.fill(&piece.values))).collect(),
            stdin: common.stdin.map(Text),
            mounts,
            limits: common.limits,
            blind: None,
        };
        if index == 0 || piece.file.is_some() {
            // The rest differs in filled-in text only, which the node checks again.
            TaskSpec::try_from(task.clone()).map_err(|error| in_words(&error, &piece.label))?;
        }
        planned.push(Planned { label: unique(&piece.label, &mut labels), size: piece.size, task });
    }
    Ok(planned)
}

fn verbatim(text: &String) -> Result<Template, ApiError> {
    for (hole, option) in [("{name}", "--map"), ("{start}", "--range"), ("{end}", "--range")] {
        if text.contains(hole) {
            return Err(ApiError::new(
                codes::INPUT_PLACEHOLDER,
                format!("placeholder {hole} in `{text}` has no value: there is one task only"),
            )
            .hint(format!("say how to make the tasks, with {option}")));
        }
    }
    Ok(Template::verbatim(text))
}

fn in_words(error: &ApiError, label: &str) -> ApiError {
    let code =
        if error.message.contains("limit of") { codes::INPUT_LIMIT } else { codes::INPUT_PATH };
    ApiError::new(code, format!("task `{label}`: {error}"))
}

/// A label that is a safe file name and was not given before.
fn unique(label: &str, given: &mut HashSet<String>) -> String {
    let base = safe_name(label);
    let mut name = base.clone();
    let mut number = 1;
    // Compared without case, for file systems that ignore it.
    while !given.insert(name.to_lowercase()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}

/// A text made safe as a name of a file: nothing that climbs, hides or steers.
pub(crate) fn safe_name(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() || "._-+=@ ".contains(c) { c } else { '_' })
        .collect();
    let mut kept = kept.trim().trim_start_matches(['.', '-']).to_owned();
    while kept.len() > 120 {
        kept.pop();
    }
    if kept.is_empty() { "_".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(args: &[&str]) -> Common {
        Common {
            program: Digest([1; 32]),
            program_name: "prog".into(),
            args: args.iter().map(ToString::to_string).collect(),
            env: [("SEED".to_owned(), "{index}".to_owned())].into(),
            stdin: None,
            mounts: vec![],
            limits: LimitsJson::default(),
        }
    }

    fn file(name: &str) -> MapFile {
        MapFile { name: name.into(), digest: Digest([2; 32]), size: 7 }
    }

    fn shown(planned: &[Planned]) -> String {
        planned
            .iter()
            .map(|p| {
                let mounts: Vec<_> = p.task.mounts.iter().map(|m| &*m.path).collect();
                format!("{} {:?} {:?} {mounts:?} {}\n", p.label, p.task.args, p.task.env, p.size)
            })
            .collect()
    }

    #[test]
    fn a_range_has_its_last_piece_short() {
        let split = Split::Range { from: 0, to: 10, step: 4 };
        let planned = expand(&common(&["{start}", "{end}"]), &split).unwrap();
        insta::assert_snapshot!(shown(&planned), @r#"
        0 ["prog", "0", "4"] {"SEED": "0"} [] 4
        4 ["prog", "4", "8"] {"SEED": "1"} [] 4
        8 ["prog", "8", "10"] {"SEED": "2"} [] 2
        "#);
    }

    #[test]
    fn a_map_mounts_each_file_and_keeps_labels_apart() {
        let split = Split::Map(vec![file("a.csv"), file("a.txt"), file(".hidden"), file("x y.z")]);
        let planned = expand(&common(&["{}", "-o", "/out/{name}"]), &split).unwrap();
        insta::assert_snapshot!(shown(&planned), @r#"
        a ["prog", "/in/a.csv", "-o", "/out/a"] {"SEED": "0"} ["/in/a.csv"] 7
        a-2 ["prog", "/in/a.txt", "-o", "/out/a"] {"SEED": "1"} ["/in/a.txt"] 7
        hidden ["prog", "/in/.hidden", "-o", "/out/.hidden"] {"SEED": "2"} ["/in/.hidden"] 7
        x y ["prog", "/in/x y.z", "-o", "/out/x y"] {"SEED": "3"} ["/in/x y.z"] 7
        "#);
    }

    #[test]
    fn rows_give_their_columns_and_may_redefine_index() {
        let split = Split::Params {
            columns: vec!["lat".into(), "index".into()],
            rows: vec![vec!["1.5".into(), "x".into()], vec!["2".into(), "y".into()]],
        };
        let planned = expand(&common(&["{lat}"]), &split).unwrap();
        insta::assert_snapshot!(shown(&planned), @r#"
        0 ["prog", "1.5"] {"SEED": "x"} [] 1
        1 ["prog", "2"] {"SEED": "y"} [] 1
        "#);
    }

    #[test]
    fn one_task_takes_its_arguments_as_they_are() {
        let mut one = common(&[r#"{"a":{}}"#, "}}"]);
        one.env.clear();
        let planned = expand(&one, &Split::Single).unwrap();
        assert_eq!(planned[0].task.args, ["prog", r#"{"a":{}}"#, "}}"]);
        let error = expand(&common(&["{start}"]), &Split::Single).unwrap_err();
        assert!(error.hint.contains("--range"), "{}", error.hint);
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_the_reason() {
        let check = |split: &Split, change: &dyn Fn(&mut Common)| {
            let mut common = common(&[]);
            change(&mut common);
            let error = expand(&common, split).unwrap_err();
            format!("{} {}", error.code.id, error.message)
        };
        let mount = |path: &str| MountJson {
            path: path.into(),
            kind: MountKindJson::File,
            blob: Text(Digest([3; 32])),
        };
        let range = Split::Range { from: 0, to: 4, step: 1 };
        insta::assert_snapshot!(check(&Split::Range { from: 3, to: 3, step: 1 }, &|_| {}), @"E-JOB-004 the inputs yield no task");
        insta::assert_snapshot!(check(&Split::Range { from: 0, to: i64::MAX, step: 1 }, &|_| {}), @"E-JOB-002 the inputs yield 9223372036854775807 tasks; a job has at most 1000000");
        insta::assert_snapshot!(check(&range, &|c| c.mounts = vec![mount("/a/../b")]), @"E-INPUT-005 task `0`: guest path `/a/../b` has a `.` or `..` component");
        insta::assert_snapshot!(check(&range, &|c| c.mounts = vec![mount("/out")]), @"E-INPUT-005 task `0`: mount `/out` overlaps another mount, `/tmp` or `/out`");
        insta::assert_snapshot!(check(&Split::Map(vec![file("a")]), &|c| c.mounts = vec![mount("/in")]), @"E-INPUT-005 task `a`: mount `/in/a` overlaps another mount, `/tmp` or `/out`");
        insta::assert_snapshot!(check(&range, &|c| c.limits.memory_bytes = 8 << 30), @"E-INPUT-007 task `0`: memory in bytes: 8589934592 is more than the limit of 4294967296");
        insta::assert_snapshot!(check(&range, &|c| c.args = vec!["{lat}".into()]), @"E-INPUT-003 placeholder {lat} in `{lat}` has no value; there is {start} {end} {index}");
    }

    #[test]
    fn labels_are_safe_names() {
        for (text, name) in [
            ("../../etc/passwd", "_.._etc_passwd"),
            ("", "_"),
            ("..", "_"),
            ("-rf", "rf"),
            ("a\0b\n", "a_b_"),
            ("日本", "日本"),
        ] {
            assert_eq!(safe_name(text), name, "{text:?}");
        }
        assert!(safe_name(&"é".repeat(300)).len() <= 120);
    }
}
