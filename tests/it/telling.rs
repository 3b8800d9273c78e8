//! No answer reports an end before the end is written: neither when it cannot be written, nor while another
//! transaction writes it.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use oneseat::users::Role;

use crate::support::sql::OVER;
use crate::support::{
    App, Clocked, Database, EventStream, Lost, NoSweep, Program, Wire, eventually, oneseat,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_end_cannot_be_written_nobody_is_told_of_it() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    let _no_sweep = NoSweep::over(&app);
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let read_only = |value: &str| {
        app.database().execute(&format!(
            "alter system set default_transaction_read_only = {value}"
        ));
        app.database().number("select count(pg_reload_conf())");
    };
    app.database().execute(&format!(
        "{OVER} where user_id = (select id from users where email like 'ada%')"
    ));
    read_only("on");
    eventually("nothing can be written", async || {
        let off = "select count(*) from pg_settings where name = 'default_transaction_read_only' and setting = 'on'";
        app.database().number(off) == 1
    })
    .await;
    for answer in [
        ada.session_passively().await,
        ada.session().await,
        ada.get("/auth/verify").await,
        ada.get("/auth/session/events").await,
        ada.logout().await,
    ] {
        assert_eq!(answer.problem(), "503 unavailable");
    }
    // Answers about live sessions and about unknown tokens still come.
    assert_eq!(bob.session_passively().await.status, 200);
    let nobody = bob.with_token("ab".repeat(32)).session().await;
    assert_eq!(nobody.problem(), "401 token_invalid");
    // The clock has stepped back to before an end that was reported to nobody: the session has not ended.
    postgres.set("-5m");
    read_only("off");
    eventually("something can be written", async || {
        bob.session().await.status != 503
    })
    .await;
    assert_eq!(ada.session_passively().await.status, 200);
    postgres.set("+0");
    ada.session().await.expired();
    postgres.set("-5m");
    ada.session().await.expired();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_somebody_holds_is_told_when_it_is_written_and_keeps_nobody_waiting() {
    let app = App::start().await;
    let _no_sweep = NoSweep::over(&app);
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let of_ada = "user_id = (select id from users where email like 'ada%')";
    app.database().execute(&format!("{OVER} where {of_ada}"));
    let mut holder = app.database().connect();
    holder
        .batch_execute(&format!("begin; select from sessions where {of_ada} for update"))
        .unwrap();
    let nobody = bob.with_token("ab".repeat(32));
    let (held, live, unknown) = tokio::join!(
        join_all((0..20).map(|_| ada.session())),
        join_all((0..20).map(|_| bob.session())),
        join_all((0..20).map(|_| nobody.session())),
    );
    assert!(held.iter().all(|answer| answer.problem() == "503 unavailable"));
    assert!(live.iter().all(|answer| answer.status == 200));
    assert!(
        unknown
            .iter()
            .all(|answer| answer.problem() == "401 token_invalid")
    );
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    assert_eq!(app.database().number(waiting), 0);
    holder.batch_execute("rollback").unwrap();
    ada.session().await.expired();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_many_tell_at_once_is_written_and_logged_once() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    let url = postgres.url();
    let serve = ["--bind", "127.0.0.1:0", "--database-url", &url];
    let programs = [Program::serve_with(&serve, &[]), Program::serve_with(&serve, &[])];
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    let session = ada.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.database().execute(OVER);
    let sweep = tokio::task::spawn_blocking({
        let url = url.clone();
        move || oneseat(&["sweep", "--database-url", &url], "")
    });
    let at = |n: usize| ada.at(programs[n % programs.len()].address);
    let told = join_all((0..40).map(|n| async move { at(n).session().await })).await;
    // While another transaction was writing the end, the answer may have been that it is not known yet.
    for answer in &told {
        assert!([401, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    let swept = String::from_utf8(sweep.await.unwrap().stderr).unwrap();
    postgres.set("-1s");
    for n in 0..2 {
        at(n).session().await.expired();
    }
    let ends = |line: &str| line.contains("session_ended") && line.contains(&session);
    let [first, second] = programs.map(|program| program.terminate().1);
    let lines = first
        .iter()
        .chain(&second)
        .map(String::as_str)
        .chain(swept.lines());
    assert_eq!(lines.filter(|line| ends(line)).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_learns_that_its_user_became_an_admin_while_the_feed_was_lost() {
    let database = Database::fresh();
    let wire = Wire::to(&database);
    let app = App::start_on(wire.database()).await;
    let ada = app.signed_in("ada").await;
    let mut events = EventStream::open(&ada).await;
    let mut lists = EventStream::open(&app.admin().await).await;
    lists.quiet().await;
    wire.cut(Lost::Everything);
    eventually("the feed is given up", async || {
        let why = app.auth.is_ready().await.unwrap_err().to_string();
        why.contains("what has ended cannot be read")
    })
    .await;
    database.execute("update users set role = 'admin' where name = 'ada'");
    wire.mend();
    // The page of an admin renews its lists, or has to connect again.
    let told = lists.next().await;
    assert!(
        told.as_ref().is_none_or(|(event, _)| event == "changed"),
        "{told:?}"
    );
    // The page opens it again with its new role.
    assert_eq!(events.next().await, None);
    let mut events = EventStream::open(&ada).await;
    app.signed_in("grace").await;
    assert_eq!(events.next().await.unwrap().0, "changed");
    drop(app);
}
