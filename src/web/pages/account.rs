//! Pages for people who are not signed in: forgotten passwords, invitations, verification.
//!
//! A mailed link carries its token in the fragment, which browsers do not send. The page posts it when the
//! user presses the button, so a program that only looks at links in mails uses none up.

use actix_web::Responder;
use actix_web::web::Data;
use askama::Template;

use super::Page;
use crate::web::site::Site;

#[derive(Template)]
#[template(path = "forgot.html")]
struct ForgotPage;

#[derive(Template)]
#[template(path = "choose_password.html")]
struct ChoosePasswordPage {
    title: String,
    words: &'static str,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage;

#[derive(Template)]
#[template(path = "email.html")]
struct EmailPage;

/// The page that asks for a link to choose a new password.
pub async fn forgot() -> impl Responder {
    Page(ForgotPage)
}

/// The page of a link to choose a new password.
pub async fn reset() -> impl Responder {
    Page(ChoosePasswordPage {
        title: "Choose a new password".to_owned(),
        words: "It takes the place of the old one at once, and signs you out everywhere.",
        button: "Set the new password",
    })
}

/// The page of an invitation.
pub(in crate::web) async fn welcome(site: Data<Site>) -> impl Responder {
    Page(ChoosePasswordPage {
        title: format!("Welcome to {}", site.name()),
        words: "Choose the password with which you will sign in.",
        button: "Set the password",
    })
}

/// The page of a link that verifies an address. Without a link, a new one can be requested.
pub async fn verify() -> impl Responder {
    Page(VerifyPage)
}

/// The page of a link that changes an address.
pub async fn email() -> impl Responder {
    Page(EmailPage)
}
