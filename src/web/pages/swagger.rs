//! Swagger UI: the description of the API to read and to try. Its files are in the program.

use std::sync::{Arc, LazyLock};

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use utoipa_swagger_ui::{Config, serve};

use crate::web::problem::Problem;

/// As strict as everywhere but for the arrows and locks, which its stylesheet brings along as `data:` images.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What the page is made of; what else comes with it is for other ways to sign in and to build.
const FILES: [&str; 7] = [
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// No validator of another host, no other document by a query, and nothing kept: a token that is typed in is gone with the page.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let config = Config::from("/openapi.json")
        .use_base_layout()
        .query_config_enabled(false)
        .validator_url("none")
        .persist_authorization(false)
        .with_credentials(false);
    Arc::new(config)
});

/// The names of its files are relative to a directory.
pub(in crate::web) async fn without_slash() -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/docs/api/"))
        .finish()
}

/// The page.
pub(in crate::web) async fn page() -> Result<HttpResponse, Problem> {
    part("index.html")
}

/// A file of the page.
pub(in crate::web) async fn file(name: Path<String>) -> Result<HttpResponse, Problem> {
    let name = FILES.into_iter().find(|file| *file == name.as_str());
    part(name.ok_or_else(Problem::not_found)?)
}

fn part(name: &str) -> Result<HttpResponse, Problem> {
    let file = serve(name, CONFIG.clone())
        .ok()
        .flatten()
        .ok_or_else(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type(file.content_type)
        .body(file.bytes.into_owned()))
}
