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

/// Where password managers send people to change a password (W3C, A Well-Known URL for Changing Passwords). A
/// page that is loaded anew is signed out, so the way there leads through the sign-in.
pub async fn change_password() -> HttpResponse {
    to_login(Some("/dashboard#change-password"))
}

/// The sign-in form. A reload of another page leads here, too.
pub async fn login() -> impl Responder {
    Page(LoginPage)
}
