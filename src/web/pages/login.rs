//! Where everybody starts.

use actix_web::{HttpResponse, Responder};
use askama::Template;

use super::{Page, to_login};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage;

/// The front door leads to the login page.
pub async fn root() -> HttpResponse {
    to_login()
}

/// The form, and what becomes of a reload.
pub async fn login() -> impl Responder {
    Page(LoginPage)
}
