//! Many tokens are validated at once: one statement answers them, every answer is right, and no request holds
//! up the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use futures_util::future::{join_all, poll_immediate};
use oneseat::auth::Authority;
use oneseat::auth::{Activity, Error, Seat};
use oneseat::token::Token;
use oneseat::users::Role;

use tokio::task::JoinSet;

use crate::support::{App, Database, PASSWORD, Program, eventually, sql};

/// Opens sessions for so many users without hashing a password for each. Returns their tokens.
fn seat(app: &App, users: usize) -> Vec<String> {
    app.database().execute(&format!(
        "insert into users (name, email, email_verified)
             select 'u' || n, 'u' || n || '@example.org', true from generate_series(1, {users}) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(decode(lpad(substr(name, 2), 64, '0'), 'hex')), '192.0.2.1',
                    now(), now() + interval '2 hours', now() from users where name like 'u%'"
    ));
    (1..=users).map(|n| format!("{n:0>64}")).collect()
}

async fn ask(app: &App, token: &str) -> Result<Seat, Error> {
    let token = Token::parse(token.as_bytes()).unwrap();
    app.auth.validate(&token, Activity::Active).await
}

/// A connection that locks a table against all others.
fn holding(app: &App, table: &str) -> PgConnection {
    let mut holder = app.database().connect();
    holder
        .batch_execute(&format!("begin; lock table {table} in access exclusive mode"))
        .unwrap();
    holder
}

