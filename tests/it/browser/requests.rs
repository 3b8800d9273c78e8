//! The requests of a page that holds a session: where its token goes, and what becomes of it when it is refused.

use serde_json::json;

use super::ADA;
use super::overlaps::leaving::{HIDE, SHOW};
use super::overlaps::{DEAF, LOGIN, LOGOUT, Page};
use crate::support::{App, Gate, eventually, sql};

/// An application on an origin of its own, which the seat of the page gives the token to.
async fn application(page: &Page) -> (App, Gate) {
    let origin = format!("http://{}", page.gate.address);
    let app = page
        .app
        .another_instance_with(|config| config.http.cors_origins = vec![origin])
        .await;
    let gate = Gate::before(app.address).await;
    let script = format!(
        "window.ended = [];
         window.application = 'http://{}';
         window.seat = new Oneseat({{ origins: [application] }});
         seat.onEnded((ending) => ended.push(ending));",
        gate.address
    );
    page.browser.run(&script).await;
    (app, gate)
}

#[tokio::test]
async fn the_token_goes_to_an_origin_that_was_named_and_to_none_that_looks_like_it() {
    let page = Page::open().await;
    page.browser
        .run("window.seat = new Oneseat({ origins: ['https://app.example.org'] })")
        .await;
    page.sign_in(ADA).await;
    let others = "(() => {
        window.went = [];
        const real = window.fetch;
        window.fetch = (url, ...rest) => {
            if (`${url}`.startsWith(`${location.origin}/`)) return real(url, ...rest);
            went.push(`${url}`);
            return Promise.resolve(new Response('{}'));
        };
        const port = Number(location.port) === 8443 ? 8444 : 8443;
        const urls = ['https://app.example.org.evil.example/', 'https://app.example.organic/', 'https://app.example.org:8443/',
            'http://app.example.org/', 'https://xapp.example.org/', 'https://app.example.org@evil.example/', '//evil.example/',
            'https://evil.example/https://app.example.org/', 'https://evil.example/#https://app.example.org', `${location.origin}@evil.example/`,
            `http://127.0.0.1:${port}/`, 'http://127.0.0.1/', 'https://127.0.0.1/', `http://localhost:${location.port}/`];
        return Promise.all(urls.map((url) => seat.fetch(url).then(() => url, (error) => error.constructor.name)))
            .then((outcomes) => [...new Set(outcomes)].join());
    })()";
    page.begin("others", others).await;
    assert_eq!(page.outcome("others").await, "TypeError");
    assert_eq!(page.browser.run("return went").await, json!([]));
    page.begin(
        "named",
        "seat.fetch('HTTPS://App.Example.org:443/path').then((response) => response.text())",
    )
    .await;
    assert_eq!(page.outcome("named").await, "{}");
    assert_eq!(
        page.browser.run("return went").await,
        json!(["https://app.example.org/path"])
    );
}

