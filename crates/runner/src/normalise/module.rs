//! One core module: validated against the contract, then written again with the meter.
//!
//! Sections are copied as they are, except: imports, globals and exports get the meter's entries,
//! the code section is instrumented function by function, custom sections are dropped (nothing
//! may depend on them). Indices of types, functions, tables and memories do not move.

use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{
    BinaryReader, CompositeInnerType, ExternalKind, FuncToValidate, FuncValidator,
    FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload, TypeRef, ValType,
    ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use super::body::{GLOBALS_ADDED, ModuleInfo, Validated, instrument};
use super::code::leb;
use super::cost;
use super::error::NormaliseError;
use super::features::{self, refusal};
use super::{FUEL_EXPORT, METER_MODULE, RESERVED_PREFIX, STACK_EXPORT, START_EXPORT};

/// Where a module finds its meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meter {
    /// In two globals of its own, exported; the start function becomes an export.
    Own,
    /// In two globals that it imports; the start function stays.
    Imported,
}

/// A module, and what was found on the way.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) module: Vec<u8>,
    pub(super) code_bytes: u64,
    pub(super) memory_bytes_min: u64,
    pub(super) imports: Vec<(String, String)>,
}

/// Validate and rewrite. `base` is where the module begins in the program, for messages.
pub(super) fn rewrite(
    module: &[u8],
    base: usize,
    meter: Meter,
) -> Result<Rewritten, NormaliseError> {
    // Engines decode with their features too: some encodings are valid only with others.
    attempt(module, base, meter, features::CORE).map_err(|error| {
        // The decoder stops before the operator that it can't name; read on for the name.
        match attempt(module, base, meter, WasmFeatures::all()) {
            Err(named @ NormaliseError::Feature { operator: Some(_), .. }) => named,
            _ => error,
        }
    })
}

fn attempt(
    module: &[u8],
    base: usize,
    meter: Meter,
    decode: WasmFeatures,
) -> Result<Rewritten, NormaliseError> {
    limit("bytes of a module", module.len() as u64, cost::MODULE_BYTES_MAX)?;
    let mut work = Work::new(meter, start_function(module));
    let mut validator = Validator::new_with_features(features::CORE);
    let mut allocations = FuncValidatorAllocations::default();
    let mut parser = Parser::new(base as u64);
    parser.set_features(decode);
    for payload in parser.parse_all(module) {
        let payload = payload.map_err(|error| refusal(&error, None))?;
        work.before(&payload)?;
        let checked = validator.payload(&payload).map_err(|error| refusal(&error, None))?;
        work.section(module, base, &payload)?;
        if let ValidPayload::Func(function, body) = checked {
            allocations = work.function(function, &body, allocations)?;
        }
    }
    Ok(work.finish())
}

pub(super) fn limit(what: &'static str, value: u64, max: u64) -> Result<(), NormaliseError> {
    if value > max {
        return Err(NormaliseError::Limit { what, value, max });
    }
    Ok(())
}

struct Work {
    meter: Meter,
    out: wasm_encoder::Module,
    info: ModuleInfo,
    start: Option<u32>,
    done: Done,
    code: Vec<u8>,
    /// Functions in the code section, and how many of them are still to come.
    functions: (u32, u32),
    /// Of all functions so far.
    locals: u64,
    rewritten: Rewritten,
}

/// Which sections that get entries were written.
#[derive(Debug, Default)]
struct Done {
    imports: bool,
    globals: bool,
    exports: bool,
}

impl Work {
    fn new(meter: Meter, start: Option<u32>) -> Self {
        Self {
            meter,
            out: wasm_encoder::Module::new(),
            info: ModuleInfo { globals_moved_from: u32::MAX, ..ModuleInfo::default() },
            start,
            done: Done::default(),
            code: Vec::new(),
            functions: (0, 0),
            locals: 0,
            rewritten: Rewritten {
                module: Vec::new(),
                code_bytes: 0,
                memory_bytes_min: 0,
                imports: Vec::new(),
            },
        }
    }

