//! Errors as RFC 9457 problems.
//!
//! One exhaustive match turns domain errors into HTTP; `every_error_is_a_problem` catches what the framework answers by
//! itself.

use std::borrow::Cow;
use std::fmt;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id::X_REQUEST_ID;
use super::schemas;
use crate::auth;
use crate::request_id::RequestId;
use crate::sessions::Ending;

/// The media type of RFC 9457.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";
/// RFC 6750 3: with the error only when a token came and failed.
const CHALLENGE: &str = r#"Bearer realm="oneseat""#;
/// For services (RFC 7617).
const CLIENT_CHALLENGE: &str = r#"Basic realm="oneseat", charset="UTF-8""#;
const CHALLENGE_FAILED: &str = r#"Bearer realm="oneseat", error="invalid_token""#;
/// When to try again after a 503, in seconds.
const RETRY_AFTER: &str = "2";

/// One error, as the caller sees it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
    ending: Option<Box<Ending>>,
    request_id: Option<RequestId>,
}

/// RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    title: &'static str,
    /// The same as the answer's.
    status: u16,
    /// For people, in one sentence.
    detail: &'a str,
    #[schema(schema_with = schemas::code)]
    code: &'static str,
    /// Why the session ended; only with `session_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::reason, required = false)]
    reason: Option<&'static str>,
    /// When it ended.
    #[serde(rename = "endedAt", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ended_at: Option<DateTime<Utc>>,
    /// What `X-Request-Id` says, too: the log knows the request by it.
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            header: None,
            ending: None,
            // Here and not where the answer is made, which may be outside of what names the request.
            request_id: RequestId::current(),
        }
    }

    fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    fn unauthorized(code: &'static str, detail: &'static str, challenge: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 400, with what is wrong in one sentence.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 401: no token came.
    pub fn token_missing() -> Self {
        Self::unauthorized("token_missing", "No authentication token provided", CHALLENGE)
    }

    /// 401: a token came and failed.
    pub fn token_invalid() -> Self {
        Self::unauthorized("token_invalid", "Invalid or expired session", CHALLENGE_FAILED)
    }

    /// 401: a token came whose session ended; why and when.
    pub fn session_ended(ending: Ending) -> Self {
        let problem = Self::unauthorized("session_ended", "Invalid or expired session", CHALLENGE_FAILED);
        Self {
            ending: Some(Box::new(ending)),
            ..problem
        }
    }

    /// 401 for a service that has not shown who it is (RFC 7662 2.3).
    pub fn invalid_client() -> Self {
        Self::unauthorized(
            "invalid_client",
            "The client id or secret is missing or wrong",
            CLIENT_CHALLENGE,
        )
    }

    /// 403: the role is not enough.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This needs the admin role")
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this address",
        )
    }

    /// 405, with the methods that are allowed.
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(
            status,
            "method_not_allowed",
            "This address does not take that method",
        )
        .with(header::ALLOW, allow)
    }

    /// 408: the body did not come in time.
    pub fn too_slow() -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, "request_timeout", "The body did not come in time")
            .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 400 for a value that is refused for a reason, in its words.
    pub fn refused(code: &'static str, why: &dyn std::error::Error) -> Self {
        // Our words start in lower case for use in the middle of a sentence.
        let words = why.to_string();
        let mut letters = words.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let words: String = first.into_iter().chain(letters).collect();
        Self::new(StatusCode::BAD_REQUEST, code, words)
    }

    /// 409: the account may not sign in, so what was asked for is of no use to its user.
    pub fn account_disabled() -> Self {
        let detail = "This account is disabled. Enable it first.";
        Self::new(StatusCode::CONFLICT, "account_disabled", detail)
    }

    /// 413.
    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("The body must not be larger than {limit} bytes");
        // What is left of the body is not waited for.
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 415.
    pub fn unsupported_media_type(wanted: &str) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(
            status,
            "unsupported_media_type",
            format!("The body must be {wanted}"),
        )
    }

    /// 429, with the seconds to wait.
    pub fn too_many_requests(seconds: u64) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let detail = "There were too many attempts from your network. Please wait a moment.";
        Self::new(status, "too_many_requests", detail).with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500: this program is at fault.
    pub fn internal() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", "Something went wrong here")
    }

    /// 503: nothing was decided; try again.
    pub fn unavailable() -> Self {
        let detail = "The service is unavailable for a moment. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))
    }

    /// What the framework answered by itself, in our form.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            _ if status.is_client_error() => {
                Self::new(status, "bad_request", "The request cannot be understood")
            }
            _ => Self::internal(),
        }
    }
}

