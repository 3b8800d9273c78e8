//! Pages for people, rendered by Askama.
//!
//! A page holds its token in memory only, so a plain navigation never carries one. A navigation to a page for
//! signed-in users is redirected to `/login`, with the page to show next. The script of the page that signed in
//! fetches the same address with the token in its header.

pub mod account;
pub mod admin;
mod chart;
pub mod dashboard;
pub mod login;
mod moment;
mod past;
pub(in crate::web) mod problem;
mod session_times;
pub mod swagger;
pub mod users;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, ResponseError};
use askama::Template;

use super::compression;
use super::extract::{Admin, Authenticated, has_token};
use super::problem::Problem;
use super::site::Site;
use super::static_files::StaticFiles;
use crate::auth::{Auth, Seat};

/// A page for signed-in users: like [`Authenticated`], but redirects to `/login` without a token.
pub struct SignedIn(pub Seat);

/// A page for admins: like [`Admin`], but redirects to `/login` without a token.
pub struct AdminPage(pub Seat);

/// Why a page was not rendered.
#[derive(Debug)]
pub enum PageError {
    /// 303 to `/login`, with the page that was wanted.
    SignInFirst(Option<String>),
    /// As in the API: the script that fetched the page understands it.
    Problem(Problem),
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, PageError>>>>;

impl FromRequest for SignedIn {
    type Error = PageError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        extract(request, payload, |caller: Authenticated| Self(caller.seat))
    }
}

impl FromRequest for AdminPage {
    type Error = PageError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        extract(request, payload, |caller: Admin| Self(caller.0.seat))
    }
}

fn extract<F, T>(request: &HttpRequest, payload: &mut Payload, page: fn(F) -> T) -> Extracting<T>
where
    F: FromRequest<Error = Problem> + 'static,
    T: 'static,
{
    if !has_token(request.headers()) {
        let next = wanted(request);
        return Box::pin(async { Err(PageError::SignInFirst(next)) });
    }
    let extracted = F::from_request(request, payload);
    Box::pin(async move { extracted.await.map(page).map_err(PageError::Problem) })
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignInFirst(_) => f.write_str("sign in first"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignInFirst(_) => StatusCode::SEE_OTHER,
            Self::Problem(problem) => problem.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        match self {
            Self::SignInFirst(next) => to_login(next.as_deref()),
            Self::Problem(problem) => problem.error_response(),
        }
    }
}

/// The page that was asked for, to show it after the sign-in. `None` if a sign-in leads there anyway.
fn wanted(request: &HttpRequest) -> Option<String> {
    let path = request.uri().path_and_query()?;
    path.path()
        .starts_with("/admin/")
        .then(|| path.as_str().to_owned())
}

/// 303 to another page. A browser takes the fragment along.
pub(in crate::web) fn to(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .finish()
}

fn to_login(next: Option<&str>) -> HttpResponse {
    let location = match next {
        None => "/login".to_owned(),
        Some(next) => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("next", next)
                .finish();
            format!("/login?{query}")
        }
    };
    to(&location)
}

/// A page. It is rendered when the site and the address of its stylesheet and scripts are known.
struct Page<T>(T);

impl<T: Template> Responder for Page<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match render(&self.0, request) {
            Ok(html) => {
                // Without `Authorization`, the same address answers 303.
                let vary = HeaderValue::from_static("authorization, accept-encoding");
                as_html(HttpResponse::Ok().finish(), html, request, vary)
            }
            Err(error) => {
                log::error!("a page could not be rendered: {error}");
                Problem::unavailable().error_response()
            }
        }
    }
}

/// Puts the HTML into an answer, compressed if the client takes that.
fn as_html(mut answer: HttpResponse, html: String, request: &HttpRequest, vary: HeaderValue) -> HttpResponse {
    let headers = answer.headers_mut();
    let html_in_utf_8 = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html_in_utf_8);
    headers.append(header::VARY, vary);
    let gzip = compression::takes_gzip(request).then(|| compression::gzip(html.as_bytes()));
    match gzip {
        Some(Ok(gzip)) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer.set_body(BoxBody::new(gzip))
        }
        Some(Err(_)) | None => answer.set_body(BoxBody::new(html)),
    }
}

/// Renders a template of a page with what `base.html` needs.
fn render(page: &impl Template, request: &HttpRequest) -> askama::Result<String> {
    let files = request.app_data::<Data<StaticFiles>>().map(|files| files.base());
    let site = request.app_data::<Data<Site>>().map(|site| &***site);
    let sends_mail = request
        .app_data::<Data<Auth>>()
        .is_some_and(|auth| auth.sends_mail());
    let values = [
        ("sends_mail", Some(&sends_mail as &dyn Any)),
        ("files", files.as_ref().map(|base| base as &dyn Any)),
        ("site", site.map(|site| site as &dyn Any)),
    ];
    page.render_with_values(&values)
}
