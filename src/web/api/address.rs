//! Changes to the address and the name of an existing account.

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account::{VerifyRequest, link};
use super::admin::parsed;
use super::auth::Success;
use super::views::{AccountView, UserView};
use crate::auth::address::NewAddress;
use crate::auth::{Auth, Error, LastAdmin};
use crate::users::{Email, Password};
use crate::web::extract::client::ClientInfo;
use crate::web::extract::rate::WithinLoginRate;
use crate::web::extract::{Admin, Authenticated, body};
use crate::web::problem::Problem;
use crate::web::schemas;

/// `PATCH /auth/account`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    #[schema(schema_with = schemas::name)]
    name: String,
}

/// `POST /auth/email/change`
// No Debug: it holds a password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailChangeRequest {
    #[schema(schema_with = schemas::typed_password)]
    current_password: String,
    #[schema(schema_with = schemas::email)]
    email: String,
}

/// `PUT /api/admin/users/{id}/email`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailRequest {
    #[schema(schema_with = schemas::email)]
    email: String,
    /// Whether the address is known to be the user's. Otherwise they have to verify it before they sign in again.
    #[serde(default)]
    verified: bool,
}

/// Changes the caller's own name.
#[utoipa::path(
    patch, path = "/auth/account", tag = "account", operation_id = "change_account",
    request_body = AccountRequest,
    responses(Authenticated, WithinLoginRate, (status = 200, body = UserView)),
)]
pub(in crate::web) async fn rename(
    caller: Authenticated,
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<Json<UserView<'static>>, Problem> {
    let body: AccountRequest = body::json(&request, payload).await?;
    let name = body
        .name
        .parse()
        .map_err(|error| Problem::refused(&error).in_field("name"))?;
    let user = auth.rename_own(caller.holder(), name).await?;
    Ok(Json(user.into()))
}

/// Mails a link to another address that the caller wants, and a notice to the one that they have.
///
/// The address changes when the link is confirmed, within eight hours. A later request takes the place of this one. The
/// answer is the same whether or not the new address has an account.
#[utoipa::path(
    post, path = "/auth/email/change", tag = "account", operation_id = "request_email_change",
    request_body = EmailChangeRequest,
    responses(
        Authenticated,
        WithinLoginRate,
        (status = 202, description = "The same answer for every address", body = Success),
        (
            status = 403,
            description = "`wrong_password`: the current one; too many of them, and it is `account_locked`",
            headers(("Retry-After" = i64, description = "With a lock: when it ends, in seconds")),
        ),
        (status = 404, description = "`no_mail`: this server sends none"),
    ),
)]
pub async fn request_change(
    caller: Authenticated,
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<HttpResponse, Problem> {
    let body: EmailChangeRequest = body::json(&request, payload).await?;
    let current = Password::typed(&body.current_password)
        .map_err(|error| Problem::refused(&error).in_field("currentPassword"))?;
    let email = new_address(&body.email)?;
    match auth.request_email_change(caller.holder(), current, email).await {
        Ok(()) => Ok(HttpResponse::Accepted().json(Success::NOW)),
        Err(error) => {
            Err(Problem::after_a_password(error, &auth, Email::stored(&caller.seat.user.email)).await)
        }
    }
}

/// Withdraws the change of address that the caller has asked for, if one waits.
///
/// The answer has the caller's address, which is the new one if the link was used already.
#[utoipa::path(
    delete, path = "/auth/email/change", tag = "account", operation_id = "withdraw_email_change",
    responses(Authenticated, (status = 200, body = UserView)),
)]
pub(in crate::web) async fn withdraw_change(
    caller: Authenticated,
    auth: Data<Auth>,
) -> Result<Json<UserView<'static>>, Problem> {
    let user = auth.withdraw_email_change(caller.holder()).await?;
    Ok(Json(user.into()))
}

/// Gives an account the address to which a link was mailed.
///
/// Sign-ins take the new address from then on, and no longer the old one. A session goes on.
#[utoipa::path(
    post, path = "/auth/email/confirm", tag = "account", operation_id = "confirm_email_change",
    request_body = VerifyRequest,
    responses(
        (status = 200, body = Success),
        (status = 400, description = "`link_invalid`, or `bad_request`"),
        (status = 409, description = "`email_taken`: another account has got the address meanwhile"),
        WithinLoginRate,
    ),
)]
pub async fn confirm_change(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<Success>, Problem> {
    let body: VerifyRequest = body::json(&request, payload).await?;
    auth.confirm_email_change(link(&body.token)?, client.0).await?;
    Ok(Json(Success::NOW))
}

/// Gives a user another address at once.
///
/// Where mail is sent, the old address is told, and the new one gets a link to verify it, unless it is known to be the
/// user's or the account is disabled. Links to the old address end. A session goes on.
#[utoipa::path(
    put, path = "/api/admin/users/{id}/email", tag = "admin", operation_id = "set_email",
    params(("id" = Uuid, Path)),
    request_body = EmailRequest,
    responses(
        (status = 200, body = AccountView),
        (status = 409, description = "`email_taken`: somebody has the address already; `own_account`: your own; `last_admin`: nobody else could administer until it is verified"),
        Admin,
    ),
)]
pub(in crate::web) async fn set(
    admin: Admin,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    user: Path<String>,
) -> Result<Json<AccountView>, Problem> {
    let id = parsed(&user)?;
    let body: EmailRequest = body::json(&request, payload).await?;
    let new = NewAddress {
        email: new_address(&body.email)?,
        is_verified: body.verified,
        is_mailed: auth.sends_mail(),
    };
    let set = auth.set_email(id, new, admin.authority(), LastAdmin::Stays).await;
    let (account, _) = set.map_err(|error| match error {
        Error::OwnAccount => Problem::own_address(),
        error => error.into(),
    })?;
    Ok(Json(account.into()))
}

fn new_address(text: &str) -> Result<Email, Problem> {
    Email::of_new_account(text).map_err(|error| Problem::refused(&error).in_field("email"))
}
