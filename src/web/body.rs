//! JSON bodies: how large, of which type, and what is said of a wrong one.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::JsonPayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::web::{Json, JsonConfig};
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;

/// Far more than an address and a password need.
pub const LIMIT: usize = 8 * 1024;

/// What every `Json` in a handler's signature obeys: OWASP ASVS 3.5.2 wants `application/json` and nothing else, because
/// that is what a form of another origin cannot send.
pub(super) fn json_config() -> JsonConfig {
    JsonConfig::default()
        .limit(LIMIT)
        .content_type(|mime| mime.essence_str() == "application/json")
        .error_handler(|error, _| problem(&error).into())
}

/// A JSON body that may be left out: then it is the default.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJson<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = request.headers();
        let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        if is_empty && !headers.contains_key(TRANSFER_ENCODING) {
            return Box::pin(async { Ok(Self(T::default())) });
        }
        let body = Json::<T>::from_request(request, payload);
        Box::pin(async { Ok(Self(body.await?.into_inner())) })
    }
}

/// Says what is wrong without repeating what was sent: it may hold a password.
fn problem(error: &JsonPayloadError) -> Problem {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            Problem::body_too_large(LIMIT)
        }
        JsonPayloadError::ContentType => Problem::unsupported_media_type(),
        JsonPayloadError::Deserialize(error) => Problem::bad_request(in_words(error)),
        _ => Problem::bad_request("The body could not be read to its end"),
    }
}

/// A sentence about what serde found.
pub(super) fn in_words(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            let words = error.to_string();
            let field = words.split('`').nth(1);
            match field {
                Some(field) if words.starts_with("missing field") => {
                    format!("The field {field} is missing")
                }
                Some(field) if words.starts_with("duplicate field") => {
                    format!("The field {field} is there twice")
                }
                _ => format!("The body has a value of the wrong type at {place}"),
            }
        }
        Category::Eof => format!("The body is not whole JSON: it ends at {place}"),
        Category::Syntax | Category::Io => format!("The body is not JSON: see {place}"),
    }
}
