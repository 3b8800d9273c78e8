//! The callers who act at random: who they are, and what they do.

use std::sync::Arc;
use std::time::Duration;

use oneseat::users::Email;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::RequestBuilder;

use super::checker::Call;
use super::line::{DEADLINE, Outcome, Reply, exchange};
use super::seat::{Deed, Whose};
use super::world::{Key, User, World, locked};
use crate::support::Client;

/// What callers do, and how often in a thousand acts.
const HABITS: [(Act, u32); 15] = [
    (Act::Look, 766),
    (Act::SignIn, 90),
    (Act::SignInWrongly, 10),
    (Act::SignOut, 50),
    (Act::Grow, 25),
    (Act::RevokeSession, 12),
    (Act::RevokeUser, 10),
    (Act::RevokeAll, 2),
    (Act::SetPassword, 8),
    (Act::Suspend, 9),
    // Rare: while one of these waits, no instance answers from memory.
    (Act::Expire, 6),
    (Act::Remove, 6),
    (Act::RemoveLate, 4),
    (Act::RemoveWithTheFeed, 2),
    (Act::SuspendBySql, 4),
];

#[derive(Clone, Copy)]
pub enum Act {
    Look,
    SignIn,
    SignInWrongly,
    SignOut,
    /// The session's last activity becomes old, so that the next look writes it down again.
    Grow,
    RevokeSession,
    RevokeUser,
    RevokeAll,
    SetPassword,
    /// Disable, and after a while enable.
    Suspend,
    /// The session expires.
    Expire,
    /// Deletes the row of the session.
    Remove,
    /// Deletes the row, as an operator whose commit comes late and who waits after it.
    RemoveLate,
    /// Deletes the row, and the rows of the feed that name the user.
    RemoveWithTheFeed,
    /// Disables the account in plain SQL.
    SuspendBySql,
}

/// How long a session lives before an end that must be noticed: in that time every instance asks the feed.
pub const REMEMBERED: Duration = Duration::from_millis(200);
/// How long nothing happens after such an end.
const SEEN: Duration = Duration::from_millis(150);

/// One of the callers who compete for a user's seat.
pub struct Person {
    pub world: Arc<World>,
    user: usize,
    client: Client,
    /// Each caller has its own address: limits per origin are not tested here.
    origin: String,
    /// The instance that is always asked; `None`: any.
    pub place: Option<usize>,
    pub rng: StdRng,
}

impl Person {
    /// The caller with this number, who competes for this user's seat.
    pub fn new(world: Arc<World>, user: usize, number: usize, seed: u64) -> Self {
        Self {
            client: world.client.clone(),
            world,
            user,
            origin: format!("10.0.{}.{}", number / 200, 1 + number % 200),
            place: None,
            rng: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
        }
    }

    /// Acts until the run is over, with a pause of up to twice this long after each act.
    pub async fn live(mut self, pause: Duration) {
        while !self.world.is_over() {
            let (act, _) = HABITS
                .choose_weighted(&mut self.rng, |(_, often)| *often)
                .unwrap();
            self.act(*act).await;
            // Paces the load.
            tokio::time::sleep(pause.mul_f64(self.rng.random_range(0.0..2.0))).await;
        }
    }

    /// Watches a seat until the run is over: validates its last token at this instance again and again, to
    /// see whether the instance accepts a token after its end. A refusal may take a lease, so no caller
    /// watches two instances.
    pub async fn watch(mut self, instance: usize, pause: Duration) {
        while !self.world.is_over() {
            let is_accepted = match self.key_of_last(1) {
                Some(key) => self.look_at(key, instance).await,
                None => false,
            };
            let pause = if is_accepted { pause } else { 4 * pause };
            tokio::time::sleep(pause.mul_f64(self.rng.random_range(0.0..2.0))).await;
        }
    }

