//! A page's session ends with its page, even if the page disappears without signing out. What only looks like
//! that ends no session.

use std::time::Duration;

use oneseat::auth::page_end::LostPages;
use oneseat::sessions::page_marks;
use oneseat::users::Role;

use crate::support::{App, Client, EventStream, eventually};

/// An instance with a page grace of one second.
async fn app() -> App {
    let app = App::start_with(|config| config.page_grace = Duration::from_secs(1)).await;
    for name in ["ada", "bob", "grace"] {
        app.add_user(name, Role::User).await;
    }
    app
}

async fn page(app: &App, name: &str) -> Client {
    app.visitor()
        .sign_in_as_page(&format!("{name}@example.org"))
        .await
}

/// Waits until the grace of a page is over: a session that has not ended by then stays.
async fn until_another_page_has_ended(app: &App) {
    let other = page(app, "grace").await;
    drop(EventStream::open(&other).await);
    eventually("the other page's session ends", async || {
        other.session_passively().await.status == 401
    })
    .await;
}

/// Whether the server has recorded the loss of the stream that was open.
fn lost(app: &App) -> i64 {
    app.database()
        .number("select count(*) from sessions where page_lost_at is not null")
}

/// How many sessions have ended with their pages.
fn ended_pages(app: &App) -> i64 {
    app.database()
        .number("select count(*) from ended_sessions where reason = 'page_closed'")
}

#[tokio::test]
async fn when_a_page_goes_without_a_word_its_session_ends_as_page_closed() {
    let app = app().await;
    let ada = page(&app, "ada").await;
    let stream = EventStream::open(&ada).await;
    assert_eq!(lost(&app), 0);
    drop(stream);
    // No request uses the token here: it would count as a sign that the page is there.
    eventually("the session ends", async || app.sessions() == 0).await;
    // SQL sees the end before it is told: for one lease an instance may still answer from memory.
    eventually("the token is refused", async || ada.session().await.status == 401).await;
    let answer = ada.session().await;
    assert_eq!(answer.problem(), "401 session_ended");
    assert_eq!(answer.json()["reason"], "page_closed");
}

#[tokio::test]
async fn a_page_that_signed_in_and_never_showed_up_has_no_session_for_long() {
    let app = app().await;
    page(&app, "ada").await;
    eventually("the session ends", async || app.sessions() == 0).await;
    assert_eq!(ended_pages(&app), 1);
}

#[tokio::test]
async fn a_client_without_a_page_keeps_its_session_whatever_becomes_of_its_streams() {
    let app = app().await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    drop(EventStream::open(&ada).await);
    let bob = app.visitor().sign_in("bob@example.org").await;
    until_another_page_has_ended(&app).await;
    for client in [ada, bob] {
        assert_eq!(client.session().await.status, 200);
    }
}

#[tokio::test]
async fn a_page_that_goes_on_asking_keeps_its_session_without_a_stream() {
    let app = App::start_with(|config| config.page_grace = Duration::from_secs(10)).await;
    for name in ["ada", "bob"] {
        app.add_user(name, Role::User).await;
    }
    let (ada, bob) = (page(&app, "ada").await, page(&app, "bob").await);
    let streams = (EventStream::open(&ada).await, EventStream::open(&bob).await);
    drop(streams);
    eventually("both losses are noted", async || lost(&app) == 2).await;
    let with_a_session =
        "select string_agg(name, ' ') as value from users join sessions on user_id = users.id";
    eventually("the session of the page that says nothing ends", async || {
        // This is answered from memory.
        ada.session_passively().await;
        app.sessions() < 2
    })
    .await;
    assert_eq!(app.database().text(with_a_session), "ada");
    assert_eq!(ended_pages(&app), 1);
}

#[tokio::test]
async fn a_page_that_comes_back_at_another_instance_keeps_its_session() {
    let app = app().await;
    let grace = |config: &mut oneseat::config::ServeConfig| config.page_grace = Duration::from_secs(1);
    let other = app.another_instance_with(grace).await;
    let ada = page(&app, "ada").await;
    let stream = EventStream::open(&ada).await;
    let again = EventStream::open(&ada.at(other.address)).await;
    drop(stream);
    until_another_page_has_ended(&app).await;
    assert_eq!(ada.session().await.status, 200);
    // When that stream closes too, the session ends.
    drop(again);
    eventually("the session ends", async || ended_pages(&app) == 2).await;
}

