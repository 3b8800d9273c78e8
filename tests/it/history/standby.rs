//! A primary that crashed while a commit waited for its standby.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use oneseat::db::migrations;

use super::servers::Servers;
use crate::support::{App, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_a_crash_has_made_visible_is_told_when_the_standby_has_it() {
    let mut servers = Servers::start();
    migrations::run(servers.url()).unwrap();
    servers.add_standby().await;
    let app = App::start_on(servers.database()).await;
    let ada = app.signed_in("ada").await;
    servers.wait_for_standby().await;
    servers.stop_standby();
    let mut operator = PgConnection::establish(servers.url()).unwrap();
    let ending = std::thread::spawn(move || operator.batch_execute("delete from sessions"));
    let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    eventually("the end waits", async || servers.database().number(waits) == 1).await;
    assert_eq!(ada.session().await.status, 200, "nobody sees it yet");

    servers.crash().await;
    ending.join().unwrap().unwrap_err();
    servers.revive();
    eventually("the end is there", async || app.sessions() == 0).await;
    for path in ["/auth/session", "/readyz"] {
        assert_eq!(ada.get(path).await.status, 503, "{path}");
    }

    servers.start_standby();
    eventually("it is told", async || ada.session().await.status == 401).await;
    eventually("it is ready", async || ada.get("/readyz").await.status == 200).await;
}
