//! The alphabets in which systems write salts and hashes.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};

/// Accepts base64 with or without padding, and any bits after the last byte: some systems write them at
/// random.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);

/// Base64 as in RFC 4648, padded or not.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Passlib's "ab64": base64 with `.` for `+`, not padded.
pub(super) fn adapted_base64(text: &str) -> Option<Vec<u8>> {
    base64(&text.replace('.', "+"))
}

/// Base64 with the alphabet of bcrypt.
pub(super) fn bcrypt_base64(text: &str) -> Option<Vec<u8>> {
    BCRYPT.decode(text).ok()
}

/// The letters of crypt(3), which phpass uses with the lowest bits first.
const CRYPT: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of one letter of crypt(3), 0 to 63.
pub(super) fn crypt_value(letter: u8) -> Option<u8> {
    let at = CRYPT.iter().position(|known| *known == letter)?;
    u8::try_from(at).ok()
}

/// Decodes letters of crypt(3) to bytes, the lowest bits first.
pub(super) fn crypt_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for letters in text.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for (at, letter) in letters.iter().enumerate() {
            bits |= u32::from(crypt_value(*letter)?) << (6 * at);
        }
        bytes.extend_from_slice(bits.to_le_bytes().get(..letters.len() - 1)?);
    }
    Some(bytes)
}