#[tokio::test]
async fn no_redirect_takes_a_password_or_a_token_along() {
    let page = Page::open().await;
    let location = "Location: /auth/login\r\n";
    page.gate
        .answer_once(LOGIN, "307 Temporary Redirect", location, "");
    page.begin_sign_in("led on", ADA).await;
    assert_eq!(page.outcome("led on").await, "TypeError");
    assert_eq!(page.gate.asked(LOGIN), 1);
    page.sign_in(ADA).await;
    for options in ["{}", "{ redirect: 'follow' }", "{ redirect: 'manual' }"] {
        let location = "Location: /auth/history\r\n";
        page.gate.answer_once("GET /elsewhere", "302 Found", location, "");
        page.begin("moved", &format!("seat.fetch('/elsewhere', {options})"))
            .await;
        assert_eq!(page.outcome("moved").await, "TypeError", "{options}");
        page.browser.run("delete outcomes.moved").await;
    }
    assert_eq!(page.gate.asked("GET /auth/history"), 0);
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn no_cookie_goes_along_and_no_answer_is_kept() {
    let page = Page::open().await;
    page.browser.run("document.cookie = 'of=another'").await;
    page.sign_in(ADA).await;
    for answer in ["first", "second"] {
        let kept = "Cache-Control: max-age=600\r\nContent-Type: text/plain\r\n";
        page.gate.answer_once("GET /kept", "200 OK", kept, answer);
        page.begin(answer, "seat.fetch('/kept').then((response) => response.text())")
            .await;
        assert_eq!(page.outcome(answer).await, answer);
    }
    page.ask_something_else("else").await;
    assert!(page.gate.head("GET /healthz").contains("\r\ncookie: of=another"));
    for request in [LOGIN, "GET /kept", "GET /auth/session/events"] {
        let head = page.gate.head(request);
        assert!(!head.contains("\r\ncookie:"), "{head}");
    }
}

#[tokio::test]
async fn a_401_of_an_application_ends_a_dead_seat_and_no_live_one() {
    let mut page = Page::open().await.of_other_origins().await;
    let (_app, gate) = application(&page).await;
    page.browser.run(DEAF).await;
    page.sign_in(ADA).await;
    page.app.database().execute(&sql::backdate_sessions("1 hour"));
    let refused = || {
        let headers = "Access-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n";
        let body = r#"{"code":"token_invalid","mine":"yes"}"#;
        gate.answer_once("GET /own", "401 Unauthorized", headers, body);
    };
    let call =
        "seat.fetch(`${application}/own`).then((response) => response.json()).then(({ mine }) => mine)";
    refused();
    page.begin("live", call).await;
    assert_eq!(page.outcome("live").await, "yes");
    page.agrees_on(Some(ADA)).await;
    let active = "select count(*) from sessions where last_activity > now() - interval '50 minutes'";
    assert_eq!(page.app.database().number(active), 0, "asking is no activity");
    assert_eq!(page.browser.run("return ended").await, json!([]));
    // Oneseat's own 401 for a service without its secret says nothing of the token.
    let introspect =
        "seat.fetch('/auth/introspect', { method: 'POST', body: new URLSearchParams({ token: 'x' }) })
        .then((response) => response.json()).then(({ code }) => code)";
    page.begin("service", introspect).await;
    assert_eq!(page.outcome("service").await, "invalid_client");
    page.agrees_on(Some(ADA)).await;
    // A caller may give up while oneseat is asked.
    refused();
    page.gate.hold("GET /auth/session ");
    let call_with_signal = "(() => { window.enough = new AbortController(); return seat.fetch(`${application}/own`, { signal: enough.signal }); })()";
    page.begin("given up", call_with_signal).await;
    let answer = page.gate.held().await;
    page.browser.run("enough.abort()").await;
    assert_eq!(page.outcome("given up").await, "DOMException 20");
    page.gate.hold_nothing();
    drop(answer);
    page.agrees_on(Some(ADA)).await;

    page.app.auth.revoke_all().await.unwrap();
    refused();
    page.begin("dead", call).await;
    assert_eq!(page.outcome("dead").await, "SessionEnded revoked");
    page.agrees_on(None).await;
    let told = "return ended.map(({ reason, endedAt }) => [reason, !Number.isNaN(Date.parse(endedAt))])";
    assert_eq!(page.browser.run(told).await, json!([["revoked", true]]));
}

#[tokio::test]
async fn only_oneseat_itself_must_answer_in_time() {
    let mut page = Page::open().await.of_other_origins().await;
    let (_app, mut gate) = application(&page).await;
    page.sign_in(ADA).await;
    page.browser
        .run("window.real = setTimeout; window.setTimeout = (ring, time) => real(ring, time === 30_000 ? 200 : time)")
        .await;
    gate.hold("GET /slow");
    let slow = "seat.fetch(`${application}/slow`).then((response) => response.status)";
    page.begin("application", slow).await;
    let answer = gate.held().await;
    page.gate.hold("GET /auth/history");
    let late = "seat.fetch('/auth/history').catch(({ constructor, cause }) => `${constructor.name}: ${cause?.name}`)";
    page.begin("oneseat", late).await;
    let _late = page.gate.held().await;
    assert_eq!(page.outcome("oneseat").await, "TypeError: TimeoutError");
    assert!(page.has_no_outcome("application").await);
    answer.deliver();
    assert_eq!(page.outcome("application").await, 404);
    page.browser.run("window.setTimeout = real").await;
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn each_listener_hears_of_each_end_once() {
    let page = Page::open().await;
    page.browser
        .run(
            "window.heard = [];
             const hear = (name) => ({ reason }) => heard.push(`${name} ${reason}`);
             seat.onEnded(() => {
                 if (heard.length > 0) return;
                 removed();
                 seat.onEnded(hear('added'));
             });
             seat.onEnded(hear('first'));
             const removed = seat.onEnded(hear('removed'));
             seat.onEnded(hear('last'));",
        )
        .await;
    page.sign_in(ADA).await;
    page.sign_in(ADA).await;
    let heard = "return heard";
    assert_eq!(
        page.browser.run(heard).await,
        json!(["first replaced", "last replaced"])
    );
    for name in ["once", "twice"] {
        page.begin(name, "seat.signOut()").await;
        assert_eq!(page.outcome(name).await, true);
    }
    page.browser.run(HIDE).await;
    assert_eq!(
        page.browser.run("return heard.slice(2)").await,
        json!(["first signed_out", "last signed_out", "added signed_out"])
    );
}

#[tokio::test]
async fn a_page_that_was_about_to_go_and_stayed_is_still_signed_in() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold(LOGOUT);
    page.browser.run("dispatchEvent(new Event('beforeunload'))").await;
    page.gate.held().await.deliver();
    page.agrees_on(Some(ADA)).await;
    assert_eq!(page.ended("page_closed"), 0);
}

#[tokio::test]
async fn a_sign_out_of_a_dead_seat_is_known_to_the_server() {
    let page = Page::open().await;
    page.browser.run(DEAF).await;
    page.sign_in(ADA).await;
    page.app.auth.revoke_all().await.unwrap();
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, true);
    assert_eq!(page.gate.asked(LOGOUT), 1);
}

