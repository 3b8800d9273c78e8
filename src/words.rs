//! Closed sets of words: each member has a name in the program, and one word in the database, in bodies and
//! in the log.

/// Makes an enum from a list of members and their words, one line each:
///
/// - `ALL`, the members in their order, and `as_str`, the word of one;
/// - `Display` and `FromStr`, whose error lists all words;
/// - `Serialize` and `Deserialize`, as the word;
/// - `ToSql` and `FromSql`, as `text`. A constraint of the table holds the database to the words.
///
/// A last line `_ => Other = "other"` makes one more member, for words that a later version has written. Only
/// `FromSql` makes it. Without that line, such a word is an error.
macro_rules! words {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident {
            $( $(#[$about_member:meta])* $member:ident = $word:literal, )+
            $( _ => $other:ident = $other_word:literal, )?
        }
    ) => {
        $(#[$about])*
        #[derive(
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
            Clone, Copy, Debug, PartialEq, Eq,
        )]
        #[diesel(sql_type = diesel::sql_types::Text)]
        $visibility enum $name {
            $( $(#[$about_member])* $member, )+
            $(
                /// A later version has written another word.
                $other,
            )?
        }

        impl $name {
            /// All members with a word of this version, in the order for display.
            $visibility const ALL: [Self; [$($word),+].len()] = [$(Self::$member),+];

            /// The word in the database, in bodies and in the log.
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$member => $word, )+
                    $( Self::$other => $other_word, )?
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $( $word => Ok(Self::$member), )+
                    _ => Err($crate::words::unknown(&Self::ALL.map(Self::as_str))),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word: std::borrow::Cow<'de, str> = serde::Deserialize::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                <str as diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg>>::to_sql(self.as_str(), out)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn from_sql(
                bytes: <diesel::pg::Pg as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                let other: &[Self] = &[$(Self::$other)?];
                let word: Result<Self, String> = std::str::from_utf8(bytes.as_bytes())?.parse();
                Ok(word.or_else(|why| other.first().copied().ok_or(why))?)
            }
        }
    };
}

pub(crate) use words;

/// The error for an unknown word.
pub(crate) fn unknown(all: &[&str]) -> String {
    match all {
        [one] => format!("must be {one}"),
        [one, other] => format!("must be {one} or {other}"),
        _ => format!("must be one of {}", all.join(", ")),
    }
}
