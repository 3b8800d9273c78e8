//! Files with accounts: what happens to each row.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{import, import_as};
use crate::support::{Answer, App, Client, MailServer, oneseat};

/// The hash of "correct horse": bcrypt at its lowest cost.
const HASH: &str = "$2b$04$9O1lOmCIf9lrHTp1TECT9u2.F.DJ.FhuI8qf2cLDE3jBQUquwLXHO";

/// In a test of a program that is not optimised. Fifty thousand take 30 seconds at most in a release.
const MANY: usize = 5_000;

const USERS: &str = "select coalesce(string_agg(concat_ws(' ', email, name, role, email_verified, disabled_at is not null, \
     to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI'), password_hash is not null), '; ' order by email), '') from users";

#[tokio::test]
async fn rows_become_accounts_as_they_say() {
    let app = App::start().await;
    let rows = [
        json!({ "email": " Ada@Example.org", "name": "Ada Lovelace", "role": "admin", "verified": true, "disabled": false,
            "created": "2020-02-29T12:30:00+01:00", "hash": HASH }),
        json!({ "email": "eva@example.org", "disabled": 1, "created": "2021-01-01 00:00:00" }),
    ];
    let text = rows.map(|row| row.to_string()).join("\n");
    let (code, out, _) = import(&app, "users.jsonl", &text, &[]);
    assert_eq!(
        (code, out.as_str()),
        (0, "added 2, unchanged 0, left as they are 0, refused 0\n")
    );
    let users = "ada@example.org Ada Lovelace admin t f 2020-02-29T11:30 t; eva@example.org eva user f t 2021-01-01T00:00 f";
    assert_eq!(app.database().text(USERS), users);
    // The same in CSV is no change.
    let csv = format!(
        "email,name,role,verified,disabled,created,hash\r\nada@example.org,Ada Lovelace,admin,t,f,2020-02-29 11:30:00+00,{HASH}\r\n\
         eva@example.org,,,,t,2021-01-01T00:00:00Z,\r\n"
    );
    let (code, out, _) = import_as(&app, &["user", "import", "-", "--format", "csv"], &csv);
    assert_eq!(
        (code, out.as_str()),
        (0, "added 0, unchanged 2, left as they are 0, refused 0\n")
    );
    assert_eq!(app.database().text(USERS), users);
}

