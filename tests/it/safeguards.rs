//! A schema that lacks what the laws depend on is not served.

use std::path::Path;
use std::process::Command;

use oneseat::db::{connect, migrations, safeguards};
use oneseat::users::Role;

use crate::support::{App, Database, eventually, oneseat};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/safeguards.txt");

#[test]
fn the_list_is_that_of_a_migrated_database() {
    let database = Database::fresh();
    let present = safeguards::present(&mut connect(database.url()).unwrap()).unwrap();
    let present = present.join("\n") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(LIST, &present).unwrap();
    }
    assert_eq!(std::fs::read_to_string(LIST).unwrap(), present);
}

/// Runs one of PostgreSQL's programs.
fn run(program: &str, database: &Database, dump: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).args(["--dbname", database.url()]);
    match program {
        "pg_dump" => command.arg("--file").arg(dump),
        _ => command.arg(dump),
    };
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn a_restore_that_was_cut_short_is_refused_until_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let dump = dir.path().join("dump");
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    run("pg_dump", app.database(), &dump, &["--format=custom"]);
    let restored = Database::empty();
    let sections = ["--section=pre-data", "--section=data", "--no-owner"];
    run("pg_restore", &restored, &dump, &sections);

    let refused = oneseat(&["user", "list", "--database-url", restored.url()], "");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(
        (refused.status.code(), words.lines().count()),
        (Some(1), 1),
        "{words}"
    );
    assert!(
        words.contains("the schema lacks") && words.contains("pg_restore --section=post-data"),
        "{words}"
    );

    run(
        "pg_restore",
        &restored,
        &dump,
        &["--section=post-data", "--no-owner"],
    );
    let app = App::start_on(restored).await;
    app.visitor().sign_in("ada@example.org").await;
}

/// What breaks the schema, what repairs it, and what the message names meanwhile.
const BREAKS: [(&str, &str, &str); 6] = [
    (
        "alter table sessions drop constraint sessions_user_id_key",
        "alter table sessions add constraint sessions_user_id_key unique (user_id)",
        "sessions.sessions_user_id_key",
    ),
    (
        "drop index mails_one_link_key",
        "create unique index mails_one_link_key on mails (email_digest, kind)
             where kind in ('invitation', 'verification', 'password_reset')",
        "mails.mails_one_link_key",
    ),
    (
        "alter table users disable trigger users_last_admin_stays",
        "alter table users enable trigger users_last_admin_stays",
        "users.users_last_admin_stays",
    ),
    // As `pg_restore --data-only --disable-triggers` leaves it when it is cut short: no foreign key is obeyed.
    (
        "alter table one_time_links disable trigger all",
        "alter table one_time_links enable trigger all",
        "one_time_links.one_time_links_user_id_fkey",
    ),
    (
        "alter table sessions disable trigger sessions_marked",
        "alter table sessions enable always trigger sessions_marked",
        "sessions.sessions_marked",
    ),
    (
        "alter table sessions drop constraint sessions_user_id_fkey;
         alter table sessions add constraint sessions_user_id_fkey foreign key (user_id) references users on delete cascade not valid",
        "alter table sessions validate constraint sessions_user_id_fkey",
        "sessions.sessions_user_id_fkey",
    ),
];

#[tokio::test]
async fn while_a_safeguard_is_gone_nobody_is_ready_and_nobody_starts() {
    let app = App::start().await;
    let status = async || app.visitor().get("/readyz").await.status.as_u16();
    let url = app.database().url();
    for (breaks, mends, name) in BREAKS {
        assert_eq!(status().await, 200, "{name}");
        app.database().execute(breaks);
        assert_eq!(
            app.visitor().get("/readyz").await.problem(),
            "503 unavailable",
            "{name}"
        );
        let refused = migrations::run(url).unwrap_err().to_string();
        assert!(refused.contains(name), "{refused}");
        app.database().execute(mends);
    }
    eventually("it is ready again", async || status().await == 200).await;
    // A later version has more.
    app.database()
        .execute("alter table users add constraint of_a_later_version check (name <> '')");
    assert_eq!(status().await, 200);
    assert_eq!(migrations::run(url).unwrap(), [""; 0]);
}
