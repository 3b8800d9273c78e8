//! The private PostgreSQL over the years: real data move from version to version.

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::versions::{Data, Version, borrowed, machine, versions};
use crate::support::{Client, PASSWORD, Program, begun};

/// This program's answer about a token: its status, and how its session ended.
async fn judged(program: &Program, token: &str) -> (u16, String) {
    let answer = program.visitor().with_token(token).session().await;
    let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), reason)
}

async fn sign_in(program: &Program, email: &str, password: &str) -> Client {
    let answer = program.visitor().login(email, password).await;
    assert_eq!(answer.status, 200, "{email}: {answer:?}");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    program.visitor().with_token(token)
}

#[tokio::test]
#[ignore = "takes PostgreSQL in several versions: script/upgrades"]
async fn sessions_outlive_every_version_and_what_has_ended_stays_ended() {
    let versions = versions();
    let data = Data::made_by(&versions[0]);
    let mut dead: Vec<(String, &str)> = Vec::new();
    for pair in versions.windows(2) {
        let (from, to) = (&pair[0], &pair[1]);
        let before = data.serve(&machine(&[from]));
        let replaced = sign_in(&before, "ada@example.org", PASSWORD).await;
        let live = sign_in(&before, "ada@example.org", PASSWORD).await;
        let signed_out = sign_in(&before, "bob@example.org", PASSWORD).await;
        assert_eq!(signed_out.logout().await.status, 200);
        dead.push((replaced.token().to_owned(), "replaced"));
        dead.push((signed_out.token().to_owned(), "signed_out"));

        let both = machine(&[to, from]);
        let (status, words) = data.upgrade(&both);
        assert_eq!(status, Some(1), "{words}");
        assert!(words.contains("is in use by process"), "{words}");
        before.terminate();

        let began = Instant::now();
        let (status, words) = data.upgrade(&both);
        assert_eq!(status, Some(0), "{words}");
        println!("{} -> {}: {:.1?}", from.number, to.number, began.elapsed());
        let moved = format!("moved from PostgreSQL {} to {};", from.number, to.number);
        assert!(words.contains(&moved), "{words}");
        assert_eq!(data.version(), to.number);
        // Nothing but the data and what they were.
        assert!(!data.server("upgrade.log").exists());
        assert_eq!(
            data.upgrade(&both),
            (Some(0), format!("up to date: PostgreSQL {}\n", to.number))
        );

        let after = data.serve(&machine(&[to]));
        assert_eq!(judged(&after, live.token()).await, (200, String::new()));
        for (token, reason) in &dead {
            assert_eq!(judged(&after, token).await, (401, (*reason).to_owned()));
        }
        let admin = sign_in(&after, "admin@localhost", &data.admin_password).await;
        let past = admin.get("/api/admin/history").await;
        assert_eq!(past.status, 200);
        let past = past.json()["sessions"].as_array().unwrap().len();
        assert!(past >= dead.len(), "{past} of {}", dead.len());
        look_at_the_server(&data);
        dead.push((live.token().to_owned(), "replaced"));
        sign_in(&after, "ada@example.org", PASSWORD).await.logout().await;
        let last = judged(&after, live.token()).await;
        assert_eq!(last, (401, "replaced".to_owned()));
        after.terminate();
    }
}

/// The upgraded server behaves like any other private one, and its planner has statistics.
fn look_at_the_server(data: &Data) {
    let database = data.database();
    let planned = "select count(*) from pg_stats where schemaname = 'public' and tablename in ('users', 'ended_sessions')";
    assert!(database.number(planned) > 0);
    assert_eq!(database.text("select current_setting('listen_addresses')"), "");
    assert_eq!(
        database.text("select string_agg(distinct type || ' ' || auth_method, ', ' order by type || ' ' || auth_method) from pg_hba_file_rules"),
        "host reject, local trust"
    );
    let locale = "select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = 'oneseat'";
    assert_eq!(database.text(locale), "UTF8 C");
}

