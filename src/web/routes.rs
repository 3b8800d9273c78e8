//! The whole URL map.

use std::path::Path;

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};

use crate::web::problem::Problem;
use crate::web::static_files::{self, StaticFiles};
use crate::web::{api, openapi, pages};

/// One method of one path.
type Entry = (Method, For, Route);

/// Who reads the answer of a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// Programs: each is described in `/openapi.json`.
    Programs,
    /// People.
    People,
}

fn map() -> Vec<(&'static str, Vec<Entry>)> {
    vec![
        // Open to everybody.
        ("/healthz", vec![get(api::health::healthz)]),
        ("/readyz", vec![get(api::health::readyz)]),
        ("/openapi.json", vec![get(openapi::openapi)]),
        ("/auth/login", vec![post(api::auth::login)]),
        ("/auth/password/forgot", vec![post(api::account::forgot)]),
        ("/auth/password/reset", vec![post(api::account::reset)]),
        ("/auth/email/resend", vec![post(api::account::resend)]),
        ("/auth/email/verify", vec![post(api::account::verify)]),
        ("/", vec![page(pages::login::root)]),
        ("/login", vec![page(pages::login::login)]),
        ("/forgot", vec![page(pages::account::forgot)]),
        ("/reset", vec![page(pages::account::reset)]),
        ("/docs/api", vec![page(pages::swagger::without_slash)]),
        ("/docs/api/", vec![page(pages::swagger::page)]),
        ("/docs/api/{file}", vec![page(pages::swagger::file)]),
        ("/welcome", vec![page(pages::account::welcome)]),
        ("/verify", vec![page(pages::account::verify)]),
        // Signed in only: `Authenticated` or `SignedIn` in the handler's signature.
        ("/auth/logout", vec![post(api::auth::logout)]),
        ("/auth/session", vec![get(api::auth::session)]),
        ("/auth/verify", vec![get(api::forward::verify)]),
        ("/auth/session/events", vec![stream(api::events::events)]),
        ("/auth/history", vec![get(api::auth::history)]),
        ("/auth/password/change", vec![post(api::account::change)]),
        ("/dashboard", vec![page(pages::dashboard::dashboard)]),
        // Services only, each with a secret of its own.
        ("/auth/introspect", vec![post(api::introspect::introspect)]),
        // Admins only: `Admin` or `AdminPage` in the handler's signature.
        (
            "/api/admin/sessions",
            vec![get(api::admin::sessions), delete(api::admin::end_others)],
        ),
        ("/api/admin/sessions/{id}", vec![delete(api::admin::end_session)]),
        (
            "/api/admin/users/{id}/session",
            vec![delete(api::admin::end_session_of)],
        ),
        (
            "/api/admin/users",
            vec![get(api::users::list), post(api::users::invite)],
        ),
        ("/api/admin/users/{id}/disable", vec![post(api::users::disable)]),
        ("/api/admin/users/{id}/enable", vec![post(api::users::enable)]),
        (
            "/api/admin/users/{id}/password-link",
            vec![post(api::users::send_password_link)],
        ),
        ("/api/admin/users/{id}/lock", vec![delete(api::admin::unlock)]),
        ("/api/admin/history", vec![get(api::admin::history)]),
        ("/admin/sessions", vec![page(pages::admin::sessions)]),
        ("/admin/history", vec![page(pages::admin::history)]),
        ("/admin/users", vec![page(pages::users::users)]),
    ]
}

/// Every method and path of the map, for the test that tries each of them.
pub fn list() -> Vec<(Method, &'static str)> {
    listed(|_| true)
}

/// The methods and paths that are no pages, for the test that wants each of them described.
pub fn for_programs() -> Vec<(Method, &'static str)> {
    listed(|reader| reader == For::Programs)
}

fn listed(is_wanted: impl Fn(For) -> bool) -> Vec<(Method, &'static str)> {
    let mut listed = Vec::new();
    for (path, entries) in map() {
        let wanted = entries.into_iter().filter(|(_, reader, _)| is_wanted(*reader));
        listed.extend(wanted.map(|(method, _, _)| (method, path)));
    }
    listed
}

pub(in crate::web) fn configure(app: &mut web::ServiceConfig, static_dir: Option<&Path>) {
    app.app_data(web::Data::new(StaticFiles::new(static_dir)));
    let files = ["/static/{version:[0-9a-f]{16}}/{name:.*}", "/static/{name:.*}"];
    let files = files.map(|path| (path, vec![get(static_files::file)]));
    for (path, entries) in map().into_iter().chain(files) {
        let allow = allow(&entries);
        let mut resource = web::resource(path);
        for (_, _, route) in entries {
            resource = resource.route(route);
        }
        app.service(resource.default_service(web::to(move || {
            let problem = Problem::method_not_allowed(allow.clone());
            async move { Err::<&str, _>(problem) }
        })));
    }
    app.default_service(web::to(|| async { Err::<&str, _>(Problem::not_found()) }));
}

/// A route for GET and, without the body, HEAD (RFC 9110 9.3.2).
fn get<F, Args>(handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = Route::new().guard(guard::Any(guard::Get()).or(guard::Head()));
    (Method::GET, For::Programs, route.to(handler))
}

/// A route for GET and HEAD that answers people.
fn page<F, Args>(handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let (method, _, route) = get(handler);
    (method, For::People, route)
}

/// A route for GET alone: HEAD makes no sense for an answer without an end.
fn stream<F, Args>(handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::GET, For::Programs, web::get().to(handler))
}

fn post<F, Args>(handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::POST, For::Programs, web::post().to(handler))
}

fn delete<F, Args>(handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::DELETE, For::Programs, web::delete().to(handler))
}

/// The value of `Allow` (RFC 9110 10.2.1).
fn allow(entries: &[Entry]) -> HeaderValue {
    let mut methods: Vec<&str> = Vec::new();
    for (method, _, _) in entries {
        methods.push(method.as_str());
        if *method == Method::GET {
            methods.push(Method::HEAD.as_str());
        }
    }
    HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
