//! Token introspection for services (RFC 7662).

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Data, Json, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
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
    /// `true`: the request counts as activity of the user. Otherwise `false`.
    #[schema(nullable = false, pattern = "^(true|false)$")]
    activity: Option<String>,
    /// The id of the service, for services that do not authenticate in `Authorization`.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The secret of the service.
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

/// The answer (RFC 7662 2.2). Without a live session it is `{"active":false}` and no more.
#[derive(Default, Serialize, ToSchema)]
pub struct Introspection {
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
    responses((status = 200, body = Introspection), Services),
)]
pub async fn introspect(
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<Introspection>, Problem> {
    answer(request, payload, auth, client)
        .await
        .map_err(Problem::of_oauth)
}

async fn answer(
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<Introspection>, Problem> {
    let is_basic = request.headers().contains_key(AUTHORIZATION);
    let by_header = basic(&request);
    if is_basic && by_header.is_none() {
        return Err(Problem::invalid_client());
    }
    let form = Form(body::form(&request, payload).await?);
    if is_basic && form.has("client_secret") {
        return Err(Problem::bad_request(
            "A service authenticates in Authorization or in the form, not in both",
        ));
    }
    let credentials = by_header
        .or_else(|| credentials(form.once("client_id")?, form.once("client_secret")?))
        .ok_or_else(Problem::invalid_client)?;
    let token = form
        .once("token")
        .ok_or_else(|| Problem::bad_request("The form takes a token, once").in_field("token"))?;
    let activity = match form.once("activity") {
        Some("true") => Activity::Active,
        Some("false") => Activity::Passive,
        None if form.values("activity").next().is_none() => Activity::Passive,
        Some(_) | None => {
            let words = "activity must be true or false, once";
            return Err(Problem::bad_request(words).in_field("activity"));
        }
    };
    let token = Token::parse(token.as_bytes());
    let seat = auth.introspect(credentials, token, activity, client.0).await?;
    Ok(Json(Introspection {
        active: seat.is_some(),
        seat: seat.map(Into::into),
    }))
}

/// The services that may introspect; `web::openapi` describes how others are refused.
pub(in crate::web) struct Services;

/// The pairs of a form.
struct Form(Vec<(String, String)>);

impl Form {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(other, _)| other == name);
        named.map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).any(|value| !value.is_empty())
    }

    /// The value of this field. `None` if the field is missing, or there more than once.
    fn once(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Id and secret in `Authorization` (`client_secret_basic`), each encoded as in a form (RFC 6749 2.3.1): some clients
/// write `%2D` for the hyphens of an id.
fn basic(request: &HttpRequest) -> Option<(Uuid, Token)> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let value = values.next()?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if values.next().is_some() || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |half| percent_decode_str(half).decode_utf8().ok();
    credentials(&plain(id)?, &plain(secret)?)
}

/// Id and secret of a service, if both have a valid form.
fn credentials(id: &str, secret: &str) -> Option<(Uuid, Token)> {
    Some((id.parse().ok()?, Token::parse(secret.as_bytes())?))
}
