//! A buffer of operators, and the few operators that the passes add. The original operators are
//! copied as they are, so nothing here knows the whole instruction set.

use wasmparser::ValType;

/// The canonical NaN of 32 bits.
pub(super) const NAN_F32: u32 = 0x7fc0_0000;
/// The canonical NaN of 64 bits.
pub(super) const NAN_F64: u64 = 0x7ff8_0000_0000_0000;

/// Operators in binary form.
#[derive(Debug, Default)]
pub(super) struct Code(pub(super) Vec<u8>);

/// Operators without immediates.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Plain {
    Unreachable = 0x00,
    End = 0x0b,
    Select = 0x1b,
    I32LtS = 0x48,
    I32Ne = 0x47,
    I64LtS = 0x53,
    F32Ge = 0x60,
    F64Ge = 0x66,
    I32Sub = 0x6b,
    I64Sub = 0x7d,
    I64Mul = 0x7e,
    I64ShrU = 0x88,
    I64ExtendI32U = 0xad,
}

impl Code {
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn plain(&mut self, operator: Plain) {
        self.0.push(operator as u8);
    }

    pub(super) fn local_get(&mut self, index: u32) {
        self.indexed(0x20, index);
    }

    pub(super) fn local_set(&mut self, index: u32) {
        self.indexed(0x21, index);
    }

    pub(super) fn local_tee(&mut self, index: u32) {
        self.indexed(0x22, index);
    }

    pub(super) fn global_get(&mut self, index: u32) {
        self.indexed(0x23, index);
    }

    pub(super) fn global_set(&mut self, index: u32) {
        self.indexed(0x24, index);
    }

    /// `if` without parameters or results.
    pub(super) fn if_empty(&mut self) {
        self.0.extend_from_slice(&[0x04, 0x40]);
    }

    pub(super) fn i32_const(&mut self, value: i32) {
        self.0.push(0x41);
        leb_signed(&mut self.0, i64::from(value));
    }

    pub(super) fn i64_const(&mut self, value: i64) {
        self.0.push(0x42);
        leb_signed(&mut self.0, value);
    }

    /// The value on top of the stack, its NaN made canonical; `temp` is a local of its type.
    pub(super) fn canonicalise(&mut self, ty: ValType, temp: u32) {
        self.local_tee(temp);
        match ty {
            ValType::F32 => {
                self.0.push(0x43);
                self.0.extend_from_slice(&NAN_F32.to_le_bytes());
                self.local_get(temp);
                self.local_get(temp);
                self.plain(Plain::F32Ge);
            }
            _ => {
                self.0.push(0x44);
                self.0.extend_from_slice(&NAN_F64.to_le_bytes());
                self.local_get(temp);
                self.local_get(temp);
                self.plain(Plain::F64Ge);
            }
        }
        self.plain(Plain::Select);
    }

    /// The same for every lane of a vector.
    pub(super) fn canonicalise_lanes(&mut self, lanes: Lanes, temp: u32) {
        self.local_tee(temp);
        self.0.extend_from_slice(&[0xfd, 0x0c]);
        match lanes {
            Lanes::F32x4 => (0..4).for_each(|_| self.0.extend_from_slice(&NAN_F32.to_le_bytes())),
            Lanes::F64x2 => (0..2).for_each(|_| self.0.extend_from_slice(&NAN_F64.to_le_bytes())),
        }
        self.local_get(temp);
        self.local_get(temp);
        self.0.extend_from_slice(match lanes {
            Lanes::F32x4 => &[0xfd, 0x41],
            Lanes::F64x2 => &[0xfd, 0x47],
        });
        // v128.bitselect: the first where the mask is set, else the second.
        self.0.extend_from_slice(&[0xfd, 0x52]);
    }

    fn indexed(&mut self, operator: u8, index: u32) {
        self.0.push(operator);
        leb(&mut self.0, u64::from(index));
    }
}

/// How a vector's floats lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lanes {
    F32x4,
    F64x2,
}

/// An unsigned number.
pub(super) fn leb(out: &mut Vec<u8>, mut value: u64) {
    loop {
        #[allow(clippy::cast_possible_truncation)] // masked to 7 bits
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// A signed number.
fn leb_signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        #[allow(clippy::cast_possible_truncation)] // masked to 7 bits
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// The byte of a value type; only those of the contract occur.
pub(super) fn type_byte(ty: ValType) -> u8 {
    match ty {
        ValType::I32 => 0x7f,
        ValType::I64 => 0x7e,
        ValType::F32 => 0x7d,
        ValType::F64 => 0x7c,
        ValType::V128 => 0x7b,
        ValType::Ref(_) => 0x70,
    }
}
