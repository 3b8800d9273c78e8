//! The login page.

use actix_web::{HttpResponse, Responder};
use askama::Template;

use super::{Page, to_login};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage;

/// Redirects `/` to the login page.
pub async fn root() -> HttpResponse {
    to_login(None)
}

/// The sign-in form. A reload of another page leads here, too.
pub async fn login() -> impl Responder {
    Page(LoginPage)
}
