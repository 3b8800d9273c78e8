//! Forward authentication: a proxy asks here before it lets a request through (nginx `auth_request`, Traefik
//! `ForwardAuth`, Caddy `forward_auth`; HAProxy and Apache with some Lua). See docs/forward-auth.md.

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::auth::audit;
use crate::users::Role;
use crate::web::api::identity::{Identity, mimicked};
use crate::web::extract::client::ClientInfo;
use crate::web::extract::query::query;
use crate::web::extract::{self, Admin, Authenticated};
use crate::web::problem::Problem;
use crate::web::schemas;

/// `GET /auth/verify`: the role that the request needs, if any. A misspelt parameter must not count as none.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct VerifyQuery {
    #[param(schema_with = schemas::needed_role)]
    role: Option<String>,
}

/// Lets a request through, or not.
///
/// 200 with the user in headers that applications know; 401 without a live session, 403 without the role
/// asked for, 400 if the request brings such headers of its own, in any spelling, or names them in
/// `Connection`. Counts as activity. A refusal repeats its body in the header `Oneseat-Problem`, for proxies
/// that drop the body.
#[utoipa::path(
    get, path = "/auth/verify", tag = "service", operation_id = "forward_auth",
    params(VerifyQuery),
    responses(
        (status = 200, description = "Whose session it is", headers(
            ("Remote-User" = String, description = "The user's address of mail"),
            ("Remote-Email" = String, description = "The same"),
            ("Remote-Name" = String, description = "The user's name, in UTF-8"),
            ("Remote-Groups" = String, description = "The user's role"),
        )),
        Admin,
    ),
)]
pub async fn verify(
    caller: Result<Authenticated, Problem>,
    request: HttpRequest,
    client: ClientInfo,
) -> HttpResponse {
    let decided = async { let_through(caller?, &request, &client).await };
    decided.await.unwrap_or_else(|problem| problem.also_in_a_header())
}

async fn let_through(
    caller: Authenticated,
    request: &HttpRequest,
    client: &ClientInfo,
) -> Result<HttpResponse, Problem> {
    let user = caller.seat.user;
    let query: VerifyQuery = query(request, "The query takes role, once, and nothing else")?;
    if let Some(role) = &query.role {
        let needed: Role = role
            .parse()
            .map_err(|words: String| Problem::bad_request(format!("role {words}")).in_field("role"))?;
        if needed == Role::Admin && user.role != Role::Admin {
            audit::forbidden(user.id, &extract::resource(request), &client.0);
            extract::auth(request)?.wait_out_leases().await?;
            return Err(Problem::forbidden());
        }
    }
    let identity = Identity::of(&user);
    let headers = request.headers();
    if let Some(header) = identity.claimed_otherwise(headers).or_else(|| mimicked(headers)) {
        audit::identity_claimed(user.id, header, &client.0);
        return Err(Problem::bad_request(format!(
            "The request itself has the header {header}, or one that some programs take for it. Only the proxy may set it \
             (see docs/forward-auth.md)"
        )));
    }
    let mut answer = HttpResponse::Ok();
    for header in identity.into_headers() {
        answer.insert_header(header);
    }
    Ok(answer.finish())
}
