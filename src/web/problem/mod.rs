//! Errors as RFC 9457 problems.
//!
//! One exhaustive match turns domain errors into HTTP; `instead_of_a_bare_error` replaces the framework's own
//! errors.

mod body;
mod code;
mod in_a_header;
mod of_domain;

use std::borrow::Cow;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use crate::request_id::RequestId;
use crate::sessions::{Ending, HeldSeat};
pub(in crate::web) use body::Body;
pub(in crate::web) use code::{Code, schema as codes};

/// The media type of RFC 9457.
pub(in crate::web) const CONTENT_TYPE: &str = "application/problem+json";
/// The challenge for users (RFC 6750 3). It has an error only when a token came and failed.
const CHALLENGE: &str = r#"Bearer realm="oneseat""#;
/// The challenge for services (RFC 7617).
const CLIENT_CHALLENGE: &str = r#"Basic realm="oneseat", charset="UTF-8""#;
const CHALLENGE_FAILED: &str = r#"Bearer realm="oneseat", error="invalid_token""#;
/// When to try again after a 503, in seconds.
const RETRY_AFTER: &str = "2";

/// One error, as the caller sees it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: Code,
    detail: Cow<'static, str>,
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
    ending: Option<Box<Ending>>,
    seat: Option<Box<HeldSeat>>,
    field: Option<Cow<'static, str>>,
    error: Option<&'static str>,
}

/// What a problem tells people. It goes with the answer, so that a page can be made of it.
pub(in crate::web) struct Told {
    pub(in crate::web) status: StatusCode,
    /// What went wrong, in one sentence.
    pub(in crate::web) detail: Cow<'static, str>,
    pub(in crate::web) request_id: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            header: None,
            ending: None,
            seat: None,
            field: None,
            error: None,
        }
    }

    /// Names the field of the request that was refused.
    pub fn in_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: Some(field.into()),
            ..self
        }
    }

    /// Adds the error code of OAuth 2.0 (RFC 6749 5.2), which clients of introspection read (RFC 7662 2.3).
    pub fn of_oauth(self) -> Self {
        let error = match self.code {
            Code::InvalidClient => Some("invalid_client"),
            // A rate limit or a time-out is no mistake of the client.
            Code::BadRequest | Code::UnsupportedMediaType => Some("invalid_request"),
            _ => None,
        };
        Self { error, ..self }
    }

    /// Replaces the sentence for people.
    pub(super) fn saying(self, detail: &'static str) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }

    fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    fn unauthorized(code: Code, detail: &'static str, challenge: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 400, with what is wrong in one sentence.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, detail)
    }

    /// 401: no token came.
    pub fn token_missing() -> Self {
        Self::unauthorized(Code::TokenMissing, "No authentication token provided", CHALLENGE)
    }

    /// 401: a token came and failed.
    pub fn token_invalid() -> Self {
        Self::unauthorized(Code::TokenInvalid, "Invalid or expired session", CHALLENGE_FAILED)
    }

    /// 401: a token came whose session ended; why and when.
    pub fn session_ended(ending: Ending) -> Self {
        let problem = Self::unauthorized(Code::SessionEnded, "Invalid or expired session", CHALLENGE_FAILED);
        Self {
            ending: Some(Box::new(ending)),
            ..problem
        }
    }

    /// 401: the service's id or secret is missing or wrong (RFC 7662 2.3).
    pub fn invalid_client() -> Self {
        Self::unauthorized(
            Code::InvalidClient,
            "The client id or secret is missing or wrong",
            CLIENT_CHALLENGE,
        )
    }

    /// 403: the role is not enough.
    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            Code::Forbidden,
            "This needs the admin role",
        )
    }

    /// 404: there is nothing at this address.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            Code::NotFound,
            "There is nothing at this address",
        )
    }

    /// 404: this server sends no mail; what to do instead, in one sentence.
    pub(in crate::web) fn no_mail(instead: &str) -> Self {
        let detail = format!("This server sends no mail. {instead}");
        Self::new(StatusCode::NOT_FOUND, Code::NoMail, detail)
    }

    /// 405, with the methods that are allowed.
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(
            status,
            Code::MethodNotAllowed,
            "This address does not take that method",
        )
        .with(header::ALLOW, allow)
    }

    /// 408: the body did not come in time.
    pub fn too_slow() -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, Code::RequestTimeout, "The body did not come in time")
            .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 400 for a refused value. The detail is the error's text.
    pub fn refused(why: &dyn std::error::Error) -> Self {
        Self::in_words(Code::BadRequest, why)
    }

    fn in_words(code: Code, why: &dyn std::error::Error) -> Self {
        // Error texts start in lower case for use in the middle of a sentence.
        let words = why.to_string();
        let mut letters = words.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let words: String = first.into_iter().chain(letters).collect();
        Self::new(StatusCode::BAD_REQUEST, code, words)
    }

    /// 409: the user has a live session; since when, and on which device.
    pub fn seat_taken(seat: HeldSeat) -> Self {
        let detail = "You are signed in somewhere else already. Signing in here would end that session.";
        let problem = Self::new(StatusCode::CONFLICT, Code::SeatTaken, detail);
        Self {
            seat: Some(Box::new(seat)),
            ..problem
        }
    }

    /// 409: admins change their own address as everybody does, with their password.
    pub fn own_address() -> Self {
        let detail = "Change your own address at your seat: that asks for your password.";
        Self::new(StatusCode::CONFLICT, Code::OwnAccount, detail)
    }

    /// 409: the account may not sign in, so what was asked for is of no use to its user.
    pub fn account_disabled() -> Self {
        let detail = "This account is disabled. Enable it first.";
        Self::new(StatusCode::CONFLICT, Code::AccountDisabled, detail)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("The body must not be larger than {limit} bytes");
        // The rest of the body is not waited for.
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, detail)
            .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 415: the body does not have the media type `wanted`.
    pub fn unsupported_media_type(wanted: &str) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(
            status,
            Code::UnsupportedMediaType,
            format!("The body must be {wanted}"),
        )
    }

    /// 429, with the seconds to wait.
    pub fn too_many_requests(seconds: u64) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let detail = "There were too many attempts from your network. Please wait a moment.";
        Self::new(status, Code::TooManyRequests, detail).with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500: this program is at fault.
    pub fn internal() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, Code::Internal, "Something went wrong here")
    }

    /// 503: nothing was decided; try again.
    pub fn unavailable() -> Self {
        let detail = "The service is unavailable for a moment. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))
    }

    /// The problem for a bare status of the framework.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            _ if status.is_client_error() => {
                Self::new(status, Code::BadRequest, "The request cannot be understood")
            }
            _ => Self::internal(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        if let Some((name, value)) = self.header.as_deref() {
            response.insert_header((name.clone(), value.clone()));
        }
        let request_id = RequestId::current();
        let mut answer = response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type(CONTENT_TYPE)
            .json(self.body(request_id.as_ref()));
        answer.extensions_mut().insert(Told {
            status: self.status,
            detail: self.detail.clone(),
            request_id: request_id.map(|id| id.as_str().to_owned()),
        });
        answer
    }
}

/// Replaces a bare error of the framework (a missing file, a path that cannot be decoded).
pub(in crate::web) fn instead_of_a_bare_error(answer: HttpResponse) -> HttpResponse {
    let status = answer.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    if !is_error || content_type.is_some_and(|value| value == CONTENT_TYPE) {
        return answer;
    }
    let mut problem = Problem::of_status(status).error_response();
    // Keeps the headers by which CORS lets a page read it.
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::VARY,
    ] {
        if let Some(value) = answer.headers().get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}
