//! What people do, and how its outcome is understood.

use std::future::Future;

use diesel::{Connection, ConnectionResult, PgConnection, QueryResult, RunQueryDsl};
use oneseat::auth::Error;
use oneseat::auth::{Authority, LastAdmin};
use oneseat::sessions::EndReason;
use oneseat::users::Password;
use rand::RngExt;
use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde_json::json;
use tokio::time::timeout;

use super::checker::Call;
use super::line::{DEADLINE, Reply};
use super::people::Person;
use super::seat::{Deed, Number, Whose};
use super::world::{Key, locked, password};

/// Who does what no instance was asked for.
const OPERATOR: &str = "operator";

impl Person {
    pub async fn sign_in(&mut self, is_right: bool) {
        let token = self.world.next_sign_in();
        let number = if is_right {
            self.password()
        } else {
            self.world.next_password()
        };
        let (place, client) = self.somewhere();
        let request = client
            .request(Method::POST, "/auth/login")
            // By this the database tells what became of a sign-in whose answer was lost.
            .header(USER_AGENT, token.to_string())
            .json(&json!({ "email": self.user().email, "password": password(number) }));
        let signed_in = Deed::SignedIn {
            token,
            password: number,
        };
        let Some((reply, started)) = self.ask(place, request, Some(&signed_in)).await else {
            return;
        };
        let deed = match reply.code.as_str() {
            "200" => signed_in,
            "401 invalid_credentials" => Deed::WrongPassword { password: number },
            "403 account_disabled" => Deed::RefusedAsDisabled { password: number },
            _ => panic!("a sign-in was answered {reply:?}"),
        };
        self.record(deed, place, started, Some(reply.at));
        if let Some(key) = reply.body["token"].as_str() {
            locked(&self.user().keys).push(Key {
                number: token,
                token: key.to_owned(),
                session: None,
            });
        }
    }

    pub async fn look(&mut self) {
        let Some(Key { number, token, .. }) = self.key() else {
            return;
        };
        let (place, client) = self.somewhere();
        let mut request = client.with_token(token).request(Method::GET, "/auth/session");
        if self.rng.random_bool(0.3) {
            request = request.header("Oneseat-Passive", "true");
        }
        let Some((reply, started)) = self.ask(place, request, None).await else {
            return;
        };
        if reply.code == "200" {
            self.remember(number, &reply);
        }
        let deed = of_holder(number, &reply, Deed::Accepted { token: number });
        self.record(deed, place, started, Some(reply.at));
    }

    /// Questions are answered many at a time: nobody gets what is another's.
    fn remember(&self, number: Number, reply: &Reply) {
        let session = &reply.body["session"];
        let whose = (&reply.body["user"]["email"], &session["userAgent"]);
        assert_eq!(whose, (&json!(self.user().email), &json!(number.to_string())));
        let id = session["id"].as_str().unwrap().parse().unwrap();
        for key in locked(&self.user().keys).iter_mut() {
            if key.number == number {
                assert_eq!(*key.session.get_or_insert(id), id);
            }
        }
    }

    pub async fn sign_out(&mut self) {
        let Some(Key { number, token, .. }) = self.key() else {
            return;
        };
        let (place, client) = self.somewhere();
        let request = client.with_token(token).request(Method::POST, "/auth/logout");
        let (request, reason) = if self.rng.random_bool(0.5) {
            let body = json!({ "reason": "page_closed" });
            (request.json(&body), EndReason::PageClosed)
        } else {
            (request, EndReason::SignedOut)
        };
        let whose = Whose::Token(number);
        let ended = Deed::Ended { whose, reason };
        if let Some((reply, started)) = self.ask(place, request, Some(&ended)).await {
            self.record(of_holder(number, &reply, ended), place, started, Some(reply.at));
        }
    }

    pub async fn revoke_session(&mut self) {
        if let Some(key) = self.key()
            && let Some(id) = key.session
        {
            let path = format!("/api/admin/sessions/{id}");
            self.revoke(Whose::Token(key.number), &path).await;
        }
    }

    pub async fn revoke(&mut self, whose: Whose, path: &str) {
        let (place, client) = self.somewhere();
        let admin = client.with_token(&self.world.admin);
        let reason = EndReason::Revoked;
        let ended = Deed::Ended { whose, reason };
        let request = admin.request(Method::DELETE, path);
        if let Some((reply, started)) = self.ask(place, request, Some(&ended)).await {
            let deed = match reply.code.as_str() {
                "204" => ended,
                "404 not_found" => Deed::FoundNone { whose },
                _ => panic!("a revocation was answered {reply:?}"),
            };
            self.record(deed, place, started, Some(reply.at));
        }
    }

