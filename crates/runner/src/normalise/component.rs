//! A component: its core modules metered by one counter that they all share.
//!
//! A component can't export a core global, so the counter lives in a small core module that is
//! put in front of everything else. Every other core module imports its two globals. What is put
//! in front, in the component's words:
//!
//! ```text
//! import ayni-fuel: func() -> s64        the limits, asked for once, before any start function
//! import ayni-stack: func() -> s32
//! core module: globals `ayni:fuel`, `ayni:stack`; its start function sets them to the limits
//! export ayni-left: func() -> s64        the fuel left, after a run that ended well
//! ```
//!
//! After a trap no function of the store can be called. The host then finds the instance that
//! exports `ayni:fuel` among those of the core dump that the compiler's runtime attaches to the
//! error, and reads the global. What host functions charge is counted by the host itself: the
//! fuel used is the sum, exhausted if it is above the limit.
//!
//! All index spaces that grew move up by a constant. Deliberately not here: components that have
//! core modules inside inner components, or that import or hand around core modules.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CodeSection, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef,
    ComponentTypeSection, ComponentValType, ConstExpr, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstanceSection,
    Instruction, Module, ModuleArg, ModuleSection, PrimitiveValType, RawSection, StartSection,
    TypeSection, ValType,
};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, Instance, InstantiationArgKind,
    Parser, Payload, Validator,
};

use super::error::NormaliseError;
use super::features::{self, refusal};
use super::module::{Meter, Rewritten, limit, rewrite};
use super::{
    COMPONENT_FUEL_IMPORT, COMPONENT_LEFT_EXPORT, COMPONENT_STACK_IMPORT, FUEL_EXPORT,
    METER_MODULE, STACK_EXPORT, cost,
};

// How far each index space moves.
const TYPES_ADDED: u32 = 2;
const FUNCTIONS_ADDED: u32 = 4;
const CORE_FUNCTIONS_ADDED: u32 = 3;
const MODULES_ADDED: u32 = 1;
const CORE_INSTANCES_ADDED: u32 = 2;
/// The core instance that holds the meter.
const METER_INSTANCE: u32 = 1;

/// A component again, metered.
pub(super) fn rewrite_component(component: &[u8]) -> Result<Rewritten, NormaliseError> {
    limit("bytes of a module", component.len() as u64, cost::MODULE_BYTES_MAX)?;
    let mut modules = Vec::new();
    let mut whole =
        Rewritten { module: Vec::new(), code_bytes: 0, memory_bytes_min: 0, imports: Vec::new() };
    survey(component, &mut modules, &mut whole)?;
    Validator::new_with_features(features::COMPONENT)
        .validate_all(component)
        .map_err(|error| refusal(&error, None))?;

    let mut out = Component::new();
    put_meter(&mut out);
    let mut again = Again { depth: 0, modules: modules.into_iter() };
    again
        .parse_component(&mut out, Parser::new(0), component)
        .map_err(|error| NormaliseError::Malformed { offset: 0, message: error.to_string() })?;
    whole.module = out.finish();
    Ok(whole)
}

