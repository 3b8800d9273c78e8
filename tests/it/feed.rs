//! Validations are answered from memory, and no end is reported while an instance may still answer so.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use oneseat::auth::Authority;
use oneseat::config::ServeConfig;
use oneseat::users::Role;

use crate::support::{App, Client, eventually};

/// The lease of `serve`, and the margin that an end adds to it.
const LEASE: Duration = Duration::from_millis(200);

/// Waits until an answer comes from memory: the feed has to be read first, which starts with the first
/// validation.
async fn remembered(app: &App, client: &Client) {
    // The count may take longer than a lease, which nothing renews meanwhile: then the first of these
    // validations asks PostgreSQL.
    eventually("it is remembered", async || {
        let before = statements(app);
        for _ in 0..10 {
            assert_eq!(client.session().await.status, 200);
        }
        statements(app) - before < 5
    })
    .await;
}

/// The number of statements that looked up a token.
fn statements(app: &App) -> i64 {
    app.database().number(
        "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query like '%token_digest%= ANY%'
             and dbid = (select oid from pg_database where datname = current_database())",
    )
}

/// The number of all statements of the server, without the queries of this test.
fn all_statements(app: &App) -> i64 {
    app.database().number(
        "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query not like '%pg_stat_statements%'
             and dbid = (select oid from pg_database where datname = current_database())",
    )
}

