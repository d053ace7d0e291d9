//! What a program is, whether it can run under `wasi1`, and if not, why: without running it.
//!
//! Bounded by the program's length; a program is parsed and validated, never compiled, here.

use ayni_types::limits::PROGRAM_BYTES_MAX;
use ayni_wire::runner::CheckReport;
use wasmparser::{
    Encoding, ExternalKind, Operator, Parser, Payload, TypeRef, ValType, ValidPayload, Validator,
};

use crate::normalise::{self, NormaliseError, Normalised, features};
use crate::preview1;
use crate::world::World;

const IMPORTS_SHOWN_MAX: usize = 200;
const LINES_MAX: usize = 50;
const NAME_SHOWN_CHARS_MAX: usize = 120;

/// Which kind of program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProgramKind {
    Module,
    Component,
}

impl ProgramKind {
    /// By its first bytes.
    #[must_use]
    pub fn of(program: &[u8]) -> Option<Self> {
        match program.get(..8)? {
            [0, b'a', b's', b'm', 1, 0, 0, 0] => Some(Self::Module),
            [0, b'a', b's', b'm', _, _, 1, 0] => Some(Self::Component),
            _ => None,
        }
    }
}

/// Looks at a program.
#[must_use]
pub fn check(program: &[u8]) -> CheckReport {
    check_and_normalise(program).0
}

/// Looks at a program; what is to be compiled, if it can run.
#[must_use]
pub fn check_and_normalise(program: &[u8]) -> (CheckReport, Option<Normalised>) {
    let mut report = CheckReport { kind: "unknown".to_owned(), ..CheckReport::default() };
    if program.len() as u64 > PROGRAM_BYTES_MAX {
        let bytes = program.len();
        report
            .problems
            .push(format!("the program has {bytes} bytes; the limit is {PROGRAM_BYTES_MAX}"));
        return (report, None);
    }
    let mut normalised = None;
    match ProgramKind::of(program) {
        Some(ProgramKind::Module) => {
            report.kind = "module".to_owned();
            normalised = check_module(program, &mut report);
        }
        Some(ProgramKind::Component) => {
            report.kind = "component".to_owned();
            normalised = check_component(program, &mut report);
        }
        None => report.problems.push(not_wasm(program)),
    }
    report.imports.sort_unstable();
    report.imports.dedup();
    report.imports.truncate(IMPORTS_SHOWN_MAX);
    report.problems.truncate(LINES_MAX);
    report.remarks.truncate(LINES_MAX);
    if !report.problems.is_empty() {
        normalised = None;
    }
    (report, normalised)
}

fn not_wasm(program: &[u8]) -> String {
    let hint = match program {
        [] => "the file is empty",
        [0x7f, b'E', b'L', b'F', ..] => {
            "it is a native program; build it for `wasm32-wasip1` instead"
        }
        [b'#', b'!', ..] => "it is a script; run its interpreter's WebAssembly build and mount it",
        [b'(', ..] => "it is WebAssembly text; turn it into binary first (`wat2wasm`)",
        [0, b'a', b's', b'm', ..] => "its version is not one that exists",
        _ => "its first bytes are not those of a module or component",
    };
    format!("not WebAssembly: {hint}")
}

fn check_module(program: &[u8], report: &mut CheckReport) -> Option<Normalised> {
    let mut seen = Seen::default();
    for payload in Parser::new(0).parse_all(program) {
        if let Err(error) = payload.and_then(|payload| look(&payload, &mut seen, report)) {
            let (offset, message) = (error.offset(), error.message().to_owned());
            report.problems.insert(0, with_hint(&NormaliseError::Malformed { offset, message }));
            return None;
        }
    }
    let normalised = match normalise::normalise(program) {
        Ok(normalised) => normalised,
        Err(error) => {
            let legacy = legacy_exceptions(program, &error);
            report.problems.insert(0, with_hint(legacy.as_ref().unwrap_or(&error)));
            return None;
        }
    };
    report.code_bytes = normalised.code_bytes;
    report.memory_bytes_min = normalised.memory_bytes_min;
    if !seen.start_export {
        report.problems.push(if seen.initialize {
            "exports `_initialize` but no `_start`: a library (reactor), not a command".to_owned()
        } else {
            "exports no function `_start` without parameters: not a command".to_owned()
        });
    }
    if seen.wasi && !seen.memory {
        report.problems.push("exports no memory named `memory`".to_owned());
    }
    Some(normalised)
}

/// The validator stumbles over the tags of both kinds of exception handling; the operators tell
/// which kind it is.
fn legacy_exceptions(program: &[u8], error: &NormaliseError) -> Option<NormaliseError> {
    let NormaliseError::Feature { feature: "exception handling", hint, .. } = error else {
        return None;
    };
    for payload in Parser::new(0).parse_all(program) {
        let Payload::CodeSectionEntry(body) = payload.ok()? else { continue };
        let mut operators = body.get_operators_reader().ok()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset().ok()?;
            let name = match operator {
                Operator::Try { .. } => "try",
                Operator::Catch { .. } => "catch",
                Operator::Rethrow { .. } => "rethrow",
                Operator::Delegate { .. } => "delegate",
                Operator::CatchAll => "catch_all",
                _ => continue,
            };
            return Some(NormaliseError::Feature {
                feature: "legacy exception handling",
                operator: Some(name.to_owned()),
                offset,
                hint,
            });
        }
    }
    None
}

fn with_hint(error: &NormaliseError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; hint: {hint}"),
        None => error.to_string(),
    }
}

#[derive(Default)]
struct Seen {
    start_export: bool,
    initialize: bool,
    memory: bool,
    wasi: bool,
    types: Vec<Option<(Vec<ValType>, Vec<ValType>)>>,
}

