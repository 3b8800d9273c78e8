//! Calls that overlap in a page, and answers that come late, in another order or never: the page holds one live session, or none.

use oneseat::users::Role;
use serde_json::{Value, json};

use super::client_module::Site;
use super::{ADA, app_with_ada};
use crate::support::{App, Browser, Gate, PASSWORD, eventually};

const BOB: &str = "bob@example.org";
const LOGIN: &str = "POST /auth/login";
const LOGOUT: &str = "POST /auth/logout";

/// The module in a page that does nothing else with it. The order matters: the browser goes first, the server last.
struct Page {
    browser: Browser,
    gate: Gate,
    app: App,
}

impl Page {
    async fn open() -> Self {
        let app = app_with_ada().await;
        app.add_user("bob", Role::User).await;
        let gate = Gate::before(app.address).await;
        let browser = Browser::open(gate.address, "/forgot").await;
        let script = "
            window.outcomes = {};
            window.reported = [];
            window.reportError = (error) => reported.push(error.message);
            window.note = (name, promise) => promise.then(
                (value) => { outcomes[name] = value?.email ?? value ?? 'done'; },
                (error) => { outcomes[name] = `${error.constructor.name} ${error.ending?.reason ?? error.code ?? ''}`.trim(); });
            import('/static/oneseat.js').then((module) => {
                window.Oneseat = module.Oneseat;
                window.seat = new Oneseat();
            });";
        browser.run(script).await;
        assert!(browser.wait_until("return 'seat' in window").await);
        Self { browser, gate, app }
    }

    /// Begins something that comes to an outcome of this name.
    async fn begin(&self, name: &str, call: &str) {
        let script = format!("note({}, {call})", json!(name));
        self.browser.run(&script).await;
    }

    async fn begin_sign_in(&self, name: &str, email: &str) {
        self.begin(name, &sign_in(email)).await;
    }

    /// What it came to: a user's address, a value, or the kind of error and its reason.
    async fn outcome(&self, name: &str) -> Value {
        let name = json!(name);
        let there = format!("return {name} in outcomes");
        assert!(self.browser.wait_until(&there).await, "no outcome of {name}");
        self.browser.run(&format!("return outcomes[{name}]")).await
    }

    async fn has_no_outcome(&self, name: &str) -> bool {
        self.browser
            .run(&format!("return !({} in outcomes)", json!(name)))
            .await
            == true
    }

    async fn sign_in(&self, email: &str) {
        self.begin_sign_in("sign-in", email).await;
        assert_eq!(self.outcome("sign-in").await, email);
        self.browser.run("delete outcomes['sign-in']").await;
    }

    /// What was asked for before this has reached the server, if it was sent at all.
    async fn ask_something_else(&self, name: &str) {
        let call = "fetch('/healthz').then((response) => response.status)";
        self.begin(name, call).await;
        assert_eq!(self.outcome(name).await, 200);
    }

    /// Whose session the page holds, with the session's id as the server knows it.
    async fn held(&self) -> (Value, Value) {
        let script = "
            const done = arguments[0];
            if (!seat.user) done([null, null]);
            else seat.fetch('/auth/session', { passive: true })
                .then((response) => response.json())
                .then(({ user, session }) => done([user.email, session.id]), () => done([null, null]));";
        let held = self.browser.page.execute_async(script, vec![]).await.unwrap();
        (held[0].clone(), held[1].clone())
    }

    /// The one session that there is, is this user's, and the page holds it; or there is none, and the page holds none.
    async fn agrees_on(&self, user: Option<&str>) {
        eventually("the page and the server agree", async || {
            let (email, id) = self.held().await;
            match user {
                None => email.is_null() && self.app.sessions() == 0,
                Some(user) => {
                    email == user && self.app.sessions() == 1 && {
                        let id = id.as_str().unwrap();
                        let is_it = format!("select count(*) from sessions where id = '{id}'");
                        self.app.database().number(&is_it) == 1
                    }
                }
            }
        })
        .await;
    }

    fn ended(&self, reason: &str) -> i64 {
        let ended = format!("select count(*) from ended_sessions where reason = '{reason}'");
        self.app.database().number(&ended)
    }
}

fn sign_in(email: &str) -> String {
    format!("seat.signIn('{email}', '{PASSWORD}')")
}

/// What a browser tells a page that it keeps for "back".
const HIDE: &str = "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))";
const SHOW: &str = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))";

