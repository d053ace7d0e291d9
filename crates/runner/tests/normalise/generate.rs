//! Small programs that make, move and show NaNs: typed expressions at random, biased to values
//! and operators where NaN bits matter. The same seed gives the same program.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, Instruction as I, MemArg, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};

/// A random sequence (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

const F64S: [u64; 12] = [
    0,
    0x8000_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff8_dead_beef_0001,
    0x7ff0_0000_0000_0001,
    0xfff4_0000_1234_5678,
    0x3ff0_0000_0000_0000,
    0xbff8_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
];
const F32S: [u32; 10] = [
    0,
    0x8000_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_0000,
    0x7fc0_beef,
    0x7f80_0001,
    0x3f80_0000,
    0xff7f_ffff,
];

// Locals of `run`: two of each float type are parameters, so their bits must be kept.
const F64_LOCALS: [u32; 5] = [0, 4, 5, 6, 7];
const F32_LOCALS: [u32; 5] = [1, 8, 9, 10, 11];
const I64_LOCAL: u32 = 2;
const I32_LOCAL: u32 = 3;
const V128_LOCALS: [u32; 2] = [12, 13];
const COUNTERS: u32 = 14;
const COUNTERS_MAX: u32 = 3;

// Functions and types.
const RUN: u32 = 0;
const MIX: u32 = 1;
const PAIR: u32 = 2;
const TYPE_THROUGH: u32 = 3;
const TYPE_THROUGH_TWO: u32 = 4;

/// One program from one seed.
pub(crate) fn program(seed: u64) -> Vec<u8> {
    let mut make = Make { random: Random(seed), code: Vec::new(), loops: 0, size: 0 };
    let mut module = Module::new();
    let mut types = TypeSection::new();
    let (i32, i64, f32, f64) = (ValType::I32, ValType::I64, ValType::F32, ValType::F64);
    types.ty().function([f64, f32, i64, i32], [f64, f32]);
    types.ty().function([f64, f32], [f64]);
    types.ty().function([f32], [f64, f32]);
    types.ty().function([f64], [f64]);
    types.ty().function([f64, f32], [f64, f32]);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0).function(1).function(2);
    module.section(&functions);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    module.section(&memories);
    let mut globals = GlobalSection::new();
    let mutable = |val_type| GlobalType { val_type, mutable: true, shared: false };
    globals.global(mutable(f64), &ConstExpr::f64_const(f64::NAN.into()));
    globals.global(mutable(f32), &ConstExpr::f32_const(1.5.into()));
    globals.global(mutable(i64), &ConstExpr::i64_const(0x7ff0_0000_0000_0001));
    module.section(&globals);
    let mut exports = ExportSection::new();
    exports
        .export("run", ExportKind::Func, RUN)
        .export("memory", ExportKind::Memory, 0)
        .export("g0", ExportKind::Global, 0)
        .export("g1", ExportKind::Global, 1)
        .export("g2", ExportKind::Global, 2);
    module.section(&exports);

    let mut code = CodeSection::new();
    for _ in 0..6 {
        make.statement(3);
    }
    make.expression(f64, 3);
    make.expression(f32, 3);
    let locals = [(4, f64), (4, f32), (2, ValType::V128), (COUNTERS_MAX, i32)];
    code.function(&make.function(&locals));
    // `mix`: arithmetic on parameters, `pair`: one result made, one handed on.
    let local = |index| I::LocalGet(index);
    code.function(&plain(&[local(0), local(1), I::F64PromoteF32, I::F64Mul, local(0), I::F64Sub]));
    code.function(&plain(&[local(0), local(0), I::F32Mul, I::F64PromoteF32, local(0)]));
    module.section(&code);
    let mut data = DataSection::new();
    let bytes: Vec<u8> = F64S
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .chain(F32S.iter().flat_map(|bits| bits.to_le_bytes()))
        .collect();
    data.active(0, &ConstExpr::i32_const(0), bytes);
    module.section(&data);
    module.finish()
}

