//! The codes of problems, for programs.

use utoipa::openapi::Ref;
use utoipa::openapi::schema::Object;

use crate::web::schemas::one_of;
use crate::words::words;

words! {
    /// The kind of problem, for programs.
    pub(in crate::web) enum Code {
        /// The request cannot be understood.
        BadRequest = "bad_request",
        /// The new password is refused; the detail says why.
        PasswordRefused = "password_refused",
        /// The mailed link is invalid, used or expired.
        LinkInvalid = "link_invalid",
        /// No token came.
        TokenMissing = "token_missing",
        /// The token is unknown.
        TokenInvalid = "token_invalid",
        /// The token's session has ended; the problem says why and when.
        SessionEnded = "session_ended",
        /// Address and password do not belong together.
        InvalidCredentials = "invalid_credentials",
        /// The service's id or secret is missing or wrong.
        InvalidClient = "invalid_client",
        /// Too many wrong passwords for this address.
        AccountLocked = "account_locked",
        /// The address was never verified.
        EmailUnverified = "email_unverified",
        /// The account may not sign in.
        AccountDisabled = "account_disabled",
        /// The user has a live session; the problem says since when, and on which device.
        SeatTaken = "seat_taken",
        /// The current password is wrong.
        WrongPassword = "wrong_password",
        /// The role is not enough.
        Forbidden = "forbidden",
        /// There is nothing at this address.
        NotFound = "not_found",
        /// This server sends no mail.
        NoMail = "no_mail",
        /// The address does not take that method.
        MethodNotAllowed = "method_not_allowed",
        /// The body did not come in time.
        RequestTimeout = "request_timeout",
        /// Another user has the address.
        EmailTaken = "email_taken",
        /// No admin would be left.
        LastAdmin = "last_admin",
        /// Admins cannot disable, demote or remove their own account.
        OwnAccount = "own_account",
        /// More would end than the caller expects; nothing was ended.
        NumberChanged = "number_changed",
        /// The body is larger than it may be.
        BodyTooLarge = "body_too_large",
        /// The body has the wrong media type.
        UnsupportedMediaType = "unsupported_media_type",
        /// Too many tries from one network.
        TooManyRequests = "too_many_requests",
        /// This program is at fault.
        Internal = "internal",
        /// Nothing was decided; try again.
        Unavailable = "unavailable",
    }
}

/// All codes.
pub(in crate::web) fn schema() -> Object {
    one_of(Code::ALL.map(Code::as_str))
}

pub(super) fn reference() -> Ref {
    Ref::from_schema_name("ProblemCode")
}