#[tokio::test]
async fn of_two_sign_ins_that_overlap_the_later_is_held_and_is_the_last_at_the_server() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("first", ADA).await;
    let first = page.gate.held().await;
    page.begin_sign_in("second", ADA).await;
    assert_eq!(page.outcome("first").await, "SessionEnded replaced");
    page.ask_something_else("else").await;
    assert_eq!(
        page.gate.asked(LOGIN),
        1,
        "the second waits for the first's answer"
    );
    first.deliver();
    page.gate.held().await.deliver();
    assert_eq!(page.outcome("second").await, ADA);
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn of_many_sign_ins_at_once_only_the_first_and_the_last_are_sent() {
    let page = Page::open().await;
    let calls = (0..5).map(|n| format!("note('{n}', {})", sign_in(ADA)));
    page.browser.run(&calls.collect::<Vec<_>>().join(";")).await;
    assert_eq!(page.outcome("4").await, ADA);
    for overtaken in ["0", "1", "2", "3"] {
        assert_eq!(page.outcome(overtaken).await, "SessionEnded replaced");
    }
    assert!(page.gate.asked(LOGIN) <= 2, "{}", page.gate.asked(LOGIN));
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn a_sign_in_of_somebody_else_overtakes_the_first_whose_session_is_ended() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("ada", ADA).await;
    let ada = page.gate.held().await;
    page.begin_sign_in("bob", BOB).await;
    page.gate.hold_nothing();
    ada.deliver();
    assert_eq!(page.outcome("ada").await, "SessionEnded replaced");
    assert_eq!(page.outcome("bob").await, BOB);
    page.agrees_on(Some(BOB)).await;
    assert_eq!(page.ended("signed_out"), 1);
}

#[tokio::test]
async fn a_sign_in_that_overtakes_and_fails_leaves_none() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("first", ADA).await;
    let first = page.gate.held().await;
    page.begin("second", &format!("seat.signIn('{ADA}', 'not the password')"))
        .await;
    page.gate.hold_nothing();
    first.deliver();
    assert_eq!(page.outcome("second").await, "Problem invalid_credentials");
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_sign_in_of_somebody_else_ends_the_session_that_was_held() {
    let page = Page::open().await;
    page.browser
        .run("seat.onEnded(({ reason }) => { outcomes.ended = reason; })")
        .await;
    page.sign_in(ADA).await;
    page.sign_in(BOB).await;
    assert_eq!(page.outcome("ended").await, "signed_out");
    page.agrees_on(Some(BOB)).await;
    assert_eq!(page.ended("signed_out"), 1);
}

#[tokio::test]
async fn a_refused_sign_in_changes_nothing_for_the_session_that_is_held() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.begin("wrong", &format!("seat.signIn('{BOB}', 'not the password')"))
        .await;
    assert_eq!(page.outcome("wrong").await, "Problem invalid_credentials");
    page.agrees_on(Some(ADA)).await;
    // Not the token was refused, but what was sent beside it.
    let call = "seat.fetch('/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email: 'bob@example.org', password: 'not the password' }) })
        .then((response) => response.json()).then(({ code }) => code)";
    page.begin("by hand", call).await;
    assert_eq!(page.outcome("by hand").await, "invalid_credentials");
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn a_sign_out_during_a_sign_in_waits_for_its_answer_and_ends_what_it_opened() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("sign-in", ADA).await;
    let answer = page.gate.held().await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-in").await, "SessionEnded signed_out");
    assert!(
        page.has_no_outcome("sign-out").await,
        "the server does not know yet"
    );
    answer.deliver();
    assert_eq!(page.outcome("sign-out").await, true);
    assert_eq!(page.app.sessions(), 0);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_second_sign_out_says_what_the_first_says() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold(LOGOUT);
    page.begin("first", "seat.signOut()").await;
    page.begin("second", "seat.signOut()").await;
    let answer = page.gate.held().await;
    assert!(page.has_no_outcome("second").await);
    drop(answer);
    assert_eq!(page.outcome("first").await, false);
    assert_eq!(page.outcome("second").await, false);
    assert_eq!(page.gate.asked(LOGOUT), 1);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_owned_up_to_and_the_next_sign_in_replaces_what_it_left() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("lost", ADA).await;
    drop(page.gate.held().await);
    assert_eq!(page.outcome("lost").await, "TypeError");
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, false);
    assert_eq!(page.app.sessions(), 1, "which nobody can know of");
    page.gate.hold_nothing();
    page.sign_in(ADA).await;
    page.agrees_on(Some(ADA)).await;
    page.begin("again", "seat.signOut()").await;
    assert_eq!(page.outcome("again").await, true);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_listener_that_throws_is_reported_and_changes_nothing() {
    let page = Page::open().await;
    page.browser
        .run(
            "seat.onEnded(() => { throw new Error('of a listener'); });
             seat.onEnded(({ reason }) => { outcomes.told = reason; });
             seat.onChanged(() => { throw new Error('of another'); });
             seat.onChanged(() => { outcomes.changed = 'told'; });",
        )
        .await;
    page.sign_in(ADA).await;
    assert_eq!(page.outcome("changed").await, "told");
    page.sign_in(ADA).await;
    assert_eq!(page.outcome("told").await, "replaced");
    page.agrees_on(Some(ADA)).await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, true);
    page.agrees_on(None).await;
    let reported = page.browser.run("return reported.join()").await;
    let reported = reported.as_str().unwrap();
    assert!(
        reported.contains("of a listener") && reported.contains("of another"),
        "{reported}"
    );
}

