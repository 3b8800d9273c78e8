//! The description of the API is complete and true, and its page needs no other host.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use oneseat::users::Role;
use oneseat::web::routes;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{App, MailServer, PASSWORD, Program};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

async fn description(app: &App) -> Value {
    let answer = app.visitor().get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

/// Every operation, with its description.
fn calls(description: &Value) -> Vec<(String, String, &Value)> {
    let mut calls = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            calls.push((method.to_uppercase(), path.clone(), call));
        }
    }
    calls
}

/// The target of a reference.
fn found<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(place) => description.pointer(place.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// The codes that the description of an answer names.
fn codes(answer: &Value) -> Vec<String> {
    let words = answer["description"].as_str().unwrap().split('`');
    words.skip(1).step_by(2).map(str::to_owned).collect()
}

/// The description with the codes of each answer in its schema, so that the tester knows them, too.
fn with_codes(mut description: Value) -> Value {
    let strict = |answer: &mut Value| {
        let codes = codes(answer);
        if let Some(content) = answer.pointer_mut("/content/application~1problem+json") {
            content["schema"] = json!({ "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                { "properties": { "code": { "enum": codes } } },
            ] });
        }
    };
    let shared = description["components"]["responses"].as_object_mut().unwrap();
    shared.values_mut().for_each(strict);
    for methods in description["paths"].as_object_mut().unwrap().values_mut() {
        for call in methods.as_object_mut().unwrap().values_mut() {
            let answers = call["responses"].as_object_mut().unwrap();
            answers
                .values_mut()
                .filter(|answer| answer.get("$ref").is_none())
                .for_each(strict);
        }
    }
    description
}

fn saved(description: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".json").unwrap();
    write!(file, "{description}").unwrap();
    file
}

fn tool(name: &str) -> PathBuf {
    Path::new(ROOT).join("target/tools/schemathesis/bin").join(name)
}

