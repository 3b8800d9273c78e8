//! The metadata by which programs discover this server (RFC 8414).

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::problem::Problem;

/// The origin at which users and services reach this server (`--public-url`), if it is configured.
pub struct PublicUrl(pub Option<String>);

/// The metadata of an authorization server that introspects tokens and grants none (RFC 8414 2).
#[derive(Serialize, ToSchema)]
pub struct AuthorizationServer {
    issuer: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// None: tokens come from `POST /auth/login`, not from a grant.
    response_types_supported: [&'static str; 0],
    /// None, as above.
    grant_types_supported: [&'static str; 0],
}

/// Tells where and how services introspect tokens.
///
/// RFC 8414. Only where `--public-url` is set: a client compares the issuer with the address that it asked.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "service", operation_id = "authorization_server",
    responses(
        (status = 200, body = AuthorizationServer),
        (status = 404, description = "`not_found`: this server was not told its public address"),
    ),
)]
pub async fn authorization_server(public_url: Data<PublicUrl>) -> Result<Json<AuthorizationServer>, Problem> {
    let issuer = public_url.0.clone().ok_or_else(Problem::not_found)?;
    Ok(Json(AuthorizationServer {
        introspection_endpoint: format!("{issuer}/auth/introspect"),
        issuer,
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        response_types_supported: [],
        grant_types_supported: [],
    }))
}
