//! The headers of the answers.

use actix_web::http::StatusCode;
use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{OpenApi, Ref, RefOr, Type};

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

/// Headers of every answer.
const ON_ALL: [(&str, &str); 10] = [
    (
        "X-Request-Id",
        "The name of the request, by which the log knows it",
    ),
    ("Cache-Control", "`no-store`, but for what may be asked for again"),
    ("Content-Security-Policy", "Our own files and nothing else"),
    ("X-Content-Type-Options", "`nosniff`"),
    ("X-Frame-Options", "`DENY`"),
    ("Referrer-Policy", "`no-referrer`"),
    ("Cross-Origin-Opener-Policy", "`same-origin`"),
    ("Cross-Origin-Resource-Policy", "`same-origin`"),
    ("Permissions-Policy", "No camera, microphone, place or payment"),
    ("Strict-Transport-Security", "When the public address is https"),
];

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
        let of_some = OF_SOME.into_iter().map(|(name, _, words)| (name, words));
        for (name, words) in ON_ALL.into_iter().chain(of_some) {
            let is_number = name == "Retry-After";
            let kind = if is_number { Type::Integer } else { Type::String };
            let schema = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(words));
            components.headers.insert(name.to_owned(), header.build().into());
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
    let names = of_some.map(|(name, _, _)| *name);
    for name in names.chain(ON_ALL.map(|(name, _)| name)) {
        let reference = Ref::new(format!("#/components/headers/{name}"));
        answer.headers.insert(name.to_owned(), RefOr::Ref(reference));
    }
}
