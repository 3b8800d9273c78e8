//! How a system turns a password into the bytes that it hashes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha384};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::config::Pepper;
use crate::users::Password;

/// The key that WordPress gives its HMAC.
const WORDPRESS_KEY: &[u8] = b"wp-sha384";

/// The characters that PHP's `trim` removes.
const PHP_WHITE_SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\0', '\u{b}'];

/// The bytes that a system hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The password as it is typed: most systems do not normalise it.
    AsTyped,
    /// The password in NFC: oneseat.
    Normal,
    /// The password in NFKC: better-auth.
    Nfkc,
    /// The password without white space around it: WordPress.
    Trimmed,
    /// SHA-256 of the password in hex, so that bcrypt cuts nothing off: Django.
    Sha256Hex,
    /// HMAC-SHA384 of the password in base64, for the same reason, without white space around the password:
    /// WordPress 6.8.
    WordPressHmac,
    /// The password followed by the pepper, a secret of the server: Devise.
    Peppered,
}

/// Bytes that are wiped when they are dropped.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

impl Input {
    /// The bytes to try. There are two if the password was not typed in NFC: the device on which the user
    /// chose it may have typed it in either form.
    pub(super) fn of(self, password: &Password, pepper: Option<&Pepper>) -> Vec<Bytes> {
        let (typed, normal) = (password.as_typed(), password.reveal());
        if self == Self::Normal {
            return vec![self.of_text(normal, pepper)];
        }
        let mut tries = vec![self.of_text(typed, pepper)];
        if typed != normal {
            tries.push(self.of_text(normal, pepper));
        }
        tries
    }

    fn of_text(self, text: &str, pepper: Option<&Pepper>) -> Bytes {
        let trimmed = text.trim_matches(PHP_WHITE_SPACE);
        Zeroizing::new(match self {
            Self::AsTyped | Self::Normal => text.as_bytes().to_vec(),
            Self::Nfkc => text.nfkc().collect::<String>().into_bytes(),
            Self::Trimmed => trimmed.as_bytes().to_vec(),
            Self::Sha256Hex => hex::encode(Sha256::digest(text)).into_bytes(),
            Self::WordPressHmac => wordpress_hmac(trimmed).into_bytes(),
            Self::Peppered => {
                let pepper = pepper.map(Pepper::as_bytes).unwrap_or_default();
                [text.as_bytes(), pepper].concat()
            }
        })
    }
}

fn wordpress_hmac(text: &str) -> String {
    // This never fails: HMAC takes a key of any length.
    Hmac::<Sha384>::new_from_slice(WORDPRESS_KEY).map_or_else(
        |_| String::new(),
        |mac| BASE64_STANDARD.encode(mac.chain_update(text).finalize().into_bytes()),
    )
}
