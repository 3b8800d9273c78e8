//! Argon2id alone: the upper limit for sign-ins.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// OWASP Password Storage Cheat Sheet: m=19456 (19 MiB), t=2, p=1; as in oneseat.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;

/// Hashes per second on this many threads, each of which reuses its memory.
pub fn rate(threads: usize, span: Duration) -> Result<f64> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| rate_of_one(span))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a hashing thread died"))?)
            .sum()
    })
}

fn rate_of_one(span: Duration) -> Result<f64> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|error| anyhow!("{error}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; HASH_BYTES];
    let mut hashes = 0.0;
    let start = Instant::now();
    while start.elapsed() < span {
        argon
            .hash_password_into_with_memory(b"correct horse battery staple", &[7; 16], &mut hash, &mut memory)
            .map_err(|error| anyhow!("{error}"))?;
        hashes += 1.0;
    }
    Ok(hashes / start.elapsed().as_secs_f64())
}
