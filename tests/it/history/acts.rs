//! What callers do, and how the outcome is interpreted.

use std::future::Future;
use std::time::Duration;

use diesel::{Connection, ConnectionError, ConnectionResult, PgConnection, QueryResult, RunQueryDsl};
use oneseat::auth::Error;
use oneseat::auth::{Authority, LastAdmin};
use oneseat::sessions::EndReason;
use oneseat::users::Password;
use rand::RngExt;
use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::checker::Call;
use super::line::{DEADLINE, Reply};
use super::people::Person;
use super::seat::{Deed, End, Number, Whose};
use super::world::{Key, REMOVED, locked, password};
use crate::support::hostile;

/// The name of an actor that acts without an instance.
const OPERATOR: &str = "operator";
/// The name of an actor that acts without the program.
const SQL: &str = "database";

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
            // From this the database shows what happened to a sign-in whose answer was lost.
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
        if let Some(key) = self.key() {
            let n = self.rng.random_range(0..self.world.instances());
            self.look_at(key, n).await;
        }
    }

    /// Validates a token at this instance. Returns whether it was accepted.
    pub async fn look_at(&mut self, key: Key, instance: usize) -> bool {
        let Key {
            number,
            token,
            session,
        } = key;
        let (place, client) = self.at(instance);
        let mut request = client.with_token(token).request(Method::GET, "/auth/session");
        if self.rng.random_bool(0.3) {
            request = request.header("Oneseat-Passive", "true");
        }
        let Some((reply, started)) = self.ask(place, request, None).await else {
            return false;
        };
        let is_accepted = reply.code == "200";
        if is_accepted {
            self.remember(number, session, &reply);
        }
        let deed = of_holder(number, &reply, Deed::Accepted { token: number });
        self.record(deed, place, started, Some(reply.at));
        is_accepted
    }

    /// Introspection answers many questions at a time: no service may get another one's answer.
    fn remember(&self, number: Number, known: Option<Uuid>, reply: &Reply) {
        let session = &reply.body["session"];
        let whose = (&reply.body["user"]["email"], &session["userAgent"]);
        assert_eq!(whose, (&json!(self.user().email), &json!(number.to_string())));
        let id = session["id"].as_str().unwrap().parse().unwrap();
        if known.is_some() {
            assert_eq!(known, Some(id));
            return;
        }
        for key in locked(&self.user().keys).iter_mut().rev() {
            if key.number == number {
                assert_eq!(*key.session.get_or_insert(id), id);
                return;
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
        let end = End::For(reason);
        let ended = Deed::Ended { whose, end };
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
        let end = End::For(EndReason::Revoked);
        let ended = Deed::Ended { whose, end };
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

    /// Ends all sessions but the admin's own: one call in the history of each user.
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
                end: End::For(EndReason::Revoked),
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
            auth.disable(email, Authority::Operator, LastAdmin::MayGo),
        )
        .await;
        if self.rng.random_bool(0.5) {
            self.sign_in(true).await;
        }
        self.enable().await;
    }

    /// Repeats until it is done: otherwise nothing would happen here any more.
    async fn enable(&mut self) {
        let (auth, email) = (self.world.operator.clone(), self.email());
        while !self
            .operate(Deed::Enabled, auth.enable(email.clone(), Authority::Operator))
            .await
            && !self.world.is_over()
        {}
    }

    /// Does what an operator does. Returns whether it was acknowledged.
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

    /// Expires the session: its whole time passes at once.
    pub async fn expire(&mut self) {
        let change = self.of_live_session("expires_at = now() - interval '1 hour'");
        self.end_by_sql(End::For(EndReason::Expired), &[change]).await;
    }

    /// An operator deletes the row of the session.
    pub async fn remove(&mut self) {
        let removal = self.removal();
        self.end_by_sql(End::Removed, &[removal]).await;
    }

    /// An operator deletes the row, and the feed is empty afterwards, as after a crash that a pooler's
    /// connection hides.
    pub async fn remove_with_the_feed(&mut self) {
        let removal = self.removal() + WAITS;
        let emptying = "truncate feed, feed_epoch".to_owned();
        let world = self.world.clone();
        let _turn = world.emptying.lock().await;
        self.end_by_sql(End::Removed, &[removal, emptying]).await;
    }

    /// An operator deletes the row, commits a while later, and waits after that.
    pub async fn remove_late(&mut self) {
        let removal = self.removal() + WAITS;
        let pause = "select pg_sleep(0.15)".to_owned();
        self.end_by_sql(End::Removed, &[removal, pause]).await;
    }

    /// An operator disables the account and deletes the row of the session, in one transaction.
    pub async fn suspend_by_sql(&mut self) {
        let id = self.user().id;
        let disabling =
            format!("update users set disabled_at = now() where id = '{id}' and disabled_at is null");
        let removal = self.removal();
        let started = self.world.now();
        if let Some(answered) = self.end_by_sql(End::Removed, &[removal, disabling]).await {
            self.record(Deed::Disabled, SQL, started, answered);
        }
        self.enable().await;
    }

    fn removal(&self) -> String {
        let id = self.user().id;
        format!(
            "with gone as (delete from sessions where user_id = '{id}' and expires_at > now() returning *)
             insert into {REMOVED} select user_id, user_agent from gone"
        )
    }

    /// Ends the user's session in the database: the first change does, and its row count says whether there
    /// was one. Returns when that was answered, if it was begun.
    async fn end_by_sql(&mut self, end: End, changes: &[String]) -> Option<Option<Duration>> {
        let whose = Whose::User;
        self.world.ending.notify_one();
        let started = self.world.now();
        let (deed, is_done) = match self.rewrite(changes).await {
            Ok(Ok(0)) => (Deed::FoundNone { whose }, true),
            Ok(Ok(_)) => (Deed::Ended { whose, end }, true),
            Ok(Err(_)) => (Deed::Ended { whose, end }, false),
            // No connection.
            Err(_) => return None,
        };
        let answered = is_done.then(|| self.world.now());
        self.record(deed, SQL, started, answered);
        Some(answered)
    }

    /// Makes the last activity so old that the next request records it again, but not so old that the session
    /// is over.
    pub async fn grow_old(&mut self) {
        // It does not matter whether this was done.
        let change =
            self.of_live_session("last_activity = least(last_activity, now() - interval '30 minutes')");
        let _ = self.rewrite(&[change]).await;
    }

    fn of_live_session(&self, change: &str) -> String {
        let id = self.user().id;
        format!("update sessions set {change} where user_id = '{id}' and expires_at > now()")
    }

    /// Makes these changes in one transaction. If the first says so, the wait comes after the commit, and
    /// otherwise before it. Returns how many rows the first changed.
    async fn rewrite(&self, changes: &[String]) -> ConnectionResult<QueryResult<usize>> {
        let url = self.world.database_url.clone();
        let id = self.user().id;
        let lock = format!("select from users where id = '{id}' for update");
        let changes = changes.to_vec();
        let work = move || {
            let mut connection = PgConnection::establish(&url)?;
            hostile::undo(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
            let waits = changes[0].ends_with(WAITS);
            let done = connection.transaction(|connection| {
                // Waits for a sign-in that is running; otherwise it would see neither the old session nor the
                // new one.
                diesel::sql_query(lock).execute(connection)?;
                let mut counts = Vec::new();
                for change in changes {
                    counts.push(diesel::sql_query(change).execute(connection)?);
                }
                Ok(counts[0])
            });
            // A program that reads the database sees an end before instances have forgotten the session.
            if waits && done.is_ok() || done == Ok(0) {
                let wait = "select pg_sleep(extract(epoch from feed_wait()))";
                return Ok(diesel::sql_query(wait).execute(&mut connection).and(done));
            }
            Ok(done)
        };
        timeout(DEADLINE, tokio::task::spawn_blocking(work))
            .await
            .expect("the database hangs")
            .unwrap()
    }
}

/// The end of a statement whose author waits after the commit.
const WAITS: &str = " returning set_config('oneseat.waits_after_commit', 'on', true)";

/// The answer to a holder of a token.
fn of_holder(token: Number, reply: &Reply, if_done: Deed) -> Deed {
    match reply.code.as_str() {
        "200" => if_done,
        "401 session_ended" => Deed::Refused {
            token,
            end: End::For(reply.body["reason"].as_str().unwrap().parse().unwrap()),
        },
        "401 token_invalid" => Deed::Refused {
            token,
            end: End::Removed,
        },
        _ => panic!("whoever holds a token was answered {reply:?}"),
    }
}
