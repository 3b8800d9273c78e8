//! Words that people wrote, as templates show them: filters for Askama.
//!
//! In the text of a page such words stand in `<bdi>`, so that they can be copied. An attribute and plain text have no elements, so they
//! are isolated by characters there. A test looks at every template.

#![expect(unreachable_pub, reason = "Askama's macro writes `pub`")]

use std::fmt::Display;

use askama::Values;

use crate::domain_name::readable_address;
use crate::unseen;

/// Writes invisible characters out. For names inside of `<bdi>`.
#[askama::filter_fn]
pub(crate) fn shown(words: impl Display, _: &dyn Values) -> askama::Result<String> {
    Ok(unseen::written_out(&words.to_string()).into_owned())
}

/// An address with its domain as people read it. For addresses inside of `<bdi>`, or before [`isolated`].
#[askama::filter_fn]
pub(crate) fn address(email: impl Display, _: &dyn Values) -> askama::Result<String> {
    Ok(unseen::written_out(&readable_address(&email.to_string())).into_owned())
}

/// Puts words that run from right to left between marks that keep their direction from the text around them. For
/// attributes and plain text.
#[askama::filter_fn]
pub(crate) fn isolated(words: impl Display, _: &dyn Values) -> askama::Result<String> {
    Ok(unseen::in_line(&words.to_string()).into_owned())
}
