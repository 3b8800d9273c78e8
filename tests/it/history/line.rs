//! Requests of callers over a line that may be cut, so that answers get lost.

use std::time::Duration;

use reqwest::{Client, Request, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::world::World;
use crate::support::Answer;

/// A caller that gets no answer in this time has found a hang.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// What a caller knows after a request.
pub enum Outcome {
    Answered(Reply),
    /// The connection was cut, the caller gave up, or the server said that the outcome is uncertain.
    Lost,
    /// No server listened.
    NotSent,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// `200`, or `401 session_ended`.
    pub code: String,
    /// `null` when it is empty.
    pub body: Value,
    pub at: Duration,
}

/// Sends a request and waits for the whole answer, but no longer than `wait`.
pub async fn exchange(world: &World, request: RequestBuilder, wait: Duration) -> Outcome {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let what = format!("{} {}", request.method(), request.url().path());
    let answer = match timeout(wait, answer(&client, request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if error.is_connect() => return Outcome::NotSent,
        Ok(Err(_)) => return Outcome::Lost,
        Err(_) if wait < DEADLINE => return Outcome::Lost,
        Err(_) => panic!("no answer in {DEADLINE:?}: {what}"),
    };
    // An instance that was frozen while the head came: the HTTP parser answers, and nothing was done.
    if answer.status == StatusCode::REQUEST_TIMEOUT && answer.text.is_empty() {
        return Outcome::Lost;
    }
    let at = world.now();
    let (code, body) = if answer.status.is_success() {
        let is_empty = answer.text.is_empty();
        let body = if is_empty { Value::Null } else { answer.json() };
        (answer.status.as_u16().to_string(), body)
    } else {
        (answer.problem(), answer.json())
    };
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
            world.count("unavailable");
            Outcome::Lost
        }
        status if status.is_server_error() => panic!("{answer:?}"),
        _ => Outcome::Answered(Reply { code, body, at }),
    }
}

async fn answer(client: &Client, request: Request) -> reqwest::Result<Answer> {
    let response = client.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await?;
    Ok(Answer {
        status,
        headers,
        text,
    })
}
