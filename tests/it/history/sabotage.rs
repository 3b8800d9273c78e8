//! Faults are planted in the running system: the checker must find a dead token that was accepted. They are
//! planted in PostgreSQL's part of the leases (decision 0007), where a test can change it. `model` and the
//! unit tests of `sessions::memory` cover the program's own part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::task::JoinHandle;

use super::people::{Act, Person, REMEMBERED};
use super::verdict;
use super::world::World;
use super::{seed, sees_no_lockout};
use crate::support::{App, Database, Lost, Wire};

/// Seats, and callers who watch each of them.
const USERS: usize = 3;
const WATCHERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(8);

/// How long callers act before the history is checked.
const ROUND: Duration = Duration::from_millis(2_500);
/// A little longer than a lease.
const CUT: Duration = Duration::from_millis(300);
/// Far longer than any of these faults takes to show, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Two instances over one database, into which something was planted.
struct Sabotaged {
    world: Arc<World>,
    wire: Wire,
    _second: App,
    first: App,
    seed: u64,
}

impl Sabotaged {
    async fn by(statements: &str) -> Self {
        let database = Database::fresh();
        database.execute(&format!("select; {statements}"));
        let url = database.url().to_owned();
        let wire = Wire::to(&database);
        let first = App::start_on_with(database, sees_no_lockout).await;
        let second = App::start_on_with(wire.database(), sees_no_lockout).await;
        let instances = vec![("first", first.address), ("second", second.address)];
        let world = World::new(first.auth.clone(), url, instances, USERS).await;
        Self {
            world: Arc::new(world),
            wire,
            _second: second,
            first,
            seed: seed(),
        }
    }

    /// Some callers end sessions in this way while others watch, for a while; then the history is checked.
    async fn round(&mut self, end: Act) -> Result<(), String> {
        let watchers = self.watchers();
        let ends: Vec<_> = (0..USERS)
            .map(|user| tokio::spawn(self.person(user, user).end_again_and_again(end)))
            .collect();
        tokio::time::sleep(ROUND).await;
        self.world.end();
        joined(watchers.into_iter().chain(ends)).await;
        verdict::judge(&self.world, self.first.database())
    }

    /// Like [`round`](Self::round), but the second instance is cut off while all sessions are ended at the first, twice.
    async fn round_with_cuts(&mut self, end: Act, lost: Lost) -> Result<(), String> {
        let watchers = self.watchers();
        for _ in 0..2 {
            let ends = (0..USERS).map(|user| {
                let mut person = self.person(user, user);
                person.place = Some(0);
                tokio::spawn(async move {
                    person.sign_in(true).await;
                    person
                })
            });
            let mut signed_in = Vec::new();
            for person in ends.collect::<Vec<_>>() {
                signed_in.push(person.await.unwrap());
            }
            tokio::time::sleep(2 * REMEMBERED).await;
            let ends = signed_in.into_iter().map(|mut person| {
                let after = Duration::from_millis(person.rng.random_range(0..80));
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    person.act(end).await;
                })
            });
            let ends: Vec<_> = ends.collect();
            let after = rand::rng().random_range(40..100);
            tokio::time::sleep(Duration::from_millis(after)).await;
            self.wire.cut(lost);
            tokio::time::sleep(CUT).await;
            self.wire.mend();
            joined(ends).await;
        }
        self.world.end();
        joined(watchers).await;
        verdict::judge(&self.world, self.first.database())
    }

    /// Some watchers at each instance.
    fn watchers(&mut self) -> Vec<JoinHandle<()>> {
        self.world.go_on();
        let watchers = USERS..USERS * (1 + WATCHERS);
        watchers
            .map(|number| {
                let watcher = self.person(number % USERS, number);
                tokio::spawn(watcher.watch(number / USERS % 2, PAUSE))
            })
            .collect()
    }

    fn person(&mut self, user: usize, number: usize) -> Person {
        self.seed = self.seed.wrapping_add(1);
        Person::new(self.world.clone(), user, number, self.seed)
    }

    /// Goes on until the history cannot be explained any more.
    async fn until_it_is_found(mut self, end: Act) {
        let began = Instant::now();
        while began.elapsed() < LONGEST {
            if let Err(excerpt) = self.round(end).await {
                return is_a_dead_token(&excerpt);
            }
        }
        panic!("it was not found: {}", self.world.progress());
    }

    /// Goes on until then, while the second instance is cut off now and then.
    async fn until_it_is_found_with_cuts(mut self, end: Act) {
        let began = Instant::now();
        while began.elapsed() < LONGEST {
            if let Err(excerpt) = self.round_with_cuts(end, Lost::Everything).await {
                return is_a_dead_token(&excerpt);
            }
        }
        panic!("it was not found: {}", self.world.progress());
    }
}