#[tokio::test]
async fn a_listener_that_asks_for_something_else_has_its_way() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.browser
        .run("window.off = seat.onEnded(() => { off(); note('within', seat.signOut()); })")
        .await;
    page.begin_sign_in("bob", BOB).await;
    assert_eq!(page.outcome("bob").await, "SessionEnded signed_out");
    assert_eq!(page.outcome("within").await, true);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_page_that_is_left_signs_nobody_in_until_it_is_back() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("before", ADA).await;
    let answer = page.gate.held().await;
    page.browser.run(HIDE).await;
    assert_eq!(page.outcome("before").await, "SessionEnded page_closed");
    answer.deliver();
    page.agrees_on(None).await;
    assert_eq!(page.ended("page_closed"), 1);
    page.gate.hold_nothing();
    page.begin_sign_in("hidden", ADA).await;
    assert_eq!(page.outcome("hidden").await, "SessionEnded page_closed");
    assert_eq!(page.gate.asked(LOGIN), 1);
    page.browser.run(SHOW).await;
    page.sign_in(ADA).await;
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn a_page_that_the_browser_really_kept_comes_back_signed_out() {
    let site = Site::start();
    let origin = site.origin();
    let app = App::start_with(|config| config.cors_origins = vec![origin]).await;
    app.add_user("ada", Role::User).await;
    let mut gate = Gate::before(app.address).await;
    site.show_the_example(gate.address);
    let browser = Browser::open(site.address, "/").await;
    browser
        .run("window.shown = []; addEventListener('pageshow', ({ persisted }) => shown.push(persisted))")
        .await;
    gate.hold(LOGIN);
    super::client_module::sign_in(&browser, PASSWORD).await;
    let answer = gate.held().await;
    browser.go("/app.css").await;
    answer.deliver();
    browser.page.back().await.unwrap();
    assert!(
        browser
            .wait_until("return window.shown?.includes(true) === true")
            .await
    );
    eventually("what was opened is ended", async || app.sessions() == 0).await;
    let text = browser.text().await;
    assert!(
        text.contains("Take the seat") && !text.contains("the seat of"),
        "{text}"
    );
    let ended = "select count(*) from ended_sessions where reason = 'page_closed'";
    assert_eq!(app.database().number(ended), 1);
}

#[tokio::test]
async fn two_seats_in_one_page_are_like_two_pages() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.browser
        .run(
            "seat.onEnded(({ reason }) => { outcomes.ended = reason; });
             window.first = seat;
             window.seat = new Oneseat();",
        )
        .await;
    page.begin_sign_in("bob", BOB).await;
    assert_eq!(page.outcome("bob").await, BOB);
    assert_eq!(page.app.sessions(), 2);
    page.begin_sign_in("ada", ADA).await;
    assert_eq!(page.outcome("ada").await, ADA);
    assert_eq!(page.outcome("ended").await, "replaced");
    assert_eq!(page.browser.run("return first.user").await, json!(null));
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn what_waits_for_an_answer_when_the_session_ends_is_aborted_with_the_reason() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold("GET /auth/history");
    page.begin("history", "seat.fetch('/auth/history')").await;
    let answer = page.gate.held().await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("history").await, "SessionEnded signed_out");
    answer.deliver();
    assert_eq!(page.outcome("sign-out").await, true);
    // One that its caller gives up is theirs alone.
    page.sign_in(ADA).await;
    let call = "(() => { window.enough = new AbortController(); return seat.fetch('/auth/history', { signal: enough.signal }); })()";
    page.begin("given up", call).await;
    let _answer = page.gate.held().await;
    page.browser.run("enough.abort()").await;
    assert_eq!(page.outcome("given up").await, "DOMException 20");
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn a_change_of_password_is_what_the_server_says_it_is() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold("POST /auth/password/change");
    let call = format!("seat.changePassword('{PASSWORD}', 'seven sleepy otters in a row')");
    page.begin("change", &call).await;
    let answer = page.gate.held().await;
    // The stream may tell of the end first; only the answer says by whom.
    assert!(page.browser.wait_until("return seat.user === null").await);
    assert!(page.has_no_outcome("change").await);
    answer.deliver();
    assert_eq!(page.outcome("change").await, "done");
    page.agrees_on(None).await;
}

