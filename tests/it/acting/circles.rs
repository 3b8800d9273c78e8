//! Everybody acts on everybody at once: nobody waits in a circle, and an admin is left.

use std::net::IpAddr;

use oneseat::auth::accounts::Whom;
use oneseat::auth::{Activity, Auth, Authority, Error, Holder, LastAdmin};
use oneseat::sessions::{EndReason, Origin};
use oneseat::users::{Email, Password, Role};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::with_mail;
use crate::support::{App, PASSWORD};

const NAMES: [&str; 4] = ["root", "grace", "ada", "eve"];

fn email(name: &str) -> Email {
    format!("{name}@example.org").parse().unwrap()
}

/// One of the admins, who signs in again whenever they can.
struct Admin {
    name: &'static str,
    auth: Auth,
    rng: StdRng,
    holder: Option<Holder>,
}

impl Admin {
    async fn act(&mut self, ids: &[Uuid]) -> Result<(), Error> {
        let Some(holder) = self.holder.clone() else {
            return self.sign_in().await;
        };
        let (auth, by) = (&self.auth, Authority::Admin(holder.clone()));
        let other = ids[self.rng.random_range(0..ids.len())];
        let done = match self.rng.random_range(0..9) {
            0 | 1 => auth.disable(Whom::Id(other), by, LastAdmin::Stays).await,
            2 => auth.enable(Whom::Id(other), by).await,
            3 => auth.revoke_of(other, by).await,
            4 => auth.revoke_all_others(holder).await.map(drop),
            5 => auth.unlock_user(other, by).await,
            6 => auth.send_password_link(Whom::Id(other), by).await,
            7 => {
                let wrong = Password::typed("not the password").unwrap();
                auth.change_password(holder, wrong, "nine green bottles on a wall".to_owned())
                    .await
            }
            _ => auth.sign_out(holder, EndReason::SignedOut).await,
        };
        if matches!(done, Err(Error::SessionEnded(_) | Error::TokenInvalid)) {
            self.holder = None;
        }
        done
    }

    async fn sign_in(&mut self) -> Result<(), Error> {
        let origin = Origin::new(IpAddr::from([192, 0, 2, 1]), None);
        // Somebody may have disabled or locked them.
        self.auth.enable(email(self.name), Authority::Operator).await?;
        self.auth.unlock(email(self.name)).await?;
        let password = Password::typed(PASSWORD).unwrap();
        let signed_in = self
            .auth
            .sign_in(email(self.name), password, origin.clone())
            .await?;
        let seat = self.auth.validate(&signed_in.token, Activity::Active).await?;
        self.holder = Some(Holder::new(&seat, "/", origin));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_admins_do_to_each_other_nobody_waits_in_a_circle() {
    let app = App::start_with(with_mail).await;
    let other = app.another_instance_with(with_mail).await;
    for name in NAMES {
        app.add_user(name, Role::Admin).await;
    }
    let users = app.auth.users().await.unwrap();
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let tasks: Vec<_> = NAMES
        .into_iter()
        .enumerate()
        .map(|(n, name)| {
            let ids = ids.clone();
            let mut admin = Admin {
                name,
                auth: if n % 2 == 0 {
                    app.auth.clone()
                } else {
                    other.auth.clone()
                },
                rng: StdRng::seed_from_u64(n as u64),
                holder: None,
            };
            tokio::spawn(async move {
                let mut words = Vec::new();
                for _ in 0..60 {
                    if let Err(Error::Unavailable(why)) = admin.act(&ids).await {
                        words.push(why);
                    }
                }
                words
            })
        })
        .collect();
    let admins = "select count(*) from users where disabled_at is null";
    for task in tasks {
        let words = task.await.unwrap();
        // A machine that is busy may make somebody wait too long; nobody may wait for who waits for them.
        let circle = words.iter().find(|words| words.contains("deadlock"));
        assert_eq!(circle, None);
        assert!(app.database().number(admins) > 0);
    }
}
