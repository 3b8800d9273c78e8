//! Admins act on each other at the same time: there is no deadlock, and an admin remains.

use std::net::IpAddr;

use futures_util::future::join_all;
use oneseat::auth::audit::Resource;
use oneseat::auth::changes::Changes;
use oneseat::auth::endings::Bound;
use oneseat::auth::lists::{LARGEST_PAGE, Search};
use oneseat::auth::{Activity, Auth, Authority, Error, Holder, LastAdmin, Terms, UserRef};
use oneseat::sessions::{EndReason, Origin};
use oneseat::users::{Email, Password, Role};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::with_mail;
use crate::support::{App, PASSWORD};

const NAMES: [&str; 4] = ["root", "grace", "ada", "eve"];
/// How often all admins sign in anew, and how many calls each then makes at the same time.
const ROUNDS: usize = 12;
const ACTS: usize = 60;

fn email(name: &str) -> Email {
    format!("{name}@example.org").parse().unwrap()
}

/// An admin who can act, whatever was done to the account before.
async fn admin(auth: &Auth, name: &str) -> Holder {
    auth.enable(email(name), Authority::Operator).await.unwrap();
    auth.unlock(email(name)).await.unwrap();
    set_role(auth, email(name), Role::Admin, Authority::Operator)
        .await
        .unwrap();
    let origin = Origin::new(IpAddr::from([192, 0, 2, 1]), None);
    let password = Password::typed(PASSWORD).unwrap();
    let signed_in = auth
        .sign_in(email(name), password, origin.clone(), Terms::default())
        .await
        .unwrap();
    let seat = auth.validate(&signed_in.token, Activity::Active).await.unwrap();
    Holder::new(&seat, Resource::default(), origin)
}

async fn set_role(auth: &Auth, whom: impl Into<UserRef>, role: Role, by: Authority) -> Result<(), Error> {
    let changes = Changes {
        name: None,
        role: Some(role),
    };
    auth.change_user(whom, changes, by, LastAdmin::Stays)
        .await
        .map(drop)
}

/// Most of these calls end no session, so that admins remain who can act until the end.
async fn act(auth: &Auth, what: usize, holder: Holder, other: Uuid) -> Result<(), Error> {
    let by = Authority::Admin(holder.clone());
    match what {
        0 => auth.disable(other, by, LastAdmin::Stays).await,
        1 => auth.revoke_of(other, by).await,
        2 => auth
            .revoke_others(Search::All, Bound::default(), holder)
            .await
            .map(drop),
        3 => auth.sign_out(holder, EndReason::SignedOut).await,
        4 => {
            let wrong = Password::typed("not the password").unwrap();
            let new = "nine green bottles on a wall".to_owned();
            auth.change_password(holder, wrong, new).await
        }
        5 => set_role(auth, other, Role::User, by).await,
        6..25 => auth.enable(other, by).await,
        25..45 => auth.unlock_user(other, by).await,
        _ => auth.send_password_link(other, by).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_admins_do_to_each_other_nobody_waits_in_a_circle() {
    let app = App::start_with(with_mail).await;
    let other = app.another_instance_with(with_mail).await;
    for name in NAMES {
        app.add_user(name, Role::Admin).await;
    }
    let users = app
        .auth
        .accounts(Search::All, None, LARGEST_PAGE)
        .await
        .unwrap()
        .rows;
    let mut rng = StdRng::seed_from_u64(1);
    for round in 0..ROUNDS {
        let mut holders = Vec::new();
        for name in NAMES {
            holders.push(admin(&app.auth, name).await);
        }
        let acts = (0..ACTS).map(|n| {
            let auth = if n % 2 == 0 { &app.auth } else { &other.auth };
            let (what, user) = (rng.random_range(0..65), rng.random_range(0..NAMES.len()));
            let holder = holders[rng.random_range(0..NAMES.len())].clone();
            let (auth, user) = (auth.clone(), users[user].user.id);
            async move {
                tokio::spawn(async move { act(&auth, what, holder, user).await })
                    .await
                    .unwrap()
            }
        });
        for done in join_all(acts).await {
            // On a busy machine a call may wait too long; no two calls may wait for each other.
            if let Err(Error::Unavailable(why)) = done {
                assert!(!why.contains("deadlock"), "round {round}: {why}");
            }
        }
        let admins = "select count(*) from users where role = 'admin' and disabled_at is null";
        assert!(app.database().number(admins) > 0, "round {round}");
    }
}
