//! The OpenAPI 3.1 description of the API, made from the code that answers.
//!
//! Each handler names its own answers; [`answers`] adds the shared ones by rule. `tests/it/openapi.rs` fails
//! when a route is missing, and the schema-driven tester of `tests/schemathesis` when an answer is not as
//! described.

mod answers;
mod headers;
pub(in crate::web) mod schemas;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::api::{account, admin, auth, events, forward, health, introspect, users};
use super::problem;
use answers::Shared;
use headers::OnEveryAnswer;

/// The name of the scheme by which a user authenticates in `Authorization`.
const SESSION_TOKEN: &str = "sessionToken";
/// The name of the scheme by which a service authenticates there.
const CLIENT_SECRET: &str = "clientSecret";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "oneseat",
        description = "One user, one seat. Signing in takes the seat; the session that held it is ended at \
            once, and its client is told why.\n\n\
            Bodies are JSON in camelCase, times RFC 3339 in UTC. Fields that are not described have no effect. Every error is a \
            problem (RFC 9457) with a stable `code`. GET is answered as HEAD, too, without the body.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "session", description = "Signing in, signing out, and who am I"),
        (name = "account", description = "Passwords forgotten and changed, addresses verified"),
        (name = "service", description = "For proxies and services that ask whose token it is"),
        (name = "admin", description = "Everybody's sessions and accounts, for admins"),
        (name = "monitoring", description = "For load balancers, monitors and tools"),
    ),
    paths(
        auth::login,
        auth::logout,
        auth::session,
        auth::history,
        events::events,
        account::forgot,
        account::reset,
        account::change,
        account::resend,
        account::verify,
        forward::verify,
        introspect::introspect,
        admin::sessions,
        admin::end_others,
        admin::end_session,
        admin::end_session_of,
        admin::unlock,
        admin::history,
        users::list,
        users::invite,
        users::disable,
        users::enable,
        users::send_password_link,
        health::healthz,
        health::readyz,
        openapi,
    ),
    components(schemas(problem::Body)),
    modifiers(&Keys, &Shared, &OnEveryAnswer)
)]
struct Description;

/// The security schemes.
struct Keys;

impl utoipa::Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, scheme, words) in [
            (
                SESSION_TOKEN,
                HttpAuthScheme::Bearer,
                "The token that signing in gives.",
            ),
            (
                CLIENT_SECRET,
                HttpAuthScheme::Basic,
                "Id and secret of a service, from `oneseat client add`.",
            ),
        ] {
            let http = HttpBuilder::new().scheme(scheme).description(Some(words));
            components.add_security_scheme(name, SecurityScheme::Http(http.build()));
        }
    }
}

/// The document as it is sent. It stays the same for as long as the program runs.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| Description::openapi().to_json().unwrap_or_default());

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "monitoring",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type("application/json")
        .body(DOCUMENT.as_str())
}
