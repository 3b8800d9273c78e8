//! Pages of other origins than the application's.

use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use super::upstream::Upstream;
use super::{Gateway, Task};
use crate::support::{Answer, App, Browser, Client, PASSWORD};

const PAGE: &str = "https://www.example.org";

async fn app_for(origin: &str) -> App {
    let origin = origin.to_owned();
    App::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config
            .http
            .cors_origins
            .extend((!origin.is_empty()).then_some(origin));
    })
    .await
}

/// The answer to the preflight of a PUT from this page.
async fn preflight(client: &Client, origin: &str) -> Answer {
    let asked = client
        .request(Method::OPTIONS, "/some/path?role=admin")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "PUT")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,x-of-the-application",
        );
    Answer::of(asked).await
}

fn allowed_origins(answer: &Answer) -> Vec<&str> {
    let allowed = answer.headers.get_all("access-control-allow-origin");
    allowed.iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_is_answered_by_oneseat_and_never_by_the_application() {
    let application = Upstream::answering("200 OK", "Access-Control-Allow-Origin: https://evil.example\r\n");
    let app = app_for(PAGE).await;
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), app.address).await {
        let (kind, visitor) = (gateway.kind, Client::new(gateway.address));
        let answer = preflight(&visitor, PAGE).await;
        assert_eq!(answer.status, 200, "{kind:?}: {answer:?}");
        assert_eq!(allowed_origins(&answer), [PAGE], "{kind:?}");
        assert!(
            answer.header("access-control-allow-methods").contains("PUT"),
            "{kind:?}"
        );
        let headers = answer.header("access-control-allow-headers");
        assert!(headers.contains("x-of-the-application"), "{kind:?}: {headers}");
        for other in ["https://evil.example", "null", "http://www.example.org"] {
            let answer = preflight(&visitor, other).await;
            assert!(!answer.status.is_success(), "{kind:?}, {other}: {answer:?}");
            assert!(allowed_origins(&answer).is_empty(), "{kind:?}, {other}");
        }
        // It does not let any other request past the check.
        for (method, asked) in [
            (Method::OPTIONS, None),
            (Method::OPTIONS, Some("")),
            (Method::OPTIONS, Some("not a method")),
            (Method::POST, Some("POST")),
            (Method::GET, Some("GET")),
        ] {
            let mut request = visitor.request(method.clone(), "/").header("Origin", PAGE);
            if let Some(asked) = asked {
                request = request.header("Access-Control-Request-Method", asked);
            }
            let answer = Answer::of(request).await;
            assert!(
                answer.status.is_client_error(),
                "{kind:?}, {method}, {asked:?}: {answer:?}"
            );
        }
        assert!(application.requests().is_empty(), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_origin_is_named_a_preflight_allows_nothing_and_goes_no_further() {
    let (application, app) = (Upstream::application(), app_for("").await);
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), app.address).await {
        let answer = preflight(&Client::new(gateway.address), PAGE).await;
        assert!(answer.status.is_client_error(), "{:?}: {answer:?}", gateway.kind);
        assert!(allowed_origins(&answer).is_empty(), "{:?}", gateway.kind);
    }
    assert!(application.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oneseat_says_which_pages_may_read_an_answer_and_the_application_does_not() {
    let application = Upstream::answering("200 OK", "Access-Control-Allow-Origin: https://evil.example\r\n");
    let app = app_for(PAGE).await;
    let ada = app.signed_in("ada").await;
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), app.address).await {
        let through = ada.at(gateway.address);
        for (origin, allowed) in [
            (Some(PAGE), vec![PAGE]),
            (Some("https://evil.example"), vec![]),
            (None, vec![]),
        ] {
            for (client, status) in [(&through, 200), (&Client::new(gateway.address), 401)] {
                // As if the client could say what the gateway notes.
                let mut request = client
                    .request(Method::OPTIONS, "/")
                    .header("Seat-Page", "https://evil.example");
                if let Some(origin) = origin {
                    request = request.header("Origin", origin);
                }
                let answer = Answer::of(request).await;
                assert_eq!(answer.status, status, "{:?}: {answer:?}", gateway.kind);
                assert_eq!(
                    allowed_origins(&answer),
                    allowed,
                    "{:?}, {origin:?}",
                    gateway.kind
                );
                let varies = answer.header("vary").to_lowercase();
                assert!(varies.contains("origin"), "{:?}: {answer:?}", gateway.kind);
            }
            application.only_request();
        }
    }
}

/// A page that signs in at the server named in its query, and sends requests to applications as the test
/// tells it.
const HTML: &str = r#"<!doctype html><title>A page</title><body><script type="module">
    const query = new URLSearchParams(location.search);
    const { Oneseat } = await import(`${query.get("server")}/static/oneseat.js`);
    const say = (words) => document.body.append(` [${words}]`);
    const seat = new Oneseat({ origins: query.getAll("origin") });
    seat.onEnded(({ reason }) => say(`ended: ${reason}`));
    window.signIn = (email, password) => seat.signIn(email, password).then(() => say("signed in"), say);
    window.put = async (name, url) => {
        const headers = { "X-Of-The-Application": "1", "Content-Type": "application/json" };
        const response = await seat.fetch(url, { method: "PUT", headers, body: "{}" });
        say(`${name} put: ${response.status} ${await response.text()}`);
    };
    window.ask = async (name, url) => {
        const headers = { Authorization: "Bearer " + "ab".repeat(32) };
        const response = await fetch(url, { headers });
        const { code } = await response.json();
        say(`${name} asked: ${response.status} ${code} ${response.headers.get("WWW-Authenticate")}`);
    };
    say("ready");
    </script>"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_uses_an_application_behind_each_gateway() {
    let application = Upstream::application();
    let host = Upstream::saying(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{HTML}",
        HTML.len()
    ));
    let app = app_for(&format!("http://{}", host.address)).await;
    app.add_user("ada", Role::User).await;
    let gateways = Gateway::of_all_kinds(Task::Guard(application.address), app.address).await;
    let mut query = format!("server=http://{}", app.address);
    for gateway in &gateways {
        query += &format!("&origin=http://{}", gateway.address);
    }
    let browser = Browser::open(host.address, &format!("/?{query}")).await;
    browser.wait_for_words("[ready]").await;
    browser
        .run(&format!("signIn('ada@example.org', {})", json!(PASSWORD)))
        .await;
    browser.wait_for_words("[signed in]").await;
    for gateway in &gateways {
        let (kind, origin) = (gateway.kind, format!("http://{}", gateway.address));
        browser.run(&format!("put('{kind:?}', '{origin}/a')")).await;
        browser.wait_for_words(&format!("[{kind:?} put: 200 ok]")).await;
        let request = application.only_request();
        assert_eq!(request.line, "PUT /a HTTP/1.1", "{kind:?}");
        assert_eq!(
            request.variable("HTTP_REMOTE_USER"),
            ["ada@example.org"],
            "{kind:?}"
        );
        browser.run(&format!("ask('{kind:?}', '{origin}/b')")).await;
        let told =
            format!("[{kind:?} asked: 401 token_invalid Bearer realm=\"oneseat\", error=\"invalid_token\"]");
        browser.wait_for_words(&told).await;
        assert!(application.requests().is_empty(), "{kind:?}");
    }
    // The seat is taken elsewhere: the page hears of it, and no gateway lets it through.
    app.visitor().sign_in("ada@example.org").await;
    browser.wait_for_words("[ended: replaced]").await;
}
