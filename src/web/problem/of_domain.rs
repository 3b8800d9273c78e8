//! Domain errors as problems: one exhaustive match.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use super::{CHALLENGE, Code, Problem};
use crate::auth::{Auth, Error};
use crate::mail::requests::WINDOW;
use crate::users::Email;

impl Problem {
    /// The problem after a password was typed for this address. If the address is locked, it says when the lock
    /// ends, whether or not the address has an account.
    pub(in crate::web) async fn after_a_password(error: Error, auth: &Auth, email: Email) -> Self {
        let is_locked = matches!(error, Error::AccountLocked);
        let problem = Self::from(error);
        if !is_locked {
            return problem;
        }
        match auth.locked_for(email).await {
            Ok(Some(seconds)) => problem.with(header::RETRY_AFTER, HeaderValue::from(seconds)),
            Ok(None) | Err(_) => problem,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let forbidden = |code, detail| Self::new(StatusCode::FORBIDDEN, code, detail);
        match error {
            Error::InvalidCredentials => {
                Self::unauthorized(Code::InvalidCredentials, "Invalid credentials", CHALLENGE)
            }
            Error::AccountLocked => forbidden(
                Code::AccountLocked,
                "Account is locked. Please reset your password.",
            ),
            Error::EmailUnverified => forbidden(
                Code::EmailUnverified,
                "Please verify your email before logging in",
            ),
            Error::AccountDisabled => forbidden(Code::AccountDisabled, "Account is disabled"),
            Error::SeatTaken(seat) => Self::seat_taken(seat),
            // Not 401: the token that came with it is good.
            Error::WrongPassword => forbidden(Code::WrongPassword, "The current password is wrong"),
            Error::PasswordRefused(why) => Self::in_words(Code::PasswordRefused, &why),
            Error::LinkInvalid => Self::new(
                StatusCode::BAD_REQUEST,
                Code::LinkInvalid,
                "This link is no longer valid: it was used already, is too old, or a newer one took its place.",
            )
            .in_field("token"),
            Error::LinkExpired => Self::new(
                StatusCode::BAD_REQUEST,
                Code::LinkInvalid,
                "This link is too old to be used.",
            )
            .in_field("token"),
            Error::ClientUnknown => Self::invalid_client(),
            Error::NameTaken(_) => Self::bad_request("There is a service with this name already"),
            Error::NoSuchClient(_) => Self::not_found(),
            Error::NoMail => Self::no_mail("Please ask an administrator."),
            Error::SameEmail => Self::bad_request("This is your address already").in_field("email"),
            Error::TooManyChanges => Self::too_many_requests(WINDOW.as_secs())
                .saying("Another address was asked for too often. Please wait an hour."),
            Error::NeedsSmtpUtf8(_) => Self::bad_request(
                "Email must have no letters beyond ASCII before the @: the mail server here does not take them",
            )
            .in_field("email"),
            Error::Forbidden => Self::forbidden(),
            Error::OwnAccount => Self::new(
                StatusCode::CONFLICT,
                Code::OwnAccount,
                "You cannot disable or remove your own account, nor give up its role. Another administrator can.",
            ),
            Error::LastAdmin => Self::new(
                StatusCode::CONFLICT,
                Code::LastAdmin,
                "This is the last administrator who can sign in. Please add another one first.",
            ),
            Error::TokenInvalid => Self::token_invalid(),
            Error::SessionEnded(ending) => Self::session_ended(ending),
            Error::NoSuchUser(_) => Self::not_found().saying("There is no such account; perhaps it was removed."),
            Error::NoSuchSession => {
                Self::not_found().saying("There is no such live session; perhaps it has ended already.")
            }
            Error::EmailTaken(_) => Self::new(
                StatusCode::CONFLICT,
                Code::EmailTaken,
                "There is a user with this email already",
            )
            .in_field("email"),
            Error::MoreThanExpected(ended) => Self::new(
                StatusCode::CONFLICT,
                Code::NumberChanged,
                format!("There are {ended} sessions by now, more than expected. None was ended."),
            )
            .in_field("atMost"),
            Error::Busy => {
                log::warn!("a request was turned away: {error}");
                Self::unavailable()
            }
            Error::Unavailable(_) => {
                log::error!("{error}");
                Self::unavailable()
            }
        }
    }
}
