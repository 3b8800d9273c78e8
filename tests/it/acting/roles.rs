//! Two admins take each other's role, or remove each other's account, at the same time.

use oneseat::auth::changes::Changes;
use oneseat::auth::{Authority, Error, LastAdmin};
use oneseat::users::{Email, Role};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{ROOT, id_of, second_admin};
use crate::support::{Answer, App, Client};

const GRACE: &str = "grace@example.org";

const ADMINS: &str = "select count(*) from users where role = 'admin' and disabled_at is null";

/// What one admin does to the other, the answer, and the answer to the other admin's calls from then on.
type Act = (fn(&Client, &str) -> RequestBuilder, &'static str, &'static str);

fn demotion(by: &Client, id: &str) -> RequestBuilder {
    by.request(Method::PATCH, &format!("/api/admin/users/{id}"))
        .json(&json!({ "role": "user" }))
}

fn removal(by: &Client, id: &str) -> RequestBuilder {
    by.request(Method::DELETE, &format!("/api/admin/users/{id}"))
}

/// `200`, `204`, or the problem.
fn answered(request: RequestBuilder) -> JoinHandle<String> {
    tokio::spawn(async move {
        let answer = Answer::of(request).await;
        match answer.status.is_success() {
            true => answer.status.as_str().to_owned(),
            false => answer.problem(),
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_admins_who_demote_or_remove_each_other_one_stays() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let acts: [Act; 2] = [
        (demotion, "200", "403 forbidden"),
        (removal, "204", "401 session_ended"),
    ];
    for round in 0..20 {
        app.database().execute("delete from users");
        let (root, grace) = (app.admin().await, second_admin(&app).await.at(other.address));
        let (of_root, of_grace) = (id_of(&root).await, id_of(&grace).await);
        let (one, two) = (acts[round % 2], acts[round / 2 % 2]);
        let answers = (
            answered(one.0(&root, &of_grace)),
            answered(two.0(&grace, &of_root)),
        );
        let answers = (answers.0.await.unwrap(), answers.1.await.unwrap());
        let answers = (answers.0.as_str(), answers.1.as_str());
        // The later call is answered according to what the earlier one did.
        let possible = [(one.1, one.2), (two.2, two.1)];
        assert!(possible.contains(&answers), "round {round}: {answers:?}");
        assert_eq!(app.database().number(ADMINS), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_of_the_last_admin_is_lost_in_no_race_with_an_operator() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for round in 0..12 {
        app.database().execute("delete from users");
        app.add_user("root", Role::Admin).await;
        app.add_user("grace", Role::Admin).await;
        let (auth, demoted) = (app.auth.clone(), GRACE.parse::<Email>().unwrap());
        let demote = tokio::spawn(async move {
            let changes = Changes {
                name: None,
                role: Some(Role::User),
            };
            auth.change_user(demoted, changes, Authority::Operator, LastAdmin::Stays)
                .await
                .map(drop)
        });
        let (operator, root) = (other.auth.clone(), ROOT.parse::<Email>().unwrap());
        let another = match round % 2 {
            0 => {
                operator
                    .disable(root, Authority::Operator, LastAdmin::Stays)
                    .await
            }
            _ => {
                operator
                    .remove_user(root, Authority::Operator, LastAdmin::Stays)
                    .await
            }
        };
        let outcomes = [demote.await.unwrap(), another];
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(Error::LastAdmin)));
        assert_eq!(refused.count(), 1, "round {round}: {outcomes:?}");
        assert_eq!(app.database().number(ADMINS), 1, "round {round}");
    }
}
