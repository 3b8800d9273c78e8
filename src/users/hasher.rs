//! Hashes passwords on a few threads of its own. When many users sign in at once, their passwords wait in the
//! queue here, and do not take the memory and the threads that other work needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::foreign_hash::UnusableHash;
use super::password_hash::{Checked, Match, Memory, NotHashed, PasswordHash, hash, verify};
use super::store::Credentials;
use super::{Password, Proposed, Unusable, User};
use crate::config::Pepper;
use crate::fair_queue::{FairQueue, Put};
use crate::network::Networks;
use crate::worker_pool::{Full, Worker, WorkerPool};

/// The most passwords that may wait: some seconds of work, shared fairly among origins. Beyond it, the answer
/// is [`Error::Busy`].
const QUEUE: usize = 256;

/// The longest wait. A busy machine may be slower than the length of the queue suggests.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long after one link to a user with an unusable hash the next may be mailed, however often somebody
/// tries to sign in: a later link ends an earlier one.
const PAUSE_BETWEEN_HELP: Duration = Duration::from_secs(60 * 60);

/// The niceness of hashing, from 0 to 19. At 10, hashing gets a tenth of a core that it shares with other
/// work.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Why nothing was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many passwords are waiting.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// There was no randomness or no memory, or the thread died.
    #[error("the password could not be hashed")]
    Failed,
}

impl From<NotHashed> for Error {
    fn from(NotHashed: NotHashed) -> Self {
        Self::Failed
    }
}

/// The result of a check.
#[derive(Debug)]
pub enum Verdict {
    /// The password is right.
    Right(Match),
    /// The password is wrong, or there is no account.
    Wrong,
    /// No password can be right: the stored hash is unusable. Strangers must not be able to tell this from a
    /// wrong password.
    Unusable {
        /// Whether to mail the user a link now: `true` once an hour at most.
        needs_help: bool,
    },
    /// The password could not be checked, because its hash needs a pepper and none is configured. It may be
    /// right.
    NoPepper,
}

/// The hashing threads. Cloning is cheap; the threads end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    /// The threads. The pool gets one call for each entry of the queue.
    pool: WorkerPool<()>,
    queue: Arc<Mutex<FairQueue<Job>>>,
    /// The hash to check for an address without an account, so that the time of the answer does not reveal
    /// that.
    dummy: Arc<PasswordHash>,
    /// The pepper for hashes that were made with one.
    pepper: Option<Pepper>,
    /// Users whose unusable hash was logged, and when they were last mailed a link. One line in the log is
    /// enough, however often strangers try to sign in.
    unusable: Arc<Mutex<HashMap<Uuid, Instant>>>,
}

/// A task that runs with the memory of a thread. It gets `None` if another entry took its place in the queue.
type Job = Box<dyn FnOnce(Option<&mut Memory>) + Send>;

/// One low-priority thread and the memory in which it hashes.
struct HashWorker {
    queue: Arc<Mutex<FairQueue<Job>>>,
    memory: Memory,
}

impl Hasher {
    /// Starts `threads` workers, each with 19 MiB that it reuses. A hash of another system may take up to 33
    /// MiB of a thread, and one at a time 128 MiB.
    ///
    /// # Errors
    /// [`Error::Failed`] when a thread cannot be started or the first hash cannot be made.
    pub fn start(threads: usize, pepper: Option<Pepper>) -> Result<Self, Error> {
        let dummy = Password::generate().map_err(|_| Error::Failed)?;
        let dummy = hash(&dummy, &mut Memory::new())?;
        let queue = Arc::new(Mutex::new(FairQueue::new(QUEUE)));
        let make_worker = {
            let queue = queue.clone();
            move || HashWorker::new(queue.clone())
        };
        let pool = WorkerPool::start("hasher", threads, QUEUE, make_worker).map_err(|_| Error::Failed)?;
        Ok(Self {
            pool,
            queue,
            dummy: Arc::new(dummy),
            pepper,
            unusable: Arc::default(),
        })
    }

    /// The number of passwords that wait.
    pub fn waiting(&self) -> usize {
        locked(&self.queue).len()
    }

    /// Whether there is a pepper for the hashes that were made with one.
    pub fn has_pepper(&self) -> bool {
        self.pepper.is_some()
    }