/// Rewrite the core modules and refuse the shapes that can't be metered.
fn survey(
    component: &[u8],
    modules: &mut Vec<Vec<u8>>,
    whole: &mut Rewritten,
) -> Result<(), NormaliseError> {
    let broken = |error: wasmparser::BinaryReaderError| refusal(&error, None);
    let handed_around = NormaliseError::Component {
        what: "imports or hands around a core module",
        hint: "compose it so that every core module is instantiated where it stands",
    };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ModuleSection { unchecked_range, .. } => {
                if depth != 1 {
                    return Err(NormaliseError::Component {
                        what: "has a core module inside an inner component",
                        hint: "give the components as one: link them before making the component",
                    });
                }
                limit(
                    "core modules of a component",
                    modules.len() as u64 + 1,
                    cost::COMPONENT_MODULES_MAX,
                )?;
                let begin = unchecked_range.start;
                let module =
                    component.get(unchecked_range).ok_or_else(|| NormaliseError::Malformed {
                        offset: begin,
                        message: "unexpected end in a core module".to_owned(),
                    })?;
                let rewritten = rewrite(module, begin, Meter::Imported)?;
                whole.code_bytes += rewritten.code_bytes;
                whole.memory_bytes_min =
                    whole.memory_bytes_min.saturating_add(rewritten.memory_bytes_min);
                modules.push(rewritten.module);
            }
            // The validator takes an inner component that ends early for a smaller one.
            Payload::ComponentSection { unchecked_range, .. }
                if unchecked_range.end > component.len() =>
            {
                return Err(NormaliseError::Malformed {
                    offset: unchecked_range.start,
                    message: "unexpected end in an inner component".to_owned(),
                });
            }
            Payload::ComponentImportSection(reader) if depth == 1 => {
                for import in reader {
                    let import = import.map_err(broken)?;
                    let name = import.name.name;
                    if matches!(import.ty, wasmparser::ComponentTypeRef::Module(_)) {
                        return Err(handed_around);
                    }
                    reserved(name)?;
                    whole.imports.push((name.to_owned(), String::new()));
                }
            }
            Payload::ComponentExportSection(reader) if depth == 1 => {
                for export in reader {
                    reserved(export.map_err(broken)?.name.name)?;
                }
            }
            Payload::ComponentAliasSection(reader) => {
                for alias in reader {
                    match alias.map_err(broken)? {
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Module,
                            ..
                        }
                        | ComponentAlias::Outer {
                            kind: ComponentOuterAliasKind::CoreModule, ..
                        } => return Err(handed_around),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn reserved(name: &str) -> Result<(), NormaliseError> {
    let names = [COMPONENT_FUEL_IMPORT, COMPONENT_STACK_IMPORT, COMPONENT_LEFT_EXPORT];
    if names.contains(&name) {
        return Err(NormaliseError::ReservedName { name: name.to_owned() });
    }
    Ok(())
}

/// What stands in front of the component.
fn put_meter(out: &mut Component) {
    let mut types = ComponentTypeSection::new();
    for ty in [PrimitiveValType::S64, PrimitiveValType::S32] {
        types
            .function()
            .params::<[(&str, ComponentValType); 0], ComponentValType>([])
            .result(Some(ComponentValType::Primitive(ty)));
    }
    out.section(&types);
    let mut imports = ComponentImportSection::new();
    imports.import(COMPONENT_FUEL_IMPORT, ComponentTypeRef::Func(0));
    imports.import(COMPONENT_STACK_IMPORT, ComponentTypeRef::Func(1));
    out.section(&imports);
    let mut lowered = CanonicalFunctionSection::new();
    lowered.lower(0, []);
    lowered.lower(1, []);
    out.section(&lowered);
    out.section(&ModuleSection(&meter_module()));
    let mut instances = InstanceSection::new();
    instances.export_items([("fuel", ExportKind::Func, 0), ("stack", ExportKind::Func, 1)]);
    instances.instantiate(0, [("limits", ModuleArg::Instance(0))]);
    out.section(&instances);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport {
        instance: METER_INSTANCE,
        kind: ExportKind::Func,
        name: "left",
    });
    out.section(&aliases);
    let mut lifted = CanonicalFunctionSection::new();
    lifted.lift(2, 0, []);
    out.section(&lifted);
    let mut exports = ComponentExportSection::new();
    exports.export(COMPONENT_LEFT_EXPORT, ComponentExportKind::Func, 2, None);
    out.section(&exports);
}

/// The core module that holds the meter.
fn meter_module() -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64]);
    types.ty().function([], [ValType::I32]);
    types.ty().function([], []);
    module.section(&types);
    let mut imports = ImportSection::new();
    imports.import("limits", "fuel", EntityType::Function(0));
    imports.import("limits", "stack", EntityType::Function(1));
    module.section(&imports);
    let mut functions = FunctionSection::new();
    functions.function(2).function(0);
    module.section(&functions);
    let mut globals = GlobalSection::new();
    for (val_type, zero) in
        [(ValType::I64, ConstExpr::i64_const(0)), (ValType::I32, ConstExpr::i32_const(0))]
    {
        let ty = GlobalType { val_type, mutable: true, shared: false };
        globals.global(ty, &zero);
    }
    module.section(&globals);
    let mut exports = ExportSection::new();
    exports.export(FUEL_EXPORT, ExportKind::Global, 0);
    exports.export(STACK_EXPORT, ExportKind::Global, 1);
    exports.export("left", ExportKind::Func, 3);
    module.section(&exports);
    module.section(&StartSection { function_index: 2 });
    let mut code = CodeSection::new();
    let mut start = Function::new([]);
    start
        .instruction(&Instruction::Call(0))
        .instruction(&Instruction::GlobalSet(0))
        .instruction(&Instruction::Call(1))
        .instruction(&Instruction::GlobalSet(1))
        .instruction(&Instruction::End);
    code.function(&start);
    let mut left = Function::new([]);
    left.instruction(&Instruction::GlobalGet(0)).instruction(&Instruction::End);
    code.function(&left);
    module.section(&code);
    module
}

