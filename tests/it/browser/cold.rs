//! What a first visit to the sign-in page has to load.

use super::{ADA, app_with_ada};
use crate::support::{Browser, Gate};

/// Bytes of all answers together, with their heads.
const MOST: u64 = 20 * 1024;

#[tokio::test]
async fn a_cold_sign_in_page_is_at_most_20_kb_and_names_all_that_it_loads() {
    let app = app_with_ada().await;
    let gate = Gate::before(app.address).await;
    let browser = Browser::open(gate.address, "/login").await;
    browser.wait_for("#login [type=submit]:not([disabled])").await;
    let answered = gate.answered().await;
    let bytes: u64 = answered.iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes <= MOST, "{bytes} bytes: {answered:#?}");

    // Two in a row: the page, and at the same time all the rest, because the page names it.
    let page = app.visitor().get("/login").await.text;
    let paths: Vec<&str> = answered
        .iter()
        .filter_map(|(line, _)| line.split(' ').nth(1))
        .collect();
    let (first, rest) = paths.split_first().unwrap();
    assert_eq!(*first, "/login");
    assert!(rest.len() >= 5, "{paths:?}");
    for path in rest {
        assert!(
            page.contains(&format!("=\"{path}\"")),
            "{path} is not in the page"
        );
        assert_eq!(gate.asked(&format!("GET {path} ")), 1, "{path}");
    }

    // Warm, it is the page alone.
    browser.go("/login").await;
    browser.sign_in(ADA).await;
    for path in rest {
        assert_eq!(gate.asked(&format!("GET {path} ")), 1, "{path}");
    }
}