fn words(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_route_that_is_no_page_is_described_and_nothing_else() {
    let app = App::start().await;
    let description = description(&app).await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."));
    let described: BTreeSet<_> = calls(&description)
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let routed = routes::list();
    let different: BTreeSet<_> = routed
        .iter()
        .map(|(method, path)| (method.to_string(), path.clone()))
        .collect();
    assert_eq!(different.len(), routed.len(), "one hides the other: {routed:#?}");
    assert!(described.is_subset(&different), "{described:#?}");
    // A page is for people: it answers with HTML, a file of it, or the way to another.
    for (method, path) in different.difference(&described) {
        assert_eq!(method, "GET", "{path}");
        let answer = app.visitor().get(path).await;
        let is_html = answer.header("content-type").starts_with("text/html");
        assert!(
            is_html || answer.status == 303 || path == "/docs/api/{file}",
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn every_call_has_its_words_its_problems_and_their_headers() {
    let app = App::start().await;
    let description = description(&app).await;
    let mut names = BTreeSet::new();
    for (method, path, call) in calls(&description) {
        let what = format!("{method} {path}");
        assert!(
            call["summary"]
                .as_str()
                .is_some_and(|summary| !summary.is_empty()),
            "{what}"
        );
        assert!(names.insert(call["operationId"].as_str().unwrap()), "{what}");
        assert!(
            call["security"].is_array() && call["tags"][0].is_string(),
            "{what}"
        );
        let answers = call["responses"].as_object().unwrap();
        let has = |status: &str| answers.contains_key(status);
        assert!(answers.keys().any(|status| status.starts_with('2')), "{what}");
        assert!(has("405") && has("500"), "{what}");
        assert_eq!(
            call["security"] != Value::Array(Vec::new()),
            has("401") && path != "/auth/login",
            "{what}"
        );
        assert_eq!(
            path.starts_with("/api/admin"),
            has("403") && call["tags"][0] == "admin",
            "{what}"
        );
        assert_eq!(
            call.get("requestBody").is_some(),
            has("413") && has("415") && has("408"),
            "{what}"
        );
        for (status, answer) in answers {
            let answer = found(&description, answer);
            let what = format!("{what} {status}");
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{what}");
            let headers = answer["headers"].as_object().unwrap();
            for (name, header) in headers {
                assert!(
                    found(&description, header)["schema"].is_object(),
                    "{what}: {name}"
                );
            }
            for name in [
                "Cache-Control",
                "Content-Security-Policy",
                "X-Content-Type-Options",
            ] {
                assert!(headers.contains_key(name), "{what}: {name}");
            }
            for (name, of) in [
                ("WWW-Authenticate", ["401", "401"]),
                ("Allow", ["405", "405"]),
                ("Retry-After", ["429", "503"]),
            ] {
                let locks = [
                    "POST /auth/login 403",
                    "POST /auth/password/change 403",
                    "POST /auth/email/change 403",
                ];
                let is_lock = name == "Retry-After" && locks.contains(&what.as_str());
                assert_eq!(
                    headers.contains_key(name),
                    of.contains(&status.as_str()) || is_lock,
                    "{what}: {name}"
                );
            }
            let is_problem = answer["content"].get("application/problem+json").is_some();
            assert_eq!(is_problem, status.as_str() >= "400", "{what}");
            if is_problem {
                let schema = &answer["content"]["application/problem+json"]["schema"];
                assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{what}");
                let codes: BTreeSet<_> = codes(answer).into_iter().collect();
                let known = words(&description["components"]["schemas"]["ProblemCode"]["enum"]);
                assert!(!codes.is_empty() && codes.is_subset(&known), "{what}: {codes:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_call_tells_what_it_takes() {
    let app = App::start().await;
    let description = description(&app).await;
    let passive = json!({
        "name": "Oneseat-Passive",
        "in": "header",
        "description": "`true`: this request is no activity of a person",
        "required": false,
        "schema": { "type": "string" },
    });
    for (method, path, call) in calls(&description) {
        let what = format!("{method} {path}");
        let takes = call["parameters"].as_array().cloned().unwrap_or_default();
        let is_of_session = call["security"] == json!([{ "sessionToken": [] }]);
        let given = takes.iter().filter(|parameter| **parameter == passive);
        assert_eq!(given.count(), usize::from(is_of_session), "{what}");
        for parameter in &takes {
            let is_told = parameter["description"]
                .as_str()
                .is_some_and(|words| !words.is_empty());
            // The words stand beside the name, where generators look for them, and not in the schema.
            assert_eq!(is_told, parameter["in"] != "path", "{what}: {parameter}");
            assert_eq!(
                parameter["schema"].get("description"),
                None,
                "{what}: {parameter}"
            );
        }
        // An id may be nobody's.
        let missing = call["responses"].get("404");
        let is_shared = missing.is_some_and(|it| it["$ref"] == "#/components/responses/notFound");
        let has_codes =
            missing.is_some_and(|it| codes(found(&description, it)).contains(&"not_found".to_owned()));
        let is_known = path.starts_with("/.well-known/");
        assert_eq!(has_codes, path.contains('{') || is_known, "{what}");
        assert!(!is_shared || path.contains('{'), "{what}");
        // A generator makes no type of a body whose schema has no name.
        for (kind, body) in call["requestBody"]["content"].as_object().into_iter().flatten() {
            let is_named = body["schema"]["$ref"].is_string();
            assert_eq!(is_named, kind != "application/jsonl", "{what}: {body}");
        }
    }
    for (name, header) in description["components"]["headers"].as_object().unwrap() {
        let kind = if name == "Retry-After" {
            "integer"
        } else {
            "string"
        };
        assert_eq!(header["schema"], json!({ "type": kind }), "{name}");
        assert!(!header["description"].as_str().unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn every_header_of_an_answer_is_described() {
    let app =
        App::start_with(|config| config.http.public_url = Some("https://seat.example.org".to_owned())).await;
    let description = description(&app).await;
    let ada = app.signed_in("ada").await;
    for (path, status) in [
        ("/auth/session", "200"),
        ("/auth/verify", "200"),
        ("/api/admin/sessions", "403"),
        ("/auth/login", "405"),
    ] {
        let answer = ada.get(path).await;
        assert_eq!(answer.status.as_str(), status, "{path}");
        let calls = description["paths"][path].as_object().unwrap();
        let described = &calls.values().next().unwrap()["responses"][status];
        let described = found(&description, described)["headers"].as_object().unwrap();
        let described: BTreeSet<_> = described.keys().map(|name| name.to_lowercase()).collect();
        let of_http = ["content-length", "content-type", "date"];
        for name in answer.headers.keys().map(|name| name.as_str()) {
            let is_described = described.contains(name) || of_http.contains(&name);
            assert!(is_described, "{path} {status}: {name}");
        }
    }
}

#[tokio::test]
async fn every_code_of_a_problem_is_described() {
    let app = App::start().await;
    let description = description(&app).await;
    let described = words(&description["components"]["schemas"]["ProblemCode"]["enum"]);
    let source = std::fs::read_to_string(Path::new(ROOT).join("src/web/problem/code.rs")).unwrap();
    let quoted = source.split('"').skip(1).step_by(2);
    let is_code = |text: &&str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !text.is_empty();
    let codes: BTreeSet<_> = quoted.filter(is_code).map(str::to_owned).collect();
    assert_eq!(described, codes);
}

#[tokio::test]
async fn the_page_needs_no_other_host_and_allows_none() {
    let app = App::start().await;
    let moved = app.visitor().get("/docs/api").await;
    assert_eq!(
        (moved.status.as_u16(), moved.header("location")),
        (303, "/docs/api/")
    );
    let page = app.visitor().get("/docs/api/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.text.contains("//"), "{}", page.text);
    let files = page.text.split('"').filter_map(|word| word.strip_prefix("./"));
    let files: Vec<&str> = files.chain(["index.css"]).collect();
    assert!(files.len() > 5, "{}", page.text);
    for file in files {
        let answer = app.visitor().get(&format!("/docs/api/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self'; style-src 'self'"), "{policy}");
        assert!(
            policy.contains("connect-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    let start = app.visitor().get("/docs/api/swagger-initializer.js").await;
    for words in [
        r#""url": "/openapi.json""#,
        r#""validatorUrl": "none""#,
        // No link makes the page read another description, and it neither sends cookies nor keeps a token.
        r#""queryConfigEnabled": false"#,
        r#""withCredentials": false"#,
        r#""persistAuthorization": false"#,
    ] {
        assert!(start.text.contains(words), "{}", start.text);
    }
    // What is ours stands in three files and nowhere else, whether they are compressed or not.
    let style = include_str!("../../src/web/pages/swagger.css");
    let script = include_str!("../../src/web/pages/swagger.js");
    let viewport = r#"<head><meta name="viewport" content="width=device-width, initial-scale=1">"#;
    assert!(page.text.contains(viewport), "{}", page.text);
    for file in [
        "",
        "index.css",
        "swagger-initializer.js",
        "swagger-ui.css",
        "swagger-ui-bundle.js",
    ] {
        let path = format!("/docs/api/{file}");
        let text = app.visitor().get(&path).await.text;
        let ours = [
            text.contains(viewport),
            text.ends_with(&format!("\n{style}")),
            text.ends_with(&format!("\n{script}")),
        ];
        let expected = ["", "index.css", "swagger-initializer.js"].map(|name| name == file);
        assert_eq!(ours, expected, "{file}");
        let compressed = app
            .visitor()
            .request(Method::GET, &path)
            .header("accept-encoding", "gzip");
        let compressed = compressed.send().await.unwrap();
        let is_compressed = compressed.headers().contains_key("content-encoding");
        let bytes = compressed.bytes().await.unwrap();
        let mut whole = String::new();
        match is_compressed {
            true => GzDecoder::new(&*bytes).read_to_string(&mut whole).unwrap(),
            false => (&*bytes).read_to_string(&mut whole).unwrap(),
        };
        assert!(whole == text, "{file}");
        assert_eq!(is_compressed, file != "swagger-initializer.js", "{file}");
    }
    assert!(!start.text.contains("petstore"));
    for other in [
        "oauth2-redirect.html",
        "swagger-ui-es-bundle.js",
        "..%2f..%2fCargo.toml",
    ] {
        let answer = app.visitor().get(&format!("/docs/api/{other}")).await;
        assert_eq!(answer.problem(), "404 not_found", "{other}");
    }
}

#[tokio::test]
async fn the_descriptions_are_openapi_3_1_and_3_0() {
    let app = App::start().await;
    let older = app.visitor().get("/openapi-3.0.json").await.json();
    assert_eq!(older["openapi"], "3.0.3");
    for description in [description(&app).await, older] {
        let file = saved(&description);
        let run = Command::new(tool("openapi-spec-validator"))
            .arg(file.path())
            .output();
        let run = run.expect("openapi-spec-validator is missing: script/test installs it");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("OK"), "{said}");
    }
}

/// A generator numbers what it would call by one name: `LoginResponse2`.
#[tokio::test]
async fn no_schema_has_a_name_that_generators_make_of_a_call() {
    let app = App::start().await;
    let description = description(&app).await;
    let pascal = |id: &str| -> String {
        let words = id.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect()
    };
    let schemas = description["components"]["schemas"].as_object().unwrap();
    for (_, _, call) in calls(&description) {
        let name = pascal(call["operationId"].as_str().unwrap());
        for kind in [
            "Response",
            "Responses",
            "Error",
            "Errors",
            "Data",
            "Body",
            "Params",
        ] {
            assert!(!schemas.contains_key(&format!("{name}{kind}")), "{name}{kind}");
        }
    }
}

/// All its checks, over every call, with right and wrong data. `ONESEAT_EXAMPLES` sets how many of each.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_driven_tester_finds_nothing() {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    app.add_user("leaver", Role::User).await;
    let (id, secret) = app.service("Tester");
    // Nothing accepts the mails: they wait.
    let mails = MailServer::stopped();
    let program = Program::serve_with(
        &["--bind", "127.0.0.1:0", "--login-rate", "off"],
        &[
            ("DATABASE_URL", app.database().url().to_owned()),
            ("ONESEAT_SMTP_URL", mails.url()),
            ("ONESEAT_MAIL_FROM", "seat@example.org".to_owned()),
            ("ONESEAT_PUBLIC_URL", "http://127.0.0.1".to_owned()),
        ],
    );
    let server = format!("http://{}", program.address);
    let seed = std::env::var("ONESEAT_SEED").unwrap_or_else(|_| "1".to_owned());
    let examples = std::env::var("ONESEAT_EXAMPLES").unwrap_or_else(|_| "10".to_owned());
    // From a file: the address that it reads a description from, it does not test.
    let description = description(&app).await;
    let file = saved(&with_codes(description.clone()));
    let told = Path::new(ROOT).join("tests/schemathesis");
    // What the tester stores about a run is removed with this.
    let place = tempfile::tempdir().unwrap();
    let mut tester = Command::new(tool("schemathesis"));
    tester
        .current_dir(&place)
        .arg("--config-file")
        .arg(told.join("schemathesis.toml"))
        .args(["run", "--checks", "all", "--continue-on-failure"])
        .args(["--seed", &seed, "--max-examples", &examples, "--url", &server])
        .arg(file.path())
        .env("SCHEMATHESIS_HOOKS", told.join("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ONESEAT_TESTED", &server)
        .env("ONESEAT_TESTED_ADMIN", "root@example.org")
        .env("ONESEAT_TESTED_LEAVER", "leaver@example.org")
        .env("ONESEAT_TESTED_PASSWORD", PASSWORD)
        .env("ONESEAT_TESTED_SERVICE", format!("{id}:{secret}"));
    let run = tokio::task::spawn_blocking(move || tester.output());
    let run = run
        .await
        .unwrap()
        .expect("schemathesis is missing: script/test installs it");
    let said = String::from_utf8_lossy(&run.stdout);
    let mut log = program.said();
    log.retain(|line| line.contains("ERROR"));
    assert!(
        run.status.success(),
        "{said}{}{log:#?}",
        String::from_utf8_lossy(&run.stderr)
    );
    let tested = calls(&description).len();
    assert!(said.contains(&format!("Tested: {tested}")), "{said}");
    // It got past authentication everywhere.
    assert!(!said.contains("Authentication failed"), "{said}");
}