/// Fails unless that excerpt shows a dead token that was accepted.
pub fn is_a_dead_token(excerpt: &str) {
    println!("{excerpt}");
    let culprit = excerpt.lines().find(|line| line.starts_with('>'));
    assert!(
        culprit.is_some_and(|line| line.ends_with("accepted")),
        "{excerpt}"
    );
}

async fn joined(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap();
    }
}

/// SQL that replaces a part of a function's definition, and fails if there is no such part.
fn replaced(function: &str, part: &str, by: &str) -> String {
    format!(
        "do $plant$
         declare
             sound text := pg_get_functiondef('{function}'::regproc);
             planted text := replace(sound, $part${part}$part$, $part${by}$part$);
         begin
             if planted = sound then
                 raise 'there is nothing to replace';
             end if;
             execute planted;
         end
         $plant$"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_planted_nothing_is_found() {
    let mut sound = Sabotaged::by("").await;
    for end in [Act::Remove, Act::RemoveLate, Act::RemoveWithTheFeed] {
        sound
            .round(end)
            .await
            .unwrap_or_else(|excerpt| panic!("{excerpt}"));
    }
    for lost in [Lost::Questions, Lost::Answers, Lost::Everything] {
        let round = sound.round_with_cuts(Act::RevokeUser, lost).await;
        round.unwrap_or_else(|excerpt| panic!("{excerpt}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_waits_for_nobody_is_found() {
    let no_wait = "create or replace function feed_wait() returns interval language sql stable as $$ select interval '0' $$";
    let sabotaged = Sabotaged::by(no_wait).await;
    sabotaged.until_it_is_found(Act::RevokeUser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_waits_for_less_than_the_lease_is_found() {
    let short = replaced("feed_wait", "* 1.02 + interval '5 ms'", "* 0.4");
    let sabotaged = Sabotaged::by(&short).await;
    sabotaged.until_it_is_found_with_cuts(Act::RevokeUser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_commits_late_and_is_skipped_is_found() {
    let skips = replaced(
        "read_feed",
        "feed.xact = any (array(select pg_snapshot_xip(since)))",
        "false",
    );
    let sabotaged = Sabotaged::by(&skips).await;
    // Other transactions begin and end before the commit.
    sabotaged.until_it_is_found(Act::RemoveLate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_the_name_of_the_one_before_is_found() {
    let same = "create or replace function feed_server() returns text language sql stable as $$ select 'the server' $$";
    let sabotaged = Sabotaged::by(same).await;
    sabotaged.until_it_is_found(Act::RemoveWithTheFeed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_names_nobody_is_found() {
    let part = "named := array(select user_id from old_rows limit 1001)";
    let sabotaged = Sabotaged::by(&replaced("sessions_feed", part, "named := '{}'")).await;
    sabotaged.until_it_is_found(Act::RevokeUser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_sql_that_does_not_wait_is_found() {
    let part = "current_setting('oneseat.waits_after_commit', true) is distinct from 'on'";
    let sabotaged = Sabotaged::by(&replaced("feed_add", part, "false")).await;
    sabotaged.until_it_is_found(Act::Remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_sql_that_waits_while_others_are_given_leases_is_found() {
    let no_lock = replaced("read_feed", "grants := false", "null");
    let sabotaged = Sabotaged::by(&no_lock).await;
    sabotaged.until_it_is_found(Act::Remove).await;
}

/// The answer is as old as the question before it. That has the effect of a lease that counts from long after
/// the moment for which the answer is true.
const OLD_ANSWERS: &str = "
    alter function read_feed(pg_snapshot) rename to read_feed_now;
    create unlogged table answers (pid integer primary key, snapshot pg_snapshot);
    create function read_feed(since pg_snapshot) returns table (server text, snapshot text, asked_at timestamptz, grants boolean,
        lease interval, wait interval, previous interval, version bigint, is_lost boolean, named uuid[], ended uuid[])
    language plpgsql as $$
    declare
        before pg_snapshot := (select a.snapshot from answers as a where a.pid = pg_backend_pid());
    begin
        insert into answers as a values (pg_backend_pid(), pg_current_snapshot())
            on conflict (pid) do update set snapshot = excluded.snapshot;
        return query select n.server, coalesce(before, pg_current_snapshot())::text, n.asked_at, n.grants, n.lease, n.wait, n.previous,
            n.version, n.is_lost,
            array(select distinct f.user_id from feed as f
                where (f.xact >= pg_snapshot_xmax(since) or f.xact = any (array(select pg_snapshot_xip(since))))
                    and pg_visible_in_snapshot(f.xact, before)),
            n.ended
            from read_feed_now(since) as n;
    end
    $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes the time of some cuts of the network: script/soak"]
async fn a_lease_that_counts_from_later_than_its_answer_is_found() {
    let sabotaged = Sabotaged::by(OLD_ANSWERS).await;
    sabotaged.until_it_is_found_with_cuts(Act::RevokeUser).await;
}
