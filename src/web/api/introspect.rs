//! Token introspection for services (RFC 7662).

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Data, Json, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use crate::auth::{Activity, Auth, Seat};
use crate::token::Token;
use crate::web::extract::body;
use crate::web::extract::client::ClientInfo;
use crate::web::problem::Problem;
use crate::web::schemas;

/// The form (RFC 7662 2.1).
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: a form is read pair by pair")]
struct IntrospectionRequest {
    token: String,
    /// `true`: the request counts as activity of the user.
    activity: Option<String>,
}

/// The answer (RFC 7662 2.2). Without a live session it is `{"active":false}` and no more.
#[derive(Default, Serialize, ToSchema)]
pub struct IntrospectionResponse {
    active: bool,
    #[serde(flatten)]
    #[schema(schema_with = SeatView::or_none)]
    seat: Option<SeatView>,
}

/// A live session. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
struct SeatView {
    sub: Uuid,
    username: String,
    name: String,
    #[schema(schema_with = schemas::role)]
    role: &'static str,
    token_type: &'static str,
    iat: i64,
    exp: i64,
    sid: Uuid,
}

impl SeatView {
    /// The schema without required fields: without a live session there are none.
    fn or_none() -> RefOr<Schema> {
        let mut schema = <Self as utoipa::PartialSchema>::schema();
        if let RefOr::T(Schema::Object(seat)) = &mut schema {
            seat.required.clear();
        }
        schema
    }
}

impl From<Seat> for SeatView {
    fn from(Seat { user, session, .. }: Seat) -> Self {
        Self {
            sub: user.id,
            username: user.email.clone(),
            name: user.name.clone(),
            role: user.role.as_str(),
            token_type: "Bearer",
            iat: session.created_at.timestamp(),
            exp: session.expires_at.timestamp(),
            sid: session.id,
        }
    }
}

/// Tells whose token it is. Does not count as activity, unless the form says `activity=true`.
#[utoipa::path(
    post, path = "/auth/introspect", tag = "service",
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = IntrospectionResponse), Services),
)]
pub async fn introspect(
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<IntrospectionResponse>, Problem> {
    let credentials = basic(&request).ok_or_else(Problem::invalid_client)?;
    let form = body::form(&request, payload).await?;
    let mut tokens = form.iter().filter(|(name, _)| name == "token");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
        return Err(Problem::bad_request("The form takes a token, once"));
    };
    let is_activity = form
        .iter()
        .any(|(name, value)| name == "activity" && value == "true");
    let activity = if is_activity {
        Activity::Active
    } else {
        Activity::Passive
    };
    let token = Token::parse(token.as_bytes());
    let seat = auth.introspect(credentials, token, activity, client.0).await?;
    Ok(Json(IntrospectionResponse {
        active: seat.is_some(),
        seat: seat.map(Into::into),
    }))
}

/// The services that may introspect; `web::openapi` describes how others are refused.
pub(in crate::web) struct Services;

/// Id and secret of the service (RFC 6749 2.3.1, RFC 7617), if both have a valid form.
fn basic(request: &HttpRequest) -> Option<(Uuid, Token)> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let value = values.next()?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if values.next().is_some() || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.parse().ok()?, Token::parse(secret.as_bytes())?))
}
