//! An event stream that falls silent, as one does whose connection was lost on the way.

use serde_json::json;

use super::ADA;
use super::overlaps::Page;
use crate::support::{eventually, sql};

/// The test sends what comes on the event streams, and decides when long times are over.
const BY_HAND: &str = "
    window.streams = [];
    window.clocks = [];
    window.said = [];
    window.changes = 0;
    window.isCut = false;
    const real = { fetch, setTimeout, clearTimeout };
    window.fetch = (url, options) => {
        if (!`${url}`.endsWith('/auth/session/events')) return real.fetch.call(window, url, options);
        if (isCut) return Promise.reject(new TypeError('cut'));
        const { signal } = options;
        const body = new ReadableStream({
            start(writer) {
                signal.addEventListener('abort', () => writer.error(signal.reason));
                streams.push({ signal, send: (text) => writer.enqueue(new TextEncoder().encode(text)) });
            },
        });
        return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
    };
    window.setTimeout = (ring, time) => {
        // 30 seconds are the patience with a single answer.
        if (time < 10_000 || time === 30_000) return real.setTimeout.call(window, ring, time);
        const clock = { ring, time, runs: true };
        clocks.push(clock);
        return clock;
    };
    window.clearTimeout = (clock) => {
        if (clocks.includes(clock)) clock.runs = false;
        else real.clearTimeout.call(window, clock);
    };
    seat.onConnection((isConnected) => said.push(isConnected));
    seat.onChanged(() => { changes += 1; });";

impl Page {
    /// Sends a beat on the last stream, and waits until the page has answered this many.
    async fn beat(&self, answered: usize) {
        self.browser.run("streams.at(-1).send(': beat\\n')").await;
        eventually("the beat is answered", async || {
            self.gate.asked("GET /auth/session ") == answered
        })
        .await;
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_opened_again_and_one_that_speaks_is_not() {
    let page = Page::open().await;
    page.browser.run(BY_HAND).await;
    page.sign_in(ADA).await;
    assert!(page.browser.wait_until("return streams.length === 1").await);
    page.app.database().execute(&sql::backdate_sessions("1 hour"));
    page.beat(1).await;
    page.gate.answered().await;
    let active = "select count(*) from sessions where last_activity > now() - interval '50 minutes'";
    assert_eq!(
        page.app.database().number(active),
        0,
        "an answer to a beat is no activity"
    );
    // What comes begins the time anew. The server sends something every 20 seconds, and may be late with it once.
    let clocks = "return clocks.map(({ runs, time }) => [runs, time > 40_000 && time < 60_000])";
    assert_eq!(
        page.browser.run(clocks).await,
        json!([[false, true], [true, true]])
    );
    assert_eq!(page.browser.run("return streams[0].signal.aborted").await, false);

    page.browser.run("clocks.at(-1).ring()").await;
    assert!(page.browser.wait_until("return streams.length === 2").await);
    page.beat(2).await;
    let now = "return [streams[0].signal.aborted, said, changes]";
    assert_eq!(
        page.browser.run(now).await,
        json!([true, [false, true], 2]),
        "something may have changed meanwhile"
    );
    // However the network cuts what comes: each event is heard, once.
    for (chunk, changes) in [
        ("event: chan", 2),
        ("ged\\ndata:\\n\\nevent: changed\\ndata:\\n", 3),
        ("\\n", 4),
        ("event: changed\\ndata:\\n\\nevent: changed\\ndata:\\n\\n", 6),
    ] {
        page.browser.run(&format!("streams.at(-1).send('{chunk}')")).await;
        let heard = format!("return changes === {changes}");
        assert!(page.browser.wait_until(&heard).await, "{chunk}");
    }

    // The next session begins with a connection that nobody has lost.
    page.browser.run("isCut = true; clocks.at(-1).ring()").await;
    assert!(page.browser.wait_until("return said.length === 3").await);
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, true);
    page.browser.run("isCut = false").await;
    page.sign_in(ADA).await;
    assert!(page.browser.wait_until("return streams.length === 3").await);
    page.beat(3).await;
    assert_eq!(page.browser.run("return said").await, json!([false, true, false]));

    // Other pages want its stream: one that is seen keeps it, and a hidden one gives it away.
    for (seen, is_kept) in [("visible", true), ("hidden", false)] {
        let want = format!(
            "Object.defineProperty(document, 'visibilityState', {{ value: '{seen}', configurable: true }});
             window.isHeard = false;
             const [other, third] = [1, 2].map(() => new BroadcastChannel('oneseat-stream-wanted'));
             third.onmessage = () => {{ isHeard = true; }};
             other.postMessage(location.origin);"
        );
        page.browser.run(&want).await;
        assert!(page.browser.wait_until("return isHeard").await);
        let is_open = "return !streams[2].signal.aborted";
        assert_eq!(page.browser.run(is_open).await, is_kept, "{seen}");
    }
}