impl From<auth::Error> for Problem {
    fn from(error: auth::Error) -> Self {
        use auth::Error;
        let forbidden = |code, detail| Self::new(StatusCode::FORBIDDEN, code, detail);
        match error {
            Error::InvalidCredentials => {
                Self::unauthorized("invalid_credentials", "Invalid credentials", CHALLENGE)
            }
            Error::AccountLocked => {
                forbidden("account_locked", "Account is locked. Please reset your password.")
            }
            Error::EmailUnverified => {
                forbidden("email_unverified", "Please verify your email before logging in")
            }
            Error::AccountDisabled => forbidden("account_disabled", "Account is disabled"),
            // Not 401: the token that came with it is good.
            Error::WrongPassword => forbidden("wrong_password", "The current password is wrong"),
            Error::PasswordRefused(why) => Self::refused("password_refused", &why),
            Error::LinkInvalid => Self::new(
                StatusCode::BAD_REQUEST,
                "link_invalid",
                "This link is no longer valid. Please ask for a new one.",
            ),
            Error::ClientUnknown => Self::invalid_client(),
            Error::NameTaken(_) => Self::bad_request("There is a service with this name already"),
            Error::NoSuchClient(_) => Self::not_found(),
            Error::NoMail => Self::new(
                StatusCode::NOT_FOUND,
                "no_mail",
                "This server sends no mail. Please ask an administrator.",
            ),
            Error::Forbidden => Self::forbidden(),
            Error::OwnAccount => Self::new(
                StatusCode::CONFLICT,
                "own_account",
                "You cannot disable your own account",
            ),
            Error::LastAdmin => Self::new(
                StatusCode::CONFLICT,
                "last_admin",
                "This is the last administrator who can sign in. Please add another one first.",
            ),
            Error::TokenInvalid => Self::token_invalid(),
            Error::SessionEnded(ending) => Self::session_ended(ending),
            Error::NoSuchUser(_) | Error::NoSuchSession => Self::not_found(),
            Error::EmailTaken(_) => Self::new(
                StatusCode::CONFLICT,
                "email_taken",
                "There is a user with this email already",
            ),
            Error::Busy => {
                log::warn!("turned away: {error}");
                Self::unavailable()
            }
            Error::Unavailable(_) => {
                log::error!("{error}");
                Self::unavailable()
            }
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
        if let Some(id) = &self.request_id {
            response.insert_header((X_REQUEST_ID, id.as_str()));
        }
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type(CONTENT_TYPE)
            .json(Body {
                kind: "about:blank",
                title: self.status.canonical_reason().unwrap_or("Error"),
                status: self.status.as_u16(),
                detail: &self.detail,
                code: self.code,
                reason: self.ending.as_ref().map(|ending| ending.reason.as_str()),
                ended_at: self.ending.as_ref().map(|ending| ending.at),
                request_id: self.request_id.as_ref().map(RequestId::as_str),
            })
    }
}

/// Replaces the bare errors of the framework (a file that is not there, a path that cannot be decoded).
pub(super) async fn every_error_is_a_problem(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if !is_error || content_type.is_some_and(|value| value == CONTENT_TYPE) {
        return Ok(response);
    }
    let (request, bare) = response.into_parts();
    let mut problem = Problem::of_status(status).error_response();
    // Who may read it stays as it is.
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::VARY,
    ] {
        if let Some(value) = bare.headers().get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    Ok(ServiceResponse::new(request, problem))
}
