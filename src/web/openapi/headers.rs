//! The headers of the answers.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{OpenApi, Ref, RefOr, Type};

use crate::web::extract::client::X_REQUEST_ID;
use crate::web::middleware::security_headers::{HEADERS, OF_HTTPS};

/// Headers of some answers: name, statuses and description.
const OF_SOME: [(&str, &[&str], &str); 4] = [
    (
        "WWW-Authenticate",
        &["401"],
        "The scheme that is wanted: `Bearer`, with `error=\"invalid_token\"` when a token came and failed, or `Basic`",
    ),
    ("Allow", &["405"], "The methods that this address takes"),
    (
        "Connection",
        &["408", "413"],
        "`close`: what is left of the body is not waited for",
    ),
    ("Retry-After", &["429", "503"], "When to try again, in seconds"),
];

/// Headers of every answer: name and description.
fn on_all() -> impl Iterator<Item = (String, &'static str)> {
    let id = (
        X_REQUEST_ID,
        "",
        "The name of the request, by which the log knows it",
    );
    let all = [id].into_iter().chain(HEADERS).chain([OF_HTTPS]);
    all.map(|(name, _, words)| (titled(&name), words))
}

/// The name in the usual case.
fn titled(name: &HeaderName) -> String {
    let part = |part: &str| part[..1].to_uppercase() + &part[1..];
    let parts: Vec<String> = name.as_str().split('-').map(part).collect();
    parts.join("-")
}

/// Adds the headers to the answers.
pub(super) struct OnEveryAnswer;

impl Modify for OnEveryAnswer {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let calls = [&mut item.get, &mut item.post, &mut item.delete];
            for call in calls.into_iter().flatten() {
                for (status, answer) in &mut call.responses.responses {
                    if let RefOr::T(answer) = answer {
                        put_in(status, answer);
                    }
                }
            }
        }
        let components = document.components.get_or_insert_default();
        for (name, status) in super::answers::names() {
            if let Some(RefOr::T(answer)) = components.responses.get_mut(name) {
                put_in(status, answer);
            }
        }
        let of_some = OF_SOME.map(|(name, _, words)| (name.to_owned(), words));
        for (name, words) in on_all().chain(of_some) {
            let is_number = name == "Retry-After";
            let kind = if is_number { Type::Integer } else { Type::String };
            let schema = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(words));
            components.headers.insert(name, header.build().into());
        }
    }
}

fn put_in(status: &str, answer: &mut Response) {
    if answer.description.is_empty() {
        let status = StatusCode::from_bytes(status.as_bytes()).ok();
        let words = status.and_then(|status| status.canonical_reason());
        answer.description = words.unwrap_or_default().to_owned();
    }
    let of_some = OF_SOME
        .iter()
        .filter(|(_, statuses, _)| statuses.contains(&status));
    let names = of_some.map(|(name, _, _)| (*name).to_owned());
    for name in names.chain(on_all().map(|(name, _)| name)) {
        let reference = Ref::new(format!("#/components/headers/{name}"));
        answer.headers.insert(name, RefOr::Ref(reference));
    }
}
