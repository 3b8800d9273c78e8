//! Calls that overlap in a page, and answers that come late, in another order or never: the page holds one live session, or none.

mod chance;
mod endings;
pub(super) mod leaving;
mod sign_ins;

use oneseat::users::Role;
use serde_json::{Value, json};

use super::{ADA, app_with_ada};
use crate::support::{App, Browser, Gate, PASSWORD, eventually};

pub(super) const BOB: &str = "bob@example.org";
pub(super) const LOGIN: &str = "POST /auth/login";
pub(super) const LOGOUT: &str = "POST /auth/logout";

/// The page hears of no end by its event stream.
pub(super) const DEAF: &str = "
    const real = window.fetch;
    window.fetch = (url, ...rest) => `${url}`.includes('/events') ? new Promise(() => {}) : real(url, ...rest);";

/// The client module in an otherwise empty page. Fields are dropped in this order: the browser first, the
/// server last.
pub(super) struct Page {
    pub(super) browser: Browser,
    pub(super) gate: Gate,
    pub(super) app: App,
}

impl Page {
    pub(super) async fn open() -> Self {
        let app = app_with_ada().await;
        app.add_user("bob", Role::User).await;
        let gate = Gate::before(app.address).await;
        let browser = Browser::open(gate.address, "/forgot").await;
        let page = Self { browser, gate, app };
        page.prepare().await;
        page
    }

    /// Loads the page anew, without the policy that keeps our own pages from asking other origins.
    pub(super) async fn of_other_origins(self) -> Self {
        self.browser
            .devtools("Page.setBypassCSP", json!({ "enabled": true }))
            .await;
        self.browser.go("/forgot").await;
        self.prepare().await;
        self
    }

    async fn prepare(&self) {
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
        self.browser.run(script).await;
        assert!(self.browser.wait_until("return 'seat' in window").await);
    }

    /// Starts a call whose outcome gets this name.
    pub(super) async fn begin(&self, name: &str, call: &str) {
        let script = format!("note({}, {call})", json!(name));
        self.browser.run(&script).await;
    }

    pub(super) async fn begin_sign_in(&self, name: &str, email: &str) {
        self.begin(name, &sign_in(email)).await;
    }

    /// The outcome: a user's address, a value, or the kind of error and its reason.
    pub(super) async fn outcome(&self, name: &str) -> Value {
        let name = json!(name);
        let there = format!("return {name} in outcomes");
        assert!(self.browser.wait_until(&there).await, "no outcome of {name}");
        self.browser.run(&format!("return outcomes[{name}]")).await
    }

    pub(super) async fn has_no_outcome(&self, name: &str) -> bool {
        self.browser
            .run(&format!("return !({} in outcomes)", json!(name)))
            .await
            == true
    }

    pub(super) async fn sign_in(&self, email: &str) {
        self.begin_sign_in("sign-in", email).await;
        assert_eq!(self.outcome("sign-in").await, email);
        self.browser.run("delete outcomes['sign-in']").await;
    }

    /// Waits until every call made before this has reached the server, if it was sent at all.
    pub(super) async fn ask_something_else(&self, name: &str) {
        let call = "fetch('/healthz').then((response) => response.status)";
        self.begin(name, call).await;
        assert_eq!(self.outcome(name).await, 200);
    }

    /// The user whose session the page holds, with the session's id as the server knows it.
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

    /// The only session is this user's, and the page holds it; or there is no session, and the page holds
    /// none.
    pub(super) async fn agrees_on(&self, user: Option<&str>) {
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

    pub(super) fn ended(&self, reason: &str) -> i64 {
        let ended = format!("select count(*) from ended_sessions where reason = '{reason}'");
        self.app.database().number(&ended)
    }
}

fn sign_in(email: &str) -> String {
    format!("seat.signIn('{email}', '{PASSWORD}')")
}
