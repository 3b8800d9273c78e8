//! A client that listens to server-sent events.

use std::time::Duration;

use reqwest::{Method, Response};
use tokio::time::timeout;

use super::client::Client;

/// Longer than the pause between two beats, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(90);

/// An open stream.
pub struct EventStream {
    response: Response,
    waiting: String,
}

impl EventStream {
    /// Opens the stream and waits until the server has registered it.
    pub async fn open(client: &Client) -> Self {
        Self::open_while_live(client).await.expect("a live session")
    }

    /// Opens the stream of a session that may be over before that. `None`: it was.
    pub async fn open_while_live(client: &Client) -> Option<Self> {
        let response = client
            .request(Method::GET, "/auth/session/events")
            .send()
            .await
            .unwrap();
        if response.status() == 401 {
            return None;
        }
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let waiting = String::new();
        Some(Self { response, waiting })
    }

    /// Name and data of the next event; comments are skipped. `None`: the stream has ended.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((block, rest)) = self.waiting.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    line.map(|value| value.trim_start().to_owned())
                };
                let event = field("event").map(|event| (event, field("data").unwrap_or_default()));
                self.waiting = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let chunk = timeout(TIMEOUT, self.response.chunk())
                .await
                .expect("nothing comes")
                .unwrap()?;
            self.waiting.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}
