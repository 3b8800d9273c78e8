//! What an SMTP server says reaches the log without what it must not hold.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use oneseat::config::MailPolicy;

use super::{ADA, forgot};
use crate::support::{App, Program, eventually};
use oneseat::users::Role;

/// What the program knows itself by there.
const PASSWORD: &str = "canary-of-a-password";

/// How a server is indiscreet.
#[derive(Clone, Copy, Debug)]
enum Indiscretion {
    /// Refuses a mail and quotes it.
    QuotesTheMail,
    /// Refuses the credentials and repeats them.
    RepeatsTheCredentials,
}

/// An SMTP server of the test's own. Tells of everything that it was sent.
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
        match line.split(' ').next()?.to_uppercase().as_str() {
            "EHLO" => say("250-indiscreet\r\n250 AUTH PLAIN LOGIN")?,
            "AUTH" => match indiscretion {
                Indiscretion::RepeatsTheCredentials => {
                    say(&format!(
                        "535 5.7.8 {line} is wrong: mailer has no password {PASSWORD}"
                    ))?;
                    return Some(line);
                }
                Indiscretion::QuotesTheMail => say("235 2.7.0 welcome")?,
            },
            "DATA" => {
                say("354 go on")?;
                let mail: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                let quoted: Vec<String> = mail.iter().map(|line| format!("554-5.7.1 {line}")).collect();
                say(&format!("{}\r\n554 5.7.1 that was the mail", quoted.join("\r\n")))?;
                return Some(mail.join("\n"));
            }
            "QUIT" => return None,
            _ => say("250 2.0.0 fine")?,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_indiscreet_server_puts_no_link_and_no_password_into_the_log() {
    for indiscretion in [Indiscretion::QuotesTheMail, Indiscretion::RepeatsTheCredentials] {
        for format in ["human", "json"] {
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
                    ("ONESEAT_SMTP_URL", format!("smtp://mailer:{PASSWORD}@{address}")),
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
            let code = match indiscretion {
                Indiscretion::QuotesTheMail => "5.7.1",
                Indiscretion::RepeatsTheCredentials => "5.7.8",
            };
            assert!(told.contains(code), "{told}");
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

/// What must not be in the log of what a server was sent.
fn secrets(indiscretion: Indiscretion, was_sent: &str) -> Vec<String> {
    let mut secrets = vec![PASSWORD.to_owned()];
    match indiscretion {
        Indiscretion::RepeatsTheCredentials => {
            let (_, encoded) = was_sent.rsplit_once(' ').unwrap();
            secrets.push(encoded.to_owned());
        }
        Indiscretion::QuotesTheMail => {
            let mail = was_sent.replace("=\n", "").replace("=3D", "=");
            let (_, token) = mail.split_once("/reset#").unwrap();
            let token: String = token.chars().take_while(char::is_ascii_hexdigit).collect();
            assert_eq!(token.len(), 64, "{mail}");
            // Any half of it is too much.
            secrets.push(token[..32].to_owned());
            secrets.push(token[32..].to_owned());
            secrets.push(ADA.to_owned());
        }
    }
    secrets
}
