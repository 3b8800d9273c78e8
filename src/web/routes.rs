//! The whole URL map: every handler, by who may call it.
//!
//! A handler for programs has its method and path above it, with its words for `/openapi.json`
//! (`#[utoipa::path]`). A page for people is not described, and has its path here.

use std::path::Path;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use utoipa::OpenApi;
use utoipa::openapi::{OpenApi as Described, PathItem};

use crate::web::middleware::panics;
use crate::web::openapi::Document;
use crate::web::problem::Problem;
use crate::web::static_files::{self, StaticFiles};
use crate::web::{api, openapi, pages};

/// One method of one path.
pub(in crate::web) struct Entry {
    methods: Vec<Method>,
    path: String,
    route: Route,
    description: Option<fn() -> Described>,
}

/// The entry of a handler for programs.
macro_rules! call {
    ($($handler:ident)::+) => {{
        #[derive(OpenApi)]
        #[openapi(paths($($handler)::+))]
        struct Description;
        let (method, path) = place(&Description::openapi());
        Entry {
            description: Some(Description::openapi),
            ..entry(method, path, $($handler)::+)
        }
    }};
}

fn map() -> Vec<Entry> {
    vec![
        // Signed in only: `Authenticated` or `SignedIn` in the handler's signature. The first are asked for
        // most, and found first.
        call!(api::auth::session),
        call!(api::forward::verify),
        call!(api::events::events).without_head(),
        call!(api::auth::logout),
        call!(api::auth::history),
        call!(api::account::change),
        page("/dashboard", pages::dashboard::dashboard),
        // Services only, each with a secret of its own.
        call!(api::introspect::introspect),
        // Open to everybody.
        call!(api::health::healthz),
        call!(api::health::readyz),
        call!(openapi::openapi),
        call!(api::auth::login),
        call!(api::account::forgot),
        call!(api::account::reset),
        call!(api::account::resend),
        call!(api::account::verify),
        page("/", pages::login::root),
        page("/login", pages::login::login),
        page("/forgot", pages::account::forgot),
        page("/reset", pages::account::reset),
        page("/welcome", pages::account::welcome),
        page("/verify", pages::account::verify),
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
        call!(api::users::disable),
        call!(api::users::enable),
        call!(api::users::send_password_link),
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

/// What the calls say of themselves, put together. It stays the same for as long as the program runs.
fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let entries = map().into_iter();
        openapi::document(entries.filter_map(|entry| Some(entry.description?())))
    });
    &DOCUMENT
}

pub(in crate::web) fn configure(app: &mut web::ServiceConfig, static_dir: Option<&Path>) {
    app.app_data(web::Data::new(StaticFiles::new(static_dir)))
        .app_data(web::Data::new(Document(document)));
    let files = ["/static/{version:[0-9a-f]{16}}/{name:.*}", "/static/{name:.*}"];
    mount(app, map());
    mount(app, files.map(|path| page(path, static_files::file)).into());
    app.default_service(web::to(|| async { Err::<&str, _>(Problem::not_found()) }));
}

/// Adds one resource for each path.
pub(in crate::web) fn mount(app: &mut web::ServiceConfig, entries: Vec<Entry>) {
    let mut resources: Vec<(String, Vec<Entry>)> = Vec::new();
    for entry in entries {
        match resources.iter_mut().find(|(path, _)| *path == entry.path) {
            Some((_, entries)) => entries.push(entry),
            None => resources.push((entry.path.clone(), vec![entry])),
        }
    }
    for (path, entries) in resources {
        let allow = allow(&entries);
        // Metrics know a resource by its name.
        let mut resource = web::resource(&path).name(&path);
        for Entry { methods, route, .. } in entries {
            let is_one = move |request: &guard::GuardContext<'_>| methods.contains(&request.head().method);
            resource = resource.route(route.guard(guard::fn_guard(is_one)));
        }
        let resource = resource.default_service(web::to(move || {
            let problem = Problem::method_not_allowed(allow.clone());
            async move { Err::<&str, _>(problem) }
        }));
        app.service(resource.wrap_fn(panics::a_panic_is_a_problem));
    }
}

/// The one method and path that are described.
fn place(described: &Described) -> (Method, String) {
    let method = |item: &PathItem| match item {
        PathItem { post: Some(_), .. } => Method::POST,
        PathItem { delete: Some(_), .. } => Method::DELETE,
        PathItem { get: Some(_), .. } => Method::GET,
        _ => unreachable!("a call is described with GET, POST or DELETE"),
    };
    let mut paths = described.paths.paths.iter();
    let place = paths.next().map(|(path, item)| (method(item), path.clone()));
    place.unwrap_or_default()
}

impl Entry {
    /// HEAD makes no sense for an answer without an end.
    fn without_head(mut self) -> Self {
        self.methods.retain(|method| *method != Method::HEAD);
        self
    }
}

/// A handler that answers people.
fn page<F, Args>(path: &str, handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    entry(Method::GET, path, handler)
}

/// A handler of one method. That of GET is asked by HEAD, too, and its body left out (RFC 9110 9.3.2).
pub(in crate::web) fn entry<F, Args>(method: Method, path: impl Into<String>, handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let head = (method == Method::GET).then_some(Method::HEAD);
    Entry {
        methods: [method].into_iter().chain(head).collect(),
        path: path.into(),
        route: web::to(handler),
        description: None,
    }
}

/// The value of `Allow` (RFC 9110 10.2.1).
fn allow(entries: &[Entry]) -> HeaderValue {
    let methods = entries.iter().flat_map(|entry| &entry.methods);
    let methods: Vec<&str> = methods.map(Method::as_str).collect();
    HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