    /// Limits that must hold before the validator makes tables of what it reads.
    fn before(&mut self, payload: &Payload<'_>) -> Result<(), NormaliseError> {
        let (what, count, max) = match payload {
            Payload::TypeSection(reader) => ("types", reader.count(), cost::TYPES_MAX),
            Payload::ImportSection(reader) => ("imports", reader.count(), cost::IMPORTS_MAX),
            Payload::FunctionSection(reader) => ("functions", reader.count(), cost::FUNCTIONS_MAX),
            Payload::TableSection(reader) => ("tables", reader.count(), cost::TABLES_MAX),
            Payload::GlobalSection(reader) => ("globals", reader.count(), cost::GLOBALS_MAX),
            Payload::ExportSection(reader) => ("exports", reader.count(), cost::EXPORTS_MAX),
            Payload::ElementSection(reader) => {
                ("element segments", reader.count(), cost::ELEMENT_SEGMENTS_MAX)
            }
            Payload::DataSection(reader) => {
                ("data segments", reader.count(), cost::DATA_SEGMENTS_MAX)
            }
            Payload::CodeSectionEntry(body) => {
                return limit(
                    "bytes of a function",
                    body.as_bytes().len() as u64,
                    cost::FUNCTION_BYTES_MAX,
                );
            }
            _ => return Ok(()),
        };
        limit(what, u64::from(count), max)
    }

