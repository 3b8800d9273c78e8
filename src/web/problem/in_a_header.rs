//! A problem as a header, for proxies that keep the headers of a refusal and drop its body, such as nginx.

use std::fmt::Write;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use super::Problem;
use crate::request_id::RequestId;

/// The header that repeats the body, as JSON in ASCII on one line.
const ONESEAT_PROBLEM: HeaderName = HeaderName::from_static("oneseat-problem");

impl Problem {
    /// The answer, with its body repeated in a header.
    pub(in crate::web) fn also_in_a_header(&self) -> HttpResponse {
        let mut answer = self.error_response();
        let request_id = RequestId::current();
        let json = serde_json::to_string(&self.body(request_id.as_ref())).unwrap_or_default();
        if let Ok(value) = HeaderValue::from_str(&in_ascii(&json)) {
            answer.headers_mut().insert(ONESEAT_PROBLEM, value);
        }
        answer
    }
}

/// Escapes every character of the JSON that is not in ASCII (RFC 8259 7): a header is read as ASCII.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn the_header_says_what_the_body_says() {
        for detail in ["plain", "\"quoted\"\n and \u{7f}", "née 明 \u{1f511}"] {
            let answer = Problem::bad_request(detail).also_in_a_header();
            let header = answer.headers().get(ONESEAT_PROBLEM).unwrap().to_str().unwrap();
            let told: serde_json::Value = serde_json::from_str(header).unwrap();
            assert_eq!(told["detail"], detail);
            let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), told);
        }
    }
}