fn plain(instructions: &[I<'static>]) -> Function {
    let mut function = Function::new([]);
    for instruction in instructions {
        function.instruction(instruction);
    }
    function.instruction(&I::End);
    function
}

struct Make {
    random: Random,
    code: Vec<I<'static>>,
    loops: u32,
    size: usize,
}

impl Make {
    fn function(&mut self, locals: &[(u32, ValType)]) -> Function {
        let mut function = Function::new(locals.iter().copied());
        for instruction in self.code.drain(..) {
            function.instruction(&instruction);
        }
        function.instruction(&I::End);
        function
    }

    fn put(&mut self, instruction: I<'static>) {
        self.size += 1;
        self.code.push(instruction);
    }

    fn one_of(&mut self, choices: &[u32]) -> u32 {
        choices[self.random.below(choices.len() as u64) as usize]
    }

    fn statement(&mut self, depth: u32) {
        let (f32, f64) = (ValType::F32, ValType::F64);
        match self.random.below(if depth == 0 { 8 } else { 16 }) {
            0 | 1 | 8 => {
                self.expression(f64, 3);
                let local = self.one_of(&F64_LOCALS);
                self.put(I::LocalSet(local));
            }
            2 | 9 => {
                self.expression(f32, 3);
                let local = self.one_of(&F32_LOCALS);
                self.put(I::LocalSet(local));
            }
            3 => {
                let at = self.address();
                self.put(I::I32Const(at));
                self.expression(f64, 3);
                self.put(I::F64Store(memarg()));
            }
            4 => {
                let at = self.address();
                self.put(I::I32Const(at));
                self.expression(f32, 3);
                self.put(I::F32Store(memarg()));
            }
            5 => {
                self.expression(f64, 2);
                self.put(I::GlobalSet(0));
            }
            6 => {
                self.expression(ValType::V128, 2);
                let local = self.one_of(&V128_LOCALS);
                self.put(I::LocalSet(local));
            }
            7 => {
                self.expression(ValType::I64, 2);
                self.put(I::GlobalSet(2));
            }
            10 => {
                self.expression(f32, 2);
                self.put(I::GlobalSet(1));
            }
            11 | 12 => {
                self.expression(ValType::I32, 2);
                self.put(I::If(BlockType::Empty));
                self.statement(depth - 1);
                if self.random.below(2) == 0 {
                    self.put(I::Else);
                    self.statement(depth - 1);
                }
                self.put(I::End);
            }
            13 | 14 if self.loops < COUNTERS_MAX => {
                let counter = COUNTERS + self.loops;
                self.loops += 1;
                self.put(I::I32Const(3));
                self.put(I::LocalSet(counter));
                self.put(I::Loop(BlockType::Empty));
                self.statement(depth - 1);
                self.statement(depth - 1);
                self.put(I::LocalGet(counter));
                self.put(I::I32Const(1));
                self.put(I::I32Sub);
                self.put(I::LocalTee(counter));
                self.put(I::BrIf(0));
                self.put(I::End);
            }
            _ => {
                self.expression(f32, 2);
                self.put(I::Call(PAIR));
                let local = self.one_of(&F32_LOCALS);
                self.put(I::LocalSet(local));
                let local = self.one_of(&F64_LOCALS);
                self.put(I::LocalSet(local));
            }
        }
    }

    fn expression(&mut self, ty: ValType, depth: u32) {
        // Keep programs small whatever the dice say.
        let depth = if self.size > 400 { 0 } else { depth };
        match ty {
            ValType::F64 => self.f64(depth),
            ValType::F32 => self.f32(depth),
            ValType::I64 => self.i64(depth),
            ValType::V128 => self.v128(depth),
            _ => self.i32(depth),
        }
    }

    fn f64(&mut self, depth: u32) {
        let f64 = ValType::F64;
        let below = depth.saturating_sub(1);
        match self.random.below(if depth == 0 { 4 } else { 30 }) {
            0 => {
                let at = self.random.below(F64S.len() as u64) as usize;
                self.put(I::F64Const(f64::from_bits(F64S[at]).into()));
            }
            1 => {
                let local = self.one_of(&F64_LOCALS);
                self.put(I::LocalGet(local));
            }
            2 => {
                let at = self.address();
                self.put(I::I32Const(at));
                self.put(I::F64Load(memarg()));
            }
            3 => self.put(I::GlobalGet(0)),
            4..=11 => {
                self.f64(below);
                self.f64(below);
                let operator = [
                    I::F64Add,
                    I::F64Sub,
                    I::F64Mul,
                    I::F64Div,
                    I::F64Min,
                    I::F64Max,
                    I::F64Sub,
                    I::F64Div,
                ][self.random.below(8) as usize]
                    .clone();
                self.put(operator);
            }
            12 | 13 => {
                self.f64(below);
                let operator = [I::F64Sqrt, I::F64Ceil, I::F64Floor, I::F64Trunc, I::F64Nearest]
                    [self.random.below(5) as usize]
                    .clone();
                self.put(operator);
            }
            14 | 15 => {
                self.f64(below);
                let operator = [I::F64Neg, I::F64Abs][self.random.below(2) as usize].clone();
                self.put(operator);
            }
            16 | 17 => {
                self.f64(below);
                self.f64(below);
                self.put(I::F64Copysign);
            }
            18 => {
                self.f32(below);
                self.put(I::F64PromoteF32);
            }
            19 => {
                self.i64(below);
                self.put(I::F64ReinterpretI64);
            }
            20 => {
                self.i32(below);
                self.put(I::F64ConvertI32S);
            }
            21 | 22 => {
                self.f64(below);
                self.f64(below);
                self.i32(below);
                let typed = self.random.below(2) == 0;
                self.put(if typed { I::TypedSelect(f64) } else { I::Select });
            }
            23 => {
                self.i32(below);
                self.put(I::If(BlockType::Result(f64)));
                self.f64(below);
                self.put(I::Else);
                self.f64(below);
                self.put(I::End);
            }
            24 => {
                self.put(I::Block(BlockType::Result(f64)));
                self.f64(below);
                self.i32(below);
                self.put(I::BrIf(0));
                let local = self.one_of(&F64_LOCALS);
                self.put(I::LocalSet(local));
                self.f64(below);
                self.put(I::End);
            }
            25 => {
                self.put(I::Block(BlockType::Result(f64)));
                self.put(I::Block(BlockType::Result(f64)));
                self.f64(below);
                self.i32(below);
                self.put(I::BrTable(vec![0, 1, 0].into(), 1));
                self.put(I::End);
                self.f64(below);
                self.put(I::F64Add);
                self.put(I::End);
            }
            26 => {
                self.f64(below);
                self.f32(below);
                self.put(I::Call(MIX));
            }
            27 => {
                let local = self.one_of(&F64_LOCALS);
                self.f64(below);
                self.put(I::LocalTee(local));
            }
            28 => {
                self.v128(below);
                let lane = self.random.below(2) as u8;
                self.put(I::F64x2ExtractLane(lane));
            }
            _ => self.through(below),
        }
    }

    /// Parameters of blocks, loops and ifs.
    fn through(&mut self, depth: u32) {
        self.f64(depth);
        match self.random.below(4) {
            0 if self.loops < COUNTERS_MAX => {
                let counter = COUNTERS + self.loops;
                self.loops += 1;
                self.put(I::I32Const(2));
                self.put(I::LocalSet(counter));
                self.put(I::Loop(BlockType::FunctionType(TYPE_THROUGH)));
                self.f64(depth);
                self.put(I::F64Mul);
                self.put(I::LocalGet(counter));
                self.put(I::I32Const(1));
                self.put(I::I32Sub);
                self.put(I::LocalTee(counter));
                self.put(I::BrIf(0));
                self.put(I::End);
            }
            1 => {
                self.i32(depth);
                self.put(I::If(BlockType::FunctionType(TYPE_THROUGH)));
                self.f64(depth);
                self.put(I::F64Sub);
                self.put(I::End);
            }
            _ => {
                self.f32(depth);
                self.put(I::Block(BlockType::FunctionType(TYPE_THROUGH_TWO)));
                self.i32(depth);
                self.put(I::BrIf(0));
                let local = self.one_of(&F32_LOCALS);
                self.put(I::LocalSet(local));
                let local = self.one_of(&F64_LOCALS);
                self.put(I::LocalSet(local));
                self.f64(depth);
                self.f32(depth);
                self.put(I::End);
                self.put(I::F64PromoteF32);
                let minimum = self.random.below(2) == 0;
                self.put(if minimum { I::F64Min } else { I::F64Copysign });
            }
        }
    }

    fn f32(&mut self, depth: u32) {
        let f32 = ValType::F32;
        let below = depth.saturating_sub(1);
        match self.random.below(if depth == 0 { 4 } else { 20 }) {
            0 => {
                let at = self.random.below(F32S.len() as u64) as usize;
                self.put(I::F32Const(f32::from_bits(F32S[at]).into()));
            }
            1 => {
                let local = self.one_of(&F32_LOCALS);
                self.put(I::LocalGet(local));
            }
            2 => {
                let at = self.address();
                self.put(I::I32Const(at));
                self.put(I::F32Load(memarg()));
            }
            3 => self.put(I::GlobalGet(1)),
            4..=9 => {
                self.f32(below);
                self.f32(below);
                let operator = [I::F32Add, I::F32Sub, I::F32Mul, I::F32Div, I::F32Min, I::F32Max]
                    [self.random.below(6) as usize]
                    .clone();
                self.put(operator);
            }
            10 => {
                self.f32(below);
                let operator = [I::F32Sqrt, I::F32Ceil, I::F32Floor, I::F32Trunc, I::F32Nearest]
                    [self.random.below(5) as usize]
                    .clone();
                self.put(operator);
            }
            11 => {
                self.f32(below);
                let operator = [I::F32Neg, I::F32Abs][self.random.below(2) as usize].clone();
                self.put(operator);
            }
            12 => {
                self.f32(below);
                self.f32(below);
                self.put(I::F32Copysign);
            }
            13 | 14 => {
                self.f64(below);
                self.put(I::F32DemoteF64);
            }
            15 => {
                self.i32(below);
                self.put(I::F32ReinterpretI32);
            }
            16 => {
                self.f32(below);
                self.f32(below);
                self.i32(below);
                self.put(I::Select);
            }
            17 => {
                let local = self.one_of(&F32_LOCALS);
                self.f32(below);
                self.put(I::LocalTee(local));
            }
            18 => {
                self.i32(below);
                self.put(I::If(BlockType::Result(f32)));
                self.f32(below);
                self.put(I::Else);
                self.f32(below);
                self.put(I::End);
            }
            _ => {
                self.v128(below);
                let lane = self.random.below(4) as u8;
                self.put(I::F32x4ExtractLane(lane));
            }
        }
    }

    fn i32(&mut self, depth: u32) {
        let below = depth.saturating_sub(1);
        match self.random.below(if depth == 0 { 2 } else { 7 }) {
            0 => {
                let value = self.random.below(3) as i32;
                self.put(I::I32Const(value));
            }
            1 => self.put(I::LocalGet(I32_LOCAL)),
            2 => {
                self.f32(below);
                self.put(I::I32ReinterpretF32);
            }
            3 => {
                self.f64(below);
                self.f64(below);
                let operator =
                    [I::F64Lt, I::F64Ge, I::F64Eq, I::F64Ne][self.random.below(4) as usize].clone();
                self.put(operator);
            }
            4 => {
                self.f64(below);
                self.put(I::I32TruncSatF64S);
            }
            5 => {
                self.f32(below);
                self.f32(below);
                self.put(I::F32Gt);
            }
            _ => {
                self.i64(below);
                self.put(I::I64Const(63));
                self.put(I::I64ShrU);
                self.put(I::I32WrapI64);
            }
        }
    }

    fn i64(&mut self, depth: u32) {
        match self.random.below(if depth == 0 { 3 } else { 5 }) {
            0 => self.put(I::I64Const(0x7ff0_0000_dead_0001)),
            1 => self.put(I::LocalGet(I64_LOCAL)),
            2 => self.put(I::GlobalGet(2)),
            3 => {
                self.f64(depth - 1);
                self.put(I::I64ReinterpretF64);
                self.put(I::LocalTee(I64_LOCAL));
            }
            _ => {
                self.f64(depth - 1);
                self.put(I::I64ReinterpretF64);
            }
        }
    }

    fn v128(&mut self, depth: u32) {
        let below = depth.saturating_sub(1);
        match self.random.below(if depth == 0 { 2 } else { 11 }) {
            0 => {
                let local = self.one_of(&V128_LOCALS);
                self.put(I::LocalGet(local));
            }
            1 => {
                let at = self.address();
                self.put(I::I32Const(at));
                self.put(I::V128Load(memarg()));
            }
            2 => {
                self.f64(below);
                self.put(I::F64x2Splat);
            }
            3 => {
                self.f32(below);
                self.put(I::F32x4Splat);
            }
            4 => {
                self.v128(below);
                self.f64(below);
                self.put(I::F64x2ReplaceLane(1));
            }
            5 => {
                self.v128(below);
                let operator = [
                    I::F64x2Sqrt,
                    I::F32x4Sqrt,
                    I::F64x2Neg,
                    I::F32x4Abs,
                    I::F32x4DemoteF64x2Zero,
                    I::F64x2PromoteLowF32x4,
                    I::F32x4Floor,
                    I::F64x2Nearest,
                ][self.random.below(8) as usize]
                    .clone();
                self.put(operator);
            }
            _ => {
                self.v128(below);
                self.v128(below);
                let operator = [
                    I::F64x2Add,
                    I::F64x2Sub,
                    I::F64x2Mul,
                    I::F64x2Div,
                    I::F64x2Min,
                    I::F64x2PMin,
                    I::F32x4Add,
                    I::F32x4Sub,
                    I::F32x4Mul,
                    I::F32x4Div,
                    I::F32x4Max,
                    I::F32x4PMax,
                ][self.random.below(12) as usize]
                    .clone();
                self.put(operator);
            }
        }
    }

    fn address(&mut self) -> i32 {
        self.random.below(17) as i32 * 8
    }
}

fn memarg() -> MemArg {
    MemArg { offset: 0, align: 2, memory_index: 0 }
}
