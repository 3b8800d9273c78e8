//! Our password hashes: Argon2id, as PHC strings in the database. Other hashes are checked as their systems
//! do it ([`super::foreign_hash`]), and replaced by ours when the password is right.

use std::fmt;

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use rand::TryRng;
use rand::rngs::SysRng;

use super::Password;
use super::foreign_hash::{StoredHash, UnusableHash};
use crate::config::Pepper;

/// OWASP Password Storage Cheat Sheet: m=19456 (19 MiB), t=2, p=1.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// The number of blocks of 1 KiB that are allocated together, used or not. glibc returns an allocation of
/// more than 32 MiB to the system when it is freed, and keeps a smaller one for later. Unused blocks take no
/// memory.
pub(super) const ROOM: usize = 33 * 1_024;

/// The memory for hashing, reused for the next hash.
pub(super) type Memory = Vec<Block>;

/// A password hash: ours, or one of the formats that `foreign_hash` reads.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// The result for a right password.
#[derive(Debug)]
pub struct Match {
    /// The password hashed with today's parameters, if the stored hash has others: weaker ones are not
    /// enough, and costlier ones let the response time reveal who has an account.
    pub ours: Option<PasswordHash>,
    /// Whether today's rules would refuse the password.
    pub is_below_rules: bool,
}

/// The result of a check.
#[derive(Debug)]
pub(super) enum Checked {
    /// The password is right. The value is a new hash of ours, if the stored one is not ours.
    Right(Option<PasswordHash>),
    /// The password is wrong.
    Wrong,
    /// Nobody can sign in with the stored hash, for this reason.
    Unusable(UnusableHash),
}

/// There was no randomness or no memory for hashing.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotHashed;

impl PasswordHash {
    /// A hash as read from the database.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// A hash that another system made.
    ///
    /// # Errors
    /// When nobody could sign in with it.
    pub fn imported(text: String) -> Result<Self, UnusableHash> {
        StoredHash::parse(&text)?;
        Ok(Self(text))
    }

    /// Whether we made it, with today's parameters.
    pub fn is_ours(&self) -> bool {
        let parameters = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
        self.0.starts_with(&parameters)
    }

    /// Whether it was made with a pepper, as Devise does.
    pub fn is_peppered(&self) -> bool {
        self.0.starts_with("{devise}")
    }

    /// The hash as written to the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

fn current_params() -> Result<Params, NotHashed> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|_| NotHashed)
}

/// Hashes a password, with a salt of its own and today's parameters.
pub(super) fn hash(password: &Password, memory: &mut Memory) -> Result<PasswordHash, NotHashed> {
    let mut salt = [0; SALT_BYTES];
    SysRng.try_fill_bytes(&mut salt).map_err(|_| NotHashed)?;
    let params = current_params()?;
    let mut out = [0; HASH_BYTES];
    argon2_digest(
        password.as_bytes(),
        &salt,
        Algorithm::Argon2id,
        Version::V0x13,
        &params,
        memory,
        &mut out,
    )?;
    let phc = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| NotHashed)?,
        salt: Some(Salt::new(&salt).map_err(|_| NotHashed)?),
        hash: Some(Output::new(&out).map_err(|_| NotHashed)?),
    };
    Ok(PasswordHash(phc.to_string()))
}

/// Checks a password against a stored hash.
pub(super) fn verify(
    password: &Password,
    stored: &PasswordHash,
    pepper: Option<&Pepper>,
    memory: &mut Memory,
) -> Result<Checked, NotHashed> {
    let read = match StoredHash::parse(stored.as_str()) {
        Ok(read) => read.needs(pepper).map(|()| read),
        Err(why) => Err(why),
    };
    let read = match read {
        Ok(read) => read,
        Err(why) => {
            // This takes as long as any wrong password: a broken account must not stand out.
            hash(password, memory)?;
            return Ok(Checked::Unusable(why));
        }
    };
    if stored.is_ours() {
        let is_right = read.normal().matches(password, None, memory)?;
        return Ok(if is_right {
            Checked::Right(None)
        } else {
            Checked::Wrong
        });
    }
    let is_right = read.matches(password, pepper, memory)?;
    // A right password gets a hash to store; a wrong one takes the same time.
    let ours = hash(password, memory)?;
    Ok(if is_right {
        Checked::Right(Some(ours))
    } else {
        Checked::Wrong
    })
}

/// Computes Argon2 into `out`, which has the length that the parameters name.
pub(super) fn argon2_digest(
    input: &[u8],
    salt: &[u8],
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    memory: &mut Memory,
    out: &mut [u8],
) -> Result<(), NotHashed> {
    if memory.len() < params.block_count() {
        memory.reserve(ROOM.saturating_sub(memory.len()));
        memory.resize(params.block_count(), Block::default());
    }
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(input, salt, out, &mut memory[..])
        .map_err(|_| NotHashed)
}

#[cfg(test)]
mod tests;
