//! The security log of the program itself: what it contains, and what it must not contain.

mod done;

use oneseat::users::Email;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Answer, Program, add_user_with, oneseat};

const PASSWORD: &str = "canary in a coal mine";

/// An address as the log names it.
fn short_digest(email: &str) -> String {
    email.parse::<Email>().unwrap().short_digest()
}

/// The lines of the security log: their level and what they say. Ids are numbered in the order in which they come,
/// times are T, and requests are left out.
pub fn security_lines(log: &[String]) -> Vec<String> {
    let mut ids: Vec<Uuid> = Vec::new();
    let mut plain = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or_default();
        match (name, value.parse()) {
            ("at", _) => "at=T".to_owned(),
            (_, Ok(id)) => {
                let place = ids.iter().position(|known| *known == id);
                let place = place.unwrap_or_else(|| {
                    ids.push(id);
                    ids.len() - 1
                });
                format!("{name}=#{}", place + 1)
            }
            _ => word.to_owned(),
        }
    };
    let lines = log
        .iter()
        .filter_map(|line| line.split_once(" oneseat::security] "));
    let lines = lines.map(|(start, words)| {
        let level = start.split_whitespace().last().unwrap_or_default();
        let words = words.split(" requestId=").next().unwrap_or_default();
        let words: Vec<String> = words.split(' ').map(&mut plain).collect();
        format!("{level} {}", words.join(" "))
    });
    lines.collect()
}