    /// Everybody's but the admin's own: one call in the history of each user.
    pub async fn revoke_all(&mut self) {
        let (place, client) = self.somewhere();
        let admin = client.with_token(&self.world.admin);
        let request = admin.request(Method::DELETE, "/api/admin/sessions");
        let started = self.world.now();
        let reply = self.ask(place, request, None).await;
        let answered = reply.map(|(reply, _)| {
            assert_eq!(reply.code, "200", "{reply:?}");
            reply.at
        });
        let deed = match answered {
            Some(_) => Deed::EndedAll,
            // One by one: that it may have done nothing goes without saying.
            None => Deed::Ended {
                whose: Whose::User,
                reason: EndReason::Revoked,
            },
        };
        for user in 0..self.world.users.len() {
            let call = Call {
                deed: deed.clone(),
                started,
                answered,
                place,
            };
            self.world.record(user, call);
        }
    }

    pub async fn set_password(&mut self) {
        let number = self.world.next_password();
        let chosen = Password::chosen(&password(number), &[]).unwrap();
        let (auth, email) = (self.world.operator.clone(), self.email());
        let set = Deed::PasswordSet { password: number };
        let is_set = self.operate(set, auth.set_password(email, chosen)).await;
        let mut passwords = locked(&self.user().passwords);
        if is_set {
            passwords.clear();
        }
        passwords.push(number);
    }

    pub async fn suspend(&mut self) {
        let (auth, email) = (self.world.operator.clone(), self.email());
        self.operate(
            Deed::Disabled,
            auth.disable(email.clone(), Authority::Operator, LastAdmin::MayGo),
        )
        .await;
        if self.rng.random_bool(0.5) {
            self.sign_in(true).await;
        }
        // Or nothing would happen here any more.
        while !self
            .operate(Deed::Enabled, auth.enable(email.clone(), Authority::Operator))
            .await
            && !self.world.is_over()
        {}
    }

    /// Does what operators do. Returns whether it was acknowledged.
    async fn operate(&mut self, deed: Deed, act: impl Future<Output = Result<(), Error>>) -> bool {
        let wait = self.wait();
        let started = self.world.now();
        let is_done = match timeout(wait, act).await {
            Ok(Ok(())) => true,
            Ok(Err(Error::Unavailable(_) | Error::Busy)) => false,
            Ok(Err(error)) => panic!("{deed}: {error}"),
            Err(_) => {
                assert!(wait < DEADLINE, "no answer in {DEADLINE:?}: {deed}");
                false
            }
        };
        let answered = is_done.then(|| self.world.now());
        self.record(deed, OPERATOR, started, answered);
        is_done
    }

    /// Time passes faster in this run: all of a session's at once.
    pub async fn expire(&mut self) {
        let whose = Whose::User;
        let reason = EndReason::Expired;
        let ended = Deed::Ended { whose, reason };
        let started = self.world.now();
        let change = "expires_at = now() - interval '1 hour'";
        let (deed, answered) = match self.rewrite(change).await {
            Ok(Ok(0)) => (Deed::FoundNone { whose }, Some(self.world.now())),
            Ok(Ok(_)) => (ended, Some(self.world.now())),
            Ok(Err(_)) => (ended, None),
            // No connection.
            Err(_) => return,
        };
        self.record(deed, "database", started, answered);
    }

    /// So long ago that activity is to be written down again, and not so long that the session is over.
    pub async fn grow_old(&mut self) {
        // Whether it was done is of no consequence.
        let _ = self
            .rewrite("last_activity = least(last_activity, now() - interval '30 minutes')")
            .await;
    }

    /// Changes the user's live session in the database. Returns how many rows that were.
    async fn rewrite(&self, change: &str) -> ConnectionResult<QueryResult<usize>> {
        let url = self.world.database_url.clone();
        let id = self.user().id;
        let lock = format!("select from users where id = '{id}' for update");
        let change = format!("update sessions set {change} where user_id = '{id}' and expires_at > now()");
        let work = move || {
            let mut connection = PgConnection::establish(&url)?;
            Ok(connection.transaction(|connection| {
                // Behind a sign-in under way, or it would see neither the old session nor the new one.
                diesel::sql_query(lock).execute(connection)?;
                diesel::sql_query(change).execute(connection)
            }))
        };
        timeout(DEADLINE, tokio::task::spawn_blocking(work))
            .await
            .expect("the database hangs")
            .unwrap()
    }
}

/// What whoever holds a token is told.
fn of_holder(token: Number, reply: &Reply, if_done: Deed) -> Deed {
    match reply.code.as_str() {
        "200" => if_done,
        "401 session_ended" => Deed::Refused {
            token,
            reason: Some(reply.body["reason"].as_str().unwrap().parse().unwrap()),
        },
        "401 token_invalid" => Deed::Refused { token, reason: None },
        _ => panic!("whoever holds a token was answered {reply:?}"),
    }
}
