//! Chromium is started for one test and then used by many: its start costs more than most tests do with it.
//!
//! Each test has a server on a port of its own, so nothing that a page keeps for its origin is found by another test.

use std::sync::{LazyLock, Mutex, MutexGuard};

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::browser::DevTools;
use super::driver::{Driver, Engine, HEIGHT, WIDTH};

/// Any more are closed: each takes some hundred megabytes.
const MOST: usize = 6;

/// Browsers that no test uses, each with one empty tab.
static IDLE: Mutex<Vec<(Driver, Client)>> = Mutex::new(Vec::new());

/// Where the connections to the drivers live. The runtime of a test ends with it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
});

/// A browser that another test has left.
pub fn take(engine: Engine) -> Option<(Driver, Client)> {
    (engine == Engine::Chromium).then(|| idle().pop()).flatten()
}

/// Starts a browser.
pub async fn start(engine: Engine) -> (Driver, Client) {
    let start = async move {
        let mut driver = Driver::start(engine);
        let Value::Object(capabilities) = driver.capabilities() else {
            unreachable!()
        };
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url())
            .await
            .unwrap();
        driver.session = page.session_id().await.unwrap();
        (driver, page)
    };
    RUNTIME.spawn(start).await.unwrap()
}

/// Empties a browser that a test no longer needs, and keeps it for the next one.
pub fn give_back(driver: Driver, page: Client) {
    if driver.engine != Engine::Chromium {
        return;
    }
    let emptied = async move {
        if empty(&page).await.is_ok() {
            let mut idle = idle();
            if idle.len() < MOST {
                idle.push((driver, page));
            }
        }
    };
    RUNTIME.spawn(emptied);
}

/// Leaves one new tab: what a test has set for its page is gone with the page.
async fn empty(page: &Client) -> Result<(), CmdError> {
    let old = page.windows().await?;
    let new = page.new_window(true).await?.handle;
    for window in old {
        page.switch_to_window(window).await?;
        page.close_window().await?;
    }
    page.switch_to_window(new).await?;
    page.set_window_size(WIDTH, HEIGHT).await?;
    for command in ["Network.clearBrowserCache", "Network.clearBrowserCookies"] {
        page.issue_cmd(DevTools::new(command, json!({}))).await?;
    }
    Ok(())
}

fn idle() -> MutexGuard<'static, Vec<(Driver, Client)>> {
    IDLE.lock().unwrap_or_else(|poison| poison.into_inner())
}