#[tokio::test]
#[ignore = "takes PostgreSQL in several versions: script/upgrades"]
async fn going_back_to_the_old_data_brings_no_session_back() {
    let versions = versions();
    let [from, to] = &versions[versions.len() - 2..] else {
        panic!("two versions at least");
    };
    let data = Data::made_by(from);
    let before = data.serve(&machine(&[from]));
    let ada = sign_in(&before, "ada@example.org", PASSWORD).await;
    let bob = sign_in(&before, "bob@example.org", PASSWORD).await;
    before.terminate();
    let both = machine(&[to, from]);
    assert_eq!(data.upgrade(&both).0, Some(0));
    let after = data.serve(&both);
    assert_eq!(judged(&after, bob.token()).await.0, 200);
    assert_eq!(after.visitor().with_token(ada.token()).logout().await.status, 200);
    after.terminate();

    fs::rename(data.server("pgdata"), data.server("aside")).unwrap();
    fs::rename(
        data.server(&format!("pgdata.{}", from.number)),
        data.server("pgdata"),
    )
    .unwrap();
    let back = data.serve(&both);
    assert_eq!(data.version(), from.number);
    for client in [&ada, &bob] {
        assert_eq!(judged(&back, client.token()).await, (401, "restored".to_owned()));
    }
    sign_in(&back, "ada@example.org", PASSWORD).await;
}

/// The steps of an upgrade at which it is interrupted, by the messages that it prints.
const STEPS: [&str; 5] = [
    "reading the old data",
    "making the new data",
    "copying the data",
    "looking at the new data",
    "exchanging the data",
];

#[tokio::test]
#[ignore = "takes PostgreSQL in several versions: script/upgrades"]
async fn an_interruption_at_any_moment_leaves_data_that_start() {
    let versions = versions();
    let [from, to] = &versions[versions.len() - 2..] else {
        panic!("two versions at least");
    };
    let both = machine(&[to, from]);
    let data = Data::made_by(from);
    for (step, signal) in STEPS
        .iter()
        .flat_map(|step| [(step, Signal::SIGTERM), (step, Signal::SIGKILL)])
    {
        let before = data.serve(&both);
        let live = sign_in(&before, "ada@example.org", PASSWORD).await;
        let ended = sign_in(&before, "bob@example.org", PASSWORD).await;
        ended.logout().await;
        before.terminate();
        stop_at(&data, &both, step, signal);

        // A copying process that was left running keeps the lock until it ends; the start waits for it.
        let after = data.serve(&both);
        let is_new = data.version() == to.number;
        let found = judged(&after, live.token()).await;
        println!("{signal} at {step}: {}, {found:?}", data.version());
        // The old sessions are ended just before the new data take the place of the old.
        let may_be_over = *step == "exchanging the data" && !is_new;
        assert!(
            found.0 == 200 || may_be_over && found.1 == "restored",
            "{signal} at {step}: {found:?}"
        );
        assert_eq!(
            judged(&after, ended.token()).await,
            (401, "signed_out".to_owned())
        );
        after.terminate();
        let left = fs::read_dir(data.server("")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !left.iter().any(|name| name.to_string_lossy().contains("new")),
            "{signal} at {step}: {left:?}"
        );
        if is_new {
            put_back(&data, from);
        }
    }
    assert_eq!(data.upgrade(&both).0, Some(0));
}

/// Begins an upgrade, and interrupts it once it has printed so many messages.
fn stop_at(data: &Data, machine: &[(&str, String)], step: &str, signal: Signal) {
    let mut upgrade = begun(
        &["database", "upgrade", "--data-dir", data.path()],
        &borrowed(machine),
    );
    let lines = BufReader::new(upgrade.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains(step)), "{step}");
    // Somewhere within the step: there is no event to wait for.
    std::thread::sleep(Duration::from_millis(rand::random_range(0..400)));
    kill(Pid::from_raw(i32::try_from(upgrade.id()).unwrap()), signal).unwrap();
    let rest: Vec<_> = lines.collect();
    let status = upgrade.wait().unwrap();
    if signal == Signal::SIGTERM && !status.success() {
        let words = rest.last().unwrap();
        assert!(words.contains("told to stop"), "{step}: {words}");
    }
}

/// The next round begins with the data of the old version.
fn put_back(data: &Data, from: &Version) {
    let kept = data.server(&format!("pgdata.{}", from.number));
    fs::remove_dir_all(data.server("pgdata")).unwrap();
    fs::rename(kept, data.server("pgdata")).unwrap();
}
