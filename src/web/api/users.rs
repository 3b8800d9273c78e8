//! Accounts, for admins.

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::admin::parsed;
use super::views::{AccountView, UserView};
use crate::auth::accounts::Invitation;
use crate::auth::changes::Changes;
use crate::auth::lists::List;
use crate::auth::{Auth, Error, LastAdmin};
use crate::users::{Email, Name, NotAName, Role};
use crate::web::extract::Admin;
use crate::web::extract::body;
use crate::web::extract::list_query::{BesideUser, ListQuery};
use crate::web::problem::Problem;
use crate::web::schemas;

/// One page of accounts.
#[derive(Serialize, ToSchema)]
pub struct UserPage {
    users: Vec<AccountView>,
    total: i64,
    /// How many were made since the first page; they stand before it.
    newer: i64,
    /// The `before` of the previous page; null on the first.
    #[schema(required)]
    previous: Option<String>,
    #[schema(required)]
    next: Option<String>,
}

/// `POST /api/admin/users`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    #[schema(schema_with = schemas::email)]
    email: String,
    #[schema(schema_with = schemas::name)]
    name: String,
    #[schema(schema_with = schemas::optional_role, required = false)]
    #[serde(default = "usual_role")]
    role: String,
}

/// Fails if this server sends no mail. The problem tells an admin what to do: `instead`, or configure mail.
pub(super) fn needs_mail(auth: &Auth, instead: &str) -> Result<(), Problem> {
    let settings = "or start it with --smtp-url, --mail-from and --public-url";
    auth.needs_mail()
        .map_err(|_| Problem::no_mail(&format!("{instead}, {settings}.")))
}

fn usual_role() -> String {
    Role::User.as_str().to_owned()
}

/// `PATCH /api/admin/users/{id}`: at least one field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct UserChanges {
    #[schema(schema_with = schemas::name, required = false)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[schema(schema_with = schemas::role, required = false)]
    #[serde(default, deserialize_with = "given")]
    role: Option<String>,
}

/// Reads a field that is present. It must be a text, not null.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

impl UserChanges {
    fn understood(self) -> Result<Changes, Problem> {
        if self.name.is_none() && self.role.is_none() {
            return Err(Problem::bad_request("Say what is to change: name, role or both"));
        }
        Ok(Changes {
            name: self.name.as_deref().map(name).transpose()?,
            role: self.role.as_deref().map(role).transpose()?,
        })
    }
}

fn name(text: &str) -> Result<Name, Problem> {
    text.parse()
        .map_err(|error: NotAName| Problem::refused(&error).in_field("name"))
}

fn role(word: &str) -> Result<Role, Problem> {
    word.parse()
        .map_err(|words: String| Problem::bad_request(format!("Role {words}")).in_field("role"))
}

/// Lists accounts, the newest first.
#[utoipa::path(
    get, path = "/api/admin/users", tag = "admin", operation_id = "list_users",
    params(ListQuery, BesideUser),
    responses((status = 200, body = UserPage), Admin),
)]
pub async fn list(_: Admin, auth: Data<Auth>, request: HttpRequest) -> Result<Json<UserPage>, Problem> {
    let list = ListQuery::strict(&request, List::Users)?;
    let found = auth.find_accounts(list.search, list.position, list.limit).await?;
    Ok(Json(UserPage {
        users: found.page.rows.into_iter().map(Into::into).collect(),
        total: found.total,
        newer: found.newer,
        previous: found.page.previous.map(|cursor| cursor.to_string()),
        next: found.page.next.map(|cursor| cursor.to_string()),
    }))
}

