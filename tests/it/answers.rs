//! Each field of an answer in JSON says what PostgreSQL holds: no two values here are alike.

use chrono::{DateTime, SecondsFormat, Utc};
use oneseat::users::Role;
use serde_json::{Value, json};

use crate::support::{App, PASSWORD, oneseat};

/// Ada is signed in, was signed in before, is locked, and a mail to her was given up; Bob is disabled.
const DISTINCT: &str = "
    update users set created_at = date_trunc('second', now()) - interval '9 days' + interval '1 microsecond',
        name = case email when 'ada@example.org' then 'Ada King' else name end;
    update users set disabled_at = date_trunc('second', now()) - interval '8 days' + interval '2 microseconds',
        email_verified = false where email = 'bob@example.org';
    update sessions set ip_address = '192.0.2.7', user_agent = 'Now/1',
        created_at = date_trunc('second', now()) - interval '50 minutes' + interval '3 microseconds',
        last_activity = date_trunc('second', now()) - interval '10 minutes' + interval '4 microseconds',
        expires_at = date_trunc('second', now()) + interval '90 minutes' + interval '5 microseconds'
        from users where users.id = user_id and email = 'ada@example.org';
    update ended_sessions set ip_address = '2001:db8::7', user_agent = 'Then/1', reason = 'revoked',
        created_at = date_trunc('second', now()) - interval '7 days' + interval '6 microseconds',
        last_activity = date_trunc('second', now()) - interval '6 days' + interval '7 microseconds',
        expires_at = date_trunc('second', now()) - interval '5 days' + interval '8 microseconds',
        ended_at = date_trunc('second', now()) - interval '4 days' + interval '9 microseconds';
    insert into login_failures values (email_digest('ada@example.org'), 5,
        date_trunc('second', now()) + interval '10 minutes' + interval '10 microseconds');
    insert into undelivered_mails values (email_digest('ada@example.org'), 'password_reset', 'it is full',
        date_trunc('second', now()) - interval '3 days' + interval '11 microseconds');
    update service_clients set created_at = date_trunc('second', now()) - interval '2 days' + interval '12 microseconds'";

/// A JSON object of these fields, each with the SQL of its value.
fn object(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("'{name}', {value}"))
        .collect();
    format!("jsonb_build_object({})", pairs.join(", "))
}

/// The SQL of a time as RFC 3339 has it.
fn time(column: &str) -> String {
    format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
}

fn user() -> String {
    object(&[
        ("id", "u.id"),
        ("name", "u.name"),
        ("email", "u.email"),
        ("role", "u.role"),
    ])
}

/// What a session that lives and one that has ended have in common.
fn session(table: &str, others: &[(&str, &str)]) -> String {
    let of = |column: &str| format!("{table}.{column}");
    let (created, active) = (time(&of("created_at")), time(&of("last_activity")));
    let fields = [
        ("id", of("id")),
        ("ipAddress", format!("host({table}.ip_address)")),
        ("userAgent", of("user_agent")),
        ("createdAt", created),
        ("lastActivity", active),
    ];
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    object(&[&fields[..], others].concat())
}

fn live() -> String {
    session("s", &[("expiresAt", &time("s.expires_at"))])
}

fn past() -> String {
    session("e", &[("endedAt", &time("e.ended_at")), ("reason", "e.reason")])
}

fn account(state: &str) -> String {
    let undelivered = object(&[
        ("kind", "m.kind"),
        ("reason", "m.reason"),
        ("givenUpAt", &time("m.given_up_at")),
    ]);
    let others = object(&[
        ("state", &format!("'{state}'")),
        ("emailVerified", "u.email_verified"),
        ("signedIn", "s.id is not null"),
        ("lockedUntil", &time("f.locked_until")),
        ("disabledAt", &time("u.disabled_at")),
        ("createdAt", &time("u.created_at")),
        (
            "undelivered",
            &format!("case when m.reason is not null then {undelivered} end"),
        ),
    ]);
    format!("{} || {others}", user())
}

/// What PostgreSQL holds of this user, in the form of this SQL.
fn stored(app: &App, name: &str, sql: &str) -> Value {
    let text = app.database().text(&format!(
        "select ({sql})::text from users u
         left join sessions s on s.user_id = u.id
         left join ended_sessions e on e.user_id = u.id
         left join login_failures f on f.email_digest = email_digest(u.email)
         left join undelivered_mails m on m.email_digest = email_digest(u.email)
         where u.email = '{name}@example.org'"
    ));
    serde_json::from_str(&text).unwrap()
}

/// The object with more fields.
fn with(object: &Value, others: &Value) -> Value {
    let mut object = object.as_object().unwrap().clone();
    object.extend(others.as_object().unwrap().clone());
    object.into()
}