#[tokio::test]
async fn a_bad_row_is_told_with_its_line_and_reason_and_holds_up_no_other() {
    let app = App::start().await;
    let text = format!(
        "{{\"email\":\"ada@example.org\"}}\n{{\"email\":\"no address\"}}\n\n{{\"email\":\"eva@example.org\",\"hash\":\"{HASH}x\"}}\n\
         {{\"email\":\"bob@example.org\",\"created\":\"0000-01-01 00:00:00\"}}\n{{\"email\":\"bob@example.org\",\"password\":\"x\"}}\n\
         {{\"email\":\"cyd@example.org\",\"name\":\"x\\u202ey\"}}\n{{\"email\":\"dan@example.org\",\"role\":\"root\"}}\nemail,name\n\
         {{\"email\":\"fay@example.org\"}}\n{{\"email\":\"gil\\u200b@example.org\"}}"
    );
    let (code, out, error) = import(&app, "users.jsonl", &text, &[]);
    assert_eq!(code, 1);
    assert_eq!(error, "oneseat: 8 of 10 rows are not as the file says");
    let told: Vec<&str> = out.lines().collect();
    // In the order of the lines, whichever step refused them.
    let lines: Vec<&str> = told.iter().filter_map(|told| told.split(':').next()).collect();
    let expected = [
        "line 2", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 11",
    ];
    assert_eq!(lines[..8], expected, "{out}");
    for (line, words) in [
        ("line 2: refused: email must be", ""),
        ("line 4: refused: the hash is of no use", "cannot be read"),
        ("line 5: refused: the database refuses it", "users_times_in_range"),
        ("line 6: refused: \"password\" is none of email,", ""),
        ("line 7: refused: name must be", ""),
        ("line 8: refused: role", "admin"),
        ("line 9: refused: the line is no JSON object", ""),
        ("line 11: refused: email", "U+200B"),
    ] {
        assert!(
            told.iter()
                .any(|told| told.starts_with(line) && told.contains(words)),
            "{line}: {out}"
        );
    }
    assert!(
        out.ends_with("added 2, unchanged 0, left as they are 0, refused 8\n"),
        "{out}"
    );
    assert!(!out.contains(HASH), "a hash is repeated: {out}");
    assert_eq!(
        app.database()
            .text("select string_agg(email, ' ' order by email) from users"),
        "ada@example.org fay@example.org"
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_in_words_that_say_what_to_mend() {
    const SHAPE: &str = "email must be an address like name@example.org";
    const LENGTH: &str = "email must have at most 254 bytes, and 64 of them before the @";
    const BRACKETS: &str =
        "email must be only the address, like name@example.org, without a name or < and > around it";
    const DOMAIN: &str = "email must have the name of a domain after the @, like example.org; no domain can be spelled like this one";
    let app = App::start().await;
    let (local, domain) = (
        "l".repeat(64),
        format!("{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(61)),
    );
    let refused = [
        ("ada", SHAPE),
        ("@example.org", SHAPE),
        ("ada@", SHAPE),
        ("a da@example.org", SHAPE),
        ("ada@exa mple.org", SHAPE),
        ("ada@exa\tmple.org", SHAPE),
        ("ada..l@example.org", SHAPE),
        ("a<da@example.org", SHAPE),
        ("<ada@example.org>", BRACKETS),
        ("Ada <ada@example.org>", BRACKETS),
        ("ada@example.org>", DOMAIN),
        ("ada@<example.org", DOMAIN),
        ("ada@example..org", DOMAIN),
        ("ada@[192.0.2.1]", DOMAIN),
        (&format!("l{local}@example.org"), LENGTH),
        (&format!("{local}@{domain}c"), LENGTH),
        (
            "a\u{200b}da@example.org",
            "email has a character that nobody sees (U+200B); type the address anew",
        ),
    ];
    let taken = [&format!("{local}@example.org"), &format!("{local}@{domain}")];
    let emails = refused.iter().map(|(email, _)| *email);
    let emails = emails.chain(taken.iter().map(|email| email.as_str()));
    let text: String = emails
        .map(|email| format!("{}\n", json!({ "email": email, "name": "A" })))
        .collect();
    let (code, out, _) = import(&app, "users.jsonl", &text, &[]);
    let mut told: Vec<String> = (1..)
        .zip(refused)
        .map(|(line, (_, words))| format!("line {line}: refused: {words}"))
        .collect();
    told.push(format!(
        "added 2, unchanged 0, left as they are 0, refused {}",
        told.len()
    ));
    assert_eq!(
        (code, out.lines().collect::<Vec<_>>()),
        (1, told.iter().map(String::as_str).collect())
    );
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_takes_no_other_with_it() {
    let app = App::start().await;
    // With the end of the line.
    let line = |name: &str, bytes: usize| {
        let begin = format!("{{\"email\":\"{name}@example.org\"");
        let blanks = " ".repeat(bytes - begin.len() - 2);
        format!("{begin}{blanks}}}\n")
    };
    let longest = 16 * 1_024;
    let text = [
        line("ada", longest),
        line("bob", longest + 1),
        line("eva", 100),
        line("eve", longest + 2),
        line("fay", 100),
        line("gil", 3 * longest),
        line("ian", longest + 1).trim_end().to_owned(),
    ]
    .concat();
    let (code, out, _) = import(&app, "users.jsonl", &text, &[]);
    let refused =
        [2, 4, 6].map(|line| format!("line {line}: refused: the line is longer than 16384 bytes\n"));
    let sum = "added 4, unchanged 0, left as they are 0, refused 3\n";
    assert_eq!((code, out), (1, refused.concat() + sum));
    let added = "select string_agg(name, ' ' order by name) from users";
    assert_eq!(app.database().text(added), "ada eva fay ian");
}

#[tokio::test]
async fn a_file_of_csv_may_be_longer_than_a_row() {
    let app = App::start().await;
    let row = |number: usize| format!("user{number}@example.org,User {number}\n");
    let text = "email,name\n".to_owned() + &(0..1_000).map(row).collect::<String>();
    assert!(text.len() > 16 * 1_024);
    let (code, out, _) = import(&app, "users.csv", &text, &[]);
    assert_eq!(
        (code, out.as_str()),
        (0, "added 1000, unchanged 0, left as they are 0, refused 0\n")
    );
}

#[tokio::test]
async fn an_account_that_is_there_stays_as_it_is_and_what_differs_is_told() {
    let app = App::start().await;
    let row = |email: &str, name: &str, role: &str| json!({ "email": email, "name": name, "role": role, "verified": true, "hash": HASH });
    let text = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let first = [
        row("ada@example.org", "Ada", "user"),
        row("ada@example.org", "Ada", "user"),
    ];
    // The same row twice in one file is one account.
    let (code, out, _) = import(&app, "users.jsonl", &text(&first), &[]);
    assert_eq!(
        (code, out.as_str()),
        (0, "added 1, unchanged 1, left as they are 0, refused 0\n")
    );
    let second = [
        row("ada@example.org", "Grace", "admin"),
        row("eva@example.org", "Eva", "user"),
    ];
    let (code, out, error) = import(&app, "users.jsonl", &text(&second), &[]);
    assert_eq!(
        (code, error.as_str()),
        (1, "oneseat: 1 of 2 rows is not as the file says")
    );
    assert!(
        out.starts_with("line 1: left as it is: this address is there already; different: name, role\n"),
        "{out}"
    );
    assert_eq!(
        app.database()
            .number("select count(*) from users where role = 'admin'"),
        0
    );
    // A change by the user since then is no difference: here, a password of oneseat's.
    app.database()
        .execute("update users set password_hash = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA'");
    let (code, out, _) = import(&app, "users.jsonl", &text(&first[..1]), &[]);
    assert_eq!(
        (code, out.as_str()),
        (0, "added 0, unchanged 1, left as they are 0, refused 0\n")
    );
    // Neither is a verified address; everything else is.
    let mut row = first[0].clone();
    row["verified"] = json!(false);
    let (code, out, _) = import(&app, "users.jsonl", &row.to_string(), &[]);
    assert_eq!(code, 0, "{out}");
    app.database()
        .execute("update users set email_verified = false, disabled_at = now(), password_hash = null");
    row["verified"] = json!(true);
    row["created"] = json!("2020-01-01");
    let (_, out, _) = import(&app, "users.jsonl", &row.to_string(), &[]);
    assert!(
        out.contains("different: verified, disabled, created, hash\n"),
        "{out}"
    );
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_and_writes_nothing() {
    let app = App::start().await;
    let text = "email,created\nada@example.org,\nada@example.org,\nada@example.org,2020-01-01\nbob,\neva@example.org,0000-01-01 00:00:00\n";
    let (code, out, _) = import(&app, "users.csv", text, &["--dry-run", "--invite"]);
    assert_eq!(code, 1);
    assert!(
        out.ends_with(
            "nothing was written; it would be: added 1, unchanged 1, left as they are 1, refused 2\n"
        ),
        "{out}"
    );
    assert!(
        out.contains("line 4: left as it is")
            && out.contains("line 5: refused")
            && out.contains("line 6: refused"),
        "{out}"
    );
    assert_eq!(
        app.database()
            .number("select (select count(*) from users) + (select count(*) from mails)"),
        0
    );
    let (_, out, _) = import(&app, "users.csv", text, &[]);
    assert!(
        out.ends_with("\nadded 1, unchanged 1, left as they are 1, refused 2\n"),
        "{out}"
    );
}

#[tokio::test]
async fn nobody_gets_a_mail_unless_that_is_asked_for() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    let text =
        format!("email,disabled,hash\nada@example.org,,\neva@example.org,,{HASH}\nbob@example.org,t,\n");
    import(&app, "users.csv", &text, &[]);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    app.database().execute("delete from users");
    import(&app, "users.csv", &text, &["--invite"]);
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), "ada@example.org");
    assert!(mail.link().starts_with("/welcome#"), "{mail:?}");
    assert_eq!(
        app.database()
            .number("select count(*) from mails where kind = 'invitation' and attempts = 0"),
        0
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_is_refused_whole() {
    let app = App::start().await;
    for (name, text, words) in [
        (
            "users.csv",
            "mail\nada@example.org\n",
            "line 1 must name the columns, and its column 1 is none of",
        ),
        ("users.csv", "name\nAda\n", "there is no column email"),
    ] {
        let (code, out, error) = import(&app, name, text, &[]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}");
        assert!(error.contains(words), "{error}");
    }
    let (code, out, error) = import(&app, "users.txt", "ada@example.org\n", &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        error.ends_with("users.txt are written: --format jsonl or --format csv"),
        "{error}"
    );
    // What is not there comes first.
    for (path, words) in [
        ("/nowhere.csv", "/nowhere.csv cannot be read: No such file"),
        ("/nowhere", "/nowhere cannot be read: No such file"),
        ("/tmp", "/tmp cannot be read: is a directory"),
    ] {
        let (code, _, error) = import_as(&app, &["user", "import", path], "");
        assert!(code == 1 && error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_spreadsheets_semicolons_are_understood_and_rows_of_one_address_name_the_first() {
    let app = App::start().await;
    let text = "email;name\nada@example.org;Ada\neva@example.org;Eva\nAda@example.org;Grace\n";
    for (flags, words) in [
        (
            &["--dry-run"][..],
            "line 4: left as it is: line 2 has this address, too\n",
        ),
        (
            &[],
            "line 4: left as it is: line 2 has this address, too; different: name\n",
        ),
        // Now both are different rows of an account that is there.
        (
            &[],
            "line 4: left as it is: line 2 has this address, too; different: name\n",
        ),
    ] {
        let (code, out, _) = import(&app, "users.csv", text, flags);
        assert!(code == 1 && out.starts_with(words), "{out}");
    }
    let row = |name: &str| json!({ "email": "ada@example.org", "name": name });
    let answer = post(
        &app.admin().await,
        "",
        format!("{}\n{}\n", row("Ada"), row("Grace")),
    )
    .await;
    assert_eq!(
        answer.json()["rows"],
        json!([{ "line": 2, "refused": null, "different": ["name"], "firstLine": 1 }])
    );
}

#[tokio::test]
async fn rows_before_a_row_without_an_end_are_imported_and_counted() {
    let app = App::start().await;
    let endless = "bob@example.org,Bob\n".repeat(2_000);
    let text = format!("email,name\nada@example.org,Ada\neva@example.org,\"Eva\n{endless}");
    let (code, out, error) = import(&app, "users.csv", &text, &[]);
    assert_eq!(
        (code, out.as_str()),
        (1, "added 1, unchanged 0, left as they are 0, refused 0\n")
    );
    assert!(
        error.contains("line 3: the row is longer than 16384 bytes: is a quote not closed?"),
        "{error}"
    );
    assert_eq!(app.database().number("select count(*) from users"), 1);
}

#[tokio::test]
async fn a_row_that_the_database_refuses_is_not_the_first_of_its_address() {
    let app = App::start().await;
    let text = "email,created\nbob@example.org,0000-01-01 00:00:00\nbob@example.org,\nbob@example.org,\n";
    for flags in [&["--dry-run"][..], &[]] {
        let (code, out, _) = import(&app, "users.csv", text, flags);
        assert_eq!(code, 1);
        let told: Vec<&str> = out.lines().collect();
        assert!(told[0].starts_with("line 2: refused: the database"), "{out}");
        assert!(
            told[1].ends_with("added 1, unchanged 1, left as they are 0, refused 1"),
            "{out}"
        );
    }
}

#[tokio::test]
async fn lists_keep_the_order_of_the_file() {
    let app = App::start().await;
    let emails = ["eva@example.org", "ada@example.org", "bob@example.org"];
    let (code, ..) = import(&app, "users.csv", &format!("email\n{}\n", emails.join("\n")), &[]);
    assert_eq!(code, 0);
    assert_eq!(
        app.database()
            .text("select string_agg(email, ' ' order by created_at) from users"),
        emails.join(" ")
    );
}

#[tokio::test]
async fn another_program_does_not_wait_until_a_server_takes_an_invitation() {
    let app = App::start().await;
    let invite = ["user", "invite", "ada@example.org", "--name", "ada"];
    let (code, out, _) = import_as(&app, &invite, "");
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "invited ada@example.org (user); a `oneseat serve` that sends mail (--smtp-url) sends it\n"
        )
    );
    let (code, _, note) = import(&app, "users.csv", "email\nada@example.org\n", &["--invite"]);
    assert!(
        code == 0 && note.starts_with("1 invitation waits in all") && note.contains("--smtp-url"),
        "{note}"
    );
    // Of a file that cannot be read to its end, too.
    let endless = "bob@example.org,Bob\n".repeat(2_000);
    let text = format!("email,name\neva@example.org,Eva\neve@example.org,\"Eve\n{endless}");
    let path = [
        "user",
        "import",
        "-",
        "--format",
        "csv",
        "--invite",
        "--database-url",
    ];
    let output = oneseat(&[&path[..], &[app.database().url()]].concat(), &text);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("2 invitations wait in all"), "{error}");
}

#[tokio::test]
async fn thousands_of_rows_take_seconds() {
    let app = App::start().await;
    let row = |number: usize| {
        let row = json!({ "email": format!("user{number}@example.org"), "name": format!("User {number}"), "verified": true, "hash": HASH });
        format!("{row}\n")
    };
    let text: String = (0..MANY).map(row).collect();
    let began = Instant::now();
    let (code, out, _) = import(&app, "users.jsonl", &text, &[]);
    let took = began.elapsed();
    println!("{MANY} rows: {took:?}");
    assert_eq!(code, 0, "{out}");
    assert_eq!(
        app.database().number("select count(*) from users"),
        i64::try_from(MANY).unwrap()
    );
    // One at a time they take minutes; a busy machine is slow, too.
    assert!(took < Duration::from_secs(60), "{took:?}");
}

async fn post(client: &Client, query: &str, body: impl Into<String>) -> Answer {
    post_as("application/jsonl", client, query, body).await
}

async fn post_as(media_type: &str, client: &Client, query: &str, body: impl Into<String>) -> Answer {
    let path = format!("/api/admin/users/import{query}");
    let request = client.request(Method::POST, &path);
    Answer::of(request.header("content-type", media_type).body(body.into())).await
}

#[tokio::test]
async fn an_admin_imports_over_http_as_an_operator_does() {
    let app = App::start().await;
    let root = app.admin().await;
    let text = format!(
        "{{\"email\":\"ada@example.org\",\"verified\":true,\"hash\":\"{HASH}\"}}\n{{\"email\":\"no address\"}}\n\
         {{\"email\":\"root@example.org\",\"role\":\"user\"}}\n"
    );
    let expected = json!({ "added": 1, "unchanged": 0, "rows": [
        { "line": 2, "refused": "email must be an address like name@example.org", "different": [] },
        { "line": 3, "refused": null, "different": ["role"] },
    ]});
    let answer = post(&root, "?dryRun=true", text.as_str()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected.clone()));
    assert_eq!(app.database().number("select count(*) from users"), 1);
    // As the description in OpenAPI 3.0 has it.
    let answer = post_as("application/octet-stream", &root, "?dryRun=true", text.as_str()).await;
    assert_eq!(answer.json(), expected);
    let answer = post_as("text/plain", &root, "", text.as_str()).await;
    assert_eq!(answer.problem(), "415 unsupported_media_type");
    let answer = post(&root, "", text.as_str()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
    assert_eq!(
        app.visitor().login("ada@example.org", "nul\0counts").await.status,
        200
    );
    let nothing = json!({ "added": 0, "unchanged": 0, "rows": [] });
    for query in ["", "?dryRun=true", "?dryRun=false"] {
        assert_eq!(post(&root, query, "").await.json(), nothing, "{query}");
    }
}

#[tokio::test]
async fn an_import_over_http_has_its_bounds() {
    let app = App::start().await;
    let root = app.admin().await;
    assert_eq!(post(&root, "?dryrun=true", "").await.problem(), "400 bad_request");
    assert_eq!(post(&root, "?invite=true", "").await.problem(), "404 no_mail");
    for last_end in ["\n", ""] {
        let too_many = "{}\n".repeat(10_000) + "{}" + last_end;
        assert_eq!(post(&root, "", too_many).await.problem(), "400 bad_request");
    }
    let largest = 4 * 1_024 * 1_024;
    assert_eq!(
        post(&root, "", "x".repeat(largest + 1)).await.problem(),
        "413 body_too_large"
    );
    let answer = post(&root, "", "x".repeat(largest)).await;
    assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 1);
    for last_end in ["\n", ""] {
        let answer = post(&root, "", "{}\n".repeat(9_999) + "{}" + last_end).await;
        assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 10_000);
    }
    assert_eq!(app.database().number("select count(*) from users"), 1);
}
