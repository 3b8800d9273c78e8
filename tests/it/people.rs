//! Names in every script, and one account for every spelling of an address.

use std::path::Path;

use oneseat::auth::accounts::NewAccount;
use oneseat::users::{Name, Password, Role};
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App, Database, MailServer, PASSWORD, oneseat};

/// As Chromium sends it, and as it is stored.
const ASCII: &str = "max@xn--mnchen-3ya.de";
const READABLE: &str = "max@münchen.de";

const SPELLINGS: [&str; 6] = [
    ASCII,
    READABLE,
    "MAX@MÜNCHEN.DE",
    "max@mu\u{308}nchen.de.",
    "ｍａｘ＠ｍüｎｃｈｅｎ．ｄｅ",
    " Max@XN--MNCHEN-3YA.DE ",
];

async fn add(app: &App, email: &str, name: &str) {
    let account = NewAccount {
        name: name.parse().unwrap(),
        email: email.parse().unwrap(),
        role: Role::User,
        email_verified: true,
        password: Password::chosen(PASSWORD, &[]).unwrap(),
    };
    app.auth.add_user(account).await.unwrap();
}

/// An address that an older version wrote, and that today's trigger refuses.
fn write_as_before(database: &Database, statements: &str) {
    database.execute(&format!(
        "alter table users disable trigger users_email_spelling; {statements};
         alter table users enable trigger users_email_spelling"
    ));
}

#[tokio::test]
async fn every_spelling_of_an_address_is_one_person_with_one_lock() {
    let app = App::start().await;
    add(&app, READABLE, "Max").await;
    for spelling in SPELLINGS {
        let answer = app.visitor().login(spelling, PASSWORD).await;
        assert_eq!(answer.status, 200, "{spelling}: {answer:?}");
        assert_eq!(answer.json()["user"]["email"], ASCII);
    }
    assert_eq!(app.sessions(), 1);
    let admin = app.admin().await;
    for q in ["münch", "MÜNCHEN.DE", "max@münchen", "xn--mnchen"] {
        for list in ["users", "sessions"] {
            let found = admin.get(&format!("/api/admin/{list}?q={q}")).await.json();
            assert_eq!(found["total"], 1, "{list} {q}: {found}");
        }
    }
    for spelling in &SPELLINGS[..5] {
        app.visitor().login(spelling, "not the password").await;
    }
    for spelling in SPELLINGS {
        assert_eq!(
            app.visitor().login(spelling, PASSWORD).await.problem(),
            "403 account_locked",
            "{spelling}"
        );
    }
    let refused = app.visitor().login("max@xn--a.de", PASSWORD).await;
    assert_eq!(refused.problem(), "400 bad_request");
    assert_eq!(refused.json()["field"], "email");
    assert!(refused.words().contains("domain"), "{refused:?}");
}

#[tokio::test]
async fn addresses_of_an_older_version_get_their_spelling_with_locks_links_and_mails() {
    let database = Database::fresh();
    let url = database.url().to_owned();
    write_as_before(
        &database,
        "insert into users (name, email) select 'Max', 'max' || n || '@münchen.de' from generate_series(1, 250) as n;
         insert into users (name, email) values ('Root', 'root@example.org.'), ('王', '王@ｅxample.org');
         insert into users (name, email) values ('Zoë', 'zoe@xn--mnchen-3ya.de');
         insert into login_failures (email_digest, failed_attempts, locked_until)
             values (email_digest('max7@münchen.de'), 5, now() + interval '1 hour'),
                 (email_digest('max8@münchen.de'), 4, null), (email_digest('max9@münchen.de'), 1, null),
                 (email_digest('max8@xn--mnchen-3ya.de'), 1, now() + interval '1 hour'),
                 (email_digest('max9@xn--mnchen-3ya.de'), 3, null);
         insert into one_time_links select id, 'invitation', sha256('x'), email, now() + interval '1 day'
             from users where email = 'max7@münchen.de';
         insert into mails (kind, email_digest) values ('invitation', email_digest('max7@münchen.de')),
             ('invitation', email_digest('max7@xn--mnchen-3ya.de'))",
    );
    let migrated = oneseat(&["migrate", "--database-url", &url], "");
    let words = String::from_utf8(migrated.stdout).unwrap();
    assert!(words.contains("gave 252 addresses their spelling"), "{words}");
    assert_eq!(
        database.number("select count(*) from users where email like 'max%@xn--mnchen-3ya.de'"),
        250
    );
    assert_eq!(
        database.number("select count(*) from users where email in ('root@example.org', '王@example.org')"),
        2
    );
    let moved = "(select email_digest(email) from users where email = 'max7@xn--mnchen-3ya.de')";
    for (what, count) in [
        ("users where not email_is_spelled(email)".to_owned(), 0),
        (
            format!("login_failures where email_digest = {moved} and locked_until > now()"),
            1,
        ),
        (format!("mails where email_digest = {moved}"), 1),
        (
            "one_time_links where email = 'max7@xn--mnchen-3ya.de'".to_owned(),
            1,
        ),
        // This one was only not yet found as people read it.
        ("users where searched_email = 'zoe@münchen.de'".to_owned(), 1),
        // The lock and the count of either spelling stay.
        ("login_failures where locked_until > now()".to_owned(), 2),
        ("login_failures where failed_attempts >= 3".to_owned(), 3),
        ("login_failures".to_owned(), 3),
        ("mails".to_owned(), 1),
    ] {
        assert_eq!(
            database.number(&format!("select count(*) from {what}")),
            count,
            "{what}"
        );
    }
    let again = oneseat(&["migrate", "--database-url", &url], "");
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "up to date\n");
}

