//! Canonical CBOR: one value, one sequence of bytes.
//!
//! Structs are arrays in field order, integers as short as they can be, lengths definite, no maps,
//! no floats. `decode` accepts exactly the bytes that `encode` makes: it encodes what it read and
//! compares, so that no rule has to be listed twice.

use minicbor::{Decode, Encode};

/// Why bytes are not a value.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not CBOR of this shape.
    #[error("malformed {what}")]
    Malformed {
        /// The type expected.
        what: &'static str,
        /// The decoder's reason.
        #[source]
        source: minicbor::decode::Error,
    },
    /// CBOR of this shape, but not in canonical form, or followed by other bytes.
    #[error("{what} is not in canonical form")]
    NotCanonical {
        /// The type expected.
        what: &'static str,
    },
    /// Over a stated limit.
    #[error("{what} has {size} bytes; at most {max} are allowed")]
    TooLong {
        /// The type expected.
        what: &'static str,
        /// Given.
        size: usize,
        /// Allowed.
        max: usize,
    },
}

/// The canonical bytes of `value`.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory does not fail")
}

/// Reads a value from its canonical bytes, all of them.
///
/// # Errors
/// When the bytes are not exactly what [`encode`] makes of some value.
pub fn decode<T>(bytes: &[u8]) -> Result<T, DecodeError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let what = short_name::<T>();
    let value: T =
        minicbor::decode(bytes).map_err(|source| DecodeError::Malformed { what, source })?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical { what }) }
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let head = name.split('<').next().unwrap_or(name);
    head.rsplit("::").next().unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::{Amount, Digest, Fuel};

    #[test]
    fn other_spellings_of_one_value_are_refused() {
        let bytes = encode(&Fuel(5));
        assert_eq!(bytes, [5]);
        assert_eq!(decode::<Fuel>(&bytes).unwrap(), Fuel(5));
        for other in [&[0x18, 5][..], &[5, 0], &[], &[0x19, 0, 5]] {
            assert!(decode::<Fuel>(other).is_err(), "{other:?}");
        }
        assert!(decode::<Amount>(&[0x41, 1]).is_err());
        assert!(decode::<Digest>(&encode(&Amount(3))).is_err());
    }
}
