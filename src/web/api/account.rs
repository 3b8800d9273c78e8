//! The way back in: passwords forgotten and changed, addresses verified.

use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::auth::SuccessResponse;
use crate::auth::recovery::Request;
use crate::auth::{Auth, Error};
use crate::token::Token;
use crate::users::{Email, Password};
use crate::web::body;
use crate::web::client::ClientInfo;
use crate::web::extract::Authenticated;
use crate::web::problem::Problem;
use crate::web::rate::WithinLoginRate;

/// `POST /auth/password/forgot`, `POST /auth/email/resend`
#[derive(Deserialize)]
pub struct LinkRequest {
    email: String,
}

/// `POST /auth/password/reset`. No Debug: it holds a token and a password.
#[derive(Deserialize)]
pub struct ResetRequest {
    token: String,
    password: String,
}

/// `POST /auth/email/verify`. No Debug: it holds a token.
#[derive(Deserialize)]
pub struct VerifyRequest {
    token: String,
}

/// `POST /auth/password/change`. No Debug: it holds passwords.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRequest {
    current_password: String,
    new_password: String,
}

/// Mails a link to choose a new password, if somebody has the address.
pub async fn forgot(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<HttpResponse, Problem> {
    request_link(&request, payload, &auth, client, Request::PasswordReset).await
}

/// Mails a link to verify the address, if somebody has it and it is not verified.
pub async fn resend(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<HttpResponse, Problem> {
    request_link(&request, payload, &auth, client, Request::Verification).await
}

/// 202, whoever asked for whomever.
async fn request_link(
    request: &HttpRequest,
    payload: Payload,
    auth: &Auth,
    client: ClientInfo,
    wanted: Request,
) -> Result<HttpResponse, Problem> {
    let body: LinkRequest = body::json(request, payload).await?;
    let email: Email = body
        .email
        .parse()
        .map_err(|error| Problem::refused("bad_request", &error))?;
    auth.request_link(email, wanted, client.0).await?;
    Ok(HttpResponse::Accepted().json(SuccessResponse::NOW))
}

/// Sets a password by a mailed link. Does not sign in.
pub async fn reset(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<SuccessResponse>, Problem> {
    let body: ResetRequest = body::json(&request, payload).await?;
    auth.reset_password(link(&body.token)?, body.password, client.0)
        .await?;
    Ok(Json(SuccessResponse::NOW))
}

/// Verifies an address by a mailed link.
pub async fn verify(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<SuccessResponse>, Problem> {
    let body: VerifyRequest = body::json(&request, payload).await?;
    auth.verify_by_link(link(&body.token)?, client.0).await?;
    Ok(Json(SuccessResponse::NOW))
}

/// Changes the caller's own password, and ends their session.
pub async fn change(
    seat: Authenticated,
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<SuccessResponse>, Problem> {
    let body: ChangeRequest = body::json(&request, payload).await?;
    let current =
        Password::typed(&body.current_password).map_err(|error| Problem::refused("bad_request", &error))?;
    auth.change_password(&seat.0, current, body.new_password, client.0)
        .await?;
    Ok(Json(SuccessResponse::NOW))
}

/// What cannot be a token is a link that nobody was sent.
fn link(token: &str) -> Result<Token, Error> {
    Token::parse(token.as_bytes()).ok_or(Error::LinkInvalid)
}
