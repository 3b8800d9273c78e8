//! Entries of the URL map, and how they are mounted: one resource for each path, which knows its methods.

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use utoipa::openapi::{OpenApi as Described, PathItem};

use crate::web::middleware::panics;
use crate::web::problem::Problem;

/// One method of one path.
pub(in crate::web) struct Entry {
    pub(in crate::web) methods: Vec<Method>,
    pub(in crate::web) path: String,
    route: Route,
    pub(in crate::web) description: Option<fn() -> Described>,
}

/// The entry of a handler for programs. A macro, because utoipa's description of a handler can only be reached by
/// its name, in an attribute.
macro_rules! call {
    ($($handler:ident)::+) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($handler)::+))]
        struct Description;
        $crate::web::entry::described(<Description as utoipa::OpenApi>::openapi, $($handler)::+)
    }};
}

pub(in crate::web) use call;

impl Entry {
    /// Removes HEAD, which makes no sense for an answer without an end.
    pub(in crate::web) fn without_head(mut self) -> Self {
        self.methods.retain(|method| *method != Method::HEAD);
        self
    }
}

/// The entry of a handler for programs. Its method and path come from its description.
pub(in crate::web) fn described<F, Args>(description: fn() -> Described, handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let (method, path) = place(&description());
    Entry {
        description: Some(description),
        ..entry(method, path, handler)
    }
}

/// The entry of a page for people.
pub(in crate::web) fn page<F, Args>(path: &str, handler: F) -> Entry
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    entry(Method::GET, path, handler)
}

/// The entry of a handler of one method. A handler of GET answers HEAD, too, without the body (RFC 9110 9.3.2).
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

/// The one method and path of a description.
fn place(described: &Described) -> (Method, String) {
    let method = |item: &PathItem| match item {
        PathItem { post: Some(_), .. } => Method::POST,
        PathItem { put: Some(_), .. } => Method::PUT,
        PathItem { patch: Some(_), .. } => Method::PATCH,
        PathItem { delete: Some(_), .. } => Method::DELETE,
        PathItem { get: Some(_), .. } => Method::GET,
        _ => unreachable!("a call is described with GET, POST, PUT, PATCH or DELETE"),
    };
    let mut paths = described.paths.paths.iter();
    match paths.next() {
        Some((path, item)) => (method(item), path.clone()),
        None => unreachable!("a call is described with a path"),
    }
}

/// The value of `Allow` (RFC 9110 10.2.1).
fn allow(entries: &[Entry]) -> HeaderValue {
    let methods = entries.iter().flat_map(|entry| &entry.methods);
    let methods: Vec<&str> = methods.map(Method::as_str).collect();
    HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