#[tokio::test]
async fn two_accounts_that_became_one_address_stay_until_somebody_decides() {
    let app = App::start().await;
    add(&app, READABLE, "Max").await;
    let database = app.database();
    write_as_before(
        database,
        &format!("insert into users (name, email) values ('Moritz', '{READABLE}')"),
    );
    let id = |email: &str| database.text(&format!("select id::text from users where email = '{email}'"));
    let (older, newer) = (id(READABLE), id(ASCII));
    let run = |args: &[&str]| {
        let output = oneseat(&[args, &["--database-url", database.url()]].concat(), "");
        assert!(output.status.success(), "{output:?}");
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (words, log) = run(&["migrate"]);
    for told in [READABLE, ASCII, &older, &newer] {
        assert!(words.contains(told), "{words}");
    }
    assert!(
        log.contains(&older) && log.contains(&newer) && !log.contains("max@"),
        "{log}"
    );
    assert_eq!(id(READABLE), older);
    assert_eq!(
        app.visitor().login(READABLE, PASSWORD).await.json()["user"]["id"],
        newer.as_str()
    );

    // Everything else can be done to it.
    let admin = app.admin().await;
    let disable = format!("/api/admin/users/{older}/disable");
    assert_eq!(
        Answer::of(admin.request(Method::POST, &disable)).await.status,
        204
    );
    let (removed, _) = run(&["user", "remove", &newer, "--yes"]);
    assert_eq!(removed, format!("{newer} is removed\n"));
    assert_eq!(
        run(&["migrate"]).0,
        "gave 1 addresses their spelling (the domain in ASCII)\n"
    );
    assert_eq!(id(ASCII), older);
}

#[test]
fn a_name_has_the_joiners_and_marks_that_writing_needs_and_no_other() {
    for name in [
        // Bengali: a vowel sign or virama after a joiner. Persian: a vowel mark before one.
        "র\u{200d}\u{9cd}যাব",
        "خانهِ\u{200c}من",
        "\u{1f469}\u{1f3fd}\u{200d}\u{1f4bb}",
        "❤\u{fe0f}\u{200d}\u{1f525}",
    ] {
        assert_eq!(name.parse::<Name>().unwrap().as_str(), name, "{name:?}");
    }
    for name in [
        "Ada\u{200d}\u{1f4bb}",
        "\u{1f4bb}\u{200d}Ada",
        "\u{1f469}\u{200c}\u{1f4bb}",
        "র\u{200d}",
        "Ada\u{200d}\u{301}",
    ] {
        assert!(name.parse::<Name>().is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn an_instance_of_an_older_version_makes_no_second_account_for_a_mailbox() {
    let app = App::start().await;
    add(&app, READABLE, "Max").await;
    for email in [READABLE, "max@xn--mnchen-3ya.de.", "ｍax@xn--mnchen-3ya.de"] {
        let refused = app.database().operator();
        let insert = format!("insert into users (name, email) values ('Moritz', '{email}')");
        let refused = diesel::connection::SimpleConnection::batch_execute(&mut { refused }, &insert);
        let words = refused.unwrap_err().to_string();
        assert!(words.contains("stored in ASCII"), "{words}");
    }
}

#[tokio::test]
async fn mail_reaches_every_domain_over_a_relay_that_knows_no_utf8() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    let admin = app.admin().await;
    let max = json!({ "email": READABLE, "name": "דוד" });
    assert_eq!(admin.post("/api/admin/users", &max).await.status, 201);
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), ASCII);

    // The mail is given up at once, because it can never be sent.
    let king = json!({ "email": "王@example.org", "name": "王" });
    let refused = admin.post("/api/admin/users", &king).await;
    assert_eq!(refused.problem(), "400 bad_request");
    assert_eq!(refused.json()["field"], "email");
    let url = app.database().url();
    let args = [
        "user",
        "invite",
        "王@example.org",
        "--name",
        "王",
        "--database-url",
        url,
    ];
    let refused = oneseat(&args, "");
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("--smtp-utf8 on"),
        "{refused:?}"
    );
    assert!(
        oneseat(&[&args[..], &["--smtp-utf8", "on"]].concat(), "")
            .status
            .success()
    );
}