/// No long pause ends by itself, and `late` says when the page has kept the token of a past session for too long.
const NO_TIME: &str = "
    const [sleep, limit] = [setTimeout, AbortSignal.timeout.bind(AbortSignal)];
    window.setTimeout = (ring, time) => sleep(ring, time > 10_000 ? 2 ** 31 - 1 : time);
    window.late = new AbortController();
    AbortSignal.timeout = (time) => (time === 600_000 ? late.signal : limit(time));";

#[tokio::test]
async fn whenever_the_network_is_back_the_server_is_told_until_it_knows_or_it_is_too_late() {
    const ONLINE: &str = "dispatchEvent(new Event('online'))";
    let page = Page::open().await;
    page.browser.run(NO_TIME).await;
    page.sign_in(ADA).await;
    for _ in 0..3 {
        page.gate.answer_once(LOGOUT, "404 Not Found", "", "{}");
    }
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, false);
    page.begin("told", "seat.told()").await;
    eventually("the server knows", async || {
        page.browser.run(ONLINE).await;
        page.app.sessions() == 0
    })
    .await;
    assert_eq!(page.outcome("told").await, true);
    page.browser.run(ONLINE).await;
    page.ask_something_else("enough").await;
    assert_eq!(page.gate.asked(LOGOUT), 4);

    page.sign_in(ADA).await;
    for _ in 0..2 {
        page.gate.answer_once(LOGOUT, "404 Not Found", "", "{}");
    }
    page.begin("second", "seat.signOut()").await;
    assert_eq!(page.outcome("second").await, false);
    page.begin("told at last", "seat.told()").await;
    // It tells once more, and then not again.
    page.browser.run("late.abort()").await;
    assert_eq!(page.outcome("told at last").await, false);
    page.browser.run(ONLINE).await;
    page.ask_something_else("too late").await;
    assert_eq!(page.gate.asked(LOGOUT), 6);
    assert_eq!(page.app.sessions(), 1);
}

#[tokio::test]
async fn a_page_that_is_left_forgets_the_token_that_it_kept_to_tell_the_server() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    for _ in 0..2 {
        page.gate.answer_once(LOGOUT, "404 Not Found", "", "{}");
    }
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, false);
    page.begin("told", "seat.told()").await;
    // It tells once more when it is left, and then not again.
    page.browser.run(HIDE).await;
    page.ask_something_else("else").await;
    assert_eq!(page.gate.asked(LOGOUT), 2);
    assert_eq!(page.outcome("told").await, false);
    page.browser.run(SHOW).await;
    page.browser.run("dispatchEvent(new Event('online'))").await;
    page.ask_something_else("again").await;
    assert_eq!(page.gate.asked(LOGOUT), 2);
}
