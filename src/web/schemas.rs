//! Schemas that fields of several bodies share. The types behind them live below `web`, and know nothing of
//! the description of the API.

use utoipa::openapi::schema::{Object, ObjectBuilder};
use utoipa::openapi::{Ref, SchemaFormat, Type};

use crate::auth::lists::LARGEST_PAGE;
use crate::mail::Kind;
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

/// Sets of words with a name of their own: a generator makes one type of each.
pub(in crate::web) fn named() -> [(&'static str, Object); 4] {
    let reasons = EndReason::ALL.into_iter().chain([EndReason::Unknown]);
    [
        (
            "AccountState",
            one_of(AccountState::ALL.map(AccountState::as_str)),
        ),
        ("EndReason", one_of(reasons.map(EndReason::as_str))),
        ("MailKind", one_of(Kind::ALL.map(Kind::as_str))),
        ("Role", one_of(Role::ALL.map(Role::as_str))),
    ]
}

pub(in crate::web) fn role() -> Ref {
    Ref::from_schema_name("Role")
}

pub(in crate::web) fn state() -> Ref {
    Ref::from_schema_name("AccountState")
}

pub(in crate::web) fn mail_kind() -> Ref {
    Ref::from_schema_name("MailKind")
}

pub(in crate::web) fn reason() -> Ref {
    Ref::from_schema_name("EndReason")
}

/// The reason that a list is filtered by.
pub(in crate::web) fn wanted_reason() -> Object {
    // Without `unknown`: nobody asks for a reason that this version does not know.
    let mut known = one_of(EndReason::ALL.map(EndReason::as_str));
    known.description = Some("Why the sessions ended. Without it, for every reason.".to_owned());
    known
}

/// The size of a page.
pub(in crate::web) fn limit() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("Rows of the page: 50 unless told otherwise, 200 at most."))
        .minimum(Some(1))
        .maximum(Some(LARGEST_PAGE))
        .build()
}

/// The role that a proxied request needs.
pub(in crate::web) fn needed_role() -> Ref {
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

/// The schema of a name. `Name` also refuses characters by their Unicode properties. No pattern says so here, because
/// not all readers of patterns know these properties.
pub(in crate::web) fn name() -> Object {
    text()
        .description(Some(
            "Printable, and not white space alone: nothing invisible where it stands, nothing that turns the direction of writing around. \
             Joiners and variation selectors are taken where writing needs them. The answer names a character that is refused.",
        ))
        .min_length(Some(1))
        .max_length(Some(200))
        .build()
}

pub(in crate::web) fn optional_role() -> Ref {
    said(role(), "`user` unless told otherwise.")
}

fn said(mut named: Ref, words: &str) -> Ref {
    words.clone_into(&mut named.description);
    named
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
