//! A real browser, driven through its WebDriver.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::driver::{Driver, Engine};
use super::{TIMEOUT, idle, pauses};

/// A browser with one window. Nothing in it is of another test.
pub struct Browser {
    pub page: Client,
    address: SocketAddr,
    driver: Option<Driver>,
    is_killed: Cell<bool>,
}

impl Browser {
    /// Opens a page of the server at `address`, in Chromium.
    pub async fn open(address: SocketAddr, path: &str) -> Self {
        Self::open_in(Engine::Chromium, address, path).await
    }

    /// Opens a page of the server at `address`, in another browser.
    pub async fn open_in(engine: Engine, address: SocketAddr, path: &str) -> Self {
        let (driver, page) = match idle::take(engine) {
            Some(idle) => idle,
            None => idle::start(engine).await,
        };
        let browser = Self {
            page,
            address,
            driver: Some(driver),
            is_killed: Cell::new(false),
        };
        browser.go(path).await;
        browser
    }

    /// Kills the browser, so that it cannot send anything.
    pub fn kill(&self) {
        self.is_killed.set(true);
        self.driver.as_ref().unwrap().kill_browser();
    }

    /// Navigates, as from the address bar.
    pub async fn go(&self, path: &str) {
        self.page
            .goto(&format!("http://{}{path}", self.address))
            .await
            .unwrap();
    }

    /// Fills the form in and sends it.
    pub async fn submit_login(&self, email: &str, password: &str) {
        self.fill("#email", email).await;
        self.fill("#password", password).await;
        self.click("#login [type=submit]").await;
    }

    /// Signs in and waits for the dashboard.
    pub async fn sign_in(&self, email: &str) {
        self.submit_login(email, super::PASSWORD).await;
        self.wait_for("#sign-out").await;
    }

    /// Types into the element; if the page replaces it meanwhile, into its replacement.
    pub async fn fill(&self, selector: &str, text: &str) {
        let fill = async |field: Element| match field.clear().await {
            Ok(()) => field.send_keys(text).await,
            error => error,
        };
        self.use_element(selector, fill).await;
    }

    /// Clicks the element; if the page replaces it meanwhile, its replacement.
    pub async fn click(&self, selector: &str) {
        self.use_element(selector, async |element: Element| element.click().await)
            .await;
    }

    /// Uses the element as soon as the page shows it and does not replace it meanwhile.
    pub async fn use_element(&self, selector: &str, work: impl AsyncFn(Element) -> Result<(), CmdError>) {
        let deadline = std::time::Instant::now() + TIMEOUT;
        for pause in pauses(Duration::from_millis(200)) {
            match work(self.wait_for(selector).await).await {
                Err(error)
                    if (error.is_stale_element_reference() || error.is_element_not_interactable())
                        && std::time::Instant::now() < deadline =>
                {
                    tokio::time::sleep(pause).await;
                }
                used => return used.unwrap(),
            }
        }
    }

    /// The element, as soon as it is there.
    pub async fn wait_for(&self, selector: &str) -> Element {
        let waiting = self.page.wait().at_most(TIMEOUT);
        match waiting.for_element(Locator::Css(selector)).await {
            Ok(element) => element,
            Err(error) => panic!("{selector}: {error} in: {}", self.text().await),
        }
    }

    /// Waits until the visible text of the page contains these words.
    pub async fn wait_for_words(&self, words: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(words));
        let seen = self.wait_until(&script).await;
        assert!(seen, "{words:?} is not in: {}", self.text().await);
    }

    /// Waits until a script returns true; false when it never does.
    pub async fn wait_until(&self, script: &str) -> bool {
        let deadline = std::time::Instant::now() + TIMEOUT;
        for pause in pauses(Duration::from_millis(200)) {
            if self.run(script).await == true {
                return true;
            }
            if std::time::Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        false
    }

    /// Waits until the text of the element is this number and nothing else.
    pub async fn wait_for_count(&self, selector: &str, count: u32) {
        let says = format!("document.querySelector({})?.textContent", json!(selector));
        let seen = self.wait_until(&format!("return {says} === '{count}'")).await;
        assert!(
            seen,
            "{selector} never says {count}: {}",
            self.run(&format!("return {says}")).await
        );
    }

    /// The visible text of the page.
    pub async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    /// Waits until the address bar has this after the host.
    pub async fn wait_for_path(&self, path: &str) {
        let is_there = format!("return location.pathname === '{path}'");
        assert!(self.wait_until(&is_there).await, "never at {path}");
    }

    /// The part of the address bar after the host.
    pub async fn path(&self) -> String {
        self.page.current_url().await.unwrap().path().to_owned()
    }

    /// Presses a key in the element that has the focus.
    pub async fn press(&self, key: char) {
        let focused = self.page.active_element().await.unwrap();
        focused.send_keys(&key.to_string()).await.unwrap();
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// Sends a command of Chromium's own protocol, for what WebDriver cannot do.
    pub async fn devtools(&self, command: &str, params: Value) {
        self.page.issue_cmd(DevTools::new(command, params)).await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let driver = self.driver.take().unwrap();
        if !self.is_killed.get() && !std::thread::panicking() {
            idle::give_back(driver, self.page.clone());
        }
    }
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
pub(super) struct DevTools(Value);

impl DevTools {
    pub(super) fn new(command: &str, params: Value) -> Self {
        Self(json!({ "cmd": command, "params": params }))
    }
}

impl fantoccini::wd::WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}