    /// A section that the validator accepted.
    fn section(
        &mut self,
        module: &[u8],
        base: usize,
        payload: &Payload<'_>,
    ) -> Result<(), NormaliseError> {
        let broken = |error: wasmparser::BinaryReaderError| refusal(&error, None);
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader.clone() {
                    for ty in group.map_err(broken)?.into_types() {
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                            continue;
                        };
                        limit(
                            "parameters of a function",
                            ty.params().len() as u64,
                            cost::PARAMS_MAX,
                        )?;
                        limit(
                            "results of a function or block",
                            ty.results().len() as u64,
                            cost::RESULTS_MAX,
                        )?;
                        self.info.types.push(ty);
                    }
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.clone().into_imports() {
                    let import = import.map_err(broken)?;
                    self.import(import.module, import.name, &import.ty)?;
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader.clone() {
                    self.info.functions.push(ty.map_err(broken)?);
                }
                limit("functions", self.info.functions.len() as u64, cost::FUNCTIONS_MAX)?;
            }
            Payload::TableSection(reader) => {
                for table in reader.clone() {
                    let table = table.map_err(broken)?;
                    limit("first elements of a table", table.ty.initial, cost::TABLE_ELEMENTS_MAX)?;
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader.clone() {
                    self.memory(&memory.map_err(broken)?);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader.clone() {
                    self.info.globals.push(global.map_err(broken)?.ty.content_type);
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions = (*count, *count);
            }
            _ => {}
        }
        self.write(module, base, payload)
    }

    fn import(&mut self, module: &str, name: &str, ty: &TypeRef) -> Result<(), NormaliseError> {
        if module == METER_MODULE {
            return Err(NormaliseError::ReservedName { name: format!("{module}.{name}") });
        }
        self.rewritten.imports.push((module.to_owned(), name.to_owned()));
        match ty {
            TypeRef::Func(ty) => self.info.functions.push(*ty),
            TypeRef::Global(ty) => self.info.globals.push(ty.content_type),
            TypeRef::Memory(ty) => self.memory(ty),
            _ => {}
        }
        Ok(())
    }

    fn memory(&mut self, ty: &wasmparser::MemoryType) {
        self.rewritten.memory_bytes_min =
            self.rewritten.memory_bytes_min.saturating_add(ty.initial.saturating_mul(1 << 16));
    }

    /// Write what stands before, then the section.
    fn write(
        &mut self,
        module: &[u8],
        base: usize,
        payload: &Payload<'_>,
    ) -> Result<(), NormaliseError> {
        let Some((id, range)) = payload.as_section() else {
            if matches!(payload, Payload::End(_)) {
                self.due(u8::MAX)?;
            }
            return Ok(());
        };
        // Custom sections carry nothing that may matter.
        if id == 0 {
            return Ok(());
        }
        self.due(id)?;
        // A cut-off code section is announced before its end is missed.
        let data = module.get(range.start - base..range.end - base).ok_or_else(|| {
            NormaliseError::Malformed {
                offset: range.start,
                message: "unexpected end in a section".to_owned(),
            }
        })?;
        match payload {
            Payload::ImportSection(_) if self.meter == Meter::Imported => self.imports(Some(data)),
            Payload::GlobalSection(_) if self.meter == Meter::Own => self.globals(Some(data)),
            Payload::ExportSection(reader) => self.exports(Some(reader.clone()))?,
            Payload::StartSection { .. } if self.meter == Meter::Own => {}
            // Written when its last function has been.
            Payload::CodeSectionStart { count, .. } => {
                if *count == 0 {
                    self.write_code(0);
                }
            }
            _ => {
                self.out.section(&RawSection { id, data });
            }
        }
        Ok(())
    }

    /// Sections with entries of the meter that the module itself does not have, or had before
    /// this one.
    fn due(&mut self, next: u8) -> Result<(), NormaliseError> {
        let order = section_order(next);
        if order > section_order(2) && !self.done.imports {
            self.imports(None);
        }
        if order > section_order(6) && !self.done.globals {
            self.globals(None);
        }
        if order > section_order(7) && !self.done.exports {
            self.exports(None)?;
        }
        Ok(())
    }

    /// The import section, with the meter's if it is imported.
    fn imports(&mut self, data: Option<&[u8]>) {
        if self.done.imports {
            return;
        }
        self.done.imports = true;
        let imported = count(self.info.globals.len());
        if self.meter == Meter::Own {
            return;
        }
        self.info.globals_moved_from = imported;
        self.info.fuel_global = imported;
        self.info.stack_global = imported + 1;
        let mut entries = Vec::new();
        for (name, ty) in [(FUEL_EXPORT, 0x7e), (STACK_EXPORT, 0x7f)] {
            string(&mut entries, METER_MODULE);
            string(&mut entries, name);
            // A mutable global of that type.
            entries.extend_from_slice(&[0x03, ty, 0x01]);
        }
        self.extended(2, data, &entries);
    }

    /// The global section, with the meter's if they are the module's own. Both begin at zero: a
    /// host that forgets to set them gets nothing run.
    fn globals(&mut self, data: Option<&[u8]>) {
        if self.done.globals {
            return;
        }
        self.done.globals = true;
        if self.meter == Meter::Imported {
            return;
        }
        let index = count(self.info.globals.len());
        self.info.fuel_global = index;
        self.info.stack_global = index + 1;
        // i64 and i32, mutable, constant zero, end.
        let entries = [0x7e, 0x01, 0x42, 0x00, 0x0b, 0x7f, 0x01, 0x41, 0x00, 0x0b];
        self.extended(6, data, &entries);
    }

    /// A section of counted entries with [`GLOBALS_ADDED`] more.
    fn extended(&mut self, id: u8, data: Option<&[u8]>, entries: &[u8]) {
        let (count, rest): (u32, &[u8]) = match data {
            None => (0, &[]),
            Some(data) => {
                let mut reader = BinaryReader::new(data, 0);
                // The validator has read it before.
                let count = reader.read_var_u32().unwrap_or_default();
                (count, &data[reader.original_position()..])
            }
        };
        let mut section = Vec::with_capacity(rest.len() + entries.len() + 5);
        leb(&mut section, u64::from(count) + u64::from(GLOBALS_ADDED));
        section.extend_from_slice(rest);
        section.extend_from_slice(entries);
        self.out.section(&RawSection { id, data: &section });
    }

    /// Whether an export may not have this name. A component's core modules carry the names of its
    /// interfaces, which may begin with the prefix: there only the meter's own are kept.
    fn reserves(&self, name: &str) -> bool {
        match self.meter {
            Meter::Own => name.starts_with(RESERVED_PREFIX),
            Meter::Imported => [FUEL_EXPORT, STACK_EXPORT, START_EXPORT].contains(&name),
        }
    }

    fn exports(
        &mut self,
        reader: Option<wasmparser::ExportSectionReader<'_>>,
    ) -> Result<(), NormaliseError> {
        if self.done.exports {
            return Ok(());
        }
        self.done.exports = true;
        let mut section = ExportSection::new();
        for export in reader.into_iter().flatten() {
            let export = export.map_err(|error| refusal(&error, None))?;
            if self.reserves(export.name) {
                return Err(NormaliseError::ReservedName {
                    name: export.name.chars().take(100).collect(),
                });
            }
            let (kind, index) = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => (ExportKind::Func, export.index),
                ExternalKind::Table => (ExportKind::Table, export.index),
                ExternalKind::Memory => (ExportKind::Memory, export.index),
                ExternalKind::Global => (ExportKind::Global, self.info.global_index(export.index)),
                ExternalKind::Tag => continue,
            };
            section.export(export.name, kind, index);
        }
        if self.meter == Meter::Own {
            section.export(FUEL_EXPORT, ExportKind::Global, self.info.fuel_global);
            section.export(STACK_EXPORT, ExportKind::Global, self.info.stack_global);
            if let Some(start) = self.start {
                section.export(START_EXPORT, ExportKind::Func, start);
            }
        }
        self.out.section(&section);
        Ok(())
    }

    /// One function: validated, then instrumented.
    fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        allocations: FuncValidatorAllocations,
    ) -> Result<FuncValidatorAllocations, NormaliseError> {
        self.rewritten.code_bytes += body.as_bytes().len() as u64;
        let type_index = function.ty;
        let params = self.info.types[type_index as usize].params().len() as u64;
        let mut validator = function.into_validator(allocations);
        let validated = validate(&mut validator, params, body)?;
        self.locals += u64::from(validator.len_locals());
        limit("locals of all functions", self.locals, cost::LOCALS_TOTAL_MAX)?;
        let mut written = Vec::with_capacity(body.as_bytes().len() * 2);
        instrument(&self.info, type_index, body, &validated, &mut written)?;
        limit(
            "bytes of a function after metering",
            written.len() as u64,
            cost::FUNCTION_BYTES_NORMALISED_MAX,
        )?;
        leb(&mut self.code, written.len() as u64);
        self.code.extend_from_slice(&written);
        self.functions.1 = self.functions.1.saturating_sub(1);
        if self.functions.1 == 0 {
            self.write_code(self.functions.0);
        }
        Ok(validator.into_allocations())
    }

