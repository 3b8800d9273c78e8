//! What was done is logged by the instance that did it, and as it happened.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::security_lines;
use crate::recovery::link_in;
use crate::support::{Answer, Database, MailServer, PASSWORD, Program, add_user, eventually, oneseat, sql};

/// Runs a program over this database, with Ada in it.
fn serve(database: &Database, args: &[&str]) -> Program {
    add_user(database.url(), "ada@example.org", "user");
    let usual = ["--bind", "127.0.0.1:0"];
    let url = ("DATABASE_URL", database.url().to_owned());
    Program::serve_with(&[&usual, args].concat(), &[url])
}

/// Runs a program over this database, with Ada in it, that sends mail.
fn serve_with_mail(database: &Database, mails: &MailServer) -> Program {
    let smtp = mails.url();
    let args = [
        "--smtp-url",
        &smtp,
        "--mail-from",
        "seat@example.org",
        "--public-url",
        "http://localhost",
    ];
    serve(database, &args)
}

async fn token(program: &Program, email: &str) -> String {
    let answer = program.visitor().login(email, PASSWORD).await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn id_of_ada(program: &Program) -> String {
    let answer = program.visitor().login("ada@example.org", PASSWORD).await;
    answer.json()["user"]["id"].as_str().unwrap().to_owned()
}

fn has_line(log: &[String], words: &[&str]) -> bool {
    log.iter()
        .any(|line| words.iter().all(|words| line.contains(words)))
}

/// What the lines of this event say, in alphabetical order and without the requests.
fn told(log: &[String], event: &str) -> Vec<String> {
    let start = format!("oneseat::security] {event} ");
    let lines = log.iter().filter_map(|line| line.split_once(&start));
    let words = lines.map(|(_, rest)| rest.split(" requestId=").next().unwrap_or_default().to_owned());
    let mut words: Vec<_> = words.collect();
    words.sort();
    words
}

/// A client changes a password and hangs up while the change waits, in the transaction that makes it. Returns
/// whether the password was changed, and the log.
async fn hang_up_while_the_password_changes() -> (bool, Vec<String>) {
    let database = Database::fresh();
    let program = serve(&database, &[]);
    let token = token(&program, "ada@example.org").await;
    let mut holder = database.connect();
    holder
        .batch_execute("begin; lock table one_time_links in access exclusive mode")
        .unwrap();
    let body =
        json!({ "currentPassword": PASSWORD, "newPassword": "nine green bottles on a wall" }).to_string();
    let mut caller = TcpStream::connect(program.address).unwrap();
    caller.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    write!(
        caller,
        "POST /auth/password/change HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'
                       and query ilike 'delete from%one_time_links%user_id%'";
    eventually("the change waits", async || database.number(waiting) == 1).await;
    caller.shutdown(Shutdown::Write).unwrap();
    // The server has also noticed that the client hung up: nothing waits for the answer any more.
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"");
    holder.batch_execute("rollback").unwrap();
    drop(holder);
    let busy = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name like 'oneseat/2%' and xact_start is not null";
    eventually("nothing is under way", async || database.number(busy) == 0).await;
    let is_changed = database.number("select count(*) from sessions") == 0;
    let (stopped, log) = program.terminate();
    assert!(stopped);
    (is_changed, log)
}

#[tokio::test]
async fn a_password_change_whose_caller_leaves_is_done_and_told_or_neither() {
    // If the machine is so busy that PostgreSQL gave up the wait, nothing was changed.
    for _ in 0..5 {
        let (is_changed, log) = hang_up_while_the_password_changes().await;
        for words in [
            &["authn_password_change", "by=self"][..],
            &["session_ended", "reason=password_changed", "by=self"],
        ] {
            assert_eq!(has_line(&log, words), is_changed, "{words:?}: {log:#?}");
        }
        if is_changed {
            return;
        }
    }
    panic!("no change came through");
}

#[tokio::test]
async fn an_expired_session_is_reported_as_expired_whatever_ended_it_later() {
    let database = Database::fresh();
    let program = serve(&database, &[]);
    add_user(database.url(), "grace@example.org", "user");
    add_user(database.url(), "root@example.org", "admin");
    token(&program, "ada@example.org").await;
    token(&program, "grace@example.org").await;
    database.execute(&sql::backdate_sessions("3 hours"));
    // One makes room for the next, the other is found when all are ended.
    token(&program, "ada@example.org").await;
    let admin = program
        .visitor()
        .with_token(token(&program, "root@example.org").await);
    let ended = admin.request(Method::DELETE, "/api/admin/sessions");
    assert_eq!(Answer::of(ended).await.json()["ended"], 1);
    token(&program, "ada@example.org").await;
    let all = oneseat(
        &[
            "session",
            "end",
            "--all",
            "--yes",
            "--database-url",
            database.url(),
        ],
        "",
    );
    assert_eq!(String::from_utf8(all.stdout).unwrap(), "ended 2 sessions\n");

    let (_, log) = program.terminate();
    let told = |words: &[&str]| {
        log.iter()
            .filter(|line| words.iter().all(|words| line.contains(words)))
            .count()
    };
    assert_eq!(
        told(&["session_ended", "reason=expired", "by=time"]),
        2,
        "{log:#?}"
    );
    assert_eq!(told(&["session_ended", "reason=revoked"]), 1, "{log:#?}");
    assert_eq!(told(&["session_ended"]), 3, "{log:#?}");
}

#[tokio::test]
async fn a_mail_is_told_when_it_is_sent_and_when_it_is_not() {
    let (database, mails) = (Database::fresh(), MailServer::start());
    let program = serve_with_mail(&database, &mails);
    add_user(database.url(), "root@example.org", "admin");
    add_user(database.url(), "grace@example.org", "user");
    let admin = program
        .visitor()
        .with_token(token(&program, "root@example.org").await);
    let users = admin.get("/api/admin/users").await.json();
    let id = |email: &str| {
        let users = users["users"].as_array().unwrap();
        users.iter().find(|user| user["email"] == email).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (ada, grace) = (id("ada@example.org"), id("grace@example.org"));
    let post = async |id: &str, verb: &str| {
        Answer::of(admin.request(Method::POST, &format!("/api/admin/users/{id}/{verb}"))).await
    };
    assert_eq!(post(&grace, "password-link").await.status, 204);
    assert!(mails.next().await.link().starts_with("/reset#"));
    assert_eq!(post(&ada, "disable").await.status, 204);
    assert_eq!(
        post(&ada, "password-link").await.problem(),
        "409 account_disabled"
    );
    assert_eq!(
        database.number("select count(*) from mails where kind = 'password_reset'"),
        0
    );
    for email in ["ada@example.org", "nobody@example.org"] {
        let asked = json!({ "email": email });
        assert_eq!(
            program
                .visitor()
                .post("/auth/password/forgot", &asked)
                .await
                .status,
            202
        );
    }
    eventually("nothing waits", async || {
        database.number("select count(*) from mails") == 0
    })
    .await;

    let (_, log) = program.terminate();
    let requested = |email: &str| {
        let address = database.short_digest(email);
        format!("kind=password_reset address={address} from=127.0.0.1 agent=\"\"")
    };
    let mut expected = ["ada@example.org", "nobody@example.org"].map(requested).to_vec();
    expected.push(format!("user={grace} by={}", id("root@example.org")));
    expected.sort();
    assert_eq!(told(&log, "link_requested"), expected, "{log:#?}");
    let sent = format!("user={grace} kind=password_reset");
    assert_eq!(told(&log, "mail_sent"), [sent], "{log:#?}");
    // An admin asked for Ada's, and so did she.
    let expected = [
        ("ada@example.org", "account is disabled"),
        ("ada@example.org", "account is disabled"),
        ("nobody@example.org", "nobody has this address"),
    ]
    .map(|(email, why)| {
        let address = database.short_digest(email);
        format!("kind=password_reset address={address} reason=\"{why}\"")
    });
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(told(&log, "mail_not_sent"), expected, "{log:#?}");
}

#[tokio::test]
async fn what_became_of_a_mail_is_told_when_it_is_out_of_the_outbox_and_once() {
    let (database, mails) = (Database::fresh(), MailServer::start());
    let program = serve_with_mail(&database, &mails);
    add_user(database.url(), "nobody@example.org", "user");
    database.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
         create trigger refuse before delete on mails for each row execute function refuse()",
    );
    for email in ["ada@example.org", "nobody@example.org"] {
        let asked = json!({ "email": email });
        let answer = program.visitor().post("/auth/password/forgot", &asked).await;
        assert_eq!(answer.status, 202);
    }
    let mut log = Vec::new();
    eventually("neither can be taken out", async || {
        log.extend(program.said());
        let is_warning = |line: &&String| line.contains("may send it again");
        log.iter().filter(is_warning).count() == 2
    })
    .await;
    assert_eq!(mails.next().await.header("To"), "ada@example.org");
    let events = ["mail_sent", "mail_given_up"];
    for event in events {
        assert!(!has_line(&log, &[event]), "{log:#?}");
    }
    database.execute("drop trigger refuse on mails; update mails set due_at = now()");
    eventually("nothing waits", async || {
        database.number("select count(*) from mails") == 0
    })
    .await;
    assert_eq!(mails.next().await.header("To"), "ada@example.org");
    // Another instance, whose try took its time, finds that the mail is out of the outbox already.
    database.execute(
        "create table late (); create function leave() returns trigger language plpgsql as $$
             begin insert into late default values; return null; end $$;
         create trigger leave before delete on mails for each row execute function leave()",
    );
    let asked = json!({ "email": "nobody@example.org" });
    program.visitor().post("/auth/password/forgot", &asked).await;
    eventually("it was late", async || {
        database.number("select count(*) from late") == 1
    })
    .await;
    let (_, rest) = program.terminate();
    log.extend(rest);
    for event in events {
        let told = log.iter().filter(|line| line.contains(event));
        assert_eq!(told.count(), 1, "{event} in {log:#?}");
    }
    // The address is there by its digest, also in the server's words.
    let digest = database.short_digest("nobody@example.org");
    let of = |email: &str| database.text(&format!("select id::text from users where email = '{email}'"));
    let given_up = told(&log, "mail_given_up").concat();
    let (mail, rest) = given_up.split_once(' ').unwrap();
    assert!(
        mail.strip_prefix("mail=").unwrap().parse::<Uuid>().is_ok(),
        "{given_up}"
    );
    let user = of("nobody@example.org");
    let words =
        format!(r#"kind=password_reset address={digest} reason="nobody is at the address of user {user}: "#);
    assert!(rest.starts_with(&words), "{given_up}");
    assert!(rest.contains(&format!("[address {digest}]")), "{given_up}");
    let sent = format!("user={} kind=password_reset", of("ada@example.org"));
    assert_eq!(told(&log, "mail_sent"), [sent], "{log:#?}");
    assert_eq!(log.iter().find(|line| line.contains("nobody@")), None);
}

#[tokio::test]
async fn what_changes_nothing_is_not_told_as_done() {
    let database = Database::fresh();
    let program = serve(&database, &[]);
    add_user(database.url(), "root@example.org", "admin");
    let id = id_of_ada(&program).await;
    let admin = program
        .visitor()
        .with_token(token(&program, "root@example.org").await.as_str());
    let call = async |method: Method, what: &str| {
        let request = admin.request(method, &format!("/api/admin/users/{id}/{what}"));
        assert_eq!(Answer::of(request).await.status, 204, "{what}");
    };
    let operate = |verb: &str, rest: &[&str]| {
        let usual = ["user", verb, "ada@example.org", "--database-url", database.url()];
        let output = oneseat(&[&usual, rest].concat(), "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    program
        .visitor()
        .login("ada@example.org", "not the password")
        .await;
    for _ in 0..2 {
        call(Method::DELETE, "lock").await;
    }
    for what in ["disable", "enable"] {
        for _ in 0..2 {
            call(Method::POST, what).await;
        }
    }
    program
        .visitor()
        .login("ada@example.org", "not the password")
        .await;
    database.execute("update users set email_verified = false where email like 'ada%'");
    for (verb, rest, event) in [
        ("disable", &[][..], "user_disabled"),
        ("enable", &[], "user_enabled"),
        ("unlock", &[], "authn_login_unlock"),
        ("verify", &[], "user_verified"),
        ("rename", &["--name", "Ada"], "user_updated"),
        ("role", &["admin"], "authz_change"),
    ] {
        assert!(operate(verb, rest).contains(event), "{verb}");
        assert!(!operate(verb, rest).contains(event), "{verb} again");
    }
    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let address = database.short_digest("ada@example.org");
    let failed = format!(r#"WARN authn_login_fail address={address} reason="invalid credentials" {place}"#);
    let expected = [
        format!("INFO authn_login_success user=#1 session=#2 {place}"),
        format!("INFO session_created user=#1 session=#2 {place}"),
        format!("INFO authn_login_success user=#3 session=#4 {place}"),
        format!("INFO session_created user=#3 session=#4 {place}"),
        failed.clone(),
        format!("INFO authn_login_unlock address={address} by=#3"),
        "INFO user_disabled user=#1 by=#3".to_owned(),
        "INFO session_ended user=#1 session=#2 reason=account_disabled at=T by=#3".to_owned(),
        "INFO user_enabled user=#1 by=#3".to_owned(),
        failed,
    ];
    assert_eq!(security_lines(&log), expected, "{log:#?}");
}

#[tokio::test]
async fn changes_and_removals_are_logged_without_names_and_addresses() {
    let database = Database::fresh();
    let program = serve(&database, &[]);
    add_user(database.url(), "root@example.org", "admin");
    let ada = id_of_ada(&program).await;
    let login = program.visitor().login("root@example.org", PASSWORD).await.json();
    let root = login["user"]["id"].as_str().unwrap();
    let admin = program.visitor().with_token(login["token"].as_str().unwrap());
    let path = format!("/api/admin/users/{ada}");
    let changes = json!({ "name": "Countess of Lovelace", "role": "admin" });
    let changed = admin.request(Method::PATCH, &path).json(&changes);
    assert_eq!(Answer::of(changed).await.status, 200);
    let address = json!({ "email": "countess@example.org", "verified": true });
    let moved = admin
        .request(Method::PUT, &format!("{path}/email"))
        .json(&address);
    assert_eq!(Answer::of(moved).await.status, 200);
    let rows = r#"{"email":"eva@example.org","role":"admin"}
        {"email":"bob@example.org"}
        {"email":"cyd@example.org"}"#;
    let imported = admin
        .request(Method::POST, "/api/admin/users/import")
        .header("content-type", "application/jsonl");
    assert_eq!(Answer::of(imported.body(rows)).await.json()["added"], 3);
    let refused = admin.request(Method::DELETE, &format!("/api/admin/users/{root}"));
    assert_eq!(Answer::of(refused).await.problem(), "409 own_account");
    assert_eq!(Answer::of(admin.request(Method::DELETE, &path)).await.status, 204);
    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let expected = [
        format!("INFO authn_login_success user=#1 session=#2 {place}"),
        format!("INFO session_created user=#1 session=#2 {place}"),
        format!("INFO authn_login_success user=#3 session=#4 {place}"),
        format!("INFO session_created user=#3 session=#4 {place}"),
        "INFO user_updated user=#1 attribute=name by=#3".to_owned(),
        "INFO authz_change user=#1 was=user role=admin by=#3".to_owned(),
        "INFO user_updated user=#1 attribute=email by=#3".to_owned(),
        "INFO user_created user=#5 role=admin by=#3".to_owned(),
        "INFO user_created count=2 by=#3".to_owned(),
        "INFO user_deleted user=#1 by=#3".to_owned(),
        "INFO session_ended user=#1 session=#2 reason=account_disabled at=T by=#3".to_owned(),
    ];
    assert_eq!(security_lines(&log), expected, "{log:#?}");
    for person in ["Lovelace", "ada@", "countess@", "eva@", "bob@"] {
        assert_eq!(log.iter().find(|line| line.contains(person)), None);
    }
}

#[tokio::test]
async fn a_stored_hash_that_asks_for_too_much_is_told_once_and_not_obeyed() {
    let database = Database::fresh();
    let program = serve(&database, &[]);
    let id = id_of_ada(&program).await;
    database
        .execute("update users set password_hash = replace(password_hash, 'm=19456,t=2', 'm=4194304,t=50')");
    let mut took = Vec::new();
    for email in [
        "ada@example.org",
        "ada@example.org",
        "nobody@example.org",
        "nobody@example.org",
    ] {
        let started = std::time::Instant::now();
        let answer = program.visitor().login(email, PASSWORD).await;
        assert_eq!(answer.problem(), "401 invalid_credentials");
        took.push(started.elapsed());
    }
    // What is obeyed takes more than a minute. What exists does not stand out: exact times are another test's.
    assert!(took.iter().all(|took| took.as_secs() < 10), "{took:?}");
    let (_, log) = program.terminate();
    let user = format!("user={id}");
    let told: Vec<_> = log
        .iter()
        .filter(|line| line.contains("stored password hash"))
        .collect();
    assert!(told.len() == 1 && told[0].contains(&user), "{told:#?}");
}

#[tokio::test]
async fn who_asks_for_another_address_and_withdraws_it_is_told_each_time() {
    let (database, mails) = (Database::fresh(), MailServer::start());
    let program = serve_with_mail(&database, &mails);
    let login = program.visitor().login("ada@example.org", PASSWORD).await.json();
    let ada = program.visitor().with_token(login["token"].as_str().unwrap());
    let asks = json!({ "currentPassword": PASSWORD, "email": "countess@example.org" });
    // What is limited has five lines.
    for _ in 0..5 {
        assert_eq!(ada.post("/auth/email/change", &asks).await.status, 202);
    }
    for _ in 0..2 {
        let withdrawn = ada.request(Method::DELETE, "/auth/email/change");
        assert_eq!(Answer::of(withdrawn).await.status, 200);
    }
    // The address has had its mails of the hour, whoever asks for it.
    add_user(database.url(), "grace@example.org", "user");
    let token = token(&program, "grace@example.org").await;
    let refused = program
        .visitor()
        .with_token(token)
        .post("/auth/email/change", &asks)
        .await;
    assert_eq!(refused.problem(), "429 too_many_requests");
    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let address = format!("address={}", database.short_digest("countess@example.org"));
    let signed_in = |user: usize| {
        let ids = format!("user=#{user} session=#{}", user + 1);
        ["authn_login_success", "session_created"].map(|event| format!("INFO {event} {ids} {place}"))
    };
    let requested = format!("INFO email_change_requested user=#1 session=#2 {address} {place}");
    let expected = [
        &signed_in(1)[..],
        &vec![requested; 5],
        // The second time nothing waited.
        &[format!("INFO email_change_withdrawn user=#1 session=#2 {place}")],
        &signed_in(3),
        &[format!(
            "WARN excess_rate_limit_exceeded what=link kind=email_change {address} {place}"
        )],
    ];
    // What becomes of the mails is told whenever that is.
    let (_, of_people): (Vec<_>, Vec<_>) = log.iter().cloned().partition(|line| line.contains("] mail_"));
    assert_eq!(security_lines(&of_people), expected.concat(), "{log:#?}");
    assert_eq!(log.iter().find(|line| line.contains("countess@")), None);
}

#[tokio::test]
async fn what_a_mailed_link_did_is_told_with_its_purpose() {
    let database = Database::fresh();
    let program = serve(&database, &[]);
    token(&program, "ada@example.org").await;
    for (purpose, path, email) in [
        ("password_reset", "/auth/password/reset", "ada@example.org"),
        ("invitation", "/auth/password/reset", "ada@example.org"),
        ("verification", "/auth/email/verify", "ada@example.org"),
        ("email_change", "/auth/email/confirm", "countess@example.org"),
    ] {
        let mut body = json!({ "token": link_in(&database, purpose, email) });
        if path == "/auth/password/reset" {
            body["password"] = json!("nine green bottles on a wall");
        }
        let used = program.visitor().post(path, &body).await;
        assert_eq!(used.status, 200, "{purpose}: {used:?}");
    }
    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let expected = [
        format!("INFO authn_login_success user=#1 session=#2 {place}"),
        format!("INFO session_created user=#1 session=#2 {place}"),
        format!("INFO authn_password_change user=#1 by=link purpose=password_reset {place}"),
        "INFO session_ended user=#1 session=#2 reason=password_changed at=T by=self".to_owned(),
        format!("INFO authn_password_change user=#1 by=link purpose=invitation {place}"),
        format!("INFO user_verified user=#1 by=link purpose=verification {place}"),
        format!("INFO user_updated user=#1 by=link purpose=email_change {place}"),
    ];
    assert_eq!(security_lines(&log), expected, "{log:#?}");
}
