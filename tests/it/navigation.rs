//! Browsers get a page where programs get a problem.

use reqwest::Method;

use crate::support::{Answer, App};

/// What Chromium and Firefox send when somebody opens an address.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

async fn ask(app: &App, method: Method, path: &str, accept: &str) -> Answer {
    Answer::of(app.visitor().request(method, path).header("Accept", accept)).await
}

#[tokio::test]
async fn somebody_who_opens_a_wrong_address_gets_a_page_with_a_way_on() {
    let app = App::start().await;
    for (method, path, status, words) in [
        (Method::GET, "/nowhere", 404, "There is nothing here"),
        (Method::GET, "/static/nothing.js", 404, "There is nothing here"),
        (Method::GET, "/auth/login", 405, "This is no page"),
        (Method::GET, "/auth/session", 401, "Please sign in first"),
        (Method::POST, "/login", 405, "This is no page"),
    ] {
        let page = ask(&app, method.clone(), path, BROWSER).await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert!(
            page.text.contains(words) && page.text.contains("href=\"/login\""),
            "{}",
            page.text
        );
        assert!(page.text.contains(page.header("x-request-id")), "{}", page.text);
        assert!(!page.text.contains("<script"), "{}", page.text);

        // Its headers stay those of the problem.
        let problem = ask(&app, method, path, "*/*").await;
        assert_eq!(
            problem.header("content-type"),
            "application/problem+json",
            "{path}"
        );
        for name in ["allow", "www-authenticate"] {
            assert_eq!(page.header(name), problem.header(name), "{path}");
        }
    }
}

#[tokio::test]
async fn programs_and_our_own_scripts_get_problems_in_json() {
    let app = App::start().await;
    for accept in [
        "*/*",
        "application/json",
        "application/json, text/html",
        "application/problem+json, text/html;q=0.9",
        "text/event-stream",
        "text/plain",
        "nonsense;;",
    ] {
        let answer = ask(&app, Method::GET, "/nowhere", accept).await;
        assert_eq!(answer.problem(), "404 not_found", "{accept}");
    }
    // A token comes from a script.
    let ada = app.signed_in("ada").await;
    let with_token = ada.request(Method::GET, "/admin/users").header("Accept", BROWSER);
    assert_eq!(Answer::of(with_token).await.problem(), "403 forbidden");
    // A gateway asks with the headers of another site's browser.
    let answer = ask(&app, Method::GET, "/auth/verify", BROWSER).await;
    assert_eq!(answer.problem(), "401 token_missing");
}

#[tokio::test]
async fn a_form_that_is_sent_without_its_script_does_nothing_and_says_why() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let form = app
        .visitor()
        .request(Method::POST, "/auth/login")
        .header("Accept", BROWSER)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("email=ada%40example.org&password=a+canary+of+a+password");
    let page = Answer::of(form).await;
    assert_eq!(page.status, 415);
    assert!(page.text.contains("This form needs JavaScript"), "{}", page.text);
    assert!(!page.text.contains("canary"), "{}", page.text);
    // Nobody can press it anyway until the script is there, and it names no password in an address.
    for path in ["/login", "/forgot", "/reset", "/welcome"] {
        let page = app.visitor().get(path).await.text;
        let forms = page.matches("<form").count();
        // That of the dialog sends nothing.
        let posting = page.matches("method=\"post\"").count();
        assert_eq!(
            posting + page.matches("method=\"dialog\"").count(),
            forms,
            "{page}"
        );
        assert_eq!(
            page.matches("type=\"submit\" disabled>").count(),
            posting,
            "{path}: {page}"
        );
        assert!(page.contains("<noscript>"), "{path}");
    }
}

#[tokio::test]
async fn a_password_manager_finds_the_way_to_a_new_password() {
    let app = App::start().await;
    let answer = app.visitor().get("/.well-known/change-password").await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        "/login?next=%2Fdashboard%23change-password"
    );
    let probe = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
    assert_eq!(app.visitor().get(probe).await.status, 404);
}

#[tokio::test]
async fn addresses_that_people_guess_lead_to_the_page_that_they_mean() {
    let app = App::start().await;
    for (guessed, page) in [
        ("/admin", "/admin/sessions"),
        ("/admin/", "/admin"),
        ("/docs", "/docs/api/"),
        ("/docs/", "/docs"),
        ("/login/", "/login"),
        ("/login/?next=%2Fadmin%2Fusers", "/login?next=%2Fadmin%2Fusers"),
        ("/dashboard/", "/dashboard"),
        ("/forgot//", "/forgot"),
        // Its token is in the fragment, which a browser takes along.
        ("/reset/", "/reset"),
        ("/welcome/", "/welcome"),
        ("/verify/", "/verify"),
        ("/email/", "/email"),
        ("/admin/users/?q=ada", "/admin/users?q=ada"),
        ("/admin/history/", "/admin/history"),
        ("/.well-known/change-password/", "/.well-known/change-password"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(&app, method, guessed, BROWSER).await;
            let led = (answer.status.as_u16(), answer.header("location"));
            assert_eq!(led, (303, page), "{guessed}");
        }
    }
    // What was wanted is still known when somebody has signed in.
    let asked = ask(&app, Method::GET, "/admin/sessions", BROWSER).await;
    assert_eq!(asked.header("location"), "/login?next=%2Fadmin%2Fsessions");
    for (method, path) in [
        (Method::GET, "//example.org/"),
        (Method::GET, "/auth/session/"),
        (Method::GET, "/api/admin/sessions/"),
        (Method::GET, "/nowhere/"),
        (Method::POST, "/login/"),
    ] {
        let answer = ask(&app, method, path, "*/*").await;
        assert_eq!(answer.problem(), "404 not_found", "{path}");
    }
}
