//! The headers that tell an application who the user is, and requests that bring such headers of their own.
//!
//! A proxy that asks also forwards the client's headers. Many runtimes make a variable of a header's name: in
//! upper case, with an underscore for every separator (RFC 3875 4.1.18 does so with `-`). To them, a header
//! that differs from one of ours in its separator alone is ours. A header that the client names in
//! `Connection` is dropped on the way (RFC 9110 7.6.1). Proxies that are set up as documented let neither
//! through; a request that still brings one is refused here.

use actix_web::http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};

use crate::users::User;

/// The headers for the application, in lower case.
pub(in crate::web) const NAMES: [&str; 4] = ["remote-user", "remote-email", "remote-name", "remote-groups"];

/// Other headers that the proxy sets, each in one spelling, in lower case.
const OF_THE_PROXY: [&str; 3] = ["x-forwarded-for", "x-real-ip", "x-request-id"];

/// The headers that tell an application who the user is.
pub(in crate::web) struct Identity([(HeaderName, HeaderValue); 4]);

impl Identity {
    pub(in crate::web) fn of(user: &User) -> Self {
        let [login, email, name, groups] = NAMES.map(HeaderName::from_static);
        Self([
            (login, in_header(&user.email)),
            (email, in_header(&user.email)),
            (name, in_header(&user.name)),
            (groups, in_header(user.role.as_str())),
        ])
    }

    /// Returns each header once.
    pub(in crate::web) fn into_headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.0.into_iter()
    }

    /// The header by which the request claims an identity, in any spelling, as one of [`NAMES`]. A header that
    /// equals one of our answer's is allowed once: a proxy that asks twice, first for the user and then for a
    /// role, sends our headers with the second question.
    pub(in crate::web) fn claimed_otherwise(&self, headers: &HeaderMap) -> Option<&'static str> {
        let claims = headers
            .iter()
            .filter_map(|(name, value)| Some((identity(name.as_str())?, name, value)));
        let mut ours: Vec<&HeaderName> = Vec::new();
        for (claimed, name, value) in claims {
            let is_ours = self.0.iter().any(|(its, own)| its == name && own == value);
            if !is_ours || ours.contains(&name) {
                return Some(claimed);
            }
            ours.push(name);
        }
        names_in_connection(headers).find_map(identity)
    }
}

/// The header of the proxy that another header of the request becomes in a runtime that folds names.
pub(in crate::web) fn mimicked(headers: &HeaderMap) -> Option<&'static str> {
    let is_another = |name: &&HeaderName| !OF_THE_PROXY.contains(&name.as_str());
    let mut others = headers.keys().filter(is_another);
    others.find_map(|name| one_of(&OF_THE_PROXY, name.as_str()))
}

/// The header of [`NAMES`] that this name becomes in a runtime that folds names.
fn identity(name: &str) -> Option<&'static str> {
    one_of(&NAMES, name)
}

fn one_of(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().copied().find(|ours| folded(ours).eq(folded(name)))
}

fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => byte.to_ascii_uppercase(),
        _ => b'_',
    })
}

/// The headers that the request names in `Connection`.
fn names_in_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(CONNECTION)
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The text as UTF-8, which proxies and applications expect (RFC 9110 5.5 calls it obsolete and allows it).
fn in_header(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn ada() -> Identity {
        let [login, email, name, groups] = NAMES.map(HeaderName::from_static);
        Identity([
            (login, in_header("ada@example.org")),
            (email, in_header("ada@example.org")),
            (name, in_header("Ada Lovelace, née Byron")),
            (groups, in_header("user")),
        ])
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse().unwrap(), in_header(value));
        }
        headers
    }

    #[test]
    fn what_says_nothing_of_who_it_is_claims_nothing() {
        let others = [
            ("authorization", "Bearer x"),
            ("connection", "close, TE"),
            ("remote-addr", "192.0.2.1"),
            ("x-remote-user", "root"),
            ("remoteuser", "root"),
        ];
        assert_eq!(ada().claimed_otherwise(&headers(&others)), None);
    }

    #[test]
    fn what_the_proxy_says_is_refused_in_every_other_spelling() {
        for name in OF_THE_PROXY {
            assert_eq!(mimicked(&headers(&[(name, "192.0.2.1")])), None);
            for sign in "!#$%&'*+.^_`|~".chars() {
                let spelled = name.replacen('-', &sign.to_string(), 1);
                assert_eq!(
                    mimicked(&headers(&[(&spelled, "192.0.2.1")])),
                    Some(name),
                    "{spelled}"
                );
            }
        }
        let others = [
            ("x_request", "x"),
            ("x-requested_with", "x"),
            ("xforwardedfor", "x"),
        ];
        assert_eq!(mimicked(&headers(&others)), None);
    }

    #[test]
    fn a_second_question_of_the_same_proxy_may_hold_the_first_answer() {
        let mut answered = HeaderMap::new();
        for (name, value) in ada().into_headers() {
            answered.append(name, value);
        }
        assert_eq!(ada().claimed_otherwise(&answered), None);
        // A second copy would be a list to the application.
        answered.append(HeaderName::from_static(NAMES[3]), in_header("user"));
        assert_eq!(ada().claimed_otherwise(&answered), Some(NAMES[3]));
    }

    #[test]
    fn another_value_is_a_claim_and_so_is_a_header_named_in_connection() {
        for claim in [
            ("remote-groups", "admin"),
            ("remote-user", "ADA@example.org"),
            ("remote-name", ""),
            ("connection", "close, Remote-User"),
            ("connection", "REMOTE_GROUPS"),
        ] {
            assert!(ada().claimed_otherwise(&headers(&[claim])).is_some(), "{claim:?}");
            // Also in a later header of that name.
            let later = headers(&[("connection", "close"), ("connection", "TE"), claim]);
            assert!(ada().claimed_otherwise(&later).is_some(), "{claim:?}");
        }
    }

    proptest! {
        #[test]
        fn another_separator_is_a_claim_whatever_it_says(name in 0..4_usize, sign in "[!#$%&'*+.^_`|~]", value in "[ -~]{0,20}") {
            let spelled = NAMES[name].replace('-', &sign);
            prop_assert_eq!(ada().claimed_otherwise(&headers(&[(&spelled, &value)])), Some(NAMES[name]));
        }

        #[test]
        fn whatever_the_headers_hold_there_is_an_answer(values in vec((0..4_usize, vec(0x20..=0xff_u8, 0..20)), 0..4)) {
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                let name = if name == 3 { "connection" } else { NAMES[name] };
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(HeaderName::from_static(name), value);
                }
            }
            ada().claimed_otherwise(&headers);
        }
    }
}
