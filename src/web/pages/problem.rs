//! Problems as pages, for people who came there in a browser. Programs, and our own scripts, get JSON.

use std::borrow::Cow;

use actix_web::http::header::{Accept, Header, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, mime};
use askama::Template;

use super::{as_html, render};
use crate::web::extract::has_token;
use crate::web::problem::Told;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    title: &'static str,
    words: Cow<'a, str>,
    request_id: Option<String>,
}

/// Turns the answer into a page if it is a problem that a person is to read.
pub(in crate::web) fn for_people(request: &HttpRequest, mut answer: HttpResponse) -> HttpResponse {
    let told = answer.extensions_mut().remove::<Told>();
    let Some(told) = told.filter(|_| is_for_people(request)) else {
        return answer;
    };
    let (title, words) = in_words(&told);
    let page = ProblemPage {
        title,
        words,
        request_id: told.request_id.clone(),
    };
    match render(&page, request) {
        Ok(html) => {
            let vary = HeaderValue::from_static("accept, accept-encoding");
            as_html(answer, html, request, vary)
        }
        Err(error) => {
            log::error!("a page could not be rendered: {error}");
            answer
        }
    }
}

/// Whether a browser asked for a page. It prefers HTML (RFC 9110 12.5.1), and sends no token: only scripts do.
/// Gateways pass a browser's headers on to `/auth/verify`, and may pass the answer back to another site.
fn is_for_people(request: &HttpRequest) -> bool {
    let is_navigation = [Method::GET, Method::HEAD, Method::POST].contains(request.method());
    let wants_html = || {
        let accepted = Accept::parse(request).map(|accepted| accepted.ranked());
        accepted.is_ok_and(|ranked| ranked.first() == Some(&mime::TEXT_HTML))
    };
    is_navigation && request.path() != "/auth/verify" && !has_token(request.headers()) && wants_html()
}

/// The heading, and what happened and what to do.
fn in_words(told: &Told) -> (&'static str, Cow<'_, str>) {
    match told.status {
        StatusCode::NOT_FOUND => (
            "There is nothing here",
            "The address may have a mistake in it, or what was here has moved.".into(),
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "This is no page",
            "This address is for programs. There is nothing to read here.".into(),
        ),
        StatusCode::UNAUTHORIZED => (
            "Please sign in first",
            "You are not signed in here: each page has its own sign-in, and this address has none.".into(),
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "This form needs JavaScript",
            "It was sent without the script of its page, so nothing was done. Please turn JavaScript on for this site, go \
             back, and load the page again."
                .into(),
        ),
        StatusCode::TOO_MANY_REQUESTS => ("Please wait a moment", told.detail.as_ref().into()),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Please try again in a moment",
            "Something that is needed does not answer just now. It usually comes back by itself.".into(),
        ),
        _ => ("That did not work", told.detail.as_ref().into()),
    }
}