/// What a command prints in JSON.
fn printed(app: &App, command: &[&str]) -> Value {
    let args = [command, &["--json", "--database-url", app.database().url()]].concat();
    let output = oneseat(&args, "");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The lines that a command prints for another program, each in its parts.
fn lines(app: &App, command: &[&str]) -> Vec<Vec<String>> {
    let args = [command, &["--database-url", app.database().url()]].concat();
    let output = oneseat(&args, "");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let parts = |line: &str| line.split('\t').map(ToOwned::to_owned).collect();
    text.lines().map(parts).collect()
}

/// Text as it is, and a time to the second.
fn in_line(value: &Value) -> String {
    let text = value.as_str().unwrap();
    match text.parse::<DateTime<Utc>>() {
        Ok(at) => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        Err(_) => text.to_owned(),
    }
}

#[tokio::test]
async fn each_field_of_an_answer_is_what_the_database_holds() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.signed_in("ada").await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    app.add_user("bob", Role::User).await;
    let (client, _) = app.service("Payroll");
    app.database().execute(DISTINCT);
    let (user, live, past) = (
        stored(&app, "ada", &user()),
        stored(&app, "ada", &live()),
        stored(&app, "ada", &past()),
    );
    let account = |name: &str, state: &str| stored(&app, name, &account(state));
    let (active, disabled) = (account("ada", "active"), account("bob", "disabled"));
    assert!(active["undelivered"]["givenUpAt"].is_string() && disabled["disabledAt"].is_string());
    let of_ada = json!({ "user": user });

    assert_eq!(
        ada.session_passively().await.json(),
        json!({ "user": user, "session": live })
    );
    assert_eq!(
        ada.get("/auth/history").await.json(),
        json!({ "sessions": [past] })
    );
    let first = async |list: &str, rows: &str| {
        let path = format!("/api/admin/{list}");
        admin.get(&path).await.json()[rows][0].clone()
    };
    assert_eq!(
        first("sessions?q=ada", "sessions").await,
        with(&live, &json!({ "user": user, "current": false }))
    );
    assert_eq!(first("history?q=ada", "sessions").await, with(&past, &of_ada));
    for (name, account) in [("ada", &active), ("bob", &disabled)] {
        assert_eq!(first(&format!("users?q={name}"), "users").await, *account);
        let id = account["id"].as_str().unwrap();
        assert_eq!(
            admin.get(&format!("/api/admin/users/{id}")).await.json(),
            *account
        );
    }

    let email = "ada@example.org";
    assert_eq!(
        printed(&app, &["user", "list", "--search", email]),
        json!([active])
    );
    assert_eq!(
        printed(&app, &["user", "show", email]),
        with(&active, &json!({ "session": live }))
    );
    assert_eq!(
        printed(&app, &["user", "show", "bob@example.org"]),
        with(&disabled, &json!({ "session": null }))
    );
    assert_eq!(
        printed(&app, &["session", "list", "--search", email]),
        json!([with(&live, &of_ada)])
    );
    let created = app
        .database()
        .text(&format!("select {} from service_clients", time("created_at")));
    assert_eq!(
        printed(&app, &["client", "list"]),
        json!([{ "id": client, "name": "Payroll", "createdAt": created }])
    );

    let of = |object: &Value, field: &str| in_line(&object[field]);
    assert_eq!(
        lines(&app, &["session", "list", "--search", email]),
        [[
            of(&user, "name"),
            email.to_owned(),
            of(&live, "ipAddress"),
            of(&live, "lastActivity"),
            of(&live, "createdAt"),
            "An unknown program".to_owned(),
            of(&live, "expiresAt"),
            of(&live, "id"),
        ]]
    );
    assert_eq!(
        lines(&app, &["client", "list"]),
        [[
            "Payroll".to_owned(),
            in_line(&created.clone().into()),
            client.clone()
        ]]
    );
    let seat = format!(
        "since {} from {}, until {}",
        of(&live, "createdAt"),
        of(&live, "ipAddress"),
        of(&live, "expiresAt")
    );
    let undelivered = &active["undelivered"];
    let given_up = format!(
        "Link for a new password, given up {}: {}",
        of(undelivered, "givenUpAt"),
        of(undelivered, "reason")
    );
    let facts = [
        ("name", of(&user, "name")),
        ("email", email.to_owned()),
        ("role", "user".to_owned()),
        ("state", "active".to_owned()),
        ("locked", format!("until {}", of(&active, "lockedUntil"))),
        ("added", of(&active, "createdAt")),
        ("seat", seat),
        ("not delivered", given_up),
    ];
    let facts = facts.map(|(name, value)| vec![name.to_owned(), value]);
    assert_eq!(lines(&app, &["user", "show", email]), facts);

    app.database().execute("delete from login_failures");
    let signed_in = app.visitor().login(email, PASSWORD).await.json();
    assert_eq!(signed_in["user"], user);
    assert_eq!(signed_in["passwordChangeRecommended"], false);
    let told = signed_in["expiresAt"].as_str().unwrap();
    let is_so = format!(
        "select count(*) from sessions where expires_at = timestamptz '{told}' and token_digest = sha256('\\x{}')",
        signed_in["token"].as_str().unwrap()
    );
    assert_eq!(app.database().number(&is_so), 1, "{signed_in}");

    let ended = ada.session().await.json();
    let at = format!(
        "select {} from ended_sessions where id = '{}'",
        time("ended_at"),
        live["id"].as_str().unwrap()
    );
    assert_eq!(ended["endedAt"], app.database().text(&at), "{ended}");
}
