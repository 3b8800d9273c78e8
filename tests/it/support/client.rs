//! A client that speaks HTTP.

use std::net::SocketAddr;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::TIMEOUT;

/// The password of all test users.
pub const PASSWORD: &str = "correct horse lantern staple";

/// A caller, with or without a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Scheme, host and port of the server.
    origin: String,
    pub token: Option<String>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        // Once for the whole process; a second call changes nothing.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        // Reading the certificates of the system for each client took a twentieth of all time.
        Self::built(reqwest::Client::builder().tls_certs_only([]), origin(address))
    }

    /// A client that reaches this origin through a client library of its own.
    pub fn built(builder: reqwest::ClientBuilder, origin: String) -> Self {
        let http = builder
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            http,
            origin,
            token: None,
        }
    }

    /// A client of another instance, with the same token.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            origin: origin(address),
            ..self.clone()
        }
    }

    /// A client on the same connection with another token, or none.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// The token that requests carry.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.origin));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", &json!({ "email": email, "password": password }))
            .await
    }

    pub async fn sign_in(&self, email: &str) -> Self {
        let answer = self.login(email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.with_token(answer.json()["token"].as_str().unwrap())
    }

    /// Signs in as a page does: the session ends with the page.
    pub async fn sign_in_as_page(&self, email: &str) -> Self {
        let body = json!({ "email": email, "password": PASSWORD, "endsWithPage": true });
        let answer = self.post("/auth/login", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.with_token(answer.json()["token"].as_str().unwrap())
    }

    pub async fn logout(&self) -> Answer {
        Answer::of(self.request(Method::POST, "/auth/logout")).await
    }

    /// The answer of `GET /auth/session` for the token.
    pub async fn session(&self) -> Answer {
        self.get("/auth/session").await
    }

    /// The answer of `GET /auth/session`, without counting as activity.
    pub async fn session_passively(&self) -> Answer {
        let request = self
            .request(Method::GET, "/auth/session")
            .header("Oneseat-Passive", "true");
        Answer::of(request).await
    }
}

fn origin(address: SocketAddr) -> String {
    format!("http://{address}")
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let answer = async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let text = response.text().await.unwrap();
            Self {
                status,
                headers,
                text,
            }
        };
        timeout(TIMEOUT, answer).await.expect("no answer")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body without the request id, which differs in every answer.
    pub fn words(&self) -> String {
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "{self:?}");
        self.text.replace(id, "")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `401 token_invalid`, after checking the fields that every problem has.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.header("cache-control"), "no-store");
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["type"], "about:blank");
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        assert_eq!(body["requestId"], self.header("x-request-id"));
        let challenged = self.headers.contains_key("www-authenticate");
        assert_eq!(challenged, self.status == StatusCode::UNAUTHORIZED);
        format!("{} {}", self.status.as_u16(), body["code"].as_str().unwrap())
    }

    /// Asserts that the answer reports an expired session.
    pub fn expired(&self) {
        assert_eq!(self.problem(), "401 session_ended");
        assert_eq!(self.json()["reason"], "expired");
    }
}
