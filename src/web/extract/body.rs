//! JSON bodies and forms: their limits of size and time, their media type, and the errors.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use actix_web::web::{BytesMut, Payload};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
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
    let mut json = serde_json::Deserializer::from_slice(&body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().iter().next().map(ToString::to_string);
        refused(&error.into_inner(), &body, field)
    })?;
    json.end().map_err(|error| refused(&error, &body, None))?;
    Ok(value)
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

/// Reads JSON lines, at most 4 MiB. Their media type may also be `application/octet-stream`.
///
/// # Errors
/// As [`json`].
pub(in crate::web) async fn json_lines(request: &HttpRequest, payload: Payload) -> Result<BytesMut, Problem> {
    is_of_type(request, "application/octet-stream").or_else(|_| is_of_type(request, "application/jsonl"))?;
    is_small_enough(request, LIMIT_OF_ROWS)?;
    in_time(SLOWEST_ROWS, to_the_end(payload, LIMIT_OF_ROWS)).await
}

/// Reads a small body of this media type, in time.
async fn read(request: &HttpRequest, payload: Payload, media_type: &str) -> Result<BytesMut, Problem> {
    is_of_type(request, media_type)?;
    is_small_enough(request, LIMIT)?;
    in_time(SLOWEST, to_the_end(payload, LIMIT)).await
}

fn is_of_type(request: &HttpRequest, media_type: &str) -> Result<(), Problem> {
    match request.mime_type() {
        Ok(Some(mime)) if mime.essence_str() == media_type => Ok(()),
        _ => Err(Problem::unsupported_media_type(media_type)),
    }
}

/// Refuses a body that is announced as too large, if the client waits until it is asked for it. Another client sends it
/// all the same, and may only hear of a lost connection if nobody reads it.
fn is_small_enough(request: &HttpRequest, limit: usize) -> Result<(), Problem> {
    if !request.headers().contains_key(EXPECT) {
        return Ok(());
    }
    let announced = request.headers().get(CONTENT_LENGTH);
    let length = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > limit as u64 => Err(Problem::body_too_large(limit)),
        _ => Ok(()),
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

/// Describes serde's error in a sentence. `field` is the field that it was found in.
fn refused(error: &serde_json::Error, body: &[u8], field: Option<String>) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    // Where the word of an enum is expected, serde_json reports any other value as a syntax error.
    let is_json = || serde_json::from_slice::<IgnoredAny>(body).is_ok();
    match error.classify() {
        Category::Syntax if is_json() => data_refused("", field, &place),
        Category::Data => data_refused(&error.to_string(), field, &place),
        Category::Eof => Problem::bad_request(format!("The body is not whole JSON: it ends at {place}")),
        Category::Syntax | Category::Io => Problem::bad_request(format!("The body is not JSON: see {place}")),
    }
}

/// The problem for valid JSON that the call does not take. `words` is serde's message.
fn data_refused(words: &str, field: Option<String>, place: &str) -> Problem {
    let named = words.split('`').nth(1);
    // serde says last what it wants; before that it may repeat what it got.
    let wanted = words.rsplit_once("expected ").map(|(_, wanted)| wanted);
    let wanted = wanted.map(|wanted| {
        wanted
            .split(" at line ")
            .next()
            .unwrap_or(wanted)
            .replace('`', "")
    });
    match (named, field, wanted) {
        (Some(name), ..) if words.starts_with("missing field") => {
            Problem::bad_request(format!("The field {name} is missing")).in_field(name.to_owned())
        }
        (Some(name), ..) if words.starts_with("duplicate field") => {
            Problem::bad_request(format!("The field {name} is there twice")).in_field(name.to_owned())
        }
        // The name of an unknown field is the caller's own text, so it is not repeated.
        (.., Some(wanted)) if words.starts_with("unknown field") => Problem::bad_request(format!(
            "The body has a field that this call does not take. It takes {wanted}"
        )),
        (_, Some(name), Some(wanted)) => {
            Problem::bad_request(format!("The field {name} must be {wanted}")).in_field(name)
        }
        (_, Some(name), None) => {
            Problem::bad_request(format!("The field {name} has a value of the wrong type")).in_field(name)
        }
        _ => Problem::bad_request(format!("The body has a value of the wrong type at {place}")),
    }
}