/// Makes an account and mails its user a link to choose a password.
#[utoipa::path(
    post, path = "/api/admin/users", tag = "admin", operation_id = "invite_user",
    request_body = InviteRequest,
    responses(
        (status = 201, body = UserView),
        (status = 404, description = "`no_mail`: this server sends none"),
        (status = 409, description = "`email_taken`: somebody has the address already"),
        Admin,
    ),
)]
pub async fn invite(
    admin: Admin,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<HttpResponse, Problem> {
    let body: InviteRequest = body::json(&request, payload).await?;
    let invitation = Invitation {
        email: Email::of_new_account(&body.email)
            .map_err(|error| Problem::refused(&error).in_field("email"))?,
        name: name(&body.name)?,
        role: role(&body.role)?,
    };
    needs_mail(&auth, "Add the user with `oneseat user add` on the server")?;
    let user = auth.invite(invitation, admin.authority()).await?;
    Ok(HttpResponse::Created().json(UserView::from(user)))
}

/// Shows one account, as the list does.
#[utoipa::path(
    get, path = "/api/admin/users/{id}", tag = "admin", operation_id = "get_user",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = AccountView), Admin),
)]
pub(in crate::web) async fn get(
    _: Admin,
    auth: Data<Auth>,
    user: Path<String>,
) -> Result<Json<AccountView>, Problem> {
    Ok(Json(auth.account(parsed(&user)?).await?.into()))
}

/// Gives a user another name or another role.
///
/// A role holds at once, at every instance. The session goes on.
#[utoipa::path(
    patch, path = "/api/admin/users/{id}", tag = "admin", operation_id = "change_user",
    params(("id" = Uuid, Path)),
    request_body = UserChanges,
    responses(
        (status = 200, body = AccountView),
        (status = 409, description = "`own_account`: your own role; `last_admin`: nobody else could administer"),
        Admin,
    ),
)]
pub(in crate::web) async fn change(
    admin: Admin,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    user: Path<String>,
) -> Result<Json<AccountView>, Problem> {
    let id = parsed(&user)?;
    let body: UserChanges = body::json(&request, payload).await?;
    let changed = auth.change_user(id, body.understood()?, admin.authority(), LastAdmin::Stays);
    Ok(Json(changed.await?.into()))
}

/// Deletes the account, and ends the session.
///
/// Past sessions are kept as long as others, without the user.
#[utoipa::path(
    delete, path = "/api/admin/users/{id}", tag = "admin", operation_id = "remove_user",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = 409, description = "`own_account`: your own; `last_admin`: nobody else could administer"),
        Admin,
    ),
)]
pub async fn remove(admin: Admin, auth: Data<Auth>, user: Path<String>) -> Result<HttpResponse, Problem> {
    auth.remove_user(parsed(&user)?, admin.authority(), LastAdmin::Stays)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Forbids signing in, and ends the session.
#[utoipa::path(
    post, path = "/api/admin/users/{id}/disable", tag = "admin", operation_id = "disable_user",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = 409, description = "`own_account`: your own; `last_admin`: nobody else could administer"),
        Admin,
    ),
)]
pub async fn disable(admin: Admin, auth: Data<Auth>, user: Path<String>) -> Result<HttpResponse, Problem> {
    auth.disable(parsed(&user)?, admin.authority(), LastAdmin::Stays)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Allows signing in again.
#[utoipa::path(
    post, path = "/api/admin/users/{id}/enable", tag = "admin", operation_id = "enable_user",
    params(("id" = Uuid, Path)),
    responses((status = 204), Admin),
)]
pub async fn enable(admin: Admin, auth: Data<Auth>, user: Path<String>) -> Result<HttpResponse, Problem> {
    auth.enable(parsed(&user)?, admin.authority()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Mails a link to choose a new password, or the first one.
#[utoipa::path(
    post, path = "/api/admin/users/{id}/password-link", tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = 404, description = "`not_found`, or `no_mail`: this server sends none"),
        (status = 409, description = "`account_disabled`: nobody who may not sign in is sent a link"),
        Admin,
    ),
)]
pub async fn send_password_link(
    admin: Admin,
    auth: Data<Auth>,
    user: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = parsed(&user)?;
    needs_mail(&auth, "Set a password with `oneseat user password` on the server")?;
    let asked = auth.send_password_link(id, admin.authority()).await;
    asked.map_err(|error| match error {
        Error::AccountDisabled => Problem::account_disabled(),
        error => error.into(),
    })?;
    Ok(HttpResponse::NoContent().finish())
}
