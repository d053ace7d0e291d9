//! The numbers of the `wasi1` contract: what each operator costs, what a frame costs, and every
//! limit on a module. All in one file, because changing any of them is a new engine id.
//!
//! Fuel and stack are defined on the program as its author shipped it:
//!
//! - A *straight-line block* begins at a function's entry, after `loop`, `if` and `else`, after
//!   `br_if`, after the `end` of an `if`, after the `end` of a `block` to which some branch goes,
//!   and at any `end` or `else` that follows code which cannot be reached. Code that cannot be
//!   reached within its block costs nothing. On entry to a block the cost of all its operators is
//!   charged at once, so a trap in the middle has paid for the whole block.
//! - Bulk operators pay per byte or element before they begin, so also when they then trap.
//!   Growing pays per page or element when it succeeded.
//! - A function that calls anything costs its frame while it is active. A function that calls
//!   nothing costs its frame too, unless that is at most [`LEAF_BYTES_FREE`].
//! - A run whose charges exceed its limit is exhausted, wherever the counter is looked at.

use wasmparser::{Operator, ValType};

/// Operators in a function body cost the stack one byte for this many: optimising compilers keep
/// shared intermediate results in the frame, so the native frame grows with the code as well.
pub const STACK_OPERATORS_PER_BYTE: u64 = 8;
/// Every frame, in metered bytes.
pub const STACK_FRAME_BYTES: u64 = 48;
/// One operand of the deepest point of the operand stack, in metered bytes.
pub const STACK_OPERAND_BYTES: u64 = 16;
/// Frames of functions without calls up to this size are not metered.
pub const LEAF_BYTES_FREE: u64 = 4_096;

/// Native stack that one metered byte can need at most, on every back end (measured by the tests
/// with frames made to be as dear as possible, and rounded up).
pub const NATIVE_STACK_PER_METERED_BYTE: u64 = 8;
/// Native stack needed beside that: the one unmetered leaf, the entry, host functions.
pub const NATIVE_STACK_BYTES_BASE: u64 = 1 << 20;

/// One page grown, in fuel.
pub const MEMORY_GROW_PAGE_FUEL: i64 = 1_024;
/// One table element grown, in fuel.
pub const TABLE_GROW_ELEMENT_FUEL: i64 = 1;
/// Bytes filled, copied or initialised for one unit of fuel, as a shift: 2⁴ = 16.
pub const BULK_BYTES_PER_FUEL_SHIFT: i64 = 4;

/// Largest module in bytes.
pub const MODULE_BYTES_MAX: u64 = 128 << 20;
/// Core modules in a component.
pub const COMPONENT_MODULES_MAX: u64 = 64;
/// Largest function body in bytes.
pub const FUNCTION_BYTES_MAX: u64 = 1 << 20;
/// Largest function body after metering, in bytes: what every WebAssembly engine reads.
pub const FUNCTION_BYTES_NORMALISED_MAX: u64 = 7_654_321;
/// Types in a module.
pub const TYPES_MAX: u64 = 100_000;
/// Functions in a module, imported ones included.
pub const FUNCTIONS_MAX: u64 = 500_000;
/// Imports of a module.
pub const IMPORTS_MAX: u64 = 10_000;
/// Exports of a module.
pub const EXPORTS_MAX: u64 = 100_000;
/// Globals of a module.
pub const GLOBALS_MAX: u64 = 100_000;
/// Tables of a module.
pub const TABLES_MAX: u64 = 16;
/// First size of a table, in elements.
pub const TABLE_ELEMENTS_MAX: u64 = 1_000_000;
/// Memories of a module.
pub const MEMORIES_MAX: u64 = 1;
/// Element segments of a module.
pub const ELEMENT_SEGMENTS_MAX: u64 = 100_000;
/// Data segments of a module.
pub const DATA_SEGMENTS_MAX: u64 = 100_000;
/// Parameters of a function.
pub const PARAMS_MAX: u64 = 1_000;
/// Results of a function, and parameters or results of a block.
pub const RESULTS_MAX: u64 = 64;
/// Locals of a function, parameters included.
pub const LOCALS_MAX: u64 = 16_384;
/// Locals of all functions of a module together: a declaration of many takes few bytes.
pub const LOCALS_TOTAL_MAX: u64 = 20_000_000;
/// Targets of one `br_table`.
pub const BR_TABLE_TARGETS_MAX: u64 = 65_520;
/// Blocks within blocks.
pub const NESTING_MAX: u64 = 16_384;
/// Operands on the stack of one function.
pub const OPERANDS_MAX: u64 = 16_384;

/// What one operator costs, in fuel, besides what bulk operators pay by size.
#[must_use]
pub fn operator_fuel(operator: &Operator<'_>) -> u64 {
    use Operator as O;
    match operator {
        // Structure, and what leaves no trace in compiled code.
        O::Nop | O::Drop | O::Block { .. } | O::Loop { .. } | O::Else | O::End | O::Unreachable => {
            0
        }
        O::I32DivS
        | O::I32DivU
        | O::I32RemS
        | O::I32RemU
        | O::I64DivS
        | O::I64DivU
        | O::I64RemS
        | O::I64RemU
        | O::F32Sqrt
        | O::F64Sqrt
        | O::F32x4Sqrt
        | O::F64x2Sqrt => 8,
        O::F32Div | O::F64Div | O::F32x4Div | O::F64x2Div => 4,
        O::Call { .. } => 4,
        O::CallIndirect { .. } => 8,
        O::MemoryFill { .. }
        | O::MemoryCopy { .. }
        | O::MemoryInit { .. }
        | O::TableFill { .. }
        | O::TableCopy { .. }
        | O::TableInit { .. } => 16,
        O::MemoryGrow { .. } | O::TableGrow { .. } => 256,
        _ => 1,
    }
}

/// What one local costs the stack, in metered bytes.
#[must_use]
pub fn local_stack_bytes(ty: ValType) -> u64 {
    if ty == ValType::V128 { 16 } else { 8 }
}

/// What a frame costs the stack, in metered bytes.
#[must_use]
pub fn frame_stack_bytes(locals_bytes: u64, operands_max: u64, operators: u64) -> u64 {
    STACK_FRAME_BYTES
        + locals_bytes
        + operands_max * STACK_OPERAND_BYTES
        + operators / STACK_OPERATORS_PER_BYTE
}
