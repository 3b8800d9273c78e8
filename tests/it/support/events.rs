//! A client that listens to server-sent events.

use std::time::Duration;

use reqwest::{Method, Response};
use tokio::time::timeout;

use super::TIMEOUT;
use super::client::Client;

/// Longer than what belongs together is apart.
const QUIET: Duration = Duration::from_millis(300);

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
        let asked = client.request(Method::GET, "/auth/session/events").send();
        let response = timeout(TIMEOUT, asked).await.expect("no stream").unwrap();
        if response.status() == 401 {
            return None;
        }
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let waiting = String::new();
        Some(Self { response, waiting })
    }

    /// Name and data of the next event; comments are skipped. `None`: the stream has ended.
    ///
    /// A stream on which only beats come is one on which nothing comes.
    pub async fn next(&mut self) -> Option<(String, String)> {
        self.next_after(Duration::ZERO).await
    }

    /// The next event, which may come only after this time.
    pub async fn next_after(&mut self, time: Duration) -> Option<(String, String)> {
        timeout(time + TIMEOUT, self.event())
            .await
            .expect("no event comes")
    }

    /// The next comment, for a stream on which no event comes: what the server says to show that it lives.
    pub async fn comment_within(&mut self, time: Duration) -> String {
        let comment = async {
            loop {
                if let Some((line, rest)) = self.waiting.split_once('\n') {
                    let line = line.to_owned();
                    self.waiting = rest.to_owned();
                    return line;
                }
                self.read_on().await.expect("the stream is open");
            }
        };
        timeout(time, comment).await.expect("a comment comes in time")
    }

    /// Waits until no more events come. The stream has not ended.
    pub async fn quiet(&mut self) {
        while let Ok(event) = timeout(QUIET, self.event()).await {
            assert!(event.is_some(), "the stream has ended");
        }
    }

    async fn event(&mut self) -> Option<(String, String)> {
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
            self.read_on().await?;
        }
    }

    /// Waits for what comes next. `None`: the stream has ended.
    async fn read_on(&mut self) -> Option<()> {
        let chunk = self.response.chunk().await.unwrap()?;
        self.waiting.push_str(std::str::from_utf8(&chunk).unwrap());
        Some(())
    }
}
