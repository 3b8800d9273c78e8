//! Printed pages: nothing is cut off, and the heading of a list is printed.

use serde_json::{Value, json};

use super::app_with_ada;
use super::lists::{app_with_people, at};
use crate::support::Browser;

/// A page of A4 with narrow margins, in CSS pixels.
const WIDTH: u32 = 718;

async fn print(browser: &Browser) {
    browser
        .devtools("Emulation.setEmulatedMedia", json!({ "media": "print" }))
        .await;
}

async fn seen(browser: &Browser, elements: &str, what: &str) -> Vec<String> {
    let script = format!(
        "return [...document.querySelectorAll('{elements}')].filter((element) => element.checkVisibility()).map({what})"
    );
    let found = browser.run(&script).await;
    found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn on_paper_a_list_is_whole_and_says_what_it_is_of() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions?q=iphone", WIDTH).await;
    admin.wait_for(".people time[data-shown]").await;
    print(&admin).await;
    let text = admin.text().await;
    assert!(text.contains("Search: “iphone”. 30 rows, as of "), "{text}");
    // What the pseudo-element shows; the relative one is not seen.
    let times = seen(
        &admin,
        ".people time",
        "(time) => getComputedStyle(time, '::after').content",
    )
    .await;
    assert!(
        times.len() >= 90 && times.iter().all(|time| time.contains("20")),
        "{times:?}"
    );
    assert!(
        seen(&admin, ".people time > *", "(span) => span.textContent")
            .await
            .is_empty()
    );
    let cut = "return [...document.querySelectorAll('.people .cut')].filter((cut) => cut.scrollWidth > cut.clientWidth + 1).length";
    assert_eq!(admin.run(cut).await, 0);
    let addresses = seen(&admin, ".people .from .soft", "(address) => address.textContent").await;
    assert_eq!(addresses.len(), 30, "the network addresses, too");
    assert_eq!(
        admin
            .run("return document.documentElement.scrollWidth <= innerWidth")
            .await,
        true
    );

    admin
        .run("document.querySelector(\"a[href='/admin/history']\").click()")
        .await;
    admin.wait_for("#history-heading").await;
    admin.run("document.getElementById('reason').value = 'expired'; document.querySelector('.search').requestSubmit()").await;
    admin.wait_for_words("How it ended: Expired.").await;
    admin.wait_for_words("0 rows, as of ").await;
}

#[tokio::test]
async fn on_paper_the_dashboard_says_when_and_not_how_long() {
    let app = app_with_people().await;
    app.visitor().sign_in("root@example.org").await;
    let admin = Browser::open(app.address, "/login").await;
    admin.sign_in("root@example.org").await;
    admin.wait_for(".list time[data-shown]").await;
    print(&admin).await;
    let text = admin.text().await;
    assert!(
        !text.contains("about 2 hours") && text.contains("Without activity it ends at"),
        "{text}"
    );
    let ended: Value = admin
        .run("return getComputedStyle(document.querySelector('.list time[data-shown]'), '::after').content")
        .await;
    assert!(ended.as_str().unwrap().contains("20"), "{ended}");
}

#[tokio::test]
async fn a_page_for_everybody_is_printed_without_what_is_of_no_use_on_paper() {
    let app = app_with_ada().await;
    for path in ["/login", "/nowhere"] {
        let browser = Browser::open(app.address, path).await;
        browser.wait_for("h1").await;
        print(&browser).await;
        assert!(
            seen(&browser, "button, nav, .button-link", "(one) => one.textContent")
                .await
                .is_empty(),
            "{path}"
        );
        let ground = "return getComputedStyle(document.body).backgroundColor";
        assert_eq!(browser.run(ground).await, "rgba(0, 0, 0, 0)", "{path}");
    }
}
