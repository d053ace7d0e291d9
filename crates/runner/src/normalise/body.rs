//! One function: its charges, its frame, its NaNs.
//!
//! The function is walked twice. The first walk adds up what each straight-line block costs, how
//! high the operand stack gets and where values flow; the second emits the function again with
//! the meter in it. Both are the same code, so they can't disagree about what is where; the
//! second differs by having an [`Emitter`].
//!
//! How the meter counts: the counter is a global, held in a local while a function runs. Every
//! block subtracts its cost from the local. The global is written before the first operator of a
//! block at which somebody could look (a trap, a call, the end), and read again after calls.
//! Whether it went below zero is looked at where a run could otherwise go on for long: at loops,
//! at entries of functions that call, after bulk operators. The host looks at it in the end and
//! whenever it is called, so where the looking happens is not part of the contract.
//!
//! The stack works without undoing anything on exit: the global says how much is left *below the
//! caller's frame*. A function subtracts its own frame into a local, and writes that into the
//! global before each call it makes.

use std::collections::HashMap;

use wasmparser::{
    BlockType, BrTable, ContType, FrameKind, FuncType, FunctionBody, ModuleArity, Operator,
    RefType, SubType, ValType,
};

use super::code::{Code, Lanes, NAN_F32, NAN_F64, Plain, leb, type_byte};
use super::cost;
use super::error::NormaliseError;
use super::float::{self, Class};
use super::flow::{Graph, Modes, State};

/// What a function needs to know of its module.
#[derive(Debug, Default)]
pub(super) struct ModuleInfo {
    /// By type index.
    pub(super) types: Vec<FuncType>,
    /// Type index by function index, imported ones first.
    pub(super) functions: Vec<u32>,
    /// By global index, as the original counts them.
    pub(super) globals: Vec<ValType>,
    /// Globals at this index and above move up by [`GLOBALS_ADDED`] when the meter's are imported.
    pub(super) globals_moved_from: u32,
    /// The counter.
    pub(super) fuel_global: u32,
    /// The stack left.
    pub(super) stack_global: u32,
}

/// Globals that the meter adds.
pub(super) const GLOBALS_ADDED: u32 = 2;

impl ModuleInfo {
    /// A global's index in the normalised module.
    pub(super) fn global_index(&self, original: u32) -> u32 {
        if original >= self.globals_moved_from { original + GLOBALS_ADDED } else { original }
    }
}

/// What validation of the function found that the walks need.
#[derive(Debug, Default)]
pub(super) struct Validated {
    /// Type of each untyped `select`, in order.
    pub(super) selects: Vec<ValType>,
}

/// The function again, with the meter in it: appends its body (without its size) to `out`.
pub(super) fn instrument(
    info: &ModuleInfo,
    type_index: u32,
    body: &FunctionBody<'_>,
    validated: &Validated,
    out: &mut Vec<u8>,
) -> Result<(), NormaliseError> {
    let broken = |error: wasmparser::BinaryReaderError| super::features::refusal(&error, None);
    let ty = &info.types[type_index as usize];
    let mut locals: Vec<ValType> = ty.params().to_vec();
    let params = locals.len();
    let mut groups = Vec::new();
    let mut reader = body.get_locals_reader().map_err(broken)?;
    for _ in 0..reader.get_count() {
        let (count, ty) = reader.read().map_err(broken)?;
        groups.push((count, ty));
        locals.extend(std::iter::repeat_n(ty, count as usize));
    }

    let mut first = Walk::new(info, ty, &locals, params, validated);
    first.begin();
    first.run(body)?;
    let frame_bytes = first.frame_bytes();
    let calls = first.calls;
    let charges = std::mem::take(&mut first.charges);
    let modes = std::mem::take(&mut first.graph).solve();

    let mut second = Walk::new(info, ty, &locals, params, validated);
    second.emit = Some(Emitter::new(info, modes, charges, &locals, calls));
    second.begin();
    second.prologue(frame_bytes);
    second.run(body)?;
    let Some(emitter) = second.emit.take() else {
        return Ok(());
    };

    leb(out, (groups.len() + emitter.added.len()) as u64);
    for (count, ty) in groups {
        leb(out, u64::from(count));
        out.push(type_byte(ty));
    }
    for ty in emitter.added {
        out.push(1);
        out.push(type_byte(ty));
    }
    out.extend_from_slice(&emitter.code.0);
    Ok(())
}

