//! The body of a problem.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Code, Problem};
use crate::request_id::RequestId;
use crate::sessions::{Device, EndReason};
use crate::web::schemas;

/// The body of a problem (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(in crate::web) struct Body<'a> {
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// For people, in one sentence.
    detail: &'a str,
    #[schema(schema_with = super::code::reference)]
    code: Code,
    /// The field of the body or the parameter of the query that was refused, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
    /// Why the session ended; only with `session_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::reason, required = false)]
    reason: Option<EndReason>,
    /// When it ended.
    #[serde(rename = "endedAt", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ended_at: Option<DateTime<Utc>>,
    /// When the session that has the seat began; only with `seat_taken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    since: Option<DateTime<Utc>>,
    /// Its browser and system in words, such as `Firefox 144 on Windows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device: Option<String>,
    /// The error code of OAuth 2.0 (RFC 6749 5.2): `invalid_client` or `invalid_request`; only of introspection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'static str>,
    /// The id of the request in `X-Request-Id` and in the log.
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
}

impl Problem {
    /// The body of the answer to the request with this id.
    pub(super) fn body<'a>(&'a self, request_id: Option<&'a RequestId>) -> Body<'a> {
        Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            field: self.field.as_deref(),
            reason: self.ending.as_ref().map(|ending| ending.reason),
            ended_at: self.ending.as_ref().map(|ending| ending.at),
            since: self.seat.as_ref().map(|seat| seat.since),
            device: self
                .seat
                .as_ref()
                .map(|seat| Device::of(seat.user_agent.as_deref()).to_string()),
            error: self.error,
            request_id: request_id.map(RequestId::as_str),
        }
    }
}
