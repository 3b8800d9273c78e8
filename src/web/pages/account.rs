//! The way back in, for people who are not signed in.
//!
//! A mailed link carries its token in the fragment, which browsers send to nobody: the page posts it when somebody presses the
//! button. So a program that only looks at links in mails uses none up.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::render;
use crate::auth::Auth;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "forgot.html")]
struct ForgotPage {
    sends_mail: bool,
}

#[derive(Template)]
#[template(path = "choose_password.html")]
struct ChoosePasswordPage {
    title: &'static str,
    words: &'static str,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage {
    sends_mail: bool,
}

/// Asks for a link to choose a new password.
pub async fn forgot(auth: Data<Auth>) -> Result<HttpResponse, Problem> {
    render(&ForgotPage {
        sends_mail: auth.sends_mail(),
    })
}

/// Where the link leads that was asked for.
pub async fn reset() -> Result<HttpResponse, Problem> {
    render(&ChoosePasswordPage {
        title: "Choose a new password",
        words: "It takes the place of the old one at once, and signs you out everywhere.",
        button: "Set the new password",
    })
}

/// Where an invitation leads.
pub async fn welcome() -> Result<HttpResponse, Problem> {
    render(&ChoosePasswordPage {
        title: "Welcome to oneseat",
        words: "Choose the password with which you will sign in.",
        button: "Set the password",
    })
}

/// Where the link leads that verifies an address; without one, a new link can be asked for.
pub async fn verify(auth: Data<Auth>) -> Result<HttpResponse, Problem> {
    render(&VerifyPage {
        sends_mail: auth.sends_mail(),
    })
}
