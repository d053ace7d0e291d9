//! Which operators can make a NaN, and which look at its bits.
//!
//! WebAssembly leaves the bits of a NaN that arithmetic makes to the machine. The contract says
//! that they are the canonical ones, and means exactly what the compiler's own canonicalisation
//! flag does: every result of the operators below whose class is [`Class::Makes`] or
//! [`Class::MakesLanes`] is replaced by the canonical NaN if it is one. Doing that only where
//! somebody can look is what makes it cheap.

use wasmparser::Operator;

use super::code::Lanes;

/// What an operator has to do with NaN bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing, or it is handled by its structure.
    Other,
    /// Scalar arithmetic: the machine chooses the bits of a NaN result, and only whether the
    /// operands are NaN matters.
    Makes,
    /// Vector arithmetic: likewise, in every lane.
    MakesLanes(Lanes),
    /// The result is a float and never a NaN.
    NeverNan,
    /// Clears the sign of the operand. The canonical NaN has none, so it may be applied before
    /// or after canonicalising.
    Abs,
    /// Its top operands' bits become visible: so many of them, the given float type.
    Looks {
        /// How many operands from the top, all of one float type.
        operands: usize,
        /// Whether they are 64 bits wide.
        wide: bool,
    },
}

/// The class of an operator.
pub(super) fn class(operator: &Operator<'_>) -> Class {
    use Operator as O;
    const ONE32: Class = Class::Looks { operands: 1, wide: false };
    const ONE64: Class = Class::Looks { operands: 1, wide: true };
    match operator {
        O::F32Add
        | O::F32Sub
        | O::F32Mul
        | O::F32Div
        | O::F32Min
        | O::F32Max
        | O::F32Sqrt
        | O::F32Ceil
        | O::F32Floor
        | O::F32Trunc
        | O::F32Nearest
        | O::F32DemoteF64
        | O::F64Add
        | O::F64Sub
        | O::F64Mul
        | O::F64Div
        | O::F64Min
        | O::F64Max
        | O::F64Sqrt
        | O::F64Ceil
        | O::F64Floor
        | O::F64Trunc
        | O::F64Nearest
        | O::F64PromoteF32 => Class::Makes,
        O::F32x4Add
        | O::F32x4Sub
        | O::F32x4Mul
        | O::F32x4Div
        | O::F32x4Min
        | O::F32x4Max
        | O::F32x4Sqrt
        | O::F32x4Ceil
        | O::F32x4Floor
        | O::F32x4Trunc
        | O::F32x4Nearest
        | O::F32x4DemoteF64x2Zero => Class::MakesLanes(Lanes::F32x4),
        O::F64x2Add
        | O::F64x2Sub
        | O::F64x2Mul
        | O::F64x2Div
        | O::F64x2Min
        | O::F64x2Max
        | O::F64x2Sqrt
        | O::F64x2Ceil
        | O::F64x2Floor
        | O::F64x2Trunc
        | O::F64x2Nearest
        | O::F64x2PromoteLowF32x4 => Class::MakesLanes(Lanes::F64x2),
        O::F32ConvertI32S
        | O::F32ConvertI32U
        | O::F32ConvertI64S
        | O::F32ConvertI64U
        | O::F64ConvertI32S
        | O::F64ConvertI32U
        | O::F64ConvertI64S
        | O::F64ConvertI64U => Class::NeverNan,
        O::F32Abs | O::F64Abs => Class::Abs,
        O::F32Store { .. }
        | O::I32ReinterpretF32
        | O::F32Neg
        | O::F32x4Splat
        | O::F32x4ReplaceLane { .. } => ONE32,
        O::F64Store { .. }
        | O::I64ReinterpretF64
        | O::F64Neg
        | O::F64x2Splat
        | O::F64x2ReplaceLane { .. } => ONE64,
        O::F32Copysign => Class::Looks { operands: 2, wide: false },
        O::F64Copysign => Class::Looks { operands: 2, wide: true },
        _ => Class::Other,
    }
}

/// Whether an operator can end the run or hand control to the host, so that the counter must be
/// current before it. Calls, bulk operators and growth are not asked: they are handled apart.
pub(super) fn can_trap(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Unreachable
            | O::I32Load { .. }
            | O::I64Load { .. }
            | O::F32Load { .. }
            | O::F64Load { .. }
            | O::I32Load8S { .. }
            | O::I32Load8U { .. }
            | O::I32Load16S { .. }
            | O::I32Load16U { .. }
            | O::I64Load8S { .. }
            | O::I64Load8U { .. }
            | O::I64Load16S { .. }
            | O::I64Load16U { .. }
            | O::I64Load32S { .. }
            | O::I64Load32U { .. }
            | O::I32Store { .. }
            | O::I64Store { .. }
            | O::F32Store { .. }
            | O::F64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
            | O::I32DivS
            | O::I32DivU
            | O::I32RemS
            | O::I32RemU
            | O::I64DivS
            | O::I64DivU
            | O::I64RemS
            | O::I64RemU
            | O::I32TruncF32S
            | O::I32TruncF32U
            | O::I32TruncF64S
            | O::I32TruncF64U
            | O::I64TruncF32S
            | O::I64TruncF32U
            | O::I64TruncF64S
            | O::I64TruncF64U
            | O::TableGet { .. }
            | O::TableSet { .. }
            | O::V128Load { .. }
            | O::V128Load8x8S { .. }
            | O::V128Load8x8U { .. }
            | O::V128Load16x4S { .. }
            | O::V128Load16x4U { .. }
            | O::V128Load32x2S { .. }
            | O::V128Load32x2U { .. }
            | O::V128Load8Splat { .. }
            | O::V128Load16Splat { .. }
            | O::V128Load32Splat { .. }
            | O::V128Load64Splat { .. }
            | O::V128Load32Zero { .. }
            | O::V128Load64Zero { .. }
            | O::V128Store { .. }
            | O::V128Load8Lane { .. }
            | O::V128Load16Lane { .. }
            | O::V128Load32Lane { .. }
            | O::V128Load64Lane { .. }
            | O::V128Store8Lane { .. }
            | O::V128Store16Lane { .. }
            | O::V128Store32Lane { .. }
            | O::V128Store64Lane { .. }
    )
}