/// A block that is open.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// Operands below it.
    height: usize,
    /// What a branch to it carries: places for floats, [`State::EXACT`] for the rest.
    label: Vec<State>,
    label_types: Vec<ValType>,
    /// What is on the stack after its end: the same as `label` but for loops.
    results: Vec<ValType>,
    /// Of an `if`: its parameters, for `else`.
    params: Vec<State>,
    /// A live branch goes to it.
    targeted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Block,
    Loop,
    If,
    Else,
}

/// What the second walk writes.
#[derive(Debug)]
struct Emitter {
    code: Code,
    modes: Modes,
    charges: Vec<u64>,
    fuel_global: u32,
    stack_global: u32,
    fuel_local: u32,
    stack_local: Option<u32>,
    /// Locals added, after the original ones.
    added: Vec<ValType>,
    temps: HashMap<(ValType, usize), u32>,
    locals: u32,
    /// The local holds more than the global has been told.
    pending: bool,
}

impl Emitter {
    fn new(
        info: &ModuleInfo,
        modes: Modes,
        charges: Vec<u64>,
        locals: &[ValType],
        calls: bool,
    ) -> Self {
        let count = u32::try_from(locals.len()).unwrap_or(u32::MAX);
        let mut emitter = Self {
            code: Code::default(),
            modes,
            charges,
            fuel_global: info.fuel_global,
            stack_global: info.stack_global,
            fuel_local: count,
            stack_local: None,
            added: vec![ValType::I64],
            temps: HashMap::new(),
            locals: count,
            pending: true,
        };
        if calls {
            emitter.stack_local = Some(emitter.add_local(ValType::I32));
        }
        emitter
    }

    fn add_local(&mut self, ty: ValType) -> u32 {
        self.added.push(ty);
        self.locals + u32::try_from(self.added.len()).unwrap_or(u32::MAX) - 1
    }

    /// A scratch local; `ordinal` tells apart those needed at once.
    fn temp(&mut self, ty: ValType, ordinal: usize) -> u32 {
        if let Some(local) = self.temps.get(&(ty, ordinal)) {
            return *local;
        }
        let local = self.add_local(ty);
        self.temps.insert((ty, ordinal), local);
        local
    }

    fn charge(&mut self, fuel: u64) {
        if fuel == 0 {
            return;
        }
        self.code.local_get(self.fuel_local);
        self.code.i64_const(i64::try_from(fuel).unwrap_or(i64::MAX >> 1));
        self.code.plain(Plain::I64Sub);
        self.code.local_set(self.fuel_local);
        self.pending = true;
    }

    /// Stop if the counter is below zero.
    fn check(&mut self) {
        self.code.local_get(self.fuel_local);
        self.code.i64_const(0);
        self.code.plain(Plain::I64LtS);
        self.code.if_empty();
        if self.pending {
            self.code.local_get(self.fuel_local);
            self.code.global_set(self.fuel_global);
        }
        self.code.plain(Plain::Unreachable);
        self.code.plain(Plain::End);
    }

    /// Tell the global.
    fn flush(&mut self) {
        if self.pending {
            self.code.local_get(self.fuel_local);
            self.code.global_set(self.fuel_global);
            self.pending = false;
        }
    }

    fn reload(&mut self) {
        self.code.global_get(self.fuel_global);
        self.code.local_set(self.fuel_local);
        self.pending = false;
    }

    /// Pay `count * rate >> shift`, `count` being a local, and tell the global.
    fn charge_by_size(&mut self, count: u32, rate: i64, shift: i64) {
        self.code.local_get(self.fuel_local);
        self.code.local_get(count);
        self.code.plain(Plain::I64ExtendI32U);
        if rate != 1 {
            self.code.i64_const(rate);
            self.code.plain(Plain::I64Mul);
        }
        if shift != 0 {
            self.code.i64_const(shift);
            self.code.plain(Plain::I64ShrU);
        }
        self.code.plain(Plain::I64Sub);
        self.code.local_set(self.fuel_local);
        self.pending = true;
        self.flush();
        self.check();
    }
}

