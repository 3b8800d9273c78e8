//! The headers of the answers.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{OpenApi, Ref, RefOr, Type};

use super::calls;
use crate::web::middleware::security_headers::HEADERS;

/// Each header with its statuses and description. A header without a status is on every answer.
const OURS: [(&str, &[&str], &str); 5] = [
    (
        "X-Request-Id",
        &[],
        "The name of the request, by which the log knows it",
    ),
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

/// All headers, as in [`OURS`].
fn all() -> impl Iterator<Item = (String, &'static [&'static str], &'static str)> {
    let ours = OURS.map(|(name, statuses, words)| (name.to_owned(), statuses, words));
    let on_every = HEADERS.map(|(name, _, words)| (titled(&name), &[][..], words));
    ours.into_iter().chain(on_every)
}

/// The name with capital letters, such as `Retry-After`.
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
            for call in calls(item) {
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
        for (name, _, words) in all() {
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
    for (name, _, _) in all().filter(|(_, of, _)| of.is_empty() || of.contains(&status)) {
        let reference = Ref::new(format!("#/components/headers/{name}"));
        answer.headers.insert(name, RefOr::Ref(reference));
    }
}