async fn waiting_for_a_lock(app: &App, connections: i64) {
    eventually("they wait for the lock", async || {
        app.database().number(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'",
        ) == connections
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ended_before_the_request_is_never_accepted_however_busy_the_validators_are() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let tokens = Arc::new(seat(&app, 120));
    // All tokens are validated at all instances, all the time.
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let crowd: Vec<_> = (0..32)
        .map(|n| {
            let (stop, asked, tokens) = (stop.clone(), asked.clone(), tokens.clone());
            let client = [&app, &other][n % 2].visitor();
            tokio::spawn(async move {
                for token in tokens.iter().cycle().skip(n * 7) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let status = client.with_token(token).session().await.status;
                    assert!([200, 401].contains(&status.as_u16()), "{status}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let visitors = [app.visitor(), other.visitor()];
    for (n, token) in tokens.iter().enumerate() {
        let seat = ask(&app, token).await.unwrap();
        if n % 2 == 0 {
            assert_eq!(visitors[0].with_token(token).logout().await.status, 200);
        } else {
            other
                .auth
                .revoke(seat.session.id, Authority::Operator)
                .await
                .unwrap();
        }
        for visitor in &visitors {
            let problem = visitor.with_token(token).session().await.problem();
            assert_eq!(problem, "401 session_ended");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in crowd {
        client.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > tokens.len());
}

#[tokio::test]
async fn what_waits_is_asked_in_one_statement_and_the_same_token_once() {
    let app = App::start().await;
    // If the machine is so busy that a validator gives up waiting for the lock, the test tries again, with
    // tokens that no memory holds.
    for tokens in seat(&app, 1_000).chunks(100) {
        app.database().count_statements();
        if let Some(answers) = answers_to_three_hundred(&app, tokens).await {
            for (seat, token) in answers.into_iter().zip(tokens.iter().cycle()) {
                assert_eq!(
                    seat.unwrap().user.name,
                    format!("u{}", token.trim_start_matches('0'))
                );
            }
            let statements = app.database().number(
                "select sum(calls) from pg_stat_statements where query like '%token_digest%= ANY%'
                     and dbid = (select oid from pg_database where datname = current_database())",
            );
            // Sixty-four at a time: two that were first, and five for three hundred, or six where both validators share the last
            // of them.
            assert!((7..=8).contains(&statements), "{statements}");
            return;
        }
    }
    panic!("ten times a validator has waited for the lock in vain");
}

/// Two requests come first, and make the two validators wait; then three hundred queue behind them. `None` if
/// the two did not wait until the others had asked.
async fn answers_to_three_hundred(app: &App, tokens: &[String]) -> Option<Vec<Result<Seat, Error>>> {
    let mut holder = holding(app, "sessions");
    let mut first = Box::pin(ask(app, &tokens[0]));
    assert!(poll_immediate(&mut first).await.is_none());
    waiting_for_a_lock(app, 1).await;
    let mut second = Box::pin(ask(app, &tokens[1]));
    assert!(poll_immediate(&mut second).await.is_none());
    tokio::select! {
        () = waiting_for_a_lock(app, 2) => {}
        _ = &mut first => return None,
    }
    let mut asks = Box::pin(join_all((0..300).map(|n| ask(app, &tokens[n % 100]))));
    assert!(poll_immediate(&mut asks).await.is_none());
    holder.batch_execute("rollback").unwrap();
    let answers = asks.await;
    (first.await.is_ok() && second.await.is_ok()).then_some(answers)
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_answers_the_requests_in_it() {
    let app = App::start().await;
    let tokens = seat(&app, 1);
    let mut holder = holding(&app, "sessions");
    let mut asks: Vec<_> = (0..4_400).map(|_| Box::pin(ask(&app, &tokens[0]))).collect();
    let mut waiting = Vec::new();
    let mut refused = 0;
    for mut asking in asks.drain(..) {
        match poll_immediate(&mut asking).await {
            None => waiting.push(asking),
            Some(Err(Error::Unavailable(_))) => refused += 1,
            Some(answer) => panic!("answered while nobody could: {answer:?}"),
        }
    }
    // 4,096 places, and the requests that the two validators had taken out of the queue.
    assert!(
        (4_096..=4_096 + 2 * 64).contains(&waiting.len()),
        "{}",
        waiting.len()
    );
    assert_eq!(waiting.len() + refused, 4_400);
    holder.batch_execute("rollback").unwrap();
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert!(ask(&app, &tokens[0]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn activity_that_cannot_be_written_down_is_unavailable_and_looking_is_not() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("1 hour"));
    app.database().execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger refuse before update on sessions for each row execute function refuse()",
    );
    assert_eq!(ada.session().await.problem(), "503 unavailable");
    assert_eq!(ada.session_passively().await.status, 200);
    app.database().execute("drop trigger refuse on sessions");
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_session_whose_reason_cannot_be_read_is_neither_accepted_nor_refused() {
    let app = App::start().await;
    let (ada, grace) = (app.signed_in("ada").await, app.signed_in("grace").await);
    ada.logout().await;
    let mut holder = holding(&app, "ended_sessions");
    let asking = tokio::spawn(async move { ada.session().await });
    waiting_for_a_lock(&app, 1).await;
    // One validator waits for that lock; the other goes on.
    for _ in 0..20 {
        assert_eq!(grace.session().await.status, 200);
    }
    assert_eq!(asking.await.unwrap().problem(), "503 unavailable");
    holder.batch_execute("rollback").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_is_ending_holds_up_no_validator() {
    let app = App::start().await;
    let (ada, grace) = (app.signed_in("ada").await, app.signed_in("grace").await);
    app.database().execute(&sql::backdate_sessions("1 hour"));
    let mut ending = app.database().connect();
    ending
        .batch_execute(
            "begin; delete from sessions where user_id = (select id from users where name = 'ada')",
        )
        .unwrap();
    // The activity of both must be recorded; a wait for Ada's row would be a 503 after four seconds.
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(grace.session().await.status, 200);
    ending.batch_execute("commit").unwrap();
    assert_eq!(ada.session().await.problem(), "401 token_invalid");
    assert_eq!(grace.session().await.status, 200);
}

#[tokio::test]
async fn the_end_of_everybody_holds_up_no_validator() {
    let app = App::start().await;
    let (ada, grace) = (app.signed_in("ada").await, app.signed_in("grace").await);
    app.database().execute(&sql::backdate_sessions("1 hour"));
    // The end is blocked at Ada's row for as long as the test wants.
    let mut holder = app.database().connect();
    holder
        .batch_execute(
            "begin; select from sessions where user_id = (select id from users where name = 'ada') for update",
        )
        .unwrap();
    let auth = app.auth.clone();
    let ended = tokio::spawn(async move { auth.revoke_all().await });
    let waits = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    eventually("the end is under way", async || app.database().number(waits) == 1).await;
    // The activity of both must be recorded, and neither session has ended yet.
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(grace.session().await.status, 200);
    let written = "select count(*) from sessions where last_activity > now() - interval '1 minute'";
    assert_eq!(app.database().number(written), 1);
    holder.batch_execute("commit").unwrap();
    assert_eq!(ended.await.unwrap().unwrap(), 2);
    for client in [ada, grace] {
        assert_eq!(client.session().await.problem(), "401 session_ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validation_goes_on_while_every_other_connection_is_stuck() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let grace = app.signed_in("grace").await;
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; select from users where name = 'ada' for update")
        .unwrap();
    let mut logins = JoinSet::new();
    for _ in 0..8 {
        let visitor = app.visitor();
        logins.spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
    }
    waiting_for_a_lock(&app, 4).await;
    for _ in 0..20 {
        assert_eq!(grace.session().await.status, 200);
    }
    // Four requests hold all connections; the others are refused with 503 soon, and not for ever.
    let refused = logins.join_next().await.unwrap().unwrap();
    assert_eq!(refused.problem(), "503 unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(grace.session().await.status, 200);
    holder.batch_execute("rollback").unwrap();
    for login in logins.join_all().await {
        assert!(
            login.status == 200 || login.problem() == "503 unavailable",
            "{login:?}"
        );
    }
    // Then the connections are free again.
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn passwords_are_checked_at_low_priority() {
    let database = Database::fresh();
    let program = Program::serve_with(&["--database-url", database.url(), "--bind", "127.0.0.1:0"], &[]);
    let tasks = format!("/proc/{}/task", program.pid());
    eventually("every thread that hashes has stepped back", async || {
        let mut priorities = Vec::new();
        for task in std::fs::read_dir(&tasks).unwrap() {
            // Some threads come and go.
            let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("stat")) else {
                continue;
            };
            let (name, rest) = stat.rsplit_once(") ").unwrap();
            if name.ends_with("(hasher") {
                // proc(5): nice is field 19, and the state after the name is field 3.
                priorities.push(rest.split(' ').nth(16).unwrap().to_owned());
            }
        }
        !priorities.is_empty() && priorities.iter().all(|nice| nice == "10")
    })
    .await;
}
