//! The history checker over a cluster that deals with its failures by itself: Patroni with three nodes, etcd, synchronous replication,
//! and HAProxy, with the files of `examples/cluster`. `script/soak --cluster` runs it, and docs/operations.md says what follows.

mod faults;
mod members;
mod network;
mod node;
mod outage;
mod programs;
mod watchdog;

use std::sync::Arc;
use std::time::{Duration, Instant};

use oneseat::auth::accounts::NewAccount;
use oneseat::db::migrations;
use oneseat::users::{Password, Role};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::world::{FAULTS, World};
use super::{Crowd, Length, Size, instances, seed, sees_no_lockout, verdict};
use crate::support::{App, Database, PASSWORD, Program, eventually};
use faults::Fault;
use members::Cluster;
use network::NODES;
use outage::{MEASURED, Record, What};

/// A length that is never reached: the faults are counted instead.
const FOR_EVER: Length = Length::Time(Duration::from_secs(24 * 60 * 60));

/// When a run is over.
#[derive(Clone, Copy)]
enum End {
    AfterFaults(usize),
    AfterTime(Duration),
}

impl End {
    /// As `script/soak --cluster` says: `20`, or `600s`.
    fn told() -> Self {
        let told = std::env::var("ONESEAT_CLUSTER").unwrap_or_else(|_| "24".to_owned());
        match told.strip_suffix('s') {
            Some(seconds) => Self::AfterTime(Duration::from_secs(seconds.parse().expect("seconds"))),
            None => Self::AfterFaults(told.parse().expect("a number of faults")),
        }
    }

    fn is_reached(self, faults: usize, began: Instant) -> bool {
        match self {
            Self::AfterFaults(most) => faults >= most,
            Self::AfterTime(length) => began.elapsed() >= length,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a cluster of its own: script/soak --cluster"]
async fn instances_over_a_cluster_that_fails_are_one() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start().await;
    println!("{}", cluster.programs.version);
    let url = format!(
        "{}?connect_timeout=3&tcp_user_timeout=5000",
        cluster.url_through_haproxy()
    );
    migrations::run(&url).unwrap();
    let operator = App::start_on_with(Database::at(url.clone()), sees_no_lockout).await;
    // Those that are measured come first.
    let programs = [
        instance(&cluster.url_through_haproxy()),
        instance(&cluster.url_of_all()),
        instance(&cluster.url_of_all()),
    ];
    programs.iter().for_each(|program| cluster.adopt(program));
    let names = ["haproxy", "hosts", "hosts too"];
    let mut instances: Vec<_> = names
        .into_iter()
        .zip(programs.each_ref().map(|program| program.address))
        .collect();
    instances.push(("operator", operator.address));
    let world = World::new(operator.auth.clone(), url.clone(), instances, Size::SMALL.users).await;
    let world = Arc::new(world);
    add_those_who_measure(&world).await;
    Database::at(url.clone()).execute("create table written (at timestamptz not null default now())");
    let (record, tasks) = Record::begin(&world, (0..NODES).map(|node| cluster.url_of(node)).collect());
    let crowd = Crowd::gather(&world, seed, Size::SMALL, &[]);

    eventually("everything works once", async || record.is_complete()).await;
    let (began, end) = (Instant::now(), End::told());
    let mut due = Vec::new();
    let mut count = 0;
    println!(
        "seconds out, and in parentheses until it worked again after the cluster could be written to, through HAProxy | by all hosts"
    );
    while crowd.goes_on(FOR_EVER) && !end.is_reached(count, began) {
        if due.is_empty() {
            due = Fault::all(cluster.network.can_be_cut());
            due.shuffle(&mut rng);
        }
        let fault = due.pop().unwrap();
        let since = record.now();
        cluster.suffer(fault, &mut rng).await;
        // Gives the node that came back last time to show a fault.
        tokio::time::sleep(Duration::from_secs(3)).await;
        println!("{}", reported(&record, fault, since));
        programs
            .iter()
            .for_each(|program| program.said().iter().for_each(|line| assert_harmless(line)));
        world.count(&fault.to_string());
        world.count(FAULTS);
        count += 1;
    }
    cluster.becomes_whole().await;
    crowd.leave().await;
    for task in tasks {
        task.await.unwrap();
    }
    for program in programs {
        let (stopped, log) = program.terminate();
        assert!(stopped, "{log:#?}");
    }
    verdict::pronounce(&world, &Database::at(url));
    println!("{count} faults: no dead token was accepted, and no acknowledged end was lost");
}

fn assert_harmless(line: &str) {
    instances::assert_harmless(std::slice::from_ref(&line.to_owned()));
}

/// A program over this database. The address is a secret.
fn instance(url: &str) -> Program {
    let args = [
        ["--bind", "127.0.0.1:0"],
        ["--max-failed-attempts", "100"],
        ["--trusted-proxies", "127.0.0.1/32"],
        ["--login-rate", "off"],
        ["--sweep-interval", "1s"],
    ];
    Program::serve_with(&args.concat(), &[("DATABASE_URL", url.to_owned())])
}

async fn add_those_who_measure(world: &World) {
    for instance in 0..MEASURED {
        for name in ["signs-in", "listens"] {
            let account = NewAccount {
                email: format!("{name}{instance}@example.org").parse().unwrap(),
                name: name.parse().unwrap(),
                role: Role::User,
                email_verified: true,
                password: Password::chosen(PASSWORD, &[]).unwrap(),
            };
            world.operator.add_user(account).await.unwrap();
        }
    }
}

/// What a fault did to writes and to clients.
fn reported(record: &Record, fault: Fault, since: Duration) -> String {
    let writes = record.of_writes(since);
    let out: Duration = writes.iter().map(|gap| gap.length()).sum();
    let mut line = format!("{:<24} writes {:>4.1}", fault.to_string(), out.as_secs_f64());
    for what in What::ALL {
        let [haproxy, hosts] = [0, 1].map(|instance| record.of(what, instance, since, &writes));
        line += &format!("; {what:?} {haproxy} | {hosts}");
    }
    line
}
