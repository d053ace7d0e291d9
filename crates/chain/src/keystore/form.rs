//! The encrypted file of a key: Web3 Secret Storage, version 3, with scrypt and AES-128 in counter
//! mode, as geth and others write it.
//!
//! A file may be anybody's: what it asks for is bounded before it is done.

use aes::Aes128;
use ayni_types::Account;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

use super::password::Password;
use crate::limits::SCRYPT_MEMORY_MAX;

/// What it costs to try a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptCost {
    /// Logarithm of scrypt's `N`; memory is `2^log_n` KiB.
    pub(super) log_n: u8,
}

impl ScryptCost {
    /// 256 MiB and about a second: what wallets use.
    pub const STANDARD: Self = Self { log_n: 18 };
    /// 4 MiB and some milliseconds: where the password lies beside the key, as it does for accounts
    /// of a local ledger.
    pub const LIGHT: Self = Self { log_n: 12 };
    /// Next to nothing; for tests, where passwords protect nothing.
    #[doc(hidden)]
    pub const CHEAP: Self = Self { log_n: 4 };
}

/// Randomness that a new file needs.
pub(super) struct Random {
    pub(super) salt: [u8; 32],
    pub(super) iv: [u8; 16],
    pub(super) id: [u8; 16],
}

#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    id: String,
    #[serde(default)]
    address: Option<String>,
    // Older wallets spell it with a capital.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize, Deserialize)]
struct KdfParams {
    dklen: u32,
    n: u64,
    p: u32,
    r: u32,
    salt: String,
}

type Keys = Zeroizing<[u8; 32]>;

fn derive(password: &Password, params: &KdfParams) -> Result<Keys, String> {
    let KdfParams { dklen, n, p, r, ref salt } = *params;
    if dklen != 32 {
        return Err(format!("it wants {dklen} bytes of key; 32 are usual"));
    }
    if !n.is_power_of_two() || n < 2 {
        return Err(format!("scrypt's n is {n}, which is no power of two"));
    }
    let memory = u128::from(n) * u128::from(r) * 128;
    // p repeats the work: bounded with the memory, so that time is.
    if memory * u128::from(p) > u128::from(SCRYPT_MEMORY_MAX) * 2
        || memory > u128::from(SCRYPT_MEMORY_MAX)
    {
        return Err(format!("it asks for too much memory or time (n {n}, r {r}, p {p})"));
    }
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|e| e.to_string())?;
    let params = scrypt::Params::new(log_n, r, p, 32).map_err(|e| format!("scrypt: {e}"))?;
    let salt = unhex(salt, "salt")?;
    let mut keys = Keys::default();
    scrypt::scrypt(password.bytes(), &salt, &params, &mut *keys).map_err(|e| e.to_string())?;
    Ok(keys)
}

fn unhex(text: &str, what: &str) -> Result<Vec<u8>, String> {
    let body = text.strip_prefix("0x").unwrap_or(text);
    HEX.decode(body.as_bytes()).map_err(|e| format!("its {what} is not hex: {e}"))
}

fn mac(keys: &Keys, ciphertext: &[u8]) -> [u8; 32] {
    Keccak256::new().chain_update(&keys[16..]).chain_update(ciphertext).finalize().into()
}

fn crypt(keys: &Keys, iv: &[u8; 16], bytes: &mut [u8]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&keys[..16]);
    Ctr128BE::<Aes128>::new((&*key).into(), iv.into()).apply_keystream(bytes);
}

/// The text of a file that holds `secret`.
///
/// # Errors
/// If scrypt refuses its parameters.
pub(super) fn seal(
    secret: &[u8; 32],
    account: Account,
    password: &Password,
    cost: ScryptCost,
    random: &Random,
) -> Result<String, String> {
    let salt = HEX.encode(&random.salt);
    let kdfparams = KdfParams { dklen: 32, n: 1 << cost.log_n, p: 1, r: 8, salt };
    let keys = derive(password, &kdfparams)?;
    let mut ciphertext = Zeroizing::new(*secret);
    crypt(&keys, &random.iv, &mut *ciphertext);
    let id = HEX.encode(&random.id);
    let form = Form {
        version: 3,
        id: format!("{}-{}-4{}-8{}-{}", &id[..8], &id[8..12], &id[13..16], &id[17..20], &id[20..]),
        address: Some(account.to_string().trim_start_matches("0x").to_owned()),
        crypto: Crypto {
            cipher: "aes-128-ctr".into(),
            cipherparams: CipherParams { iv: HEX.encode(&random.iv) },
            ciphertext: HEX.encode(&*ciphertext),
            kdf: "scrypt".into(),
            mac: HEX.encode(&mac(&keys, &*ciphertext)),
            kdfparams,
        },
    };
    serde_json::to_string_pretty(&form).map_err(|e| e.to_string())
}

/// The secret in a file; nothing if the password is another.
///
/// # Errors
/// If the text is no such file, or asks for more than is allowed.
pub(super) fn open(text: &[u8], password: &Password) -> Result<Option<Keys>, String> {
    let Form { version, crypto, .. } = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if version != 3 {
        return Err(format!("its version is {version}; 3 is known"));
    }
    if crypto.cipher != "aes-128-ctr" {
        return Err(format!("its cipher is {:?}; aes-128-ctr is known", crypto.cipher));
    }
    if crypto.kdf != "scrypt" {
        return Err(format!("its kdf is {:?}; scrypt is known", crypto.kdf));
    }
    let ciphertext = unhex(&crypto.ciphertext, "ciphertext")?;
    let iv = unhex(&crypto.cipherparams.iv, "iv")?;
    let iv: [u8; 16] = iv.try_into().map_err(|_| "its iv has not 16 bytes")?;
    let keys = derive(password, &crypto.kdfparams)?;
    if unhex(&crypto.mac, "mac")? != mac(&keys, &ciphertext) {
        return Ok(None);
    }
    let bytes: [u8; 32] = ciphertext.try_into().map_err(|_| "its secret has not 32 bytes")?;
    let mut secret = Zeroizing::new(bytes);
    crypt(&keys, &iv, &mut *secret);
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by the Python package eth-keyfile 0.8.
    #[test]
    fn a_file_of_another_wallet_opens() {
        let text = r#"{
            "address": "4a62316623ad457F02cDC5D997deD67a383EC569",
            "crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": { "iv": "ca39b373ad08517ec98d3583fec17c1d" },
                "ciphertext": "f4960ff5f2696597d79e66ff21d545bd54363d90607a7994f28a6a0ffae0100a",
                "kdf": "scrypt",
                "kdfparams": {
                    "dklen": 32, "n": 4096, "r": 8, "p": 1,
                    "salt": "090fac04aa52601559c7c9b3bad76770"
                },
                "mac": "cc457ce60422a8282eac7e07a5aec1687c93874524b6cbd7009bb7ae194616a8"
            },
            "id": "6bcb2c7a-0ffc-4d51-a175-c39f02dd4404",
            "version": 3
        }"#;
        let password = Password::new("correct horse").unwrap();
        assert_eq!(*open(text.as_bytes(), &password).unwrap().unwrap(), [7; 32]);
        assert!(open(text.as_bytes(), &Password::new("correct Horse").unwrap()).unwrap().is_none());
    }
}
