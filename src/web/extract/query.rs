//! The query of a request. It is read in the handler: an extractor would answer before the caller is authenticated.

use std::borrow::Cow;

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_urlencoded::Deserializer;

use crate::web::problem::Problem;

/// Reads the query. `takes` says in a sentence which parameters it takes.
///
/// # Errors
/// 400, with the name of the wrong parameter where it is known. The words repeat nothing of the query.
pub(in crate::web) fn query<T: DeserializeOwned>(
    request: &HttpRequest,
    takes: &'static str,
) -> Result<T, Problem> {
    let text = request.query_string();
    if let Some(name) = not_utf_8(text) {
        return Err(in_parameter(
            "The query is not UTF-8 where it is percent-encoded",
            name,
        ));
    }
    let pairs = form_urlencoded::parse(text.as_bytes());
    serde_path_to_error::deserialize(Deserializer::new(pairs)).map_err(|error| {
        let place = error.path().iter().next().map(ToString::to_string);
        let words = error.into_inner().to_string();
        if let Some(name) = &place
            && words.ends_with("was not `true` or `false`")
        {
            return in_parameter(format!("{name} must be true or false"), place);
        }
        // The name of an unknown parameter is the caller's own text, so it is not repeated.
        let duplicate = words
            .strip_prefix("duplicate field `")
            .and_then(|rest| rest.split('`').next());
        let place = place.filter(|_| !words.starts_with("unknown field"));
        in_parameter(takes, duplicate.map(str::to_owned).or(place))
    })
}

/// Refuses a query with parameters other than these. `takes` says in a sentence which parameters there are.
///
/// # Errors
/// 400. The words do not repeat the unknown name, which is the caller's own text.
pub(in crate::web) fn takes_only(
    request: &HttpRequest,
    names: &[&str],
    takes: &'static str,
) -> Result<(), Problem> {
    let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
    match pairs.all(|(name, _)| names.contains(&&*name)) {
        true => Ok(()),
        false => Err(Problem::bad_request(takes)),
    }
}

fn in_parameter(words: impl Into<Cow<'static, str>>, name: Option<String>) -> Problem {
    let problem = Problem::bad_request(words);
    match name {
        Some(name) => problem.in_field(name),
        None => problem,
    }
}

/// The first parameter whose name or value is not UTF-8. The name is left out if it is long, or no plain word. `None`
/// if all are UTF-8.
fn not_utf_8(query: &str) -> Option<Option<String>> {
    const LONGEST: usize = 20;
    let is_text = |part: &str| percent_decode_str(part).decode_utf8().is_ok();
    let wrong = query.split('&').find(|pair| !is_text(pair))?;
    let name = wrong.split('=').next().unwrap_or_default();
    let is_word = name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Some(is_word.then(|| name.to_owned()))
}
