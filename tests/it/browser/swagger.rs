//! The page that describes the API, used as it is meant: to try it.

use oneseat::users::Role;
use serde_json::json;

use crate::support::{App, Browser, PASSWORD};

/// Remembers whatever the page's policy refuses and whatever else goes wrong in it.
const LOOK_OUT: &str = "
    window.troubles = [];
    document.addEventListener('securitypolicyviolation', event =>
        troubles.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    window.addEventListener('error', event => troubles.push(`error ${event.message ?? event.target.src}`), true);
    window.addEventListener('unhandledrejection', event => troubles.push(`rejected ${event.reason}`));
    for (const name of ['error', 'warn']) console[name] = (...words) => troubles.push(`${name} ${words.join(' ')}`);";

/// Unfolds a call, and makes its fields writable.
async fn open(browser: &Browser, call: &str) {
    browser.click(&format!("{call} .opblock-summary-control")).await;
    browser.click(&format!("{call} .try-out__btn")).await;
    browser.wait_for(&format!("{call} .execute")).await;
}

/// Sends it, and reads what came back.
async fn answer(browser: &Browser, call: &str) -> (String, String) {
    browser.click(&format!("{call} .execute")).await;
    let row = format!("{call} .live-responses-table tbody tr.response");
    let status = browser.wait_for(&format!("{row} .response-col_status")).await;
    let body = browser
        .wait_for(&format!("{row} .response-col_description pre"))
        .await;
    (status.text().await.unwrap(), body.text().await.unwrap())
}

#[tokio::test]
async fn the_page_of_the_api_fits_a_phone_and_is_dark_where_the_rest_is() {
    let app = App::start().await;
    let browser = Browser::open(app.address, "/docs").await;
    browser.wait_for("#operations-admin-list_sessions").await;
    assert_eq!(browser.path().await, "/docs/api/");
    let viewport = "return document.querySelector('meta[name=viewport]').content";
    assert_eq!(browser.run(viewport).await, "width=device-width, initial-scale=1");
    open(&browser, "#operations-admin-list_sessions").await;
    open(&browser, "#operations-session-login").await;
    browser.click(".auth-wrapper .authorize").await;
    browser.wait_for(".modal-ux").await;
    for width in [320, 375, 768, 1280] {
        super::lists::resize(&browser, width).await;
        let overflows = browser
            .run("return document.documentElement.scrollWidth > innerWidth")
            .await;
        assert_eq!(overflows, false, "at {width}");
    }
    for (scheme, is_dark) in [("dark", true), ("light", false)] {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        let ground = "const [red] = getComputedStyle(document.body).backgroundColor.match(/\\d+/); return Number(red) < 64";
        let shown = browser.wait_until(&format!("{ground} === {is_dark}")).await;
        assert!(shown, "{scheme}");
    }
}

#[tokio::test]
async fn an_admin_signs_in_on_the_page_of_the_api_and_calls_an_admins_route() {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    let browser = Browser::open(app.address, "/healthz").await;
    let script = json!({ "source": LOOK_OUT });
    browser
        .devtools("Page.addScriptToEvaluateOnNewDocument", script)
        .await;
    browser.go("/docs/api").await;

    let list = "#operations-admin-list_sessions";
    browser.wait_for(list).await;
    assert_eq!(browser.path().await, "/docs/api/");
    open(&browser, list).await;
    let (status, body) = answer(&browser, list).await;
    assert!(
        status.starts_with("401") && body.contains("token_missing"),
        "{status} {body}"
    );

    let login = "#operations-session-login";
    open(&browser, login).await;
    let credentials = json!({ "email": "root@example.org", "password": PASSWORD });
    browser
        .fill(&format!("{login} textarea"), &credentials.to_string())
        .await;
    let (status, body) = answer(&browser, login).await;
    assert!(status.starts_with("200"), "{status} {body}");
    let quoted = body.split('"').collect::<Vec<_>>();
    let at = quoted.iter().position(|word| *word == "token").unwrap();
    let token = quoted[at + 2];
    assert_eq!(token.len(), 64, "{body}");

    browser.click(".auth-wrapper .authorize").await;
    browser.fill("#auth-bearer-value", token).await;
    browser
        .click(".modal-ux form:has(#auth-bearer-value) .authorize")
        .await;
    browser.click(".modal-ux .btn-done").await;
    browser.click(&format!("{list} .btn-clear")).await;
    let (status, body) = answer(&browser, list).await;
    assert!(
        status.starts_with("200") && body.contains("root@example.org"),
        "{status} {body}"
    );

    assert_eq!(browser.run("return window.troubles").await, json!([]));
    // Nothing outlives the page.
    let kept = "return [document.cookie, localStorage.length, sessionStorage.length]";
    assert_eq!(browser.run(kept).await, json!(["", 0, 0]));
    let elsewhere = "return performance.getEntriesByType('resource').map(entry => entry.name)
        .filter(name => !name.startsWith(location.origin) && !name.startsWith('data:'))";
    assert_eq!(browser.run(elsewhere).await, json!([]));
}
