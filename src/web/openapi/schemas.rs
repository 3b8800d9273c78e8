//! Words and forms that fields of several bodies share. The types behind them live below `web`, which knows nothing of this document.

use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType};
use utoipa::openapi::{SchemaFormat, Type};

use super::answers::CODES;
use crate::auth::people::State;
use crate::sessions::EndReason;
use crate::users::Role;

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

pub(in crate::web) fn code() -> Object {
    one_of(CODES)
}

pub(in crate::web) fn role() -> Object {
    one_of([Role::User, Role::Admin].map(Role::as_str))
}

pub(in crate::web) fn state() -> Object {
    one_of([State::Active, State::Invited, State::Unverified, State::Disabled].map(State::as_str))
}

pub(in crate::web) fn reason() -> Object {
    one_of(EndReason::ALL.map(EndReason::as_str))
}

/// What the stream of a session tells.
pub(in crate::web) fn event() -> Object {
    one_of(["ended", "changed"])
}

/// What a list is asked for: a form sends what was left empty, too.
pub(in crate::web) fn any_reason() -> Object {
    one_of(EndReason::ALL.map(EndReason::as_str).into_iter().chain([""]))
}

/// IPv4 or IPv6.
pub(in crate::web) fn address() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples(["203.0.113.7", "2001:db8::7"])
        .build()
}

pub(in crate::web) fn token() -> Object {
    text().pattern(Some("^[0-9a-f]{64}$")).build()
}

/// At most 254 bytes, with 64 of them before the last `@`: what mail servers take (RFC 6531).
pub(in crate::web) fn email() -> Object {
    let format = SchemaFormat::Custom("idn-email".to_owned());
    text().format(Some(format)).max_length(Some(254)).build()
}

/// Counted in code points.
pub(in crate::web) fn typed_password() -> Object {
    text().min_length(Some(1)).max_length(Some(128)).build()
}

/// The same; beside that, what is tried first is refused.
pub(in crate::web) fn new_password() -> Object {
    text().min_length(Some(15)).max_length(Some(128)).build()
}

/// Printable, and not white space alone.
pub(in crate::web) fn name() -> Object {
    text()
        .max_length(Some(200))
        .pattern(Some(
            r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
        ))
        .build()
}

/// Of an account that is made: `user` unless told otherwise.
pub(in crate::web) fn optional_role() -> Object {
    let mut role = role();
    role.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    role.enum_values.get_or_insert_default().push(Value::Null);
    role
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
