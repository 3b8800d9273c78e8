//! The computation of a hash from a password, and the bounds of its cost.

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
/// The most work of Argon2 and of scrypt: the memory that is written in all passes or lanes together. 512 MiB
/// of Argon2 take about as long as 256 MiB of scrypt.
const MOST_ARGON2_KIB: u64 = 512 * 1_024;
const MOST_SCRYPT_KIB: u64 = 256 * 1_024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;
/// The most iterations of PBKDF2, over all blocks of its output. With SHA-512 each counts twice. Django 6.1
/// asks for 1.5 million.
const MOST_ITERATIONS: u64 = 2_000_000;
/// The fewest iterations of PBKDF2. No system has ever used fewer.
const FEWEST_ITERATIONS: u32 = 1_000;
/// The binary logarithms of the rounds of bcrypt and phpass.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
const PHPASS_COSTS: std::ops::RangeInclusive<u8> = 7..=20;
/// The longest password that phpass takes, in bytes.
const PHPASS_READS: usize = 4_096;
/// The most blocks of MD5 for phpass, which take about as long as the other bounds allow. phpass reads the
/// whole password in each round, as no other system does: HMAC and Argon2 read it once, bcrypt cuts it.
const MOST_MD5_BLOCKS: u64 = 1 << 22;
/// The largest r and the largest p of scrypt, which multiply its input and its output. Systems use 8 and 1,
/// some 16.
const MOST_SCRYPT_FACTOR: u32 = 64;
/// The shortest salt that Argon2 takes, in bytes.
const SHORTEST_ARGON2_SALT: usize = 8;
/// The shortest hash, in bytes. A shorter one might be matched by chance.
const SHORTEST_OUTPUT: usize = 16;
/// The longest hash, in bytes. No system has a longer one.
const LONGEST_OUTPUT: usize = 128;
/// How many bytes bcrypt reads of a password and the NUL after it.
const BCRYPT_READS: usize = 72;

/// Held by a check that takes more memory than [`ROOM`]. Only one such check runs at a time in this process,
/// so the memory of all threads together is bounded.
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
    /// MD5, repeated.
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
    /// The length of its output in bytes.
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
        // These loops are compiled with the package, which is optimised for tests, too.
        let params = pbkdf2::Params::new(iterations).map_err(|_| NotHashed)?;
        pbkdf2_hmac_with_params(input, salt, algorithm, params, out);
        Ok(())
    }
}

impl Derivation {
    /// Refuses a hash that would take too much to check, and one that any password might match.
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

    /// Whether the result for this input is the expected one, compared in constant time. Memory beyond
    /// [`ROOM`] is taken by one check at a time, and is free again afterwards.
    pub(super) fn matches(&self, input: &[u8], memory: &mut Memory) -> Result<bool, NotHashed> {
        let turn = self.is_large().then(|| LARGE.lock());
        let turn = turn.map(|lock| lock.unwrap_or_else(PoisonError::into_inner));
        if turn.is_some() || matches!(self, Self::Scrypt { .. }) {
            // Free the memory that the thread kept, so that it does not add to that of this check. scrypt
            // allocates its own.
            *memory = Memory::new();
        }
        let out = self.compute(input, memory);
        if turn.is_some() {
            *memory = Memory::new();
        }
        Ok(out?.ct_eq(self.expected()).into())
    }

    /// Whether it takes more memory than a thread may keep.
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

/// The memory that scrypt writes, in KiB. It consists of blocks of 128 bytes.
fn scrypt_kib(log_n: u8, r: u32) -> u64 {
    (u64::from(r) << log_n) / 8
}

/// Whether the parameters of scrypt are within the bounds. Check them before scrypt gets them, because it
/// multiplies them.
fn is_scrypt_within(log_n: u8, r: u32, p: u32) -> bool {
    let factors = 1..=MOST_SCRYPT_FACTOR;
    if !(1..=20).contains(&log_n) || !factors.contains(&r) || !factors.contains(&p) {
        return false;
    }
    let kib = scrypt_kib(log_n, r);
    kib <= MOST_MEMORY_KIB && kib * u64::from(p) <= MOST_SCRYPT_KIB
}

/// Computes bcrypt as every implementation does: a NUL in the password counts, another one is appended, and
/// bytes after the first 72 do not count. Of the 24 bytes of the result, systems store 23.
fn bcrypt(input: &[u8], cost: u32, salt: [u8; 16]) -> Vec<u8> {
    let mut key = Zeroizing::new(input.to_vec());
    key.push(0);
    key.truncate(BCRYPT_READS);
    ::bcrypt::bcrypt(cost, salt, &key)[..23].to_vec()
}

/// Computes phpass. The result is empty, and so matches no hash, if the password is longer than phpass takes,
/// or would take too long at this cost.
fn phpass(input: &[u8], cost: u8, salt: &[u8]) -> Vec<u8> {
    // In each round, 16 bytes of hash come before the password, and at least nine bytes of MD5's padding
    // after it.
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
