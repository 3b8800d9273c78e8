//! Opaque tokens: shown once, never stored (law 4).

use std::fmt;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Binary;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// 256 bits from the operating system (OWASP ASVS 7.2.3), written as 64 lower-case hex characters. Wiped when
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; 32]>);

/// SHA-256 of a token's bytes: the database stores only this. A fast hash is right for a secret of 256 bits.
#[derive(AsExpression, FromSqlRow, Clone, Copy, PartialEq, Eq, Hash)]
#[diesel(sql_type = Binary)]
pub struct TokenDigest([u8; 32]);

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        let mut bytes = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Reads exactly 64 lower-case hex characters; nothing else is a token.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; 64] = text.try_into().ok()?;
        let mut bytes = Zeroizing::new([0; 32]);
        let mut all = 0;
        for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
            let [high, low] = pair.map(digit);
            all |= high | low;
            *byte = high << 4 | low;
        }
        (all < 16).then_some(Self(bytes))
    }

    /// The digest that the database stores.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(*self.0).into())
    }

    /// The token in clear, for the one response that hands it out.
    pub fn reveal(&self) -> String {
        hex::encode(*self.0)
    }
}

/// The value of a lower-case hex digit, more than 15 for anything else. Without a branch for each digit, which no
/// processor can predict.
const fn digit(byte: u8) -> u8 {
    let (number, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

impl ToSql<Binary, Pg> for TokenDigest {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <[u8] as ToSql<Binary, Pg>>::to_sql(&self.0, out)
    }
}

impl FromSql<Binary, Pg> for TokenDigest {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(bytes.as_bytes().try_into()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_64_lower_case_hex_characters_and_reads_back() {
        let token = Token::generate().unwrap();
        let text = token.reveal();
        assert_eq!(text.len(), 64);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        assert_eq!(Token::parse(text.as_bytes()), Some(token));
        // Each of its bits is random: among so many tokens it is set in some, and in others not.
        let (mut set, mut unset) = ([0; 32], [0; 32]);
        for _ in 0..100 {
            let token = Token::generate().unwrap();
            for (at, byte) in token.0.iter().enumerate() {
                set[at] |= byte;
                unset[at] |= !byte;
            }
        }
        assert_eq!((set, unset), ([u8::MAX; 32], [u8::MAX; 32]));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let token = Token(Zeroizing::new([0xab; 32])).reveal();
        for text in [
            "",
            "ab",
            &token[1..],
            &token.to_uppercase(),
            &format!("{token}0"),
            &token.replace('a', "g"),
        ] {
            assert_eq!(Token::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        // SHA-256 of 32 zero bytes.
        let known = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        assert_eq!(hex::encode(Token(Zeroizing::new([0; 32])).digest().0), known);
    }

    #[test]
    fn debug_shows_nothing() {
        let token = Token::generate().unwrap();
        assert_eq!(
            format!("{token:?} {:?}", token.digest()),
            "Token(..) TokenDigest(..)"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_accepted_is_what_would_be_written(text in prop_oneof![
            vec(any::<u8>(), 0..130),
            "[0-9a-fA-F]{62,66}".prop_map(String::into_bytes),
            "[0-9a-f]{64}".prop_map(String::into_bytes),
        ]) {
            let is_token = text.len() == 64 && text.iter().all(|byte| b"0123456789abcdef".contains(byte));
            let written = Token::parse(&text).map(|token| token.reveal().into_bytes());
            prop_assert_eq!(written, is_token.then_some(text));
        }

        #[test]
        fn every_token_reads_back(bytes: [u8; 32]) {
            let token = Token(Zeroizing::new(bytes));
            prop_assert_eq!(Token::parse(token.reveal().as_bytes()), Some(token));
        }

        #[test]
        fn one_character_makes_another_token_or_none(bytes: [u8; 32], at in 0..64_usize, other: u8) {
            let token = Token(Zeroizing::new(bytes));
            let mut text = token.reveal().into_bytes();
            prop_assume!(text[at] != other);
            text[at] = other;
            if let Some(changed) = Token::parse(&text) {
                prop_assert_ne!(changed.digest(), token.digest());
            }
        }
    }
}