/// Writes the component again, indices moved, modules replaced.
struct Again {
    /// How many components or types deep; indices move only at the outermost level.
    depth: u32,
    modules: std::vec::IntoIter<Vec<u8>>,
}

impl Again {
    fn moved(&self, index: u32, by: u32) -> u32 {
        if self.depth == 0 { index + by } else { index }
    }

    fn moved_outer(&self, count: u32, index: u32, by: u32) -> u32 {
        if count == self.depth { index + by } else { index }
    }
}

impl Reencode for Again {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.moved(index, CORE_FUNCTIONS_ADDED))
    }
}

impl ReencodeComponent for Again {
    fn component_type_index(&mut self, index: u32) -> u32 {
        self.moved(index, TYPES_ADDED)
    }

    fn component_func_index(&mut self, index: u32) -> u32 {
        self.moved(index, FUNCTIONS_ADDED)
    }

    fn module_index(&mut self, index: u32) -> u32 {
        self.moved(index, MODULES_ADDED)
    }

    fn instance_index(&mut self, index: u32) -> u32 {
        self.moved(index, CORE_INSTANCES_ADDED)
    }

    fn outer_component_type_index(&mut self, count: u32, index: u32) -> u32 {
        self.moved_outer(count, index, TYPES_ADDED)
    }

    fn outer_component_index(&mut self, _count: u32, index: u32) -> u32 {
        index
    }

    fn outer_type_index(&mut self, _count: u32, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(index)
    }

    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _parser: Parser,
        _module: &[u8],
    ) -> Result<(), Error<Infallible>> {
        // As many as `survey` found, in the same order.
        if let Some(data) = self.modules.next() {
            component.section(&RawSection { id: 1, data: &data });
        }
        Ok(())
    }

    fn parse_component_custom_section(
        &mut self,
        _component: &mut Component,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }

    fn parse_instance(
        &mut self,
        instances: &mut InstanceSection,
        instance: Instance<'_>,
    ) -> Result<(), Error<Infallible>> {
        let Instance::Instantiate { module_index, args } = instance else {
            return wasm_encoder::reencode::component_utils::parse_instance(
                self, instances, instance,
            );
        };
        let mut given: Vec<(&str, ModuleArg)> = Vec::with_capacity(args.len() + 1);
        for arg in &args {
            let InstantiationArgKind::Instance = arg.kind;
            given.push((arg.name, ModuleArg::Instance(self.instance_index(arg.index))));
        }
        given.push((METER_MODULE, ModuleArg::Instance(METER_INSTANCE)));
        let module = self.module_index(module_index);
        instances.instantiate(module, given);
        Ok(())
    }
}
