//! JSON bodies and forms: their limits of size and time, their media type, and the errors.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::web::{BytesMut, Payload};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use crate::web::problem::Problem;

/// Largest body, in bytes: far more than an address and a password need.
const LIMIT: usize = 8 * 1024;
/// Longest time that a client may take to send its body.
const SLOWEST: Duration = Duration::from_secs(10);
/// Largest body of many rows, in bytes, and longest time for it. Only admins send them.
const LIMIT_OF_ROWS: usize = 4 * 1024 * 1024;
const SLOWEST_ROWS: Duration = Duration::from_secs(60);

/// Reads a JSON object from the body. OWASP ASVS 3.5.2 wants `application/json` and nothing else, because a
/// form of another origin cannot send that.
///
/// # Errors
/// 400, 408, 413 or 415. The words repeat nothing of the body, which may hold a password.
pub(in crate::web) async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Problem> {
    let body = read(request, payload, "application/json").await?;
    // serde would also read the fields of a struct from an array.
    if body
        .trim_ascii_start()
        .first()
        .is_some_and(|first| *first != b'{')
    {
        return Err(Problem::bad_request("The body must be a JSON object"));
    }
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(in_words(&error)))
}

/// Reads a JSON object from a body that may be left out. Without a body, returns the default.
///
/// # Errors
/// As [`json`].
pub(in crate::web) async fn optional_json<T: DeserializeOwned + Default>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Problem> {
    let headers = request.headers();
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(T::default());
    }
    json(request, payload).await
}

/// Reads the pairs of a form. Only for programs as callers: a page of another origin can send a form, so a
/// form must not act for a user.
///
/// # Errors
/// As [`json`].
pub(in crate::web) async fn form(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Vec<(String, String)>, Problem> {
    let body = read(request, payload, "application/x-www-form-urlencoded").await?;
    Ok(form_urlencoded::parse(&body).into_owned().collect())
}

/// Reads JSON lines, or a file of them without another type than bytes: at most 4 MiB.
///
/// # Errors
/// As [`json`].
pub(in crate::web) async fn json_lines(request: &HttpRequest, payload: Payload) -> Result<BytesMut, Problem> {
    is_of_type(request, "application/octet-stream").or_else(|_| is_of_type(request, "application/jsonl"))?;
    in_time(SLOWEST_ROWS, to_the_end(payload, LIMIT_OF_ROWS)).await
}

/// Reads a small body of this media type, in time.
async fn read(request: &HttpRequest, payload: Payload, media_type: &str) -> Result<BytesMut, Problem> {
    is_of_type(request, media_type)?;
    in_time(SLOWEST, to_the_end(payload, LIMIT)).await
}

fn is_of_type(request: &HttpRequest, media_type: &str) -> Result<(), Problem> {
    match request.mime_type() {
        Ok(Some(mime)) if mime.essence_str() == media_type => Ok(()),
        _ => Err(Problem::unsupported_media_type(media_type)),
    }
}

async fn in_time<T>(
    bound: Duration,
    reading: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    timeout(bound, reading).await.map_err(|_| Problem::too_slow())?
}

async fn to_the_end(mut payload: Payload, limit: usize) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("The body could not be read to its end"))?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::body_too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Describes serde's error in a sentence.
fn in_words(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            let words = error.to_string();
            match words.split('`').nth(1) {
                Some(field) if words.starts_with("missing field") => format!("The field {field} is missing"),
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