async fn counted() -> App {
    let app = App::start().await;
    app.database().count_statements();
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_validations_of_somebody_known_cost_a_few_statements() {
    let app = counted().await;
    let ada = app.signed_in("ada").await;
    remembered(&app, &ada).await;
    // Where a busy machine loses a lease, it costs more once.
    eventually("they cost a few", async || {
        let (before, began) = (all_statements(&app), Instant::now());
        for _ in 0..1_000 {
            assert_eq!(ada.session().await.status, 200);
        }
        let asked = all_statements(&app) - before;
        // On a busy machine it takes longer, and the feed is read 20 times a second.
        let rounds = i64::try_from(began.elapsed().as_millis()).unwrap() / 50 + 1;
        asked <= 4 + 2 * rounds
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_asks_nothing_is_asked() {
    let app = counted().await;
    let ada = app.signed_in("ada").await;
    remembered(&app, &ada).await;
    // Other work goes on: mails that are due are looked for.
    let questions =
        "select coalesce(sum(calls), 0) from pg_stat_statements where query like 'select * from read_feed%'
        and dbid = (select oid from pg_database where datname = current_database())";
    let mut calm = 0;
    eventually("the feed is at rest", async || {
        let before = app.database().number(questions);
        tokio::time::sleep(2 * LEASE).await;
        let is_calm = app.database().number(questions) == before;
        calm = if is_calm { calm + 1 } else { 0 };
        calm == 3
    })
    .await;
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_acknowledged_when_nobody_can_remember_the_session_any_more() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for end in [
        "sign out",
        "revoke",
        "sign in",
        "disable",
        "plain SQL",
        "an earlier date",
    ] {
        let name = end.replace(' ', "-");
        let ada = app.signed_in(&name).await;
        let elsewhere = other.visitor().with_token(ada.token());
        for _ in 0..20 {
            assert_eq!(elsewhere.session().await.status, 200);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let of_user = format!("user_id = (select id from users where name = '{name}')");
        let began = Instant::now();
        match end {
            "sign out" => assert_eq!(ada.logout().await.status, 200),
            "revoke" => {
                let email: oneseat::users::Email = format!("{name}@example.org").parse().unwrap();
                app.auth.revoke_of(email, Authority::Operator).await.unwrap();
            }
            "sign in" => drop(app.visitor().sign_in(&format!("{name}@example.org")).await),
            "disable" => {
                let email: oneseat::users::Email = format!("{name}@example.org").parse().unwrap();
                let last = oneseat::auth::LastAdmin::Stays;
                app.auth.disable(email, Authority::Operator, last).await.unwrap();
            }
            "plain SQL" => app
                .database()
                .execute(&format!("delete from sessions where {of_user}")),
            _ => app.database().execute(&format!(
                "update sessions set expires_at = now() - interval '1 second' where {of_user}"
            )),
        }
        assert!(
            began.elapsed() > LEASE,
            "{end} was told after {:?}",
            began.elapsed()
        );
        assert_eq!(elsewhere.session().await.status, 401, "{end}");
        assert_eq!(ada.session().await.status, 401, "{end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_sql_that_takes_nothing_away_does_not_wait() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let mut operator = app.database().connect();
    operator
        .batch_execute("set statement_timeout = '5s'; begin; lock table validation_lease in share mode")
        .unwrap();
    // A statement that waited for the lease would wait for that lock first.
    app.database().execute(
        "set lock_timeout = '1ms';
         update sessions set last_activity = now(), expires_at = expires_at + interval '1 minute';
         update users set password_hash = password_hash;
         insert into users (name, email) values ('n', 'n@example.org');
         delete from users where name = 'n'",
    );
    operator.batch_execute("rollback").unwrap();
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_role_and_a_new_name_are_seen_at_every_instance_once_they_are_committed() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let root = app.admin().await;
    let elsewhere = other.visitor().with_token(root.token());
    for _ in 0..20 {
        assert_eq!(elsewhere.get("/api/admin/sessions").await.status, 200);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.database().execute("update users set name = 'renamed'");
    assert_eq!(elsewhere.session().await.json()["user"]["name"], "renamed");
    app.database()
        .execute("set oneseat.last_admin_may_go = 'on'; update users set role = 'user'");
    assert_eq!(
        elsewhere.get("/api/admin/sessions").await.problem(),
        "403 forbidden"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_lease_each_validation_asks_and_no_end_waits() {
    let strict = |config: &mut ServeConfig| config.memory.lease = Duration::ZERO;
    let app = App::start_with(strict).await;
    app.database().count_statements();
    let ada = app.signed_in("ada").await;
    let before = statements(&app);
    for _ in 0..20 {
        assert_eq!(ada.session().await.status, 200);
    }
    assert_eq!(statements(&app) - before, 20);
    assert_eq!(lease(&app), "00:00:00 after none");
    ada.logout().await;
    assert_eq!(ada.session().await.status, 401);
}

/// The current lease, and the longer one before it.
fn lease(app: &App) -> String {
    app.database()
        .text("select concat(lease, ' after ', coalesce(previous::text, 'none')) from validation_lease")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_instance_that_starts_last_sets_the_lease_and_a_longer_one_is_waited_for() {
    let with = |lease: Duration| move |config: &mut ServeConfig| config.memory.lease = lease;
    let app = App::start_with(with(Duration::from_millis(500))).await;
    eventually("it is set", async || lease(&app) == "00:00:00.5 after none").await;
    let other = app.another_instance_with(with(LEASE)).await;
    eventually("it is set again", async || {
        lease(&app) == "00:00:00.2 after 00:00:00.5"
    })
    .await;
    let ada = app.signed_in("ada").await;
    let began = Instant::now();
    ada.logout().await;
    assert!(
        began.elapsed() > Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    // Every end checks whether it is over.
    eventually("nobody waits for it any more", async || {
        other.visitor().sign_in("ada@example.org").await.logout().await;
        lease(&app) == "00:00:00.2 after none"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_names_of_the_feed_are_deleted_and_an_instance_that_missed_them_forgets_everything() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let database = app.database();
    let before = database.text("select pg_current_snapshot()::text");
    database.execute("update users set name = 'renamed'");
    let heard = |since: &str| {
        database.text(&format!(
            "select concat(is_lost, ' ', cardinality(named)) from read_feed('{since}')"
        ))
    };
    assert_eq!(heard(&before), "f 1");
    let mut after = String::new();
    // A transaction of another test that writes for long keeps rows for as long.
    eventually("the row is forgotten", async || {
        after = database.text("select pg_current_snapshot()::text");
        assert_eq!(heard(&after), "f 0");
        database.execute(&format!("select purge_feed(pg_snapshot_xmin('{after}'), 1000)"));
        heard(&before) == "t 0"
    })
    .await;
    assert_eq!(heard(&after), "f 0");
    assert_eq!(database.number("select count(*) from feed"), 0);
}

#[tokio::test]
async fn an_instance_deletes_the_names_that_it_read_a_minute_ago() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let of_ada = "select count(*) from feed where user_id in (select id from users)";
    assert!(app.database().number(of_ada) > 0);
    // A transaction of another test that writes for long keeps rows for as long.
    let deadline = Instant::now() + Duration::from_mins(4);
    while app.database().number(of_ada) > 0 {
        assert!(Instant::now() < deadline, "the feed grows without end");
        // An instance that nobody asks reads nothing.
        assert_eq!(ada.session().await.status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_is_heard_and_many_users_at_once_count_as_all() {
    let app = App::start().await;
    app.database().execute(
        "insert into users (name, email) select 'u' || n, 'u' || n || '@example.org' from generate_series(1, 2000) n",
    );
    let database = app.database();
    let mut slow = database.connect();
    slow.batch_execute(
        "begin; set oneseat.waits_after_commit = 'on'; update users set name = 'x' where name = 'u1'",
    )
    .unwrap();
    database.execute("set oneseat.waits_after_commit = 'on'; update users set name = 'y' where name = 'u2'");
    let since = database.text("select pg_current_snapshot()::text");
    slow.batch_execute("commit").unwrap();
    let named = |since: &str| {
        database.text(&format!(
            "select array(select coalesce(name, 'everybody') from unnest(named) as n left join users on id = n)::text
                 from read_feed('{since}')"
        ))
    };
    assert_eq!(named(&since), "{x}");
    let since = database.text("select pg_current_snapshot()::text");
    database.execute("set oneseat.waits_after_commit = 'on'; update users set name = 'z'");
    assert_eq!(named(&since), "{everybody}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashed_has_another_name_and_an_empty_feed() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    assert_eq!(ada.session().await.status, 200);
    // What a crash does to unlogged tables.
    app.database().execute("truncate feed, feed_epoch");
    let name = "select coalesce((select feed_server()), 'none')";
    eventually("it has a name again", async || {
        ada.session().await.status == 200 && app.database().text(name) != "none"
    })
    .await;
    assert_eq!(app.auth.revoke_all().await.unwrap(), 1);
    assert_eq!(ada.session().await.problem(), "401 session_ended");
}

#[tokio::test]
async fn a_user_who_may_only_change_tables_is_heard_too() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let database = app.database();
    let schema = database.text("select current_schema()");
    database.execute(&format!(
        "create role clerk; grant usage on schema {schema} to clerk; grant select, update on users to clerk"
    ));
    let since = database.text("select pg_current_snapshot()::text");
    database.execute("set role clerk; update users set name = 'renamed'");
    let named = format!("select cardinality(named)::text from read_feed('{since}')");
    assert_eq!(database.text(&named), "1");
    database.execute(&format!(
        "revoke all on users from clerk; revoke all on schema {schema} from clerk; drop role clerk"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_earlier_version_runs_nobody_remembers() {
    let app = counted().await;
    let ada = app.signed_in("ada").await;
    let mut earlier = app.database().connect();
    earlier.batch_execute("set application_name = 'oneseat'").unwrap();
    // The lease from before is over.
    tokio::time::sleep(LEASE).await;
    let before = statements(&app);
    for _ in 0..20 {
        assert_eq!(ada.session().await.status, 200);
    }
    assert_eq!(statements(&app) - before, 20);
    drop(earlier);
    remembered(&app, &ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_trigger_is_switched_off_nobody_remembers() {
    let app = counted().await;
    let ada = app.signed_in("ada").await;
    remembered(&app, &ada).await;
    for switched in [
        "disable trigger sessions_feed_delete",
        "enable trigger sessions_feed_delete",
    ] {
        app.database()
            .execute(&format!("alter table sessions {switched}"));
        tokio::time::sleep(LEASE).await;
        let before = statements(&app);
        for _ in 0..20 {
            assert_eq!(ada.session().await.status, 200);
        }
        assert_eq!(statements(&app) - before, 20);
    }
    app.database()
        .execute("alter table sessions enable always trigger sessions_feed_delete");
    remembered(&app, &ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_finds_a_way_into_the_feed() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let database = app.database();
    let name = database.text("select current_database()");
    database.execute(&format!(
        "create role {name}_ops; grant select, update, delete on users, sessions to {name}_ops; grant temp on database {name} to {name}_ops"
    ));
    // A table of the same name earlier in the search path, as any role may create one.
    let mut operator = database.connect();
    operator
        .batch_execute(&format!(
            "set role {name}_ops;
             create temp table feed (xact xid8 default pg_current_xact_id(), user_id uuid, is_end boolean,
                 constraint feed_pkey primary key (xact, user_id))"
        ))
        .unwrap();
    let direct = operator.batch_execute("select feed_add(array[gen_random_uuid()], true, true)");
    assert!(direct.unwrap_err().to_string().contains("permission denied"));
    assert_eq!(ada.session().await.status, 200);
    operator.batch_execute("delete from sessions").unwrap();
    assert_eq!(ada.session().await.problem(), "401 token_invalid");
    drop(operator);
    database.execute(&format!("drop owned by {name}_ops; drop role {name}_ops"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_another_server_does_not_end_the_memory() {
    let app = counted().await;
    let ada = app.signed_in("ada").await;
    remembered(&app, &ada).await;
    app.database().execute(
        "update feed_epoch set purged_before = '99999999999';
         insert into feed (xact, user_id, is_end) values ('99999999999', gen_random_uuid(), true)",
    );
    eventually("it is forgotten", async || {
        let of_the_other = "select count(*) from feed where xact = '99999999999'";
        ada.session().await.status == 200 && app.database().number(of_the_other) == 0
    })
    .await;
    remembered(&app, &ada).await;
}
