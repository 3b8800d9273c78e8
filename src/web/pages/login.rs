//! The login page.

use actix_web::web::Data;
use actix_web::{HttpResponse, Responder};
use askama::Template;

use super::{Page, to, to_login};
use crate::auth::Auth;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    /// Whether a sign-in asks before it ends the user's other session.
    asks_first: bool,
}

/// Redirects `/` to the login page.
pub async fn root() -> HttpResponse {
    to_login(None)
}

/// Redirects `/admin` to the first page for admins.
pub async fn admin() -> HttpResponse {
    to("/admin/sessions")
}

/// Where password managers send people to change a password (W3C, A Well-Known URL for Changing Passwords). A
/// page that is loaded anew is signed out, so the way there leads through the sign-in.
pub async fn change_password() -> HttpResponse {
    to_login(Some("/dashboard#change-password"))
}

/// The sign-in form. A reload of another page leads here, too.
pub async fn login(auth: Data<Auth>) -> impl Responder {
    Page(LoginPage {
        asks_first: auth.asks_before_takeover(),
    })
}
