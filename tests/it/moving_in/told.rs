//! What an import, and a server with the imported users, write to the log.

use std::io::{BufRead, BufReader};

use serde_json::json;

use super::{file, vectors};
use crate::support::{App, Database, begun, oneseat};

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
