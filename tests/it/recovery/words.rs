//! Messages of other servers reach the log without the secrets in them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use oneseat::config::MailPolicy;
use oneseat::users::Role;

use super::{ADA, forgot};
use crate::support::{App, Program, eventually};

/// The name by which the program identifies itself to the mail server.
const USER: &str = "mailer@example.org";
const PASSWORD: &str = "Canary9";

/// The ways in which a server quotes secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Indiscretion {
    /// Refuses a mail and quotes it, line by line.
    QuotesTheMail,
    /// Cannot take a mail now, and quotes it in lines of its own, which break words.
    FoldsTheMail,
    /// Refuses the credentials and repeats them, as PLAIN sends them and as they are.
    RepeatsPlain,
    /// Refuses the credentials and repeats them, as LOGIN sends them, each in a line that is broken.
    RepeatsLogin,
}

impl Indiscretion {
    fn code(self) -> &'static str {
        match self {
            Self::QuotesTheMail => "5.7.1",
            Self::FoldsTheMail => "4.7.1",
            Self::RepeatsPlain | Self::RepeatsLogin => "5.7.8",
        }
    }

    /// All parts of a mail, in lines as that server quotes them. The program keeps only a little of a
    /// message, so the server that folds lines begins with the link.
    fn quoted(self, mail: &[String]) -> Vec<String> {
        match self {
            Self::FoldsTheMail => {
                let mail = mail.join(" ").replace("= ", "");
                let link = mail.find("http://").expect("a link");
                let mail: Vec<char> = mail[link..].chars().collect();
                mail.chunks(13).map(|line| line.iter().collect()).collect()
            }
            _ => mail.to_vec(),
        }
    }
}

/// An SMTP server for the test. It reports everything that it was sent.
fn server(indiscretion: Indiscretion) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, sent) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that leaves in the middle is a new attempt.
            if let Some(all) = converse(stream, indiscretion) {
                let _ = told.send(all);
            }
        }
    });
    (address, sent)
}