    /// Hashes a new password whose strength has been judged.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Error> {
        let hashed = self.submit(Networks::OWN, move |memory| hash(&password, memory));
        Ok(hashed.await??)
    }

    /// Judges a new password and hashes it, if it is acceptable. `about` describes its owner: name and
    /// address.
    ///
    /// # Errors
    /// See [`Error`]; the inner error is [`Unusable::Guessable`].
    pub async fn hash_proposed(
        &self,
        proposed: Proposed,
        about: Vec<String>,
        networks: Networks,
    ) -> Result<Result<PasswordHash, Unusable>, Error> {
        let judge = move |memory: &mut Memory| {
            let about: Vec<&str> = about.iter().map(String::as_str).collect();
            match proposed.judged(&about) {
                Ok(password) => hash(&password, memory).map(Ok),
                Err(why) => Ok(Err(why)),
            }
        };
        Ok(self.submit(networks, judge).await??)
    }

    /// Checks the account's password. Without an account or a hash it is wrong, after the same work.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn verify(
        &self,
        password: Password,
        account: Option<&Credentials>,
        networks: Networks,
    ) -> Result<Verdict, Error> {
        let stored = account.and_then(|found| found.password_hash.clone());
        let stored = stored.unwrap_or_else(|| (*self.dummy).clone());
        let user = account.map(|found| found.user.clone());
        let (pepper, unusable) = (self.pepper.clone(), self.unusable.clone());
        let check = move |memory: &mut Memory| {
            let checked = verify(&password, &stored, pepper.as_ref(), memory)?;
            Ok(match (checked, user) {
                (Checked::Right(ours), Some(User { name, email, .. })) => Verdict::Right(Match {
                    ours,
                    is_below_rules: !password.meets_rules(&[&name, &email]),
                }),
                (Checked::Unusable(why), Some(user)) => {
                    let needs_help = note_unusable(&mut locked(&unusable), user.id, why);
                    match why {
                        UnusableHash::NoPepper => Verdict::NoPepper,
                        UnusableHash::Unreadable | UnusableHash::TooDear => Verdict::Unusable { needs_help },
                    }
                }
                _ => Verdict::Wrong,
            })
        };
        self.submit(networks, check).await?
    }

    async fn submit<T: Send + 'static>(
        &self,
        networks: Networks,
        task: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Nothing is hashed for a caller that has gone.
            if !reply.is_closed() {
                let _ = reply.send(memory.map(task).ok_or(Error::Busy));
            }
        });
        let put = locked(&self.queue).put(networks, job);
        match put {
            // The pool has a place for each entry of the queue.
            Put::Queued => self.pool.submit(()).map_err(|Full| Error::Busy)?,
            Put::InPlaceOf(displaced) => displaced(None),
            Put::Full(_) => return Err(Error::Busy),
        }
        // A job whose reply is closed costs nothing.
        timeout(DEADLINE, answer)
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Failed)?
    }
}

/// Logs once that the user's hash is unusable. Returns whether to mail the user a link now.
fn note_unusable(noted: &mut HashMap<Uuid, Instant>, user: Uuid, why: UnusableHash) -> bool {
    let helped = noted.get(&user);
    if helped.is_none() {
        log::error!(user:%, reason:% = why; "a stored password hash is of no use: its user cannot sign in with it");
    }
    let needs_help = helped.is_none_or(|helped| helped.elapsed() > PAUSE_BETWEEN_HELP);
    if needs_help {
        noted.insert(user, Instant::now());
    }
    needs_help
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HashWorker {
    fn new(queue: Arc<Mutex<FairQueue<Job>>>) -> Self {
        give_way();
        Self {
            queue,
            memory: Memory::new(),
        }
    }
}

impl Worker<()> for HashWorker {
    const BATCH: usize = 1;

    fn work(&mut self, calls: Vec<()>) {
        for () in calls {
            let next = locked(&self.queue).take();
            if let Some(job) = next {
                job(Some(&mut self.memory));
            }
        }
    }

    fn rest(&mut self) {
        self.memory = Memory::new();
    }
}

/// Lets all other work of the machine go first. Only on Linux, where each thread has its own priority.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        log::warn!("passwords are checked at full priority: {error}");
    }
}

#[cfg(test)]
mod tests;
