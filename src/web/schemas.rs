//! Schemas that fields of several bodies share. The types behind them live below `web`, and know nothing of
//! the description of the API.

use serde_json::Value;
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Schema, SchemaType};
use utoipa::openapi::{SchemaFormat, Type};

use crate::auth::lists::LARGEST_PAGE;
use crate::sessions::EndReason;
use crate::users::{AccountState, LONGEST_TYPED, Role};

// utoipa ignores the doc comment of a field whose schema a function makes: such a schema has its description
// here.

/// One of these words.
pub(in crate::web) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

pub(in crate::web) fn role() -> Object {
    one_of(Role::ALL.map(Role::as_str))
}

pub(in crate::web) fn state() -> Object {
    one_of(AccountState::ALL.map(AccountState::as_str))
}

pub(in crate::web) fn reason() -> Object {
    one_of(
        [&EndReason::ALL[..], &[EndReason::Unknown]]
            .concat()
            .into_iter()
            .map(EndReason::as_str),
    )
}

/// The events of a session's stream.
pub(in crate::web) fn event() -> Object {
    one_of(["ended", "changed"])
}

/// The reason that a list is filtered by. It may be empty, because a form also sends empty fields.
pub(in crate::web) fn any_reason() -> Object {
    let words = EndReason::ALL.map(EndReason::as_str).into_iter().chain([""]);
    said(one_of(words), "Why the sessions ended; empty for every reason.")
}

/// The size of a page. It may be empty, too.
pub(in crate::web) fn limit() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
        .description(Some("Rows of the page: 50 unless told otherwise, 200 at most."))
        .minimum(Some(1))
        .maximum(Some(LARGEST_PAGE))
        .max_length(Some(0))
        .build()
}

/// The role that a proxied request needs.
pub(in crate::web) fn needed_role() -> Object {
    said(role(), "The role that is needed, if not any; an admin has both.")
}

/// An IPv4 or IPv6 address.
pub(in crate::web) fn address() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples(["203.0.113.7", "2001:db8::7"])
        .build()
}

pub(in crate::web) fn token() -> Object {
    text()
        .description(Some("Shown once: 32 random bytes in hex."))
        .pattern(Some("^[0-9a-f]{64}$"))
        .build()
}

pub(in crate::web) fn email() -> Object {
    let format = SchemaFormat::Custom("idn-email".to_owned());
    text()
        .description(Some(
            "At most 254 bytes, with 64 of them before the last `@` (RFC 6531). Case and the spelling of the domain (IDNA) do not matter; answers have it in ASCII.",
        ))
        .format(Some(format))
        .max_length(Some(254))
        .build()
}

pub(in crate::web) fn typed_password() -> Object {
    text()
        .description(Some("Length is counted in code points."))
        .min_length(Some(1))
        .max_length(Some(LONGEST_TYPED))
        .build()
}

pub(in crate::web) fn new_password() -> Object {
    text()
        .description(Some(
            "Length is counted in code points. What is easy to guess is refused, with the reason.",
        ))
        .min_length(Some(15))
        .max_length(Some(128))
        .build()
}

/// An `allOf` of one: schemathesis misreads an asterisk at the end of a field's own pattern.
pub(in crate::web) fn name() -> Schema {
    // What is refused wherever it stands. `Name` refuses more, by Unicode's properties, which no pattern that all readers know can name.
    // What stands beyond four digits has no escape that they all know.
    let printable = text().pattern(Some(concat!(
        r"^(?=.*[^\s\u061c\u180b-\u180f\u200c-\u200f\ufe00-\ufe0f",
        "\u{e0100}-\u{e01ef}",
        r"])[^\x00-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u200b\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb",
        "\u{13430}-\u{1343f}\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e00ff}\u{e01f0}-\u{e0fff}]*$",
    )));
    AllOfBuilder::new()
        .item(printable.max_length(Some(200)))
        .description(Some(
            "Printable, and not white space alone: nothing invisible where it stands, nothing that turns the direction of writing around. \
             Joiners and variation selectors are taken where writing needs them. The answer names a character that is refused.",
        ))
        .into()
}

pub(in crate::web) fn optional_role() -> Object {
    let mut role = said(role(), "`user` unless told otherwise.");
    role.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    role.enum_values.get_or_insert_default().push(Value::Null);
    role
}

fn said(mut schema: Object, words: &str) -> Object {
    schema.description = Some(words.to_owned());
    schema
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