#[tokio::test]
async fn every_event_is_one_line_and_none_holds_a_secret() {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-audit-")
        .tempdir()
        .unwrap();
    let path = dir.path().to_str().unwrap();
    let program = Program::serve_logging(dir.path(), "trace");
    for (email, role) in [("ada@example.org", "user"), ("root@example.org", "admin")] {
        add_user_with(PASSWORD, &["--data-dir", path], email, role);
    }
    let visitor = program.visitor();
    let login = async |email: &str, password: &str| {
        let request = visitor
            .request(Method::POST, "/auth/login")
            .header("User-Agent", "evil\t\"agent\"");
        Answer::of(request.json(&json!({ "email": email, "password": password }))).await
    };
    let token = async |email: &str| {
        login(email, PASSWORD).await.json()["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    let first = token("ada@example.org").await;
    let second = token("ada@example.org").await;
    let admin = token("root@example.org").await;
    assert_eq!(visitor.with_token(first.as_str()).session().await.status, 401);
    assert_eq!(
        visitor
            .with_token(second.as_str())
            .get("/api/admin/sessions")
            .await
            .status,
        403
    );
    let id = visitor.with_token(second.as_str()).session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ended = visitor
        .with_token(admin.as_str())
        .request(Method::DELETE, &format!("/api/admin/sessions/{id}"));
    assert_eq!(Answer::of(ended).await.status, 204);
    for _ in 0..6 {
        login("ada@example.org", "canary that is wrong").await;
    }
    login("canary-typed-into-the-wrong-field@x", "canary").await;
    visitor.get(&format!("/auth/session?token={admin}")).await;

    let (stopped, log) = program.terminate();
    assert!(stopped);
    // A control character is no part of a line.
    let evil = "from=127.0.0.1 agent=\"evil\u{fffd}\\\"agent\\\"\"";
    let refused = |address: &str, why: &str| {
        format!(
            r#"WARN authn_login_fail address={} reason="{why}" {evil}"#,
            short_digest(address)
        )
    };
    let (ada, wrong) = ("ada@example.org", "invalid credentials");
    let expected = [
        vec![
            format!("INFO authn_login_success user=#1 session=#2 {evil}"),
            format!("INFO session_created user=#1 session=#2 {evil}"),
            "INFO session_ended user=#1 session=#2 reason=replaced at=T by=self".to_owned(),
            format!("INFO authn_login_success user=#1 session=#3 {evil}"),
            format!("INFO session_created user=#1 session=#3 {evil}"),
            format!("INFO authn_login_success user=#4 session=#5 {evil}"),
            format!("INFO session_created user=#4 session=#5 {evil}"),
            r#"WARN session_use_after_expire session=#2 reason=replaced from=127.0.0.1 agent="""#.to_owned(),
            r#"WARN authz_fail user=#1 resource=/api/admin/sessions from=127.0.0.1 agent="""#.to_owned(),
            "INFO session_ended user=#1 session=#3 reason=revoked at=T by=#4".to_owned(),
        ],
        vec![refused(ada, wrong); 5],
        vec![
            format!("WARN authn_login_lock address={} {evil}", short_digest(ada)),
            refused(ada, "account is locked"),
            refused("canary-typed-into-the-wrong-field@x", wrong),
        ],
    ];
    assert_eq!(security_lines(&log), expected.concat());
    for secret in [first.as_str(), &second, &admin, "canary"] {
        let said = log.iter().find(|line| line.contains(secret));
        assert_eq!(said, None);
    }
}

#[tokio::test]
async fn what_is_refused_beside_sign_in_is_in_the_log_too() {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-audit-")
        .tempdir()
        .unwrap();
    let data_dir = ["--data-dir", dir.path().to_str().unwrap()];
    let program = Program::serve_logging(dir.path(), "info");
    let operate = |args: &[&str], input: &str| {
        let output = oneseat(&[args, &data_dir].concat(), input);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    add_user_with(PASSWORD, &data_dir, "ada@example.org", "user");
    let service = operate(&["client", "add", "Payroll"], "");
    let word = |label: &str| {
        let line = service.lines().find(|line| line.contains(label)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let visitor = program.visitor();
    let token = visitor.login("ada@example.org", PASSWORD).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let ada = visitor.with_token(token.as_str());

    assert_eq!(ada.get("/auth/verify?role=admin").await.status, 403);
    let claim = ada
        .request(Method::GET, "/auth/verify")
        .header("Remote-User", "root@example.org");
    assert_eq!(Answer::of(claim).await.problem(), "400 bad_request");
    let guess =
        json!({ "currentPassword": "not my password", "newPassword": "nine green bottles on a wall" });
    for _ in 0..5 {
        let answer = ada.post("/auth/password/change", &guess).await;
        assert_eq!(answer.problem(), "403 wrong_password");
    }
    let answer = ada.post("/auth/password/change", &guess).await;
    assert_eq!(answer.problem(), "403 account_locked");
    ada.logout().await;
    let introspect = visitor
        .request(Method::POST, "/auth/introspect")
        .basic_auth(word("client id"), Some(word("client secret")))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    assert_eq!(Answer::of(introspect).await.json(), json!({ "active": false }));

    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let address = short_digest("ada@example.org");
    // Whose current password it is not did not try to sign in.
    let refused =
        |why: &str| format!(r#"WARN authn_password_change_fail address={address} reason="{why}" {place}"#);
    let expected = [
        vec![
            format!("INFO authn_login_success user=#1 session=#2 {place}"),
            format!("INFO session_created user=#1 session=#2 {place}"),
            format!("WARN authz_fail user=#1 resource=/auth/verify {place}"),
            format!("WARN malicious_extraneous user=#1 header=remote-user {place}"),
        ],
        vec![refused("invalid credentials"); 5],
        vec![
            format!("WARN authn_login_lock address={address} {place}"),
            refused("account is locked"),
            "INFO session_ended user=#1 session=#2 reason=signed_out at=T by=self".to_owned(),
            format!("WARN session_use_after_expire session=#2 reason=signed_out client=#3 {place}"),
        ],
    ];
    assert_eq!(security_lines(&log), expected.concat(), "{log:#?}");
    assert!(
        log.iter().any(|line| line.contains(&word("client id"))),
        "{log:#?}"
    );
    assert!(!log.iter().any(|line| line.contains(&token)));
}

#[tokio::test]
async fn a_sign_in_that_is_asked_whether_it_takes_the_seat_is_no_failure() {
    let (program, dir) = Program::alone(&["--takeover", "ask"]);
    let data_dir = ["--data-dir", dir.path().to_str().unwrap()];
    add_user_with(PASSWORD, &data_dir, "ada@example.org", "user");
    let login = async || program.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(login().await.status, 200);
    assert_eq!(login().await.problem(), "409 seat_taken");
    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let address = short_digest("ada@example.org");
    let expected = [
        format!("INFO authn_login_success user=#1 session=#2 {place}"),
        format!("INFO session_created user=#1 session=#2 {place}"),
        format!(r#"INFO takeover_asked address={address} reason="the seat is taken" {place}"#),
    ];
    assert_eq!(security_lines(&log), expected, "{log:#?}");
}
