//! Commits that become visible although the standby that they wait for does not have them.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use oneseat::db::migrations;

use super::servers::Servers;
use crate::support::{App, Client, eventually};

const END: &str = "delete from sessions";

/// The commit of [`END`], which waits for the standby.
fn waits(of_it: &str) -> String {
    format!("select {of_it} from pg_stat_activity where wait_event = 'SyncRep' and query = '{END}'")
}

/// A primary with a standby that no longer receives anything, an instance, and a signed-in user.
async fn stage() -> (Servers, App, Client) {
    let mut servers = Servers::start();
    migrations::run(servers.url()).unwrap();
    servers.add_standby().await;
    let app = App::start_on(servers.database()).await;
    let ada = app.signed_in("ada").await;
    servers.wait_for_standby().await;
    servers.stop_standby();
    (servers, app, ada)
}

/// An operator ends the session, and its commit waits.
async fn ending(servers: &Servers) -> std::thread::JoinHandle<diesel::QueryResult<()>> {
    let mut operator = PgConnection::establish(servers.url()).unwrap();
    let ending = std::thread::spawn(move || operator.batch_execute(END));
    eventually("the end waits", async || {
        servers.database().number(&waits("count(*)")) == 1
    })
    .await;
    ending
}

/// The end is visible at the primary. It is reported only when the standby has it.
async fn is_told_when_the_standby_has_it(servers: &Servers, app: &App, ada: &Client) {
    eventually("the end is there", async || app.sessions() == 0).await;
    for path in ["/auth/session", "/readyz"] {
        assert_eq!(ada.get(path).await.status, 503, "{path}");
    }
    servers.start_standby();
    eventually("it is told", async || ada.session().await.status == 401).await;
    eventually("it is ready", async || ada.get("/readyz").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_a_crash_has_made_visible_is_told_when_the_standby_has_it() {
    let (servers, app, ada) = stage().await;
    let ending = ending(&servers).await;
    assert_eq!(app.sessions(), 1, "nobody sees it yet");
    servers.crash().await;
    ending.join().unwrap().unwrap_err();
    servers.revive();
    is_told_when_the_standby_has_it(&servers, &app, &ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_whose_wait_was_cancelled_is_told_when_the_standby_has_it() {
    let (servers, app, ada) = stage().await;
    let ending = ending(&servers).await;
    servers.database().execute(&waits("pg_cancel_backend(pid)"));
    ending.join().unwrap().unwrap();
    is_told_when_the_standby_has_it(&servers, &app, &ada).await;
}