struct Walk<'a> {
    info: &'a ModuleInfo,
    ty: &'a FuncType,
    locals: &'a [ValType],
    params: usize,
    validated: &'a Validated,
    local_places: Vec<State>,
    states: Vec<State>,
    frames: Vec<Frame>,
    /// Code here can't be reached; the number is how many blocks deep within such code we are.
    dead: Option<usize>,
    selects: usize,
    graph: Graph,
    charges: Vec<u64>,
    block: usize,
    operators: u64,
    operands_max: usize,
    calls: bool,
    emit: Option<Emitter>,
}

impl<'a> Walk<'a> {
    fn new(
        info: &'a ModuleInfo,
        ty: &'a FuncType,
        locals: &'a [ValType],
        params: usize,
        validated: &'a Validated,
    ) -> Self {
        Self {
            info,
            ty,
            locals,
            params,
            validated,
            local_places: Vec::new(),
            states: Vec::new(),
            frames: Vec::new(),
            dead: None,
            selects: 0,
            graph: Graph::default(),
            charges: vec![0],
            block: 0,
            operators: 0,
            operands_max: 0,
            calls: false,
            emit: None,
        }
    }

    /// Make the places of the locals and the function's own frame.
    fn begin(&mut self) {
        let mut places = Vec::with_capacity(self.locals.len());
        for (index, ty) in self.locals.iter().enumerate() {
            let place = self.place(*ty);
            if index < self.params {
                self.flow(State::EXACT, place);
            }
            places.push(place);
        }
        self.local_places = places;
        let results = self.ty.results().to_vec();
        self.frames = vec![Frame {
            kind: Kind::Function,
            height: 0,
            label: vec![State::EXACT; results.len()],
            label_types: results.clone(),
            results,
            params: Vec::new(),
            targeted: false,
        }];
    }

    fn frame_bytes(&self) -> u64 {
        let locals: u64 = self.locals.iter().map(|ty| cost::local_stack_bytes(*ty)).sum();
        cost::frame_stack_bytes(locals, self.operands_max as u64, self.operators)
    }

    /// What happens on entry: the first charge, then the frame.
    fn prologue(&mut self, frame_bytes: u64) {
        let Some(emit) = &mut self.emit else { return };
        let first = emit.charges.first().copied().unwrap_or_default();
        emit.reload();
        emit.charge(first);
        // A frame is bounded by the limits on locals, operands and code to some hundred kilobytes.
        let frame = i32::try_from(frame_bytes).unwrap_or(i32::MAX);
        if let Some(stack_local) = emit.stack_local {
            emit.code.global_get(emit.stack_global);
            emit.code.i32_const(frame);
            emit.code.plain(Plain::I32Sub);
            emit.code.local_tee(stack_local);
            emit.code.i32_const(0);
        } else if frame_bytes > cost::LEAF_BYTES_FREE {
            emit.code.global_get(emit.stack_global);
            emit.code.i32_const(frame);
        } else {
            return;
        }
        emit.code.plain(Plain::I32LtS);
        emit.code.if_empty();
        if emit.pending {
            emit.code.local_get(emit.fuel_local);
            emit.code.global_set(emit.fuel_global);
        }
        emit.code.i32_const(-1);
        emit.code.global_set(emit.stack_global);
        emit.code.plain(Plain::Unreachable);
        emit.code.plain(Plain::End);
        if emit.stack_local.is_some() {
            emit.check();
        }
    }

    fn run(&mut self, body: &FunctionBody<'_>) -> Result<(), NormaliseError> {
        let broken = |error: wasmparser::BinaryReaderError| super::features::refusal(&error, None);
        let bytes = body.as_bytes();
        let base = body.range().start;
        let mut reader = body.get_operators_reader().map_err(broken)?;
        while !reader.eof() {
            let begin = reader.original_position();
            let operator = reader.read().map_err(broken)?;
            let end = reader.original_position();
            self.step(&operator, &bytes[begin - base..end - base]);
        }
        Ok(())
    }

