//! What an import, and a server with the imported users, write to the log.

use std::io::{BufRead, BufReader};

use serde_json::json;

use super::{file, vectors};
use crate::support::{App, Database, PASSWORD, Program, add_user, begun, oneseat};

#[tokio::test]
async fn each_admin_who_is_imported_has_a_line_in_the_security_log() {
    let app = App::start().await;
    let (_dir, path) = file(
        "users.csv",
        "email,role\nada@example.org,admin\neva@example.org,user\nbob@example.org,user\n",
    );
    let url = app.database().url();
    let args = [
        "user",
        "import",
        path.to_str().unwrap(),
        "--database-url",
        url,
        "--dry-run",
    ];
    let rehearsed = oneseat(&args, "");
    let log = String::from_utf8(rehearsed.stderr).unwrap();
    assert!(!log.contains("user_created"), "{log}");
    let output = oneseat(&args[..5], "");
    let log = String::from_utf8(output.stderr).unwrap();
    let ada = app
        .database()
        .text("select id::text from users where email = 'ada@example.org'");
    for words in [
        format!("user_created user={ada} role=admin by=operator"),
        "user_created count=2 by=operator".to_owned(),
    ] {
        assert!(log.contains(&words), "{words}: {log}");
    }
    // Nobody's hash needs one.
    assert!(!log.contains("pepper"), "{log}");
}

#[test]
fn a_pepper_that_is_missing_is_an_error_at_the_start() {
    let database = Database::fresh();
    let told_at_start = || {
        let serve = ["serve", "--bind", "127.0.0.1:0", "--database-url", database.url()];
        let mut program = begun(&serve, &[("RUST_LOG", "info")]);
        let lines = BufReader::new(program.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let before: Vec<String> = lines.take_while(|line| !line.contains("serving on")).collect();
        program.kill().unwrap();
        program.wait().unwrap();
        let tells = |line: &&String| line.contains("ERROR") && line.contains("--password-pepper-file");
        before.iter().filter(tells).count()
    };
    assert_eq!(told_at_start(), 0);
    let peppered = vectors()
        .into_iter()
        .find(|vector| vector["pepper"].is_string())
        .unwrap();
    let row = json!({ "email": "ada@example.org", "hash": peppered["hash"] }).to_string();
    let (_dir, path) = file("users.jsonl", &row);
    let import = [
        "user",
        "import",
        path.to_str().unwrap(),
        "--database-url",
        database.url(),
    ];
    assert!(oneseat(&import, "").status.success());
    assert_eq!(told_at_start(), 1);
}

#[tokio::test]
async fn a_hash_that_cannot_be_checked_is_an_error_once_for_each_user() {
    let database = Database::fresh();
    let program = Program::over(database.url());
    let mut told = Vec::new();
    for (name, hash, reason) in [
        ("ada", "md5 of something", "it cannot be read"),
        (
            "eva",
            "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "it asks for more memory or passes than one sign-in may take",
        ),
    ] {
        let email = format!("{name}@example.org");
        add_user(database.url(), &email, "user");
        let of_user = format!("where email = '{email}'");
        database.execute(&format!("update users set password_hash = '{hash}' {of_user}"));
        for _ in 0..3 {
            let answer = program.visitor().login(&email, PASSWORD).await;
            assert_eq!(answer.problem(), "401 invalid_credentials");
        }
        let user = database.text(&format!("select id::text from users {of_user}"));
        told.push(format!(
            "a stored password hash is of no use: its user cannot sign in with it user={user} reason=\"{reason}\""
        ));
    }
    let (_, log) = program.terminate();
    let errors = log.iter().filter(|line| line.contains("ERROR"));
    let errors: Vec<_> = errors.filter_map(|line| Some(line.split_once("] ")?.1)).collect();
    assert_eq!(errors, told);
}
