//! The security log of the program itself: what it contains, and what it must not contain.

mod done;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Program, add_user_with, oneseat};

const PASSWORD: &str = "canary in a coal mine";

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
    let line = |words: &[&str]| {
        log.iter()
            .any(|line| words.iter().all(|words| line.contains(words)))
    };
    for words in [
        &["authn_login_success", "user=", "from=127.0.0.1", r#"\"agent\"""#][..],
        &["session_created", "session="],
        &["session_ended", "reason=replaced", "by=self"],
        &["session_use_after_expire", "reason=replaced"],
        &["authz_fail", "resource=/api/admin/sessions"],
        &["session_ended", "reason=revoked", &id, "by="],
        &["authn_login_fail", "reason=\"invalid credentials\""],
        &["authn_login_lock"],
        &["authn_login_fail", "reason=\"account is locked\""],
    ] {
        assert!(line(words), "{words:?} is not in the log");
    }
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
    let client = format!("client={}", word("client id"));
    let told = |words: &[&str]| {
        log.iter()
            .filter(|line| words.iter().all(|words| line.contains(words)))
            .count()
    };
    for (words, times) in [
        (&["authz_fail", "/auth/verify", "from=127.0.0.1"][..], 1),
        // Whose current password it is not did not try to sign in.
        (&["authn_login_fail"], 0),
        (&["authn_password_change_fail", "invalid credentials"], 5),
        (&["authn_login_lock"], 1),
        (&["authn_password_change_fail", "account is locked"], 1),
        (&["session_use_after_expire", "signed_out", &client], 1),
    ] {
        assert_eq!(told(words), times, "{words:?} in {log:#?}");
    }
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
    let told: Vec<_> = log
        .iter()
        .filter(|line| line.contains("authn_") || line.contains("takeover_"))
        .collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].contains("authn_login_success") && told[1].contains("takeover_asked"));
}
