//! What the security log says about an act that came after the end of its session.

use oneseat::users::Role;
use serde_json::json;

use super::bodies::Half;
use crate::support::{Database, Program, eventually, oneseat, sql};

const PASSWORD: &str = "correct horse lantern staple";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_after_the_end_is_in_the_security_log_like_any_use_after_it() {
    let database = Database::fresh();
    let at = ["--database-url", database.url()];
    // Nothing listens there; it is enough for an invitation that mail can be configured.
    let serve = [
        "--bind",
        "127.0.0.1:0",
        "--public-url",
        "http://127.0.0.1",
        "--smtp-url",
        "smtp://127.0.0.1:9",
        "--mail-from",
        "seat@example.org",
    ];
    let program = Program::serve_with(&[&at[..], &serve].concat(), &[]);
    let add = [
        "user",
        "add",
        "root@example.org",
        "--name",
        "Root",
        "--role",
        "admin",
        "--verified",
        "--password-stdin",
    ];
    let added = oneseat(&[&add[..], &at].concat(), &format!("{PASSWORD}\n"));
    assert!(added.status.success(), "{added:?}");
    let invitation = json!({ "email": "mallory@example.org", "name": "Mallory" });
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "nine green bottles on a wall" });
    let demote = format!("update users set role = '{}'", Role::User);
    for (path, body, what, answer) in [
        (
            "/auth/logout",
            json!({}),
            sql::REVOKED,
            "401 session_ended revoked",
        ),
        (
            "/auth/password/change",
            change,
            sql::REVOKED,
            "401 session_ended revoked",
        ),
        ("/api/admin/users", invitation, &demote, "403 forbidden"),
    ] {
        let visitor = program.visitor();
        let root = visitor.login("root@example.org", PASSWORD).await.json();
        let token = root["token"].as_str().unwrap();
        database.execute("update sessions set last_activity = last_activity - interval '20 minutes'");
        let half = Half::sent(program.address, token, "POST", path, &body);
        eventually("the token has been looked at", async || {
            let seen = "select count(*) from sessions where last_activity > now() - interval '10 minutes'";
            database.number(seen) == 1
        })
        .await;
        database.execute(what);
        assert_eq!(half.answer().await, answer, "{path}");
    }
    let (_, log) = program.terminate();
    let times = |words: &[&str]| {
        let said = log
            .iter()
            .filter(|line| words.iter().all(|word| line.contains(word)));
        said.count()
    };
    let from = ["from=127.0.0.1", "agent=half"];
    for (words, said) in [
        (["session_use_after_expire", "reason=revoked"], 2),
        (["authz_fail", "resource=/api/admin/users"], 1),
    ] {
        assert_eq!(
            times(&[&words[..], &from].concat()),
            said,
            "{words:?} in {log:#?}"
        );
    }
}
