//! What is computed from a password, and what it may cost.

use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Params, Version};
use md5::Md5;
use pbkdf2::{pbkdf2_hmac, pbkdf2_hmac_with_params};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::UnusableHash;
use crate::users::password_hash::{Memory, NotHashed, ROOM, argon2_digest};

/// The most memory that one check may take: 128 MiB. Django asks for 100, Ory Kratos for 128.
const MOST_MEMORY_KIB: u64 = 128 * 1_024;
/// The most work of Argon2 and of scrypt: memory that is written, in all passes or lanes. 512 MiB and 256 MiB
/// take about as long.
const MOST_ARGON2_KIB: u64 = 512 * 1_024;
const MOST_SCRYPT_KIB: u64 = 256 * 1_024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;
/// The most iterations of PBKDF2, over all blocks of its output. With SHA-512 each counts twice. Django 6.1
/// asks for 1.5 million.
const MOST_ITERATIONS: u64 = 2_000_000;
/// Fewer than any system ever used.
const FEWEST_ITERATIONS: u32 = 1_000;
/// The binary logarithms of the rounds of bcrypt and phpass.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
const PHPASS_COSTS: std::ops::RangeInclusive<u8> = 7..=20;
/// phpass takes no longer password.
const PHPASS_READS: usize = 4_096;
/// The most blocks of MD5 for phpass: about as long as the other bounds. It reads the whole password in each round,
/// as no other system does: HMAC and Argon2 read it once, bcrypt cuts it.
const MOST_MD5_BLOCKS: u64 = 1 << 22;
/// The most of both parameters with which scrypt multiplies its input and its output. Systems use 8 and 1, some 16.
const MOST_SCRYPT_FACTOR: u32 = 64;
/// Argon2 takes no shorter salt.
const SHORTEST_ARGON2_SALT: usize = 8;
/// Fewer bytes would be found by chance.
const SHORTEST_OUTPUT: usize = 16;
/// More bytes are in no hash.
const LONGEST_OUTPUT: usize = 128;
/// What bcrypt reads of a password and the NUL after it.
const BCRYPT_READS: usize = 72;

/// Held by the one check in this process that takes more than [`ROOM`]: what all threads take together is bounded.
pub(super) static LARGE: Mutex<()> = Mutex::new(());

/// A computation with its parameters and its salt, and the result for the right password.
pub(super) enum Derivation {
    Argon2 {
        algorithm: Algorithm,
        version: Version,
        params: Params,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    Pbkdf2 {
        sha: Sha,
        iterations: u32,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        expected: Vec<u8>,
    },
    /// MD5, again and again.
    Phpass {
        cost: u8,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    /// One hash of password and salt.
    Salted {
        sha: Sha,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
}

/// A member of the SHA family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sha {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Sha {
    /// Bytes of its output.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn salted(self, input: &[u8], salt: &[u8]) -> Vec<u8> {
        fn of<D: Digest>(input: &[u8], salt: &[u8]) -> Vec<u8> {
            D::new()
                .chain_update(input)
                .chain_update(salt)
                .finalize()
                .to_vec()
        }
        match self {
            Self::Sha1 => of::<Sha1>(input, salt),
            Self::Sha256 => of::<Sha256>(input, salt),
            Self::Sha384 => of::<Sha384>(input, salt),
            Self::Sha512 => of::<Sha512>(input, salt),
        }
    }

    fn pbkdf2(self, input: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) -> Result<(), NotHashed> {
        let algorithm = match self {
            Self::Sha1 => {
                pbkdf2_hmac::<Sha1>(input, salt, iterations, out);
                return Ok(());
            }
            Self::Sha256 => pbkdf2::Algorithm::Pbkdf2Sha256,
            Self::Sha512 => pbkdf2::Algorithm::Pbkdf2Sha512,
            // No system does this.
            Self::Sha384 => return Err(NotHashed),
        };
        // These loops are compiled with the package, for speed in tests, too.
        let params = pbkdf2::Params::new(iterations).map_err(|_| NotHashed)?;
        pbkdf2_hmac_with_params(input, salt, algorithm, params, out);
        Ok(())
    }
}

impl Derivation {
    /// Refuses what would take too much, and what any password might match.
    pub(super) fn within_bounds(&self) -> Result<(), UnusableHash> {
        if !(SHORTEST_OUTPUT..=LONGEST_OUTPUT).contains(&self.expected().len()) {
            return Err(UnusableHash::Unreadable);
        }
        let is_whole = match self {
            Self::Argon2 { salt, .. } => salt.len() >= SHORTEST_ARGON2_SALT,
            Self::Pbkdf2 { iterations, .. } => *iterations >= FEWEST_ITERATIONS,
            _ => true,
        };
        if !is_whole {
            return Err(UnusableHash::Unreadable);
        }
        let is_within = match self {
            Self::Argon2 { params, .. } => {
                let (memory, passes) = (u64::from(params.m_cost()), params.t_cost());
                memory <= MOST_MEMORY_KIB
                    && passes <= MOST_PASSES
                    && params.p_cost() <= MOST_LANES
                    && memory * u64::from(passes) <= MOST_ARGON2_KIB
            }
            Self::Pbkdf2 {
                sha,
                iterations,
                expected,
                ..
            } => {
                let each = match sha {
                    Sha::Sha1 | Sha::Sha256 => 1,
                    Sha::Sha384 | Sha::Sha512 => 2,
                };
                let blocks = expected.len().div_ceil(sha.len()) as u64;
                u64::from(*iterations) * blocks * each <= MOST_ITERATIONS
            }
            Self::Scrypt { log_n, r, p, .. } => is_scrypt_within(*log_n, *r, *p),
            Self::Bcrypt { cost, .. } => BCRYPT_COSTS.contains(cost),
            Self::Phpass { cost, .. } => PHPASS_COSTS.contains(cost),
            Self::Salted { .. } => true,
        };
        if is_within {
            Ok(())
        } else {
            Err(UnusableHash::TooDear)
        }
    }