#[tokio::test]
async fn a_stream_that_the_server_closes_ends_no_session() {
    let app = app().await;
    let grace = |config: &mut oneseat::config::ServeConfig| config.page_grace = Duration::from_secs(1);
    let mut stopping = app.another_instance_with(grace).await;
    let ada = page(&app, "ada").await;
    let mut stream = EventStream::open(&ada.at(stopping.address)).await;
    stopping.stop();
    assert_eq!(stream.next().await, None);
    drop((stream, stopping));
    until_another_page_has_ended(&app).await;
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test]
async fn a_page_behind_a_proxy_is_gone_once_anything_has_come_by_that_proxy_again() {
    let app = App::start_with(|config| {
        config.page_grace = Duration::from_secs(1);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    app.add_user("ada", Role::User).await;
    let ada = page(&app, "ada").await;
    drop(EventStream::open(&ada).await);
    eventually("its session ends", async || {
        assert_eq!(app.visitor().get("/healthz").await.status, 200);
        ended_pages(&app) == 1
    })
    .await;
}

#[tokio::test]
async fn only_a_page_that_was_heard_shortly_before_and_not_since_is_gone() {
    let app = App::start().await;
    for name in ["ada", "bob", "grace"] {
        app.add_user(name, Role::User).await;
        page(&app, name).await;
    }
    let heard = |name: &str, moment: &str| {
        app.database().execute(&format!(
            "update sessions set page_lost_at = now() - interval '1 hour', page_heard_at = now() - interval '{moment}'
             where user_id = (select id from users where name = '{name}')"
        ));
    };
    heard("ada", "1 hour 20 seconds");
    // A machine that slept: a proxy has given up its connection.
    heard("bob", "1 hour 40 seconds");
    // A page that could not open another stream.
    heard("grace", "59 minutes");
    // An instance that does not know what this one has heard from the page.
    let _other = app
        .another_instance_with(|config| config.page_grace = Duration::from_secs(1))
        .await;
    eventually("the marks are gone", async || lost(&app) == 0).await;
    eventually("one has ended", async || app.sessions() == 2).await;
    let ended = "select count(*) from ended_sessions join users on users.id = user_id
                 where name = 'ada' and reason = 'page_closed'";
    assert_eq!(app.database().number(ended), 1);
}

#[tokio::test]
async fn after_a_time_in_which_nobody_looked_each_page_has_its_grace_again() {
    let app = App::start_with(|config| config.page_grace = Duration::ZERO).await;
    for name in ["ada", "bob"] {
        app.add_user(name, Role::User).await;
    }
    let long_gone = "update sessions set page_lost_at = now() - interval '1 hour', page_heard_at = now() - interval '1 hour'";
    let grace = Duration::from_secs(1);
    let pages = LostPages::new(app.auth.clone(), grace);
    for name in ["ada", "bob"] {
        page(&app, name).await;
        app.database().execute(long_gone);
        // While nobody looked, the page could not come back either.
        assert_eq!(pages.step().await.unwrap(), 0, "{name}");
        eventually("its session ends", async || pages.step().await.unwrap() == 1).await;
        tokio::time::sleep(5 * LostPages::interval(grace)).await;
    }
}

#[tokio::test]
async fn a_page_that_went_while_nothing_could_be_written_is_missed_afterwards() {
    let app = app().await;
    let ada = page(&app, "ada").await;
    let events = EventStream::open(&ada).await;
    // Numbers of a sequence stay taken when a transaction is undone.
    app.database().execute(
        "create sequence refusals;
         create function refuse() returns trigger language plpgsql as
             $$ begin perform nextval('refusals'); raise 'refused'; end $$;
         create trigger refuse before update on sessions for each row when (new.page_lost_at is not null)
             execute function refuse()",
    );
    drop(events);
    eventually("its loss is known and cannot be written", async || {
        app.database()
            .number("select count(*) from refusals where last_value > 2")
            == 1
    })
    .await;
    app.database().execute("drop trigger refuse on sessions");
    eventually("its session ends", async || ended_pages(&app) == 1).await;
}

#[tokio::test]
async fn all_lost_pages_are_looked_at_however_many_there_are() {
    let app = App::start_with(|config| config.page_grace = Duration::ZERO).await;
    for name in ["ada", "bob", "grace"] {
        app.add_user(name, Role::User).await;
        page(&app, name).await;
    }
    let same_time = "page_lost_at = '2026-01-01 12:00:00+00'";
    app.database().execute(&format!(
        "update sessions set {same_time} where user_id <> (select id from users where name = 'bob')"
    ));
    let mut connection = oneseat::db::connect(app.database().url()).unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    while let Some(last) = page_marks::lost(&mut connection, after, 1).unwrap().pop() {
        after = Some(last);
        seen.push(last.1.to_string());
    }
    let right = "select string_agg(id::text, ',' order by page_lost_at, id) from sessions";
    assert_eq!(seen.join(","), app.database().text(right));
}

#[tokio::test]
async fn marks_of_pages_wake_nobody_who_reads_the_feed() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let ada = page(&app, "ada").await;
    let named = "select count(*) from feed";
    let before = app.database().number(named);
    let stream = EventStream::open(&ada).await;
    drop(stream);
    eventually("the loss is noted", async || lost(&app) == 1).await;
    EventStream::open(&ada).await;
    assert_eq!(app.database().number(named), before);
}

#[tokio::test]
async fn without_a_grace_no_session_ends_with_its_page() {
    let app = App::start_with(|config| config.page_grace = Duration::ZERO).await;
    app.add_user("ada", Role::User).await;
    let ada = page(&app, "ada").await;
    app.database().execute(
        "update sessions set page_lost_at = now() - interval '1 day', page_heard_at = now() - interval '1 day'",
    );
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(lost(&app), 1);
}
