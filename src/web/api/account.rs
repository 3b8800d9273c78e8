//! Resetting and changing a password, and verifying an address.

use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Success;
use crate::auth::{Auth, Error};
use crate::domain_name::readable_address;
use crate::token::Token;
use crate::users::link::Purpose;
use crate::users::{Email, Password};
use crate::web::extract::Authenticated;
use crate::web::extract::body;
use crate::web::extract::client::ClientInfo;
use crate::web::extract::rate::WithinLoginRate;
use crate::web::problem::Problem;
use crate::web::schemas;

/// `POST /auth/password/forgot`, `POST /auth/email/resend`
#[derive(Deserialize, ToSchema)]
pub struct LinkRequest {
    #[schema(schema_with = schemas::email)]
    email: String,
}

/// `POST /auth/password/reset`
// No Debug: it holds a token and a password.
#[derive(Deserialize, ToSchema)]
pub struct ResetRequest {
    /// From the link's fragment.
    token: String,
    #[schema(schema_with = schemas::new_password)]
    password: String,
}

/// The account that a mailed link belongs to.
#[derive(Serialize, ToSchema)]
pub struct LinkResponse {
    name: String,
    /// The address, with its domain in Unicode unless that could be mistaken for another one.
    email: String,
}

/// `POST /auth/email/verify`, `POST /auth/email/confirm`, `POST /auth/link`
// No Debug: it holds a token.
#[derive(Deserialize, ToSchema)]
pub struct VerifyRequest {
    /// From the link's fragment.
    pub(super) token: String,
}

/// `POST /auth/password/change`
// No Debug: it holds passwords.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRequest {
    #[schema(schema_with = schemas::typed_password)]
    current_password: String,
    #[schema(schema_with = schemas::new_password)]
    new_password: String,
}

/// Mails a link to choose a new password, if the address has an account.
#[utoipa::path(
    post, path = "/auth/password/forgot", tag = "account", operation_id = "forgot_password",
    request_body = LinkRequest,
    responses(
        (status = 202, description = "The same answer for every address", body = Success),
        (status = 404, description = "`no_mail`: this server sends none"),
        WithinLoginRate,
    ),
)]
pub async fn forgot(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<HttpResponse, Problem> {
    request_link(&request, payload, &auth, client, Purpose::PasswordReset).await
}

/// Mails a link to verify the address, if it has an account and is not verified.
#[utoipa::path(
    post, path = "/auth/email/resend", tag = "account", operation_id = "resend_verification",
    request_body = LinkRequest,
    responses(
        (status = 202, description = "The same answer for every address", body = Success),
        (status = 404, description = "`no_mail`: this server sends none"),
        WithinLoginRate,
    ),
)]
pub async fn resend(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<HttpResponse, Problem> {
    request_link(&request, payload, &auth, client, Purpose::Verification).await
}

/// Answers 202 for every address.
async fn request_link(
    request: &HttpRequest,
    payload: Payload,
    auth: &Auth,
    client: ClientInfo,
    purpose: Purpose,
) -> Result<HttpResponse, Problem> {
    let body: LinkRequest = body::json(request, payload).await?;
    let email: Email = body
        .email
        .parse()
        .map_err(|error| Problem::refused(&error).in_field("email"))?;
    auth.request_link(email, purpose, client.0).await?;
    Ok(HttpResponse::Accepted().json(Success::NOW))
}

/// Sets a password by a mailed link. Does not sign in.
#[utoipa::path(
    post, path = "/auth/password/reset", tag = "account", operation_id = "reset_password",
    request_body = ResetRequest,
    responses(
        (status = 200, body = Success),
        (status = 400, description = "`link_invalid`, `password_refused` with the reason, or `bad_request`"),
        WithinLoginRate,
    ),
)]
pub async fn reset(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<Success>, Problem> {
    let body: ResetRequest = body::json(&request, payload).await?;
    let changed = auth.reset_password(link(&body.token)?, body.password, client.0);
    changed.await.map_err(|error| refused_in("password", error))?;
    Ok(Json(Success::NOW))
}

/// Shows which account a mailed link belongs to, without using the link up.
#[utoipa::path(
    post, path = "/auth/link", tag = "account", operation_id = "look_at_link",
    request_body = VerifyRequest,
    responses(
        (status = 200, body = LinkResponse),
        (status = 400, description = "`link_invalid`, or `bad_request`"),
        WithinLoginRate,
    ),
)]
pub async fn look_at_link(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<Json<LinkResponse>, Problem> {
    let body: VerifyRequest = body::json(&request, payload).await?;
    let link = auth.look_at_link(link(&body.token)?).await?;
    Ok(Json(LinkResponse {
        name: link.user.name,
        email: readable_address(&link.email).into_owned(),
    }))
}

/// Verifies an address by a mailed link.
#[utoipa::path(
    post, path = "/auth/email/verify", tag = "account", operation_id = "verify_email",
    request_body = VerifyRequest,
    responses(
        (status = 200, body = Success),
        (status = 400, description = "`link_invalid`, or `bad_request`"),
        WithinLoginRate,
    ),
)]
pub async fn verify(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<Success>, Problem> {
    let body: VerifyRequest = body::json(&request, payload).await?;
    auth.verify_by_link(link(&body.token)?, client.0).await?;
    Ok(Json(Success::NOW))
}

/// Changes the caller's own password, and ends their session.
#[utoipa::path(
    post, path = "/auth/password/change", tag = "account", operation_id = "change_password",
    request_body = ChangeRequest,
    responses(
        Authenticated,
        WithinLoginRate,
        (status = 200, body = Success),
        (status = 400, description = "`password_refused` with the reason, or `bad_request`"),
        (
            status = 403,
            description = "`wrong_password`: the current one; too many of them, and it is `account_locked`",
            headers(("Retry-After" = i64, description = "With a lock: when it ends, in seconds")),
        ),
    ),
)]
pub async fn change(
    caller: Authenticated,
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<Json<Success>, Problem> {
    let body: ChangeRequest = body::json(&request, payload).await?;
    let current = Password::typed(&body.current_password)
        .map_err(|error| Problem::refused(&error).in_field("currentPassword"))?;
    let changed = auth.change_password(caller.holder(), current, body.new_password);
    match changed.await {
        Ok(()) => Ok(Json(Success::NOW)),
        Err(error @ Error::PasswordRefused(_)) => Err(refused_in("newPassword", error)),
        Err(error) => {
            Err(Problem::after_a_password(error, &auth, Email::stored(&caller.seat.user.email)).await)
        }
    }
}

/// The problem for this error. It names the field of the new password if that was refused.
fn refused_in(field: &'static str, error: Error) -> Problem {
    match error {
        Error::PasswordRefused(_) => Problem::from(error).in_field(field),
        error => error.into(),
    }
}

/// Parses the token of a mailed link.
///
/// # Errors
/// `link_invalid` for a text that no link has: it was copied in part, or changed on the way.
pub(super) fn link(token: &str) -> Result<Token, Problem> {
    Token::parse(token.as_bytes()).ok_or_else(|| {
        Problem::from(Error::LinkInvalid).saying(
            "This link is incomplete or was changed on the way: open it from the mail again, or copy all of it.",
        )
    })
}