    /// Until the run is over: takes the seat, waits until all instances could remember the session, and ends
    /// it in this way.
    pub async fn end_again_and_again(mut self, end: Act) {
        while !self.world.is_over() {
            self.sign_in(true).await;
            tokio::time::sleep(REMEMBERED.mul_f64(self.rng.random_range(1.0..2.0))).await;
            self.act(end).await;
            tokio::time::sleep(SEEN).await;
        }
    }

    pub async fn act(&mut self, act: Act) {
        match act {
            Act::Look => self.look().await,
            Act::SignIn => self.sign_in(true).await,
            Act::SignInWrongly => self.sign_in(false).await,
            Act::SignOut => self.sign_out().await,
            Act::Grow => self.grow_old().await,
            Act::RevokeSession => self.revoke_session().await,
            Act::RevokeUser => {
                let path = format!("/api/admin/users/{}/session", self.user().id);
                self.world.ending.notify_one();
                self.revoke(Whose::User, &path).await;
            }
            Act::RevokeAll => self.revoke_all().await,
            Act::SetPassword => self.set_password().await,
            Act::Suspend => self.suspend().await,
            Act::Expire => self.expire().await,
            Act::Remove => self.remove().await,
            Act::RemoveLate => self.remove_late().await,
            Act::RemoveWithTheFeed => self.remove_with_the_feed().await,
            Act::SuspendBySql => self.suspend_by_sql().await,
        }
    }

    pub fn user(&self) -> &User {
        &self.world.users[self.user]
    }

    pub fn email(&self) -> Email {
        self.user().email.parse().unwrap()
    }

    /// One of the tokens given out: most often the last, often one that was live shortly before.
    pub fn key(&mut self) -> Option<Key> {
        let among = *[1, 1, 1, 3, 3, usize::MAX].choose(&mut self.rng).unwrap();
        self.key_of_last(among)
    }

    fn key_of_last(&mut self, among: usize) -> Option<Key> {
        let keys = locked(&self.world.users[self.user].keys);
        let from = keys.len().saturating_sub(among);
        (!keys.is_empty()).then(|| keys[self.rng.random_range(from..keys.len())].clone())
    }

    /// The password that is right, as far as is known.
    pub fn password(&mut self) -> usize {
        let passwords = locked(&self.world.users[self.user].passwords);
        passwords[self.rng.random_range(0..passwords.len())]
    }

    /// The instance of this caller, or any one; with its name.
    pub fn somewhere(&mut self) -> (&'static str, Client) {
        let n = self.rng.random_range(0..self.world.instances());
        self.at(self.place.unwrap_or(n))
    }

    /// This instance, and its name.
    pub fn at(&self, instance: usize) -> (&'static str, Client) {
        let (place, address) = self.world.instance(instance);
        (place, self.client.at(address))
    }

    /// Few callers give up at once; some leave in the middle.
    pub fn wait(&mut self) -> Duration {
        if self.rng.random_bool(0.02) {
            Duration::from_millis(self.rng.random_range(1..30))
        } else {
            DEADLINE
        }
    }

    /// Sends a request. Returns the answer and when the call began. A lost call is recorded with the effect
    /// that it would have.
    pub async fn ask(
        &mut self,
        place: &'static str,
        request: RequestBuilder,
        if_lost: Option<&Deed>,
    ) -> Option<(Reply, Duration)> {
        let wait = self.wait();
        let started = self.world.now();
        let request = request.header("X-Forwarded-For", &self.origin);
        match (exchange(&self.world, request, wait).await, if_lost) {
            // Refused before anything was done.
            (Outcome::Answered(reply), _) if reply.code.starts_with("429") => None,
            (Outcome::Answered(reply), _) => Some((reply, started)),
            (Outcome::Lost, Some(deed)) => {
                self.record(deed.clone(), place, started, None);
                None
            }
            (Outcome::Lost | Outcome::NotSent, _) => None,
        }
    }

    /// Records a call.
    pub fn record(&self, deed: Deed, place: &'static str, started: Duration, answered: Option<Duration>) {
        let call = Call {
            deed,
            started,
            answered,
            place,
        };
        self.world.record(self.user, call);
    }
}
