//! The outbox is shared fairly: networks take turns, whatever they ask for.

use std::sync::Arc;

use oneseat::auth::delivery::Delivery;
use oneseat::config::MailPolicy;
use oneseat::mail::outbox::{self, Happening};
use oneseat::mail::{Kind, Mailer, Site};
use oneseat::users::Email;
use reqwest::Method;
use serde_json::json;

use super::ADA;
use crate::support::{Answer, App, MailServer, config};

/// Ada, and `others` who may get mail, at an instance that puts mails into the outbox and sends none.
async fn app(others: u32) -> App {
    let app = App::start_with(|config| {
        config.policy.mail = MailPolicy::Needed;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    app.database().execute(&format!(
        "insert into users (name, email) values ('ada', '{ADA}');
         insert into users (name, email) select 'u', 'user' || n || '@example.org' from generate_series(1, {others}) as n"
    ));
    app
}

async fn ask(app: &App, email: &str, from: &str) {
    let request = app
        .visitor()
        .request(Method::POST, "/auth/password/forgot")
        .header("X-Forwarded-For", from)
        .json(&json!({ "email": email }));
    assert_eq!(Answer::of(request).await.status, 202);
}

fn user(n: u32) -> String {
    format!("user{n}@example.org")
}

/// A sender that delivers mails one by one, and the server that receives them.
struct Sender<'a> {
    app: &'a App,
    mails: MailServer,
    mailer: Mailer,
    site: Arc<Site>,
}

impl<'a> Sender<'a> {
    fn of(app: &'a App) -> Self {
        let mails = MailServer::start();
        let mailer = Mailer::smtp(&mails.url(), "seat@example.org", None).unwrap();
        let site = Site::new(&config().site, "http://127.0.0.1".to_owned());
        Self {
            app,
            mails,
            mailer,
            site: Arc::new(site),
        }
    }

    /// Sends the mail whose turn it is; returns its recipient.
    async fn next(&self) -> String {
        let delivery = self.app.auth.deliver_next(&self.mailer, &self.site).await;
        assert_eq!(delivery.unwrap(), Delivery::Sent);
        self.mails.next().await.header("To").to_owned()
    }

    /// How many mails are sent before Ada's.
    async fn before_ada(&self) -> u32 {
        let mut before = 0;
        while self.next().await != ADA {
            before += 1;
        }
        before
    }
}

#[tokio::test]
async fn who_asks_for_many_links_keeps_nobody_else_waiting() {
    let app = app(40).await;
    for n in 1..=40 {
        // One customer with IPv6, each time from another of its networks.
        ask(&app, &user(n), &format!("2001:db8:7:{n:x}::1")).await;
    }
    ask(&app, ADA, "192.0.2.1").await;
    let before = Sender::of(&app).before_ada().await;
    assert!(before <= 1, "{before} mails went first");
}

#[tokio::test]
async fn who_asks_for_many_links_takes_little_from_the_neighbours() {
    let app = app(40).await;
    for n in 1..=40 {
        ask(&app, &user(n), "192.0.2.1").await;
    }
    ask(&app, ADA, "192.0.2.77").await;
    let before = Sender::of(&app).before_ada().await;
    assert!(before <= 3, "{before} mails went first");
}

#[tokio::test]
async fn nobody_keeps_a_mail_back_by_asking_for_it_first() {
    let app = app(20).await;
    for n in 1..=20 {
        ask(&app, &user(n), "192.0.2.1").await;
    }
    ask(&app, ADA, "192.0.2.1").await;
    ask(&app, ADA, "198.51.100.1").await;
    // Ada's mail counts for the second network from now on. That network gets no first turn for each further
    // mail that another network has requested.
    ask(&app, &user(20), "198.51.100.1").await;
    let sender = Sender::of(&app);
    let before = sender.before_ada().await;
    assert!(before <= 1, "{before} mails went first");
    assert_ne!(sender.next().await, user(20));
}

#[tokio::test]
async fn what_is_owed_goes_first_and_much_of_it_keeps_no_link_waiting() {
    let app = app(20).await;
    let owed = |email: &str, kind: Kind, from: Option<&str>| {
        let digest = email.parse::<Email>().unwrap().digest();
        let happening = Happening {
            ip_address: from.map(|from| from.parse().unwrap()),
            user_agent: None,
            ..Happening::default()
        };
        let conn = &mut oneseat::db::connect(app.database().url()).unwrap();
        outbox::post(conn, &digest, kind, &happening).unwrap();
    };
    ask(&app, &user(1), "198.51.100.1").await;
    owed(&user(2), Kind::PasswordChanged, None);
    // A user who changes the password again and again.
    for _ in 0..20 {
        owed(&user(3), Kind::PasswordChanged, Some("203.0.113.1"));
    }
    // What an admin has sent is owed, although a stranger asks for it, too.
    owed(&user(4), Kind::PasswordReset, None);
    ask(&app, &user(4), "198.51.100.1").await;
    ask(&app, ADA, "192.0.2.1").await;
    let sender = Sender::of(&app);
    let mut first = [sender.next().await, sender.next().await, sender.next().await];
    first.sort();
    assert_eq!(first, [user(2), user(3), user(4)]);
    let before = sender.before_ada().await;
    assert!(before <= 1, "{before} mails went first");
}

#[tokio::test]
async fn a_network_has_only_so_many_waiting() {
    let app = app(1).await;
    app.database().execute(
        "insert into mails (kind, email_digest, network, asked, turn)
             select 'password_reset', sha256(n::text::bytea), '192.0.2.1', true, n from generate_series(0, 999) as n",
    );
    let waiting = || app.database().number("select count(*) from mails");
    ask(&app, ADA, "192.0.2.1").await;
    assert_eq!(waiting(), 1_000);
    ask(&app, ADA, "192.0.2.2").await;
    assert_eq!(waiting(), 1_001);
    // A customer with IPv6 has many networks, and as many mails as sixteen of them in all.
    app.database().execute(
        "insert into mails (kind, email_digest, network, asked, turn)
             select 'password_reset', sha256((n + 1000)::text::bytea), ('2001:db8:7:' || to_hex(n) || '::')::inet, true, n
             from generate_series(1, 15999) as n",
    );
    for network in ["2001:db8:7:ffff::1", "2001:db8:7:fffe::1"] {
        ask(
            &app,
            &format!("{}@example.org", network.replace(':', "")),
            network,
        )
        .await;
        assert_eq!(waiting(), 17_001);
    }
}

#[tokio::test]
async fn asks_for_addresses_that_nobody_has_leave_at_once() {
    let app = app(1).await;
    app.database().count_statements();
    app.database().execute(
        "insert into mails (kind, email_digest, network, asked, turn)
             select 'password_reset', sha256(n::text::bytea), '2001:db8::', true, n from generate_series(0, 2999) as n",
    );
    // Both requests are behind all of these.
    ask(&app, &user(1), "2001:db8:0:1::1").await;
    ask(&app, ADA, "192.0.2.1").await;
    let sender = Sender::of(&app);
    assert_eq!(sender.before_ada().await, 0);
    assert_eq!(sender.next().await, user(1));
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    // None of them took its turn.
    let tried = "select coalesce(sum(calls), 0) from pg_stat_statements
         where dbid = (select oid from pg_database where datname = current_database()) and query like 'update mails set attempts%'";
    assert_eq!(app.database().number(tried), 2);
}

#[tokio::test]
async fn an_address_that_somebody_gets_after_it_was_seen_is_not_forgotten() {
    let app = app(1).await;
    ask(&app, "new@example.org", "192.0.2.1").await;
    ask(&app, "nobody@example.net", "192.0.2.2").await;
    let conn = &mut oneseat::db::connect(app.database().url()).unwrap();
    let seen = outbox::front(conn, 10).unwrap();
    assert_eq!(seen.len(), 2);
    app.database()
        .execute("insert into users (name, email) values ('new', 'new@example.org')");
    ask(&app, "new@example.org", "192.0.2.1").await;
    assert_eq!(outbox::discard_all(conn, &seen).unwrap().len(), 1);
    assert_eq!(Sender::of(&app).next().await, "new@example.org");
}
