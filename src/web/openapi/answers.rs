//! Answers that many calls share.
//!
//! There are two sources. The arguments of a handler say why it may refuse (`Admin` needs the role,
//! `WithinLoginRate` a slow pace), and rules say the rest (a body may be too large). The handler's own
//! answers come first.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Schema, Type};
use utoipa::{IntoResponses, Modify};

use super::{CLIENT_SECRET, SESSION_TOKEN, calls};
use crate::web::api::introspect::Services;
use crate::web::extract::rate::WithinLoginRate;
use crate::web::extract::{Admin, Authenticated, Passive};
use crate::web::problem;

/// Name, status and description. The words between backticks are the codes.
const SHARED: [(&str, &str, &str); 12] = [
    (
        "badRequest",
        "400",
        "`bad_request`: what is wrong with it, in one sentence",
    ),
    (
        "noSession",
        "401",
        "`token_missing`, `token_invalid`, or, for as long as it is known what became of it, `session_ended`",
    ),
    ("noClient", "401", "`invalid_client`"),
    ("forbidden", "403", "`forbidden`: this needs the admin role"),
    ("notFound", "404", "`not_found`"),
    (
        "methodNotAllowed",
        "405",
        "`method_not_allowed`, for every other method",
    ),
    (
        "requestTimeout",
        "408",
        "`request_timeout`: the body did not come in time",
    ),
    ("bodyTooLarge", "413", "`body_too_large`: more than 8 KiB"),
    (
        "unsupportedMediaType",
        "415",
        "`unsupported_media_type`: the body is of another type",
    ),
    (
        "tooManyRequests",
        "429",
        "`too_many_requests`: too many tries from one network",
    ),
    ("internal", "500", "`internal`: a fault of the server"),
    (
        "unavailable",
        "503",
        "`unavailable`: nothing was decided, try again",
    ),
];

/// Adds the shared answers to the calls that give them.
pub(super) struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for call in calls(item) {
                by_rule(path, call);
                for (status, answer) in &mut call.responses.responses {
                    if let RefOr::T(answer) = answer
                        && status.as_str() >= "400"
                    {
                        make_a_problem(answer);
                    }
                }
            }
        }
        let components = document.components.get_or_insert_default();
        for (name, _, words) in SHARED {
            let mut answer = ResponseBuilder::new().description(words).build();
            make_a_problem(&mut answer);
            components.responses.insert(name.to_owned(), answer.into());
        }
    }
}

/// Adds the answers, the security scheme and the header that follow from what a call takes.
fn by_rule(path: &str, call: &mut Operation) {
    let mut names = vec!["methodNotAllowed", "internal"];
    let is_given = |call: &Operation, name: &str| {
        let name = Ref::from_response_name(name).ref_location;
        let mut answers = call.responses.responses.values();
        answers.any(|answer| matches!(answer, RefOr::Ref(given) if given.ref_location == name))
    };
    if is_given(call, "noSession") {
        call.security = Some(vec![SecurityRequirement::new::<_, _, String>(SESSION_TOKEN, [])]);
        call.parameters.get_or_insert_default().push(passive().into());
    } else if is_given(call, "noClient") {
        call.security = Some(vec![SecurityRequirement::new::<_, _, String>(CLIENT_SECRET, [])]);
    } else {
        // Open to everybody.
        call.security = Some(Vec::new());
    }
    if let Some(RefOr::T(body)) = &mut call.request_body {
        never_null(body);
        names.extend([
            "badRequest",
            "requestTimeout",
            "bodyTooLarge",
            "unsupportedMediaType",
            "unavailable",
        ]);
    }
    if path.contains('{') {
        names.push("notFound");
    }
    for parameter in call.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.description.is_none()
        {
            parameter.description = match &mut parameter.schema {
                Some(RefOr::T(Schema::Object(schema))) => schema.description.take(),
                Some(RefOr::Ref(named)) => Some(std::mem::take(&mut named.description)),
                _ => None,
            };
        }
    }
    for (status, answer) in shared(&names) {
        call.responses.responses.entry(status).or_insert(answer);
    }
}

/// A body that may be left out is never null, although utoipa would allow it.
fn never_null(body: &mut RequestBody) {
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(choice))) = &mut content.schema
        {
            choice.items.retain(|item| matches!(item, RefOr::Ref(_)));
            content.schema = choice.items.pop();
        }
    }
}

/// References to shared answers, by status.
fn shared(names: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    SHARED
        .into_iter()
        .filter(|(name, _, _)| names.contains(name))
        .map(|(name, status, _)| (status.to_owned(), Ref::from_response_name(name).into()))
        .collect()
}

/// The names of the shared answers, with their status.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    SHARED.into_iter().map(|(name, status, _)| (name, status))
}

/// Makes the answer an RFC 9457 problem with one of the codes that its description names. All problems share one
/// schema, because a generator makes a type of each schema that an answer has for itself.
fn make_a_problem(answer: &mut Response) {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    answer
        .content
        .insert(problem::CONTENT_TYPE.to_owned(), content.into());
}

fn passive() -> Parameter {
    ParameterBuilder::new()
        .name("Oneseat-Passive")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("`true`: this request is no activity of a person"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

impl IntoResponses for Authenticated {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["badRequest", "noSession", "unavailable"])
    }
}

impl IntoResponses for Passive {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Authenticated::responses()
    }
}

impl IntoResponses for Admin {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["badRequest", "noSession", "forbidden", "unavailable"])
    }
}

impl IntoResponses for WithinLoginRate {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["tooManyRequests"])
    }
}

impl IntoResponses for Services {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["noClient"])
    }
}
