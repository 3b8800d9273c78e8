//! The OpenAPI 3.1 description of the API, made from the code that answers.
//!
//! Each handler has its method, its path and its own answers above it; `web::routes` has them all;
//! [`answers`] adds the shared answers by rule. The schema-driven tester of `tests/schemathesis` fails when an
//! answer is not as described.

mod answers;
mod headers;
mod older;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

use super::{problem, schemas};
use answers::Shared;
use headers::OnEveryAnswer;

/// The name of the scheme by which a user authenticates in `Authorization`.
const SESSION_TOKEN: &str = "sessionToken";
/// The name of the scheme by which a service authenticates there.
const CLIENT_SECRET: &str = "clientSecret";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "oneseat",
        description = "One user, one seat. Signing in takes the seat; the session that held it is ended at \
            once, and its client is told why.\n\n\
            Bodies are JSON in camelCase, times RFC 3339 in UTC. Fields that are not described have no effect, or are refused where the schema \
            says so. Every error is a \
            problem (RFC 9457) with a stable `code`. GET is answered as HEAD, too, without the body, but for the event stream.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "session", description = "Signing in, signing out, and who am I"),
        (name = "account", description = "Passwords forgotten and changed, addresses verified"),
        (name = "service", description = "For proxies and services that ask whose token it is"),
        (name = "admin", description = "Everybody's sessions and accounts, for admins"),
        (name = "monitoring", description = "For load balancers, monitors and tools"),
    ),
    components(schemas(problem::Body))
)]
struct General;

/// The calls of a path, in every method that the API has.
fn calls(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut path.get,
        &mut path.post,
        &mut path.put,
        &mut path.patch,
        &mut path.delete,
    ]
    .into_iter()
    .flatten()
}

/// The security schemes.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut OpenApi) {
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

/// The schemas that several bodies refer to by name.
struct Named;

impl Modify for Named {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let codes = ("ProblemCode", problem::codes());
        for (name, schema) in schemas::named().into_iter().chain([codes]) {
            components.schemas.insert(name.to_owned(), schema.into());
        }
    }
}

/// The description, ready to be sent.
pub(in crate::web) struct Description {
    /// OpenAPI 3.1.
    pub(in crate::web) current: String,
    /// OpenAPI 3.0.
    pub(in crate::web) older: String,
}

/// Makes the documents of these calls.
pub(in crate::web) fn describe(calls: impl Iterator<Item = OpenApi>) -> Description {
    let mut document = General::openapi();
    calls.for_each(|call| document.merge(call));
    let modifiers: [&dyn Modify; 4] = [&Keys, &Named, &Shared, &OnEveryAnswer];
    for modifier in modifiers {
        modifier.modify(&mut document);
    }
    let json = serde_json::to_value(&document).unwrap_or_default();
    Description {
        current: json.to_string(),
        older: older::without_3_1(json).to_string(),
    }
}

/// The documents. They are made when one is first asked for.
pub(in crate::web) struct Documents(pub(in crate::web) fn() -> &'static Description);

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "monitoring",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
pub(in crate::web) async fn openapi(documents: Data<Documents>) -> HttpResponse {
    sent(&(documents.0)().current)
}

/// This description for tools that do not read OpenAPI 3.1.
///
/// It says the same, but for what 3.0 cannot say: words beside a reference are left out, and lines of JSON are bytes.
#[utoipa::path(
    get, path = "/openapi-3.0.json", tag = "monitoring", operation_id = "openapi_3_0",
    responses((status = 200, description = "OpenAPI 3.0", body = Object, content_type = "application/json")),
)]
pub(in crate::web) async fn openapi_3_0(documents: Data<Documents>) -> HttpResponse {
    sent(&(documents.0)().older)
}

fn sent(document: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type("application/json")
        .body(document)
}
