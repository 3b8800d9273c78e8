//! A standby that lacks commits is promoted: the checker must find the consequences.

use std::sync::Arc;

use oneseat::db::migrations;

use super::people::{Act, Person};
use super::sabotage::is_a_dead_token;
use super::sees_no_lockout;
use super::servers::Servers;
use super::verdict;
use super::world::World;
use crate::support::{App, eventually};

/// No program can prevent this: the standby did not have the end when it was promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a PostgreSQL and a standby of its own: script/soak"]
async fn an_end_that_the_promoted_server_has_never_received_is_found() {
    let mut servers = Servers::start();
    migrations::run(servers.url()).unwrap();
    servers.add_standby().await;
    let app = App::start_on_with(servers.database(), sees_no_lockout).await;
    let (url, instances) = (servers.url().to_owned(), vec![("first", app.address)]);
    let world = Arc::new(World::new(app.auth.clone(), url, instances, 1).await);
    // With this seed nobody leaves before they have seen the first three answers.
    let mut person = Person::new(world.clone(), 0, 0, 0);
    person.act(Act::SignIn).await;
    let key = person.key().expect("somebody has signed in");
    servers.wait_for_standby().await;
    servers.leave_standby_behind();
    person.act(Act::RevokeUser).await;
    assert!(!person.look_at(key.clone(), 0).await);
    servers.promote_what_was_left_behind().await;
    eventually("the token lives again", async || {
        person.look_at(key.clone(), 0).await
    })
    .await;
    // Otherwise the end itself would be the first call that cannot be explained, and not a consequence of its
    // loss. One session is the admin's.
    while app.sessions() > 1 {
        person.act(Act::RevokeUser).await;
    }
    let found = verdict::judge(&world, &servers.database());
    is_a_dead_token(&found.expect_err("it was not found"));
}
