//! What a pooler costs.

use std::time::{Duration, Instant};

use oneseat::users::Role;

use super::MODES;
use crate::support::{App, Database, PASSWORD, Pooler};

/// The median of so many times.
async fn median(times: usize, mut what: impl AsyncFnMut()) -> Duration {
    let mut taken = Vec::new();
    for n in 0..times + 20 {
        let began = Instant::now();
        what().await;
        if n >= 20 {
            taken.push(began.elapsed());
        }
    }
    taken.sort_unstable();
    taken[taken.len() / 2]
}

async fn measure(name: &str, url: &str, database: &Database) {
    // Every validation asks PostgreSQL, and no end waits.
    let app = App::start_by_with(url, database, |config| config.memory.lease = Duration::ZERO).await;
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    let validation = median(1_000, async || assert_eq!(ada.session().await.status, 200)).await;
    app.add_user("grace", Role::User).await;
    let visitor = app.visitor();
    let sign_in = median(60, async || {
        assert_eq!(visitor.login("grace@example.org", PASSWORD).await.status, 200);
    })
    .await;
    println!("{name}: a validation takes {validation:?}, a sign-in {sign_in:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and wants the machine for itself"]
async fn how_long_a_validation_and_a_sign_in_take() {
    let database = Database::fresh();
    measure("direct", database.url(), &database).await;
    for mode in MODES {
        let database = Database::fresh();
        let pooler = Pooler::start(&database, mode, 20);
        measure(mode, pooler.url(), &database).await;
    }
}
