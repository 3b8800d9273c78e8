//! A deposed primary validates no token: a standby was promoted in its place, but nobody has stopped it.

use oneseat::config::TakeoverPolicy;
use oneseat::db::embedded::Embedded;
use oneseat::db::migrations;
use reqwest::StatusCode;

use crate::support::{App, Database, PASSWORD, eventually};

/// With synchronous replication, a deposed primary waits for a standby that now follows another primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_commits_no_standby_confirms_answers_nobody() {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-deposed-")
        .tempdir()
        .unwrap();
    let embedded = Embedded::open(dir.path(), &[("fsync", "off")]).unwrap();
    migrations::run(&embedded.url()).unwrap();
    let database = Database::at(embedded.url());
    let app = App::start_on_with(Database::at(embedded.url()), |config| {
        config.policy.takeover = TakeoverPolicy::Ask;
    })
    .await;
    let ada = app.signed_in("ada").await;
    let stranger = app.visitor().with_token("0".repeat(64));
    assert_eq!(ada.session().await.status, StatusCode::OK);
    assert_eq!(stranger.session().await.problem(), "401 token_invalid");

    database.execute("alter system set synchronous_standby_names = 'gone'");
    database.execute("select pg_reload_conf()");
    eventually("a live token is not accepted", async || {
        ada.session().await.status != StatusCode::OK
    })
    .await;
    for client in [&ada, &stranger, &ada] {
        assert_eq!(client.session().await.problem(), "503 unavailable");
    }
    assert_eq!(app.visitor().get("/readyz").await.status, 503);
    let asked = app.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(
        asked.problem(),
        "503 unavailable",
        "it does not know whether the seat is taken"
    );

    database.execute("alter system reset synchronous_standby_names");
    database.execute("select pg_reload_conf()");
    eventually("the session works again", async || {
        ada.session().await.status == StatusCode::OK
    })
    .await;
    drop(app);
}