    fn expected(&self) -> &[u8] {
        match self {
            Self::Argon2 { expected, .. }
            | Self::Pbkdf2 { expected, .. }
            | Self::Scrypt { expected, .. }
            | Self::Bcrypt { expected, .. }
            | Self::Phpass { expected, .. }
            | Self::Salted { expected, .. } => expected,
        }
    }

    /// Whether the result for this input is the expected one, in a time that does not depend on it. Memory beyond
    /// [`ROOM`] is taken by one check at a time, and is free again afterwards.
    pub(super) fn matches(&self, input: &[u8], memory: &mut Memory) -> Result<bool, NotHashed> {
        let turn = self.is_large().then(|| LARGE.lock());
        let turn = turn.map(|lock| lock.unwrap_or_else(PoisonError::into_inner));
        if turn.is_some() || matches!(self, Self::Scrypt { .. }) {
            // What was kept is not in use beside it: scrypt has its own.
            *memory = Memory::new();
        }
        let out = self.compute(input, memory);
        if turn.is_some() {
            *memory = Memory::new();
        }
        Ok(out?.ct_eq(self.expected()).into())
    }

    /// Does it take more memory than a thread may keep?
    fn is_large(&self) -> bool {
        match self {
            Self::Argon2 { params, .. } => params.block_count() > ROOM,
            Self::Scrypt { log_n, r, .. } => scrypt_kib(*log_n, *r) > ROOM as u64,
            _ => false,
        }
    }

    fn compute(&self, input: &[u8], memory: &mut Memory) -> Result<Vec<u8>, NotHashed> {
        let mut out = vec![0; self.expected().len()];
        match self {
            Self::Argon2 {
                algorithm,
                version,
                params,
                salt,
                ..
            } => argon2_digest(input, salt, *algorithm, *version, params, memory, &mut out)?,
            Self::Pbkdf2 {
                sha,
                iterations,
                salt,
                ..
            } => sha.pbkdf2(input, salt, *iterations, &mut out)?,
            Self::Scrypt {
                log_n, r, p, salt, ..
            } => {
                let params = scrypt::Params::new(*log_n, *r, *p).map_err(|_| NotHashed)?;
                scrypt::scrypt(input, salt, &params, &mut out).map_err(|_| NotHashed)?;
            }
            Self::Bcrypt { cost, salt, .. } => out = bcrypt(input, *cost, *salt),
            Self::Phpass { cost, salt, .. } => out = phpass(input, *cost, salt),
            Self::Salted { sha, salt, .. } => out = sha.salted(input, salt),
        }
        Ok(out)
    }
}

/// What scrypt writes: blocks of 128 bytes.
fn scrypt_kib(log_n: u8, r: u32) -> u64 {
    (u64::from(r) << log_n) / 8
}

/// Asked before the parameters are given to scrypt, which multiplies them.
fn is_scrypt_within(log_n: u8, r: u32, p: u32) -> bool {
    let factors = 1..=MOST_SCRYPT_FACTOR;
    if !(1..=20).contains(&log_n) || !factors.contains(&r) || !factors.contains(&p) {
        return false;
    }
    let kib = scrypt_kib(log_n, r);
    kib <= MOST_MEMORY_KIB && kib * u64::from(p) <= MOST_SCRYPT_KIB
}

/// As every implementation does it: a NUL counts, another one follows, and what comes after 72 bytes does not
/// count. It writes 23 of its 24 bytes.
fn bcrypt(input: &[u8], cost: u32, salt: [u8; 16]) -> Vec<u8> {
    let mut key = Zeroizing::new(input.to_vec());
    key.push(0);
    key.truncate(BCRYPT_READS);
    ::bcrypt::bcrypt(cost, salt, &key)[..23].to_vec()
}

/// Nothing, if the password is longer than phpass takes, or would take too long at this cost.
fn phpass(input: &[u8], cost: u8, salt: &[u8]) -> Vec<u8> {
    // MD5 puts 16 bytes of hash in front, and at least nine behind.
    let blocks = (16 + input.len() + 9).div_ceil(64) as u64;
    if input.len() > PHPASS_READS || blocks << cost > MOST_MD5_BLOCKS {
        return Vec::new();
    }
    let mut hash = Md5::new().chain_update(salt).chain_update(input).finalize();
    for _ in 0..1u32 << cost {
        hash = Md5::new().chain_update(hash).chain_update(input).finalize();
    }
    hash.to_vec()
}
