//! The security log of the program itself: what it says, and what it never says.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Program, oneseat};

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
        let add = [
            "user",
            "add",
            email,
            "--name",
            "N",
            "--role",
            role,
            "--verified",
            "--password-stdin",
            "--data-dir",
            path,
        ];
        assert!(oneseat(&add, &format!("{PASSWORD}\n")).status.success());
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
