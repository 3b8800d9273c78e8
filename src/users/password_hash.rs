//! Argon2id hashes, as PHC strings in the database.

use std::fmt;

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use rand::TryRng;
use rand::rngs::SysRng;

use super::Password;

/// OWASP Password Storage Cheat Sheet: m=19456 (19 MiB), t=2, p=1.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The most that a stored hash may ask for, far above any useful setting. A wrong backup or a write to the
/// table must not decide how much memory and time one sign-in takes.
const MOST_MEMORY_KIB: u32 = 256 * 1_024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;
/// Memory times passes, which determines the time: 1 GiB.
const MOST_WORK_KIB: u64 = 1_024 * 1_024;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Blocks of 1 KiB that are allocated together, used or not. glibc returns more than 32 MiB to the system
/// when it is freed, and keeps less for later. Unused blocks take no memory.
const ROOM: usize = 33 * 1_024;

/// The memory for hashing, reused for the next hash.
pub(super) type Memory = Vec<Block>;

/// A password hash, as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// The result for a right password.
#[derive(Debug)]
pub struct Match {
    /// The password hashed with today's parameters, if the stored hash was weaker.
    pub stronger: Option<PasswordHash>,
}

/// The result of a check.
#[derive(Debug)]
pub(super) enum Checked {
    /// The password is right.
    Right(Match),
    /// The password is wrong.
    Wrong,
    /// Nobody can sign in with the stored hash, for this reason.
    Unusable(&'static str),
}

/// There was no randomness or no memory for hashing.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotHashed;

impl PasswordHash {
    /// A hash as read from the database.
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
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
    let output = digest(
        password,
        &salt,
        Algorithm::Argon2id,
        Version::V0x13,
        &params,
        memory,
    )?;
    let phc = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| NotHashed)?,
        salt: Some(Salt::new(&salt).map_err(|_| NotHashed)?),
        hash: Some(output),
    };
    Ok(PasswordHash(phc.to_string()))
}

/// Checks a password against a stored hash.
pub(super) fn verify(
    password: &Password,
    stored: &PasswordHash,
    memory: &mut Memory,
) -> Result<Checked, NotHashed> {
    let parsed = Parsed::of(stored).ok_or("it cannot be read");
    let parsed = match parsed.and_then(Parsed::within_bounds) {
        Ok(parsed) => parsed,
        Err(why) => {
            // This takes as long as any wrong password: a broken account must not stand out.
            hash(password, memory)?;
            return Ok(Checked::Unusable(why));
        }
    };
    let Parsed {
        algorithm,
        version,
        params,
        salt,
        expected,
    } = parsed;
    // `Output` compares in constant time.
    let is_right = digest(password, &salt, algorithm, version, &params, memory)? == expected;
    let is_current = algorithm == Algorithm::Argon2id
        && version == Version::V0x13
        && params.m_cost() >= MEMORY_KIB
        && params.t_cost() >= PASSES;
    // A right password gets a hash to store; a wrong one takes the same time.
    let stronger = if is_current {
        None
    } else {
        Some(hash(password, memory)?)
    };
    Ok(if is_right {
        Checked::Right(Match { stronger })
    } else {
        Checked::Wrong
    })
}

/// A parsed PHC string.
struct Parsed {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    expected: Output,
}

impl Parsed {
    fn of(stored: &PasswordHash) -> Option<Self> {
        let phc = phc::PasswordHash::new(stored.as_str()).ok()?;
        Some(Self {
            algorithm: Algorithm::try_from(phc.algorithm.as_str()).ok()?,
            version: phc
                .version
                .map_or(Ok(Version::default()), Version::try_from)
                .ok()?,
            params: Params::try_from(&phc).ok()?,
            salt: phc.salt?,
            expected: phc.hash?,
        })
    }

    fn within_bounds(self) -> Result<Self, &'static str> {
        let (memory, passes) = (self.params.m_cost(), self.params.t_cost());
        let is_within = memory <= MOST_MEMORY_KIB
            && passes <= MOST_PASSES
            && self.params.p_cost() <= MOST_LANES
            && u64::from(memory) * u64::from(passes) <= MOST_WORK_KIB;
        if is_within {
            Ok(self)
        } else {
            Err("it asks for more memory or passes than one sign-in may take")
        }
    }
}

fn digest(
    password: &Password,
    salt: &[u8],
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    memory: &mut Memory,
) -> Result<Output, NotHashed> {
    if memory.len() < params.block_count() {
        memory.reserve(ROOM.saturating_sub(memory.len()));
        memory.resize(params.block_count(), Block::default());
    }
    let mut out = [0; Output::MAX_LENGTH];
    let out = &mut out[..params.output_len().unwrap_or(HASH_BYTES)];
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory[..])
        .map_err(|_| NotHashed)?;
    Output::new(out).map_err(|_| NotHashed)
}

#[cfg(test)]
mod tests;
