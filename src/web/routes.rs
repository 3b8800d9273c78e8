//! The whole URL map: every handler, by who may call it.
//!
//! A handler for programs has its method and path above it, with its words for `/openapi.json`
//! (`#[utoipa::path]`). A page for people is not described, and has its path here.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::web::entry::{Entry, call, mount, page};
use crate::web::openapi::{Description, Documents};
use crate::web::problem::Problem;
use crate::web::static_files::{self, StaticFiles};
use crate::web::{api, openapi, pages, site};

/// One line for each handler. To add a route is to add a line here. The application data that handlers take beside
/// the request (the use cases, the trusted proxies) is set by [`http1`](crate::web::http1), where connections are
/// accepted.
fn map() -> Vec<Entry> {
    vec![
        // Signed in only: `Authenticated` or `SignedIn` in the handler's signature. Those that are called most
        // come first, because the first are found fastest.
        call!(api::auth::session),
        call!(api::forward::verify),
        call!(api::events::events).without_head(),
        call!(api::auth::logout),
        call!(api::auth::history),
        call!(api::account::change),
        call!(api::address::rename),
        call!(api::address::request_change),
        call!(api::address::withdraw_change),
        page("/dashboard", pages::dashboard::dashboard),
        // Services only, each with a secret of its own.
        call!(api::introspect::introspect),
        // Open to everybody.
        call!(api::health::healthz),
        call!(api::health::readyz),
        call!(openapi::openapi),
        call!(openapi::openapi_3_0),
        call!(api::metadata::authorization_server),
        call!(api::auth::login),
        call!(api::account::forgot),
        call!(api::account::look_at_link),
        call!(api::account::reset),
        call!(api::account::resend),
        call!(api::account::verify),
        call!(api::address::confirm_change),
        page("/", pages::login::root),
        page("/login", pages::login::login),
        page("/.well-known/change-password", pages::login::change_password),
        page("/forgot", pages::account::forgot),
        page("/reset", pages::account::reset),
        page("/welcome", pages::account::welcome),
        page("/verify", pages::account::verify),
        page("/email", pages::account::email),
        page("/docs", pages::swagger::without_slash),
        page("/docs/api", pages::swagger::without_slash),
        page("/docs/api/", pages::swagger::page),
        page("/docs/api/{file}", pages::swagger::file),
        // Admins only: `Admin` or `AdminPage` in the handler's signature.
        call!(api::admin::sessions),
        call!(api::admin::end_others),
        call!(api::admin::end_session),
        call!(api::admin::end_session_of),
        call!(api::admin::unlock),
        call!(api::admin::history),
        call!(api::users::list),
        call!(api::users::invite),
        call!(api::import::import),
        call!(api::users::get),
        call!(api::users::change),
        call!(api::users::remove),
        call!(api::users::disable),
        call!(api::users::enable),
        call!(api::users::send_password_link),
        call!(api::address::set),
        page("/admin", pages::login::admin),
        page("/admin/sessions", pages::admin::sessions),
        page("/admin/history", pages::admin::history),
        page("/admin/users", pages::users::users),
    ]
}

/// Every method and path of the map, for the test that tries each of them.
pub fn list() -> Vec<(Method, String)> {
    let method = |entry: &Entry| entry.methods.first().cloned().unwrap_or_default();
    let entries = map().into_iter();
    entries.map(|entry| (method(&entry), entry.path)).collect()
}

/// The description of all calls. It stays the same for as long as the program runs.
fn description() -> &'static Description {
    static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
        let entries = map().into_iter();
        openapi::describe(entries.filter_map(|entry| Some(entry.description?())))
    });
    &DESCRIPTION
}

/// Mounts the map, the files, and the answer for every other path.
pub(in crate::web) fn configure(app: &mut web::ServiceConfig, static_dir: Option<&Path>) {
    app.app_data(web::Data::new(StaticFiles::new(static_dir)))
        .app_data(web::Data::new(Documents(description)));
    let site_files = page("/site/{version:[0-9a-f]{16}}/{name}", site::file);
    let favicon = page("/favicon.ico", site::favicon);
    let robots = page("/robots.txt", site::robots);
    let files = ["/static/{version:[0-9a-f]{16}}/{name:.*}", "/static/{name:.*}"];
    mount(app, map());
    mount(app, vec![site_files, favicon, robots]);
    mount(app, files.map(|path| page(path, static_files::file)).into());
    app.default_service(web::to(elsewhere));
}

/// The answer for every other path: a page is found with slashes behind its path, too.
async fn elsewhere(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static PAGES: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let pages = map().into_iter().filter(|entry| entry.description.is_none());
        pages.map(|entry| entry.path).collect()
    });
    let asks = [Method::GET, Method::HEAD].contains(request.method());
    match request
        .path()
        .strip_suffix('/')
        .map(|path| path.trim_end_matches('/'))
    {
        Some(path) if asks && PAGES.contains(path) => Ok(pages::to(&match request.query_string() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        })),
        _ => Err(Problem::not_found()),
    }
}