#[tokio::test]
async fn what_people_are_called_turns_nothing_around_and_hides_nothing() {
    let app = App::start().await;
    let admin = app.admin().await;
    add(&app, READABLE, "דוד 10").await;
    // Such names were written before they were refused.
    app.database()
        .execute("insert into users (name, email) values (E'Eve\\u202E\\u3164', E'e\\u200Bve@example.org')");
    let page = admin.get("/admin/users").await.words();
    for shown in [
        "<bdi>דוד 10</bdi>",
        "<bdi>max@münchen.de</bdi>",
        "<bdi>Eve‹U+202E›‹U+3164›</bdi>",
        "<bdi>e‹U+200B›ve@example.org</bdi>",
        "Disable the account of \u{2068}דוד 10\u{2069}, max@münchen.de?",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains('\u{202e}'));
    let list = oneseat(&["user", "list", "--database-url", app.database().url()], "");
    let list = String::from_utf8(list.stdout).unwrap();
    // Another program gets the values as they are, but without invisible characters.
    for shown in ["דוד 10", "max@xn--mnchen-3ya.de", "Eve‹U+202E›‹U+3164›"] {
        assert!(list.contains(shown), "{shown}: {list}");
    }
}

/// The variables in templates that hold what people wrote.
const OF_PEOPLE: [&str; 4] = ["name", "email", "user_agent", "inviter"];

/// Every `{{ .. }}` of a template with what stands directly before and after it.
fn expressions(template: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    template.match_indices("{{").map(|(at, _)| {
        let end = at + template[at..].find("}}").unwrap();
        (
            &template[..at],
            template[at + 2..end].trim_matches(['-', ' ']),
            &template[end + 2..],
        )
    })
}

fn is_of_people(expression: &str) -> bool {
    let value = expression.split('|').next().unwrap();
    let mut words = value.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| OF_PEOPLE.contains(&word))
}

/// The site's own name: an operator chose it for these very lines.
fn is_of_operator(expression: &str) -> bool {
    expression.starts_with("site.")
}

#[test]
fn every_template_isolates_what_people_wrote() {
    let mut looked = 0;
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for folder in [templates.clone(), templates.join("mail")] {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let Ok(template) = std::fs::read_to_string(entry.path()) else {
                continue;
            };
            for (before, expression, after) in expressions(&template)
                .filter(|(_, expression, _)| is_of_people(expression) && !is_of_operator(expression))
            {
                let filters: Vec<_> = expression.split('|').skip(1).map(str::trim).collect();
                let is_isolated = filters.last() == Some(&"isolated");
                let tag = before.rsplit('<').next().unwrap();
                let is_in_bdi = (tag == "bdi>" || tag.starts_with("bdi ") && tag.ends_with('>'))
                    && after.starts_with("</bdi>")
                    && filters.iter().any(|filter| ["shown", "address"].contains(filter));
                // A field has the value itself, and no text beside it.
                let is_value = before.ends_with(" value=\"") && after.starts_with('"');
                assert!(
                    is_isolated || is_in_bdi || is_value,
                    "{}: {{{{ {expression} }}}}",
                    entry.path().display()
                );
                looked += 1;
            }
        }
    }
    assert!(looked > 15, "{looked}");
}
