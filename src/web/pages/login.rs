//! Where everybody starts.

use actix_web::HttpResponse;
use askama::Template;

use super::{render, to_login};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage;

/// The front door leads to the login page.
pub async fn root() -> HttpResponse {
    to_login()
}

/// The form, and what becomes of a reload.
pub async fn login() -> Result<HttpResponse, Problem> {
    render(&LoginPage)
}