/// One conversation. `None`: the client left before it was refused.
fn converse(mut stream: TcpStream, indiscretion: Indiscretion) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().ok()?)
        .lines()
        .map_while(Result::ok);
    let mut say = |words: &str| write!(stream, "{words}\r\n").ok();
    say("220 indiscreet")?;
    loop {
        let line = lines.next()?;
        match (line.split(' ').next()?.to_uppercase().as_str(), indiscretion) {
            ("EHLO", Indiscretion::RepeatsLogin) => say("250-indiscreet\r\n250 AUTH LOGIN")?,
            ("EHLO", _) => say("250-indiscreet\r\n250 AUTH PLAIN")?,
            ("AUTH", Indiscretion::RepeatsPlain) => {
                say(&format!(
                    "535 5.7.8 {line} is wrong: {USER} has no password {PASSWORD}"
                ))?;
                return Some(line);
            }
            ("AUTH", Indiscretion::RepeatsLogin) => {
                say("334 VXNlcm5hbWU6")?;
                let user = lines.next()?;
                say("334 UGFzc3dvcmQ6")?;
                let password = lines.next()?;
                let (one, two) = password.split_at(5);
                say(&format!(
                    "535-5.7.8 {user}\r\n535-5.7.8 {one}=\r\n535-5.7.8 {two}\r\n535 5.7.8 {PASSWORD}?"
                ))?;
                return Some(format!("{user}\n{password}"));
            }
            ("AUTH", _) => say("235 2.7.0 welcome")?,
            ("DATA", _) => {
                say("354 go on")?;
                let mail: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                let (code, reply) = (
                    indiscretion.code(),
                    if indiscretion == Indiscretion::FoldsTheMail {
                        451
                    } else {
                        554
                    },
                );
                for line in indiscretion.quoted(&mail) {
                    say(&format!("{reply}-{code} {line}"))?;
                }
                say(&format!("{reply} {code} that was the mail"))?;
                return Some(mail.join("\n"));
            }
            ("QUIT", _) => return None,
            _ => say("250 2.0.0 fine")?,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_indiscreet_server_puts_no_link_and_no_password_into_the_log() {
    for (indiscretion, formats) in [
        (Indiscretion::QuotesTheMail, &["human", "json"][..]),
        (Indiscretion::RepeatsPlain, &["human", "json"]),
        (Indiscretion::FoldsTheMail, &["human"]),
        (Indiscretion::RepeatsLogin, &["json"]),
    ] {
        for format in formats {
            let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
            app.add_user("ada", Role::User).await;
            let (address, sent) = server(indiscretion);
            let program = Program::serve_with(
                &[
                    "--bind",
                    "127.0.0.1:0",
                    "--public-url",
                    "http://127.0.0.1:8080",
                    "--mail-from",
                    "seat@example.org",
                    "--log-format",
                    format,
                ],
                &[
                    ("DATABASE_URL", app.database().url().to_owned()),
                    (
                        "ONESEAT_SMTP_URL",
                        format!("smtp://{}:{PASSWORD}@{address}", USER.replace('@', "%40")),
                    ),
                    ("RUST_LOG", "trace".to_owned()),
                ],
            );
            assert_eq!(forgot(&program.visitor(), ADA).await.status, 202);
            let mut was_sent = None;
            eventually("the server is indiscreet", async || {
                was_sent = was_sent.take().or_else(|| sent.try_recv().ok());
                was_sent.is_some()
            })
            .await;
            let mut log = Vec::new();
            eventually("it is in the log", async || {
                log.extend(program.said());
                log.iter().any(|line| line.contains("could not mail"))
            })
            .await;
            let (stopped, rest) = program.terminate();
            assert!(stopped, "{rest:#?}");
            log.extend(rest);
            let told = log.iter().find(|line| line.contains("could not mail")).unwrap();
            assert!(told.contains(indiscretion.code()), "{told}");
            if indiscretion == Indiscretion::FoldsTheMail {
                // The text after the link was kept, so the link itself was not cut off.
                assert!(told.contains("4.7.1 [...] The link"), "{told}");
            }
            let secrets = secrets(indiscretion, &was_sent.unwrap());
            for line in &log {
                for secret in &secrets {
                    assert!(!line.contains(secret.as_str()), "{secret:?} is in {line}");
                }
                assert!(line.len() < 2_000 || !line.contains("could not mail"), "{line}");
            }
        }
    }
}

/// The parts of what a server was sent that must not be in the log.
fn secrets(indiscretion: Indiscretion, was_sent: &str) -> Vec<String> {
    let mut secrets = vec![
        PASSWORD.to_owned(),
        BASE64.encode(PASSWORD),
        USER.to_owned(),
        ADA.to_owned(),
    ];
    match indiscretion {
        Indiscretion::RepeatsPlain => {
            let (_, encoded) = was_sent.rsplit_once(' ').unwrap();
            secrets.push(encoded.to_owned());
        }
        Indiscretion::RepeatsLogin => {
            assert!(was_sent.contains(&BASE64.encode(PASSWORD)), "{was_sent}");
            secrets.extend(was_sent.lines().map(str::to_owned));
            // A part of it in a line of its own.
            secrets.push(BASE64.encode(PASSWORD)[..5].to_owned());
        }
        Indiscretion::QuotesTheMail | Indiscretion::FoldsTheMail => {
            let mail = was_sent.replace("=\n", "").replace("=3D", "=");
            let (_, token) = mail.split_once("/reset#").unwrap();
            let token: String = token.chars().take_while(char::is_ascii_hexdigit).collect();
            assert_eq!(token.len(), 64, "{mail}");
            // Any part of it is too much.
            let parts = token.as_bytes().windows(8);
            secrets.extend(parts.map(|part| String::from_utf8(part.to_vec()).unwrap()));
        }
    }
    secrets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_puts_no_address_and_no_link_into_the_log() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    let token = "c0ffee".repeat(10) + "cafe";
    let quoted = format!("Key (email)=({ADA}) http://localhost/reset#{token} {token}");
    app.database().execute(&format!(
        "create function refuse() returns trigger language plpgsql as
             $$ begin raise exception E'no room for\\n{quoted}'; end $$;
         create trigger refuse before insert on mail_requests for each row execute function refuse()"
    ));
    let program = Program::serve_with(
        &[
            "--bind",
            "127.0.0.1:0",
            "--public-url",
            "http://127.0.0.1:8080",
            "--mail-from",
            "seat@example.org",
        ],
        &[
            ("DATABASE_URL", app.database().url().to_owned()),
            ("ONESEAT_SMTP_URL", "smtp://127.0.0.1:1".to_owned()),
            ("RUST_LOG", "trace".to_owned()),
        ],
    );
    assert_eq!(forgot(&program.visitor(), ADA).await.status, 503);
    let mut log = Vec::new();
    eventually("it is in the log", async || {
        log.extend(program.said());
        log.iter().any(|line| line.contains("no room for Key [...]"))
    })
    .await;
    let (stopped, rest) = program.terminate();
    assert!(stopped, "{rest:#?}");
    log.extend(rest);
    for secret in [ADA, &token] {
        assert_eq!(log.iter().find(|line| line.contains(secret)), None);
    }
}