fn look(
    payload: &Payload<'_>,
    seen: &mut Seen,
    report: &mut CheckReport,
) -> wasmparser::Result<()> {
    match payload {
        Payload::TypeSection(section) => {
            for group in section.clone() {
                for ty in group?.into_types() {
                    seen.types.push(match ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(f) => {
                            Some((f.params().to_vec(), f.results().to_vec()))
                        }
                        _ => None,
                    });
                }
            }
        }
        Payload::ImportSection(section) => {
            for import in section.clone().into_imports() {
                let import = import?;
                if report.imports.len() < IMPORTS_SHOWN_MAX {
                    report.imports.push(format!("{}.{}", shown(import.module), shown(import.name)));
                }
                check_import(import.module, import.name, import.ty, seen, report);
            }
        }
        Payload::ExportSection(section) => {
            for export in section.clone() {
                let export = export?;
                match (export.name, export.kind) {
                    ("_start", ExternalKind::Func) => seen.start_export = true,
                    ("_initialize", ExternalKind::Func) => seen.initialize = true,
                    ("memory", ExternalKind::Memory) => seen.memory = true,
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_import(module: &str, name: &str, ty: TypeRef, seen: &mut Seen, report: &mut CheckReport) {
    if report.problems.len() >= LINES_MAX {
        return;
    }
    let full = format!("`{}.{}`", shown(module), shown(name));
    if module != preview1::MODULE {
        let why = match module {
            "wasi_unstable" => {
                "the old name of WASI preview 1; rebuild with a toolchain from 2020 or later"
            }
            "env" => "a function left undefined at link time, or one of an embedding of its own",
            "wasi" => "wasi-threads; wasi1 has no threads",
            _ => "part of an embedding of its own",
        };
        report.problems.push(format!("imports {full}, which wasi1 does not have: {why}"));
        return;
    }
    seen.wasi = true;
    let TypeRef::Func(index) = ty else {
        report.problems.push(format!("imports {full} as something other than a function"));
        return;
    };
    let wanted = preview1::FUNCTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, params)| (*params, 1))
        .or((name == preview1::EXIT).then_some((&["u32"][..], 0)));
    let Some((params, results)) = wanted else {
        report.problems.push(format!("imports {full}, which wasi1 does not have"));
        return;
    };
    let same = |given: &[ValType]| {
        given.len() == params.len()
            && given.iter().zip(params).all(|(g, p)| match *p {
                "u64" => *g == ValType::I64,
                _ => *g == ValType::I32,
            })
    };
    let fits = seen.types.get(index as usize).and_then(Option::as_ref).is_some_and(|(p, r)| {
        same(p) && r.len() == results && r.iter().all(|r| *r == ValType::I32)
    });
    if !fits {
        report.problems.push(format!("imports {full} with other types than WASI gives it"));
    }
}

fn check_component(program: &[u8], report: &mut CheckReport) -> Option<Normalised> {
    let mut depth = 0_usize;
    let mut exports = Vec::new();
    // Of types only: function bodies are validated by the normaliser.
    let mut validator = Validator::new_with_features(features::COMPONENT);
    let mut sound = true;
    let mut types = None;
    for payload in Parser::new(0).parse_all(program) {
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => {
                let (offset, message) = (error.offset(), error.message().to_owned());
                report.problems.push(with_hint(&NormaliseError::Malformed { offset, message }));
                return None;
            }
        };
        if sound {
            match validator.payload(&payload) {
                Ok(ValidPayload::End(found)) if depth == 1 => types = Some(found),
                Ok(_) => {}
                // The normaliser says it in its own words.
                Err(_) => sound = false,
            }
        }
        match payload {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.into_iter().flatten() {
                    let name = shown(import.name.name);
                    if !known_interface(&name) && report.problems.len() < LINES_MAX {
                        report
                            .problems
                            .push(format!("imports `{name}`, which wasi1 does not have"));
                    }
                    if report.imports.len() < IMPORTS_SHOWN_MAX {
                        report.imports.push(name);
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.into_iter().flatten() {
                    exports.push((export.name.name, export.kind, export.index));
                }
            }
            _ => {}
        }
    }
    let found = World::find(exports.iter().map(|(name, ..)| *name));
    match found {
        None => report.problems.push(
            "exports neither `wasi:cli/run@0.2` nor `ayni:function/handler@1`: neither a command \
             nor a function"
                .to_owned(),
        ),
        Some((World::Function, _)) => {
            report.kind = "component (function)".to_owned();
        }
        Some(_) => {}
    }
    if let (true, Some((world, name)), Some(types)) = (sound, found, &types)
        && let Some((_, kind, index)) = exports.iter().find(|(given, ..)| *given == name)
        && let Err(problem) = world.check(*kind, *index, types.as_ref())
    {
        report.problems.push(problem);
    }
    match normalise::normalise_component(program) {
        Ok(normalised) => {
            report.code_bytes = normalised.code_bytes;
            report.memory_bytes_min = normalised.memory_bytes_min;
            Some(normalised)
        }
        Err(error) => {
            report.problems.insert(0, with_hint(&error));
            None
        }
    }
}

/// Whether the interface is one of preview 2 that the host implements, in any 0.2 release.
fn known_interface(name: &str) -> bool {
    let Some((package, version)) = name.split_once('@') else { return false };
    version.starts_with("0.2.")
        && [
            "wasi:cli/",
            "wasi:io/",
            "wasi:clocks/",
            "wasi:filesystem/",
            "wasi:random/",
            "wasi:sockets/",
        ]
        .iter()
        .any(|p| package.starts_with(p))
}

fn shown(name: &str) -> String {
    let cut: String = name.chars().take(NAME_SHOWN_CHARS_MAX).collect();
    cut.escape_debug().to_string()
}
