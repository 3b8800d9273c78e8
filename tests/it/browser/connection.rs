//! What a page says about its connection: lost, back, slow, or without an answer.

use oneseat::users::Role;
use serde_json::json;

use super::{ADA, app_with_ada};
use crate::support::{Browser, PASSWORD, eventually};

/// The event stream breaks when the test calls `cut()`, and opens again after `mend()`.
const BREAKABLE: &str = "
    const real = window.fetch;
    let isCut = false;
    let cutting = new AbortController();
    window.cut = () => { isCut = true; cutting.abort(); };
    window.mend = () => { isCut = false; cutting = new AbortController(); };
    window.fetch = (url, options) => {
        if (!`${url}`.endsWith('/auth/session/events')) return real(url, options);
        if (isCut) return Promise.reject(new TypeError('cut'));
        const signal = AbortSignal.any([options.signal, cutting.signal]);
        return real(url, { ...options, signal }).then((answer) => { window.listens = true; return answer; });
    };
    window.said = [];
    new MutationObserver(() => said.push(connection.textContent)).observe(connection, { childList: true });";

#[tokio::test]
async fn a_lost_connection_is_told_until_it_is_back_and_the_end_of_the_session_takes_it_away() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.run(BREAKABLE).await;
    browser.sign_in(ADA).await;
    assert!(browser.wait_until("return window.listens").await);
    browser.run("cut()").await;
    browser.wait_for_words("Reconnecting …").await;
    browser.run("mend()").await;
    browser.wait_for_words("Connected again.").await;
    assert!(browser.wait_until("return connection.textContent === ''").await);
    // Three words, not one for each try.
    assert_eq!(
        browser.run("return said").await,
        json!(["Reconnecting …", "Connected again.", ""])
    );

    browser.run("cut()").await;
    browser.wait_for_words("Reconnecting …").await;
    browser.click("#sign-out").await;
    browser.wait_for_words("You are signed out.").await;
    assert!(browser.wait_until("return connection.textContent === ''").await);
}

/// A stream tells that it lives, and nothing else. While there is no connection, the history is not shown either.
const MUTE: &str = "
    const breakable = window.fetch;
    window.isAway = false;
    const isBeat = (chunk) => new TextDecoder().decode(chunk).startsWith(':');
    const mute = () => new TransformStream({ transform(chunk, out) { if (isBeat(chunk)) out.enqueue(chunk); } });
    window.fetch = async (url, options) => {
        if (isAway && `${url}`.endsWith('/admin/history')) {
            return Response.json({ code: 'unavailable' }, { status: 503, headers: { 'Retry-After': '3600' } });
        }
        const answer = await breakable(url, options);
        if (!answer.ok || !`${url}`.endsWith('/auth/session/events')) return answer;
        return new Response(answer.body.pipeThrough(mute()), { headers: answer.headers });
    };";

#[tokio::test]
async fn what_happened_without_a_connection_is_shown_when_it_is_back() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.run(BREAKABLE).await;
    browser.run(MUTE).await;
    browser.sign_in(ADA).await;
    assert!(browser.wait_until("return window.listens").await);
    let cut = async || {
        browser.run("isAway = true; cut()").await;
        browser.wait_for_words("Reconnecting …").await;
    };
    let mend = "isAway = false; mend()";

    cut().await;
    app.database().execute("update users set role = 'admin'");
    browser.run(mend).await;
    browser.click("a[href='/admin/users']").await;
    browser.wait_for_count("#users-heading .count", 1).await;

    cut().await;
    app.add_user("grace", Role::User).await;
    browser.run(mend).await;
    browser.wait_for_count("#users-heading .count", 2).await;

    // A page that a busy server wanted to give much later comes as soon as the server is heard again.
    cut().await;
    browser.click("a[href='/admin/history']").await;
    browser.wait_for_words("oneseat is busy for a moment.").await;
    browser.run(mend).await;
    browser.wait_for_path("/admin/history").await;
}

#[tokio::test]
async fn a_sign_out_without_a_network_is_told_to_the_server_when_it_is_back() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    let network = |offline| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.devtools("Network.enable", json!({})).await;
    browser
        .devtools("Network.emulateNetworkConditions", network(true))
        .await;
    browser.click("#sign-out").await;
    browser.wait_for_words("The server does not know yet").await;
    assert_eq!(app.sessions(), 1);
    browser
        .devtools("Network.emulateNetworkConditions", network(false))
        .await;
    eventually("the server knows", async || app.sessions() == 0).await;
    browser.wait_for_words("the server knows now").await;
    let signed_out = "select count(*) from ended_sessions where reason = 'signed_out'";
    assert_eq!(app.database().number(signed_out), 1);
    browser.sign_in(ADA).await;
}

#[tokio::test]
async fn a_sign_in_first_tells_the_server_what_it_does_not_know() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser
        .run(
            "const real = window.fetch;
             window.fetch = (url, ...rest) => `${url}`.endsWith('/auth/logout') ? Promise.reject(new TypeError('away')) : real(url, ...rest);
             window.back = () => { window.fetch = real; };",
        )
        .await;
    browser.click("#sign-out").await;
    browser.wait_for_words("The server does not know yet").await;
    browser.run("back()").await;
    browser.sign_in(ADA).await;
    let reasons = "select string_agg(reason, ' ') from ended_sessions";
    assert_eq!(app.database().text(reasons), "signed_out");
}

#[tokio::test]
async fn a_slow_answer_shows_a_bar_and_no_other_answer_does() {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    let admin = Browser::open(app.address, "/login").await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.wait_for("#sign-out").await;
    let bar = |is_shown: bool| {
        format!(
            "const bar = getComputedStyle(document.body, '::before');
             return {is_shown} === (bar.content !== 'none' && bar.opacity === '1')"
        )
    };
    assert!(admin.wait_until(&bar(false)).await);
    admin
        .run(
            "const real = window.fetch;
             window.fetch = async (...asked) => {
                 const answer = await real(...asked);
                 if (`${asked[0]}`.endsWith('/admin/users')) await new Promise((go) => { window.letGo = go; });
                 return answer;
             };",
        )
        .await;
    admin.click("a[href='/admin/users']").await;
    assert!(admin.wait_until(&bar(true)).await);
    assert!(admin.wait_until("return window.letGo !== undefined").await);
    admin.run("letGo()").await;
    admin.wait_for_path("/admin/users").await;
    assert!(admin.wait_until(&bar(false)).await);
}

#[tokio::test]
async fn a_sign_in_that_gets_no_answer_says_so_and_can_be_tried_again() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser
        .run(
            "const real = window.fetch, timeout = AbortSignal.timeout;
             AbortSignal.timeout = () => timeout.call(AbortSignal, 300);
             window.fetch = (url, { signal }) => new Promise((_, fail) => {
                 signal.addEventListener('abort', () => fail(signal.reason));
             });
             window.back = () => { window.fetch = real; AbortSignal.timeout = timeout; };",
        )
        .await;
    browser.submit_login(ADA, PASSWORD).await;
    browser.wait_for_words("oneseat has not answered in time.").await;
    assert_eq!(browser.run("return password.value").await, PASSWORD);
    browser.run("back()").await;
    browser.click("#login [type=submit]").await;
    browser.wait_for("#sign-out").await;
}