    fn step(&mut self, operator: &Operator<'_>, raw: &[u8]) {
        if self.skip_dead(operator) {
            return;
        }
        self.operators += 1;
        if self.emit.is_none() {
            self.charges[self.block] += cost::operator_fuel(operator);
        }
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable => self.control(operator, raw),
            Operator::Call { .. } | Operator::CallIndirect { .. } => self.call(operator, raw),
            Operator::MemoryGrow { .. }
            | Operator::TableGrow { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. } => self.bulk(operator, raw),
            _ => self.value(operator, raw),
        }
        self.operands_max = self.operands_max.max(self.states.len());
    }

    /// Pass over code that can't be reached. True if the operator is done with.
    fn skip_dead(&mut self, operator: &Operator<'_>) -> bool {
        let Some(depth) = self.dead else { return false };
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.dead = Some(depth + 1);
            }
            Operator::End if depth > 0 => self.dead = Some(depth - 1),
            Operator::End | Operator::Else if depth == 0 => return false,
            Operator::Select => self.selects += 1,
            _ => {}
        }
        true
    }

    // Control.

    fn control(&mut self, operator: &Operator<'_>, raw: &[u8]) {
        match operator {
            Operator::Block { blockty } => self.open(Kind::Block, *blockty, raw),
            Operator::Loop { blockty } => self.open(Kind::Loop, *blockty, raw),
            Operator::If { blockty } => self.open(Kind::If, *blockty, raw),
            Operator::Else => self.otherwise(raw),
            Operator::End => self.close(raw),
            Operator::Br { relative_depth } => {
                self.branch_values(&[*relative_depth], &[]);
                self.raw(raw);
                self.die();
            }
            Operator::BrIf { relative_depth } => {
                self.branch_values(&[*relative_depth], &[ValType::I32]);
                self.pop(1);
                self.raw(raw);
                self.begin_block(false);
            }
            Operator::BrTable { targets } => {
                self.branch_values(&distinct_targets(targets), &[ValType::I32]);
                self.pop(1);
                self.raw(raw);
                self.die();
            }
            Operator::Return => {
                let outermost = u32::try_from(self.frames.len() - 1).unwrap_or(u32::MAX);
                self.branch_values(&[outermost], &[]);
                self.raw(raw);
                self.die();
            }
            _ => {
                self.flush();
                self.raw(raw);
                self.die();
            }
        }
    }

    fn open(&mut self, kind: Kind, block_type: BlockType, raw: &[u8]) {
        let (params, results) = self.block_type(block_type);
        if kind == Kind::If {
            // Values that an absent `else` would hand on can't be fixed there: fix them here.
            self.look(&params, &[ValType::I32]);
            self.pop(1);
        }
        let height = self.states.len() - params.len();
        let mut saved = Vec::new();
        let (label, label_types) = match kind {
            Kind::Loop => {
                let places: Vec<State> = params.iter().map(|ty| self.place(*ty)).collect();
                self.arrive(&[&places], &params, &[]);
                self.states.truncate(height);
                self.states.extend_from_slice(&places);
                (places, params.clone())
            }
            Kind::If => {
                saved = self.states[height..].to_vec();
                (self.places(&results), results.clone())
            }
            _ => (self.places(&results), results.clone()),
        };
        self.raw(raw);
        self.frames.push(Frame {
            kind,
            height,
            label,
            label_types,
            results,
            params: saved,
            targeted: false,
        });
        match kind {
            Kind::Loop => self.begin_block(true),
            Kind::If => self.begin_block(false),
            _ => {}
        }
    }

    fn otherwise(&mut self, raw: &[u8]) {
        if self.dead.take().is_none() {
            self.fall_through();
        }
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        frame.kind = Kind::Else;
        self.states.truncate(frame.height);
        self.states.extend_from_slice(&frame.params);
        self.raw(raw);
        self.begin_block(false);
    }

    fn close(&mut self, raw: &[u8]) {
        let was_dead = self.dead.take().is_some();
        if !was_dead {
            self.fall_through();
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let boundary = match frame.kind {
            Kind::Function => {
                if !was_dead {
                    self.flush();
                }
                false
            }
            Kind::Block => was_dead || frame.targeted,
            Kind::Loop => was_dead,
            Kind::If => {
                for (param, place) in frame.params.iter().zip(&frame.label) {
                    self.flow(*param, *place);
                }
                true
            }
            Kind::Else => true,
        };
        self.raw(raw);
        if frame.kind == Kind::Loop {
            if was_dead {
                self.states.truncate(frame.height);
                self.states.extend(std::iter::repeat_n(State::CANON, frame.results.len()));
            }
        } else {
            self.states.truncate(frame.height);
            self.states.extend_from_slice(&frame.label);
        }
        if boundary {
            self.begin_block(false);
        }
    }

    /// The values at the end of the innermost block go to its results.
    fn fall_through(&mut self) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        if frame.kind == Kind::Loop {
            return;
        }
        let (label, types) = (frame.label.clone(), frame.label_types.clone());
        self.arrive(&[&label], &types, &[]);
    }

    /// The values on the stack, below `above`, go to each of some labels.
    fn branch_values(&mut self, depths: &[u32], above: &[ValType]) {
        let mut labels: Vec<Vec<State>> = Vec::new();
        let mut types = Vec::new();
        let mut leaves = false;
        for depth in depths {
            let index = self.frames.len() - 1 - *depth as usize;
            let frame = &mut self.frames[index];
            frame.targeted = true;
            leaves |= frame.kind == Kind::Function;
            if !frame.label.is_empty() {
                types.clone_from(&frame.label_types);
                labels.push(frame.label.clone());
            }
        }
        let labels: Vec<&[State]> = labels.iter().map(Vec::as_slice).collect();
        self.arrive(&labels, &types, above);
        if leaves {
            self.flush();
        }
    }

    /// The values on the stack of the given types, below `above`, arrive at places; those that
    /// must be fixed before are.
    fn arrive(&mut self, places: &[&[State]], types: &[ValType], above: &[ValType]) {
        if places.is_empty() || !types.iter().any(|ty| is_float(*ty)) {
            return;
        }
        let begin = self.states.len() - types.len() - above.len();
        let mut fix = vec![false; types.len()];
        for label in places {
            for (index, place) in label.iter().enumerate() {
                if is_float(types[index]) {
                    fix[index] |= self.flow(self.states[begin + index], *place);
                }
            }
        }
        self.fix(types, &fix, above);
    }

    // Calls and operators that pay by size.

    fn call(&mut self, operator: &Operator<'_>, raw: &[u8]) {
        let (type_index, above): (u32, &[ValType]) = match operator {
            Operator::Call { function_index } => {
                (self.info.functions[*function_index as usize], &[])
            }
            Operator::CallIndirect { type_index, .. } => (*type_index, &[ValType::I32]),
            _ => return,
        };
        let info = self.info;
        let ty = &info.types[type_index as usize];
        self.calls = true;
        self.look(ty.params(), above);
        if let Some(emit) = &mut self.emit {
            emit.flush();
            if let Some(stack_local) = emit.stack_local {
                emit.code.local_get(stack_local);
                emit.code.global_set(emit.stack_global);
            }
            emit.code.raw(raw);
            emit.reload();
        }
        self.pop(ty.params().len() + above.len());
        self.states.extend(std::iter::repeat_n(State::EXACT, ty.results().len()));
    }

    fn bulk(&mut self, operator: &Operator<'_>, raw: &[u8]) {
        let (pops, pushes) = arity(operator);
        if let Some(emit) = &mut self.emit {
            let size = emit.temp(ValType::I32, 1);
            match operator {
                Operator::MemoryGrow { .. } | Operator::TableGrow { .. } => {
                    let rate = match operator {
                        Operator::MemoryGrow { .. } => cost::MEMORY_GROW_PAGE_FUEL,
                        _ => cost::TABLE_GROW_ELEMENT_FUEL,
                    };
                    let before = emit.temp(ValType::I32, 2);
                    emit.flush();
                    emit.code.local_tee(size);
                    emit.code.raw(raw);
                    emit.code.local_tee(before);
                    emit.code.i32_const(-1);
                    emit.code.plain(Plain::I32Ne);
                    emit.code.if_empty();
                    emit.charge_by_size(size, rate, 0);
                    emit.code.plain(Plain::End);
                    emit.code.local_get(before);
                }
                _ => {
                    let shift = match operator {
                        Operator::MemoryFill { .. }
                        | Operator::MemoryCopy { .. }
                        | Operator::MemoryInit { .. } => cost::BULK_BYTES_PER_FUEL_SHIFT,
                        _ => 0,
                    };
                    emit.code.local_set(size);
                    emit.charge_by_size(size, 1, shift);
                    emit.code.local_get(size);
                    emit.code.raw(raw);
                }
            }
        }
        self.pop(pops);
        self.push(pushes, State::EXACT);
    }

    // Values.

    fn value(&mut self, operator: &Operator<'_>, raw: &[u8]) {
        match operator {
            Operator::Nop => {}
            Operator::LocalGet { local_index } => {
                self.raw(raw);
                self.states.push(self.local_places[*local_index as usize]);
            }
            Operator::LocalSet { local_index } => {
                self.set_local(*local_index);
                self.raw(raw);
                self.pop(1);
            }
            Operator::LocalTee { local_index } => {
                self.set_local(*local_index);
                self.raw(raw);
                let was = self.pop(1);
                self.states.push(if was == State::CANON {
                    was
                } else {
                    self.local_places[*local_index as usize]
                });
            }
            Operator::GlobalGet { global_index } => {
                let index = self.info.global_index(*global_index);
                if let Some(emit) = &mut self.emit {
                    emit.code.global_get(index);
                }
                self.states.push(State::EXACT);
            }
            Operator::GlobalSet { global_index } => {
                let ty = self.info.globals[*global_index as usize];
                self.look(&[ty], &[]);
                let index = self.info.global_index(*global_index);
                if let Some(emit) = &mut self.emit {
                    emit.code.global_set(index);
                }
                self.pop(1);
            }
            Operator::F32Const { value } => {
                let kept = f32::from_bits(value.bits()).is_nan() && value.bits() != NAN_F32;
                self.constant(kept, raw);
            }
            Operator::F64Const { value } => {
                let kept = f64::from_bits(value.bits()).is_nan() && value.bits() != NAN_F64;
                self.constant(kept, raw);
            }
            Operator::Select => {
                let ty = self.validated.selects.get(self.selects).copied();
                self.selects += 1;
                self.select(ty.unwrap_or(ValType::I32), raw);
            }
            Operator::TypedSelect { ty } => self.select(*ty, raw),
            _ => self.arithmetic(operator, raw),
        }
    }

    fn constant(&mut self, kept: bool, raw: &[u8]) {
        self.raw(raw);
        self.states.push(if kept { State::EXACT } else { State::CANON });
    }

    /// The value on top is about to become a local's.
    fn set_local(&mut self, index: u32) {
        let place = self.local_places[index as usize];
        self.arrive(&[&[place]], &[self.locals[index as usize]], &[]);
    }

    fn select(&mut self, ty: ValType, raw: &[u8]) {
        let below = self.states.len() - 3;
        let mut result = State::EXACT;
        if is_float(ty) {
            result = self.states[below];
            if result != self.states[below + 1] {
                result = self.place(ty);
                self.arrive(&[&[result, result]], &[ty, ty], &[ValType::I32]);
            }
        }
        self.raw(raw);
        self.pop(3);
        self.states.push(result);
    }

    fn arithmetic(&mut self, operator: &Operator<'_>, raw: &[u8]) {
        let (pops, pushes) = arity(operator);
        let mut result = State::EXACT;
        let mut lanes: Option<Lanes> = None;
        match float::class(operator) {
            Class::Other => {}
            Class::Makes => result = State::DIRTY,
            Class::MakesLanes(shape) => lanes = Some(shape),
            Class::NeverNan => result = State::CANON,
            Class::Abs => result = self.states.last().copied().unwrap_or(State::EXACT),
            Class::Looks { operands, wide } => {
                let ty = if wide { ValType::F64 } else { ValType::F32 };
                self.look(&[ty, ty][..operands], &[]);
            }
        }
        if let Some(emit) = &mut self.emit {
            if float::can_trap(operator) {
                emit.flush();
            }
            emit.code.raw(raw);
            if let Some(shape) = lanes {
                let temp = emit.temp(ValType::V128, 0);
                emit.code.canonicalise_lanes(shape, temp);
            }
        }
        self.pop(pops);
        self.push(pushes, result);
    }

    // What the parts share.

    /// The values of these types, below `above`, become visible: fix those that need it.
    fn look(&mut self, types: &[ValType], above: &[ValType]) {
        if !types.iter().any(|ty| is_float(*ty)) {
            return;
        }
        let exact = vec![State::EXACT; types.len()];
        self.arrive(&[&exact], types, above);
        let begin = self.states.len() - types.len() - above.len();
        for state in &mut self.states[begin..begin + types.len()] {
            *state = state.settled();
        }
    }

    /// Fix the marked ones among the values on top of the stack, `above` lying over them.
    fn fix(&mut self, types: &[ValType], fix: &[bool], above: &[ValType]) {
        let Some(emit) = &mut self.emit else { return };
        let Some(first) = fix.iter().position(|fix| *fix) else {
            return;
        };
        let over: Vec<(ValType, bool)> = types[first + 1..]
            .iter()
            .copied()
            .zip(fix[first + 1..].iter().copied())
            .chain(above.iter().map(|ty| (*ty, false)))
            .collect();
        for (index, (ty, _)) in over.iter().enumerate().rev() {
            let temp = emit.temp(*ty, index + 1);
            emit.code.local_set(temp);
        }
        let temp = emit.temp(types[first], 0);
        emit.code.canonicalise(types[first], temp);
        for (index, (ty, fix)) in over.iter().enumerate() {
            let temp = emit.temp(*ty, index + 1);
            emit.code.local_get(temp);
            if *fix {
                let temp = emit.temp(*ty, 0);
                emit.code.canonicalise(*ty, temp);
            }
        }
    }

    fn place(&mut self, ty: ValType) -> State {
        if !is_float(ty) {
            return State::EXACT;
        }
        match &mut self.emit {
            None => self.graph.place(),
            Some(emit) => emit.modes.place(),
        }
    }

    fn places(&mut self, types: &[ValType]) -> Vec<State> {
        types.iter().map(|ty| self.place(*ty)).collect()
    }

    /// A value arrives at a place: true if it must be fixed before.
    fn flow(&mut self, value: State, place: State) -> bool {
        match &self.emit {
            None => {
                self.graph.flow(value, place);
                false
            }
            Some(emit) => emit.modes.must_fix(value, place),
        }
    }

    /// A straight-line block begins here.
    fn begin_block(&mut self, is_loop: bool) {
        self.block += 1;
        match &mut self.emit {
            None => self.charges.push(0),
            Some(emit) => {
                emit.pending = true;
                emit.charge(emit.charges.get(self.block).copied().unwrap_or_default());
                if is_loop {
                    emit.check();
                }
            }
        }
    }

    fn block_type(&self, block_type: BlockType) -> (Vec<ValType>, Vec<ValType>) {
        match block_type {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(ty) => (Vec::new(), vec![ty]),
            BlockType::FuncType(index) => {
                let ty = &self.info.types[index as usize];
                (ty.params().to_vec(), ty.results().to_vec())
            }
        }
    }

    fn flush(&mut self) {
        if let Some(emit) = &mut self.emit {
            emit.flush();
        }
    }

    fn raw(&mut self, raw: &[u8]) {
        if let Some(emit) = &mut self.emit {
            emit.code.raw(raw);
        }
    }

    fn die(&mut self) {
        self.dead = Some(0);
    }

    /// Take operands off; returns the state of the deepest of them.
    fn pop(&mut self, count: usize) -> State {
        let height = self.states.len() - count;
        let deepest = self.states.get(height).copied().unwrap_or(State::EXACT);
        self.states.truncate(height);
        deepest
    }

    fn push(&mut self, count: usize, state: State) {
        self.states.extend(std::iter::repeat_n(state, count));
    }
}

fn is_float(ty: ValType) -> bool {
    matches!(ty, ValType::F32 | ValType::F64)
}

/// Operands and results of an operator that is neither control nor a call.
fn arity(operator: &Operator<'_>) -> (usize, usize) {
    let (pops, pushes) = operator.operator_arity(&NoModule).unwrap_or_default();
    (pops as usize, pushes as usize)
}

fn distinct_targets(table: &BrTable<'_>) -> Vec<u32> {
    let mut depths: Vec<u32> = table.targets().filter_map(Result::ok).collect();
    depths.push(table.default());
    depths.sort_unstable();
    depths.dedup();
    depths
}

/// Arity of operators that need no module to know it.
struct NoModule;

impl ModuleArity for NoModule {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }
    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }
    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }
    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }
    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }
    fn control_stack_height(&self) -> u32 {
        0
    }
    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
