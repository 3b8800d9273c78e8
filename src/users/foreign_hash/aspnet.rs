//! ASP.NET Identity, versions 2 and 3 of its format, in base64.

use super::StoredHash;
use super::derivation::{Derivation, Sha};
use super::encoding::base64;

pub(super) fn read(text: &str) -> Option<StoredHash> {
    let bytes = base64(text)?;
    let (version, rest) = bytes.split_first()?;
    match version {
        0 => version_2(rest),
        1 => version_3(rest),
        _ => None,
    }
}

/// Version 2: 16 bytes of salt and 32 bytes of hash.
fn version_2(rest: &[u8]) -> Option<StoredHash> {
    let (salt, expected) = rest.split_at_checked(16)?;
    (expected.len() == 32).then(|| pbkdf2(Sha::Sha1, 1_000, salt, expected))
}

/// Version 3: the hash function, the iterations and the length of the salt, 32 bits each; then salt and hash.
fn version_3(rest: &[u8]) -> Option<StoredHash> {
    let (sha, rest) = number(rest)?;
    let (iterations, rest) = number(rest)?;
    let (salt_bytes, rest) = number(rest)?;
    let sha = match sha {
        0 => Sha::Sha1,
        1 => Sha::Sha256,
        2 => Sha::Sha512,
        _ => return None,
    };
    let (salt, expected) = rest.split_at_checked(usize::try_from(salt_bytes).ok()?)?;
    Some(pbkdf2(sha, iterations, salt, expected))
}

/// Reads the first 32 bits as a big-endian number. Returns it and the bytes that follow.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn pbkdf2(sha: Sha, iterations: u32, salt: &[u8], expected: &[u8]) -> StoredHash {
    StoredHash::of(Derivation::Pbkdf2 {
        sha,
        iterations,
        salt: salt.to_vec(),
        expected: expected.to_vec(),
    })
}
