//! Swagger UI, to read and to try the API. Its files are in the program.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{self, ContentEncoding, HeaderValue};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use flate2::read::GzDecoder;
use utoipa_swagger_ui::{Config, serve};

use super::to;
use crate::web::compression;
use crate::web::problem::Problem;
use crate::web::static_files::{File, Keep};

/// As strict as elsewhere, except for the arrows and locks that its stylesheet holds as `data:` images.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const PAGE: &str = "index.html";

/// The files of the page. The package's other files are for other ways to sign in and to build.
const FILES: [&str; 7] = [
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// What is written behind a file of the package: for narrow screens, and for dark ones.
const ADDITIONS: [(&str, &str); 2] = [
    ("index.css", include_str!("swagger.css")),
    ("swagger-initializer.js", include_str!("swagger.js")),
];

/// A phone would show the page as wide as that of a desk, and small.
const VIEWPORT: &str = "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

static PARTS: LazyLock<HashMap<&str, File>> = LazyLock::new(|| {
    // No validator of another host, no other document by a query, and nothing stored: a token is gone with
    // the page.
    let config = Config::from("/openapi.json")
        .use_base_layout()
        .query_config_enabled(false)
        .validator_url("none")
        .persist_authorization(false)
        .with_credentials(false);
    let config = Arc::new(config);
    let part = |name| {
        let file = serve(name, config.clone()).ok()??;
        let bytes = match file.bytes {
            Cow::Borrowed(carried) => Bytes::from_static(carried),
            Cow::Owned(written) => written.into(),
        };
        if !file.gzpipped {
            return Some((name, File::of(with_ours(name, bytes))));
        }
        let mut content = Vec::new();
        GzDecoder::new(&*bytes).read_to_end(&mut content).ok()?;
        if is_changed(name) {
            let content = with_ours(name, content.into());
            let compressed = compression::gzip(&content).ok()?;
            return Some((name, File::of(content).with(ContentEncoding::Gzip, compressed)));
        }
        Some((name, File::of(content).with(ContentEncoding::Gzip, bytes)))
    };
    FILES.into_iter().chain([PAGE]).filter_map(part).collect()
});

fn is_changed(name: &str) -> bool {
    name == PAGE || ADDITIONS.iter().any(|(file, _)| *file == name)
}

/// A file of the package, with what is ours in it.
fn with_ours(name: &str, bytes: Bytes) -> Bytes {
    let added = ADDITIONS.iter().find(|(file, _)| *file == name);
    match (std::str::from_utf8(&bytes), added) {
        (Ok(text), Some((_, more))) => format!("{text}\n{more}").into(),
        (Ok(text), None) if name == PAGE => text.replacen("<head>", &format!("<head>{VIEWPORT}"), 1).into(),
        _ => bytes,
    }
}

/// Redirects to the directory: the page names its files relative to it. It is all that there is below `/docs`.
pub(in crate::web) async fn without_slash() -> HttpResponse {
    to("/docs/api/")
}

/// Answers with the page.
pub(in crate::web) async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    part(&request, PAGE)
}

/// Answers with a file of the page.
pub(in crate::web) async fn file(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, Problem> {
    let name = FILES.into_iter().find(|file| *file == name.as_str());
    part(&request, name.ok_or_else(Problem::not_found)?)
}

fn part(request: &HttpRequest, name: &str) -> Result<HttpResponse, Problem> {
    let file = PARTS.get(name).ok_or_else(Problem::internal)?;
    let mut answer = file.answer(request, name, Keep::AndAsk);
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    answer
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(answer)
}