#[tokio::test]
async fn an_origin_is_a_scheme_a_host_and_a_port_and_nothing_else_gets_the_token() {
    let page = Page::open().await;
    let refused = page
        .browser
        .run(
            "const refused = ['null', '', 'app.example.org', '//app.example.org', 'https://', 'https://app.example.org/',
                 'https://app.example.org/path', 'https://app.example.org?', 'https://app.example.org#', 'https://me@app.example.org',
                 'https://app.example.org\\\\', ' https://app.example.org', 'https://*.example.org:no', 'file:///srv/app.html', 'file://host',
                 'data:text/html,app', 'blob:https://app.example.org/1', 'blob:null/1', 'about:blank', 'javascript:0', 'ftp://app.example.org',
                 null, undefined, 7, {}, [], new URL('https://app.example.org'), ['https://app.example.org']];
             const makes = (options) => { try { new Oneseat(options); return true; } catch (error) { return !(error instanceof TypeError); } };
             return [refused.filter((origin) => makes({ origins: [origin] })).map(String),
                     ['https://app.example.org', new Set()].filter((origins) => makes({ origins })).map(String),
                     ['data:text/javascript,0', 'file:///srv/oneseat.js', 'blob:null/1'].filter((server) => makes({ server }))];",
        )
        .await;
    assert_eq!(refused, json!([[], [], []]));
    let accepted = "new Oneseat({ server: 'HTTPS://Seat.Example.org/any/path', origins: ['https://APP.example.org:443', 'http://127.0.0.1:8000'] }); return true";
    assert_eq!(page.browser.run(accepted).await, true);
    page.sign_in(ADA).await;
    page.begin("blob", "seat.fetch(URL.createObjectURL(new Blob(['{}'])))")
        .await;
    assert_eq!(page.outcome("blob").await, "TypeError");
}

#[tokio::test]
async fn a_form_sent_twice_signs_in_once_and_one_that_was_left_not_at_all() {
    let app = app_with_ada().await;
    let mut gate = Gate::before(app.address).await;
    let browser = Browser::open(gate.address, "/login").await;
    gate.hold(LOGIN);
    browser.submit_login(ADA, PASSWORD).await;
    let answer = gate.held().await;
    browser
        .run("document.getElementById('login').requestSubmit()")
        .await;
    browser.run(HIDE).await;
    answer.deliver();
    eventually("what was opened is ended", async || app.sessions() == 0).await;
    assert_eq!(gate.asked(LOGIN), 1);
    assert_eq!(browser.path().await, "/login");
    assert_eq!(
        browser
            .run("return document.getElementById('password').value")
            .await,
        ""
    );
    browser.run(SHOW).await;
    gate.hold_nothing();
    browser.sign_in(ADA).await;
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn whatever_is_asked_for_and_however_it_is_answered_one_live_session_is_held_or_none() {
    const RUNS: u32 = 3_000;
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/forgot").await;
    let script = format!(
        "{}
         window.addEventListener('error', (event) => event.preventDefault());
         import('/static/oneseat.js')
             .then(({{ Oneseat }}) => interleavings(Oneseat, 1, {RUNS}))
             .then((result) => {{ window.result = result; }}, (error) => {{ window.result = {{ wrong: [String(error.stack)], tried: {{}} }}; }});",
        include_str!("interleavings.js")
    );
    browser.run(&script).await;
    assert!(browser.wait_until("return 'result' in window").await);
    let result = browser.run("return result").await;
    assert_eq!(result["wrong"], json!([]));
    // Chance has tried everything, and often.
    for act in [
        "signIn",
        "wrong",
        "signOut",
        "hide",
        "show",
        "elsewhere",
        "work",
        "deliver",
        "cut",
        "tell",
        "opened",
        "SessionEnded",
        "Problem",
        "TypeError",
        "holding",
        "empty",
    ] {
        assert!(result["tried"][act].as_u64() >= Some(100), "{act}: {result}");
    }
}
