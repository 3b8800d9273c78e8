//! What the callers of a run share: the users, the instances, and the record of what was done.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oneseat::auth::Auth;
use oneseat::auth::accounts::NewAccount;
use oneseat::users::{Password, Role};
use tokio::sync::Notify;
use uuid::Uuid;

use super::checker::Call;
use super::seat::{Deed, End, Number};
use crate::support::{Client, Database, PASSWORD};

/// The table of the sessions whose rows an operator deleted.
pub const REMOVED: &str = "removed_sessions";

/// Everything a run has.
pub struct World {
    began: Instant,
    pub users: Vec<User>,
    instances: Vec<(&'static str, Mutex<SocketAddr>)>,
    /// The token of an admin whose session no caller ends.
    pub admin: String,
    /// All clients are copies of this one, because making one takes a tenth of a second.
    pub client: Client,
    /// The operator's use cases, over the same database.
    pub operator: Auth,
    pub database_url: String,
    sign_ins: AtomicUsize,
    passwords: AtomicUsize,
    tally: Mutex<BTreeMap<String, usize>>,
    operations: AtomicUsize,
    /// Notified when a caller begins to end a session, for a fault that aims at that moment.
    pub ending: Notify,
    /// Held while the feed is emptied: two callers at once would block each other.
    pub emptying: tokio::sync::Mutex<()>,
    is_over: AtomicBool,
}

/// The name under which a refusal without a reason is counted.
const REFUSED_AS_UNKNOWN: &str = "token_invalid";
/// The name under which every fault is counted.
pub const FAULTS: &str = "faults";
/// The sources of answers to validations, as instances count them.
pub const SOURCES: [&str; 2] = ["memory", "database"];

/// A user whose seat is fought over.
pub struct User {
    pub email: String,
    pub id: Uuid,
    pub calls: Mutex<Vec<Call<Deed>>>,
    /// The possible passwords at this moment, the likeliest last.
    pub passwords: Mutex<Vec<usize>>,
    pub keys: Mutex<Vec<Key>>,
}

/// A token that a caller was given.
#[derive(Clone)]
pub struct Key {
    pub number: Number,
    pub token: String,
    /// Told by the first look.
    pub session: Option<Uuid>,
}

/// The name under which answers from memory are counted.
pub fn from(source: &str) -> String {
    format!("from {source}")
}

/// The clear text of the password with this number.
pub fn password(number: usize) -> String {
    match number {
        0 => PASSWORD.to_owned(),
        _ => format!("{PASSWORD}, the {number}th"),
    }
}

/// A lock that ignores poisoning: the first panic is the one to read.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Makes the users and the admin.
    pub async fn new(
        operator: Auth,
        database_url: String,
        instances: Vec<(&'static str, SocketAddr)>,
        users: usize,
    ) -> Self {
        let account = |name: String, role| NewAccount {
            email: format!("{name}@example.org").parse().unwrap(),
            name: name.parse().unwrap(),
            role,
            email_verified: true,
            password: Password::chosen(PASSWORD, &[]).unwrap(),
        };
        operator
            .add_user(account("root".to_owned(), Role::Admin))
            .await
            .unwrap();
        let client = Client::new(instances[0].1);
        let admin = client.sign_in("root@example.org").await;
        let mut all = Vec::new();
        for n in 0..users {
            let user = operator
                .add_user(account(format!("user{n}"), Role::User))
                .await
                .unwrap();
            all.push(User {
                email: user.email,
                id: user.id,
                calls: Mutex::default(),
                passwords: Mutex::new(vec![0]),
                keys: Mutex::default(),
            });
        }
        Database::at(database_url.clone()).execute(&format!(
            "create table {REMOVED} (user_id uuid not null, user_agent text not null)"
        ));
        Self {
            began: Instant::now(),
            users: all,
            instances: instances
                .into_iter()
                .map(|(name, address)| (name, Mutex::new(address)))
                .collect(),
            admin: admin.token.unwrap(),
            client,
            operator,
            database_url,
            sign_ins: AtomicUsize::new(1),
            passwords: AtomicUsize::new(1),
            tally: Mutex::default(),
            operations: AtomicUsize::new(0),
            ending: Notify::new(),
            emptying: tokio::sync::Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// The one clock of the record.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn instances(&self) -> usize {
        self.instances.len()
    }

    /// The name of an instance, and its present address.
    pub fn instance(&self, n: usize) -> (&'static str, SocketAddr) {
        (self.instances[n].0, *locked(&self.instances[n].1))
    }

    pub fn has_moved(&self, instance: usize, address: SocketAddr) {
        *locked(&self.instances[instance].1) = address;
    }

    pub fn next_sign_in(&self) -> Number {
        self.sign_ins.fetch_add(1, Ordering::Relaxed)
    }

    /// A password that nobody has ever had.
    pub fn next_password(&self) -> usize {
        self.passwords.fetch_add(1, Ordering::Relaxed)
    }

    pub fn record(&self, user: usize, call: Call<Deed>) {
        self.count(&match (&call.deed, call.answered) {
            (_, None) => "unanswered".to_owned(),
            (Deed::SignedIn { .. }, _) => "signed in".to_owned(),
            (Deed::WrongPassword { .. }, _) => "wrong password".to_owned(),
            (Deed::RefusedAsDisabled { .. }, _) => "refused as disabled".to_owned(),
            (Deed::Accepted { .. }, _) => "accepted".to_owned(),
            (Deed::Refused { end, .. }, _) => match end {
                End::For(reason) => reason.as_str(),
                End::Removed => REFUSED_AS_UNKNOWN,
            }
            .to_owned(),
            (Deed::FoundNone { .. }, _) => "none to end".to_owned(),
            _ => "changes".to_owned(),
        });
        self.operations.fetch_add(1, Ordering::Relaxed);
        locked(&self.users[user].calls).push(call);
    }

    pub fn count(&self, what: &str) {
        self.add(what, 1);
    }

    pub fn add(&self, what: &str, more: usize) {
        let mut tally = locked(&self.tally);
        match tally.get_mut(what) {
            Some(count) => *count += more,
            None => drop(tally.insert(what.to_owned(), more)),
        }
    }

    /// How many calls were recorded.
    pub fn operations(&self) -> usize {
        self.operations.load(Ordering::Relaxed)
    }

    /// The share of all validations that were answered from memory.
    pub fn share_from_memory(&self) -> f64 {
        let [memory, database] = SOURCES.map(|source| self.counted(&from(source)));
        memory as f64 / (memory + database).max(1) as f64
    }

    /// How often this name was recorded.
    pub fn counted(&self, what: &str) -> usize {
        locked(&self.tally).get(what).copied().unwrap_or_default()
    }

    /// One line of progress.
    pub fn progress(&self) -> String {
        let (operations, seconds) = (self.operations(), self.now().as_secs());
        let rate = operations as u64 / seconds.max(1);
        let (faults, share) = (self.counted(FAULTS), 100.0 * self.share_from_memory());
        let tally = locked(&self.tally);
        let items: Vec<String> = tally.iter().map(|(what, n)| format!("{n} {what}")).collect();
        format!(
            "{seconds:>4} s: {operations} operations ({rate}/s), {faults} faults, {share:.0} % from memory: {}",
            items.join(", ")
        )
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Goes on after an end.
    pub fn go_on(&self) {
        self.is_over.store(false, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
