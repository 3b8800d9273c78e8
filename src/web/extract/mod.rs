//! Authorisation lives in the handler's signature: a handler that takes an [`Authenticated`] cannot be
//! reached without a live session.

pub mod body;
pub mod client;
pub(in crate::web) mod list_query;
pub(in crate::web) mod proxy_check;
pub(in crate::web) mod query;
pub mod rate;

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpRequest, web};

use crate::auth::{Activity, Auth, Authority, Error, Holder, Seat, audit};
use crate::token::Token;
use crate::users::Role;
use crate::web::problem::Problem;

/// A request with this header set to `true` never counts as activity.
pub(in crate::web) const PASSIVE: HeaderName = HeaderName::from_static("oneseat-passive");

/// The caller has a live session.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The session and its user.
    pub seat: Seat,
    request: HttpRequest,
}

/// A live session for what a page does by itself. It never counts as activity, whatever the headers say.
#[derive(Clone, Debug)]
pub struct Passive(pub Seat);

/// A live session of an admin. The refusal of any other user is written to the security log.
#[derive(Clone, Debug)]
pub struct Admin(pub Authenticated);

impl Authenticated {
    /// The caller and what they ask for. The session is checked again when the work is done, because the body
    /// may come much later.
    pub(in crate::web) fn holder(&self) -> Holder {
        let Self { seat, request } = self;
        Holder::new(seat, resource(request), client::origin(request))
    }
}

impl Admin {
    /// The authority to act as this admin. It is checked again when the work is done.
    pub(in crate::web) fn authority(&self) -> Authority {
        Authority::Admin(self.0.holder())
    }
}

/// The requested resource, as the security log names it.
pub(in crate::web) fn resource(request: &HttpRequest) -> audit::Resource {
    audit::Resource {
        path: request.path().to_owned(),
        route: request.match_pattern().unwrap_or_default(),
    }
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async {
            let seat = seat(&request, activity(request.headers())).await?;
            Ok(Self { seat, request })
        })
    }
}

impl FromRequest for Passive {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(seat(&request, Activity::Passive).await?)) })
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let authenticated = Authenticated::from_request(request, payload);
        Box::pin(async move {
            let caller = authenticated.await?;
            let Authenticated { seat, request } = &caller;
            match seat.user.role {
                Role::Admin => Ok(Self(caller)),
                Role::User => {
                    audit::forbidden(seat.user.id, &resource(request), &client::origin(request));
                    // Wait before the answer: another instance may still remember an earlier role.
                    auth(request)?.wait_out_leases().await?;
                    Err(Problem::forbidden())
                }
            }
        })
    }
}

async fn seat(request: &HttpRequest, activity: Activity) -> Result<Seat, Problem> {
    let token = bearer(request.headers())?;
    auth(request)?.validate(&token, activity).await.map_err(|error| {
        if let Error::SessionEnded(ending) = &error {
            audit::used_after_end(ending, &client::origin(request));
        }
        error.into()
    })
}

pub(in crate::web) fn auth(request: &HttpRequest) -> Result<&Auth, Problem> {
    let auth = request.app_data::<web::Data<Auth>>();
    auth.map(|auth| auth.get_ref()).ok_or_else(Problem::unavailable)
}

/// Whether the request carries a bearer token, valid or not.
pub(in crate::web) fn has_token(headers: &HeaderMap) -> bool {
    !matches!(credentials(headers), Ok(None))
}

/// The token in `Authorization: Bearer ...` (RFC 6750 2.1). Tokens in the query or a cookie are never looked
/// for.
fn bearer(headers: &HeaderMap) -> Result<Token, Problem> {
    let text = credentials(headers)?.ok_or_else(Problem::token_missing)?;
    Token::parse(text).ok_or_else(Problem::token_invalid)
}

/// The text after the scheme, if the scheme is Bearer. The scheme is case-insensitive (RFC 9110 11.1).
fn credentials(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::bad_request(
            "There is more than one Authorization header",
        ));
    }
    let value = value.as_bytes().trim_ascii();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let token = rest.trim_ascii();
    Ok((scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token))
}

fn activity(headers: &HeaderMap) -> Activity {
    match headers.get(PASSIVE) {
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"true") => Activity::Passive,
        _ => Activity::Active,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn answer(values: &[&[u8]]) -> String {
        match bearer(&headers(values)) {
            Ok(_) => "token".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        let token = "ab".repeat(32);
        for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
            assert_eq!(answer(&[format!("{scheme} {token}").as_bytes()]), "token");
            assert_eq!(answer(&[format!("{scheme}   {token} ").as_bytes()]), "token");
        }
    }

    #[test]
    fn no_bearer_token_is_a_missing_one() {
        for value in [&b"Bearer"[..], b"Bearer ", b"Basic YTpi", b"", b"Bearerabab"] {
            assert_eq!(answer(&[value]), "401 token_missing");
        }
        assert_eq!(answer(&[]), "401 token_missing");
    }

    #[test]
    fn what_cannot_be_a_token_is_an_invalid_one() {
        let long = [b"Bearer ".to_vec(), vec![b'a'; 100_000]].concat();
        for value in [&b"Bearer x"[..], b"Bearer ab ab", b"Bearer \xff\xfe", &long] {
            assert_eq!(answer(&[value]), "401 token_invalid");
        }
    }

    #[test]
    fn two_headers_are_one_too_many() {
        let value = format!("Bearer {}", "ab".repeat(32));
        assert_eq!(answer(&[value.as_bytes(), value.as_bytes()]), "400 bad_request");
    }

    /// Any byte that a header may hold (RFC 9110 5.5).
    fn any_value() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8];
        vec(byte, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_the_headers_hold_there_is_an_answer(values in vec(any_value(), 0..4)) {
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            let answer = answer(&values);
            if values.len() > 1 {
                prop_assert_eq!(answer, "400 bad_request");
            } else {
                // A random text of 64 lower-case hex characters after the scheme does not come up.
                prop_assert!(["401 token_missing", "401 token_invalid"].contains(&answer.as_str()));
            }
        }

        #[test]
        fn a_token_is_accepted_in_its_form_and_in_no_other(
            scheme in "[Bb][Ee][Aa][Rr][Ee][Rr]|Basic|Bearer:|Bear er|",
            gap in " {0,3}",
            token in "[0-9a-f]{64}|[0-9a-f]{63}|[0-9a-f]{65}|[0-9a-fA-F]{64}|[0-9a-g]{64}",
            tail in " {0,3}|,| x",
        ) {
            let is_token = token.len() == 64 && token.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
            let is_right = scheme.eq_ignore_ascii_case("bearer") && !gap.is_empty() && is_token && tail.trim().is_empty();
            let answer = answer(&[format!("{scheme}{gap}{token}{tail}").as_bytes()]);
            prop_assert_eq!(answer == "token", is_right, "{}", answer);
        }
    }
}