    fn write_code(&mut self, functions: u32) {
        let mut section = Vec::with_capacity(self.code.len() + 5);
        leb(&mut section, u64::from(functions));
        section.append(&mut self.code);
        self.out.section(&RawSection { id: 10, data: &section });
    }

    fn finish(mut self) -> Rewritten {
        self.rewritten.module = self.out.finish();
        self.rewritten
    }
}

/// Walk a function with the validator; note what only it knows.
fn validate(
    validator: &mut FuncValidator<ValidatorResources>,
    params: u64,
    body: &FunctionBody<'_>,
) -> Result<Validated, NormaliseError> {
    let broken = |error: wasmparser::BinaryReaderError| refusal(&error, None);
    let mut validated = Validated::default();
    let mut locals = body.get_locals_reader().map_err(broken)?;
    let mut count = params;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (more, ty) = locals.read().map_err(broken)?;
        count += u64::from(more);
        limit("locals of a function", count, cost::LOCALS_MAX)?;
        validator.define_locals(offset, more, ty).map_err(broken)?;
    }
    let mut reader = body.get_operators_reader().map_err(broken)?;
    while !reader.eof() {
        let offset = reader.original_position();
        let operator = reader.read().map_err(broken)?;
        match &operator {
            Operator::Select => {
                let ty = validator.get_operand_type(1).flatten();
                validated.selects.push(ty.unwrap_or(ValType::I32));
            }
            Operator::BrTable { targets } => limit(
                "targets of a br_table",
                u64::from(targets.len()),
                cost::BR_TABLE_TARGETS_MAX,
            )?,
            _ => {}
        }
        validator.op(offset, &operator).map_err(|error| refusal(&error, Some(&operator)))?;
        limit("nested blocks", u64::from(validator.control_stack_height()), cost::NESTING_MAX)?;
        limit(
            "operands on the stack of a function",
            u64::from(validator.operand_stack_height()),
            cost::OPERANDS_MAX,
        )?;
    }
    reader.finish().map_err(broken)?;
    Ok(validated)
}

/// The start function's index. It stands behind the exports, which must name it.
fn start_function(module: &[u8]) -> Option<u32> {
    Parser::new(0).parse_all(module).map_while(Result::ok).find_map(|payload| match payload {
        Payload::StartSection { func, .. } => Some(func),
        _ => None,
    })
}

/// Where a section stands in a module, by its id.
fn section_order(id: u8) -> u8 {
    match id {
        13 => 6,
        6 => 7,
        7 => 8,
        8 => 9,
        9 => 10,
        12 => 11,
        10 => 12,
        11 => 13,
        other => other,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn string(out: &mut Vec<u8>, text: &str) {
    leb(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}
