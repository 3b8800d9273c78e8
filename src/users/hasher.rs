//! Argon2id on a few threads of its own: a storm of sign-ins queues here, and takes neither the memory nor the threads
//! that everything else lives on.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Password, Proposed, Unusable};
use crate::crew::{Crew, Full, Worker};
use crate::fair_queue::{FairQueue, Put};
use crate::network::Share;

/// OWASP Password Storage Cheat Sheet: m=19456 (19 MiB), t=2, p=1.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Blocks of 1 KiB that are asked for together, used or not. glibc gives what is larger than 32 MiB back to the system when it
/// is freed, and keeps what is smaller for later; what is never used takes no memory.
const ROOM: usize = 33 * 1_024;

/// Passwords that may wait: some seconds of work, shared fairly among origins. Past it the answer is [`Error::Busy`].
const QUEUE: usize = 256;

/// How long one may wait, on a machine so busy with other things that the queue is longer than it looks.
const DEADLINE: Duration = Duration::from_secs(10);

/// How much hashing gives way, from 0 to 19: at 10 a core shared with other work gives it a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// A right password.
#[derive(Debug)]
pub struct Match {
    /// The same password hashed with today's parameters, if the stored hash was weaker.
    pub stronger: Option<PasswordHash>,
}

/// Nothing was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many are waiting.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// No randomness, no memory, or a thread that died.
    #[error("the password could not be hashed")]
    Failed,
}

/// The threads that hash. Cheap to clone; they end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    /// One call for each entry of the queue.
    crew: Crew<()>,
    queue: Arc<Mutex<FairQueue<Job>>>,
    /// Verified against when there is no account: the time must not tell.
    dummy: Arc<PasswordHash>,
}

type Memory = Vec<Block>;
/// Done with the memory of a thread; or without, and then it is told that there was no place for it.
type Job = Box<dyn FnOnce(Option<&mut Memory>) + Send>;

/// One thread of low priority, and the memory that it hashes in.
struct Hands {
    queue: Arc<Mutex<FairQueue<Job>>>,
    memory: Memory,
}

impl PasswordHash {
    /// As read from the database.
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// As written to the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl Hasher {
    /// Starts `threads` workers, each with 19 MiB that it reuses.
    ///
    /// # Errors
    /// [`Error::Failed`] when a thread cannot be started or the first hash cannot be made.
    pub fn start(threads: usize) -> Result<Self, Error> {
        let dummy = Password::generate().map_err(|_| Error::Failed)?;
        let dummy = hash(&dummy, &mut Memory::new())?;
        let queue = Arc::new(Mutex::new(FairQueue::new(QUEUE)));
        let hire = {
            let queue = queue.clone();
            move || Hands::new(queue.clone())
        };
        let crew = Crew::start("hasher", threads, QUEUE, hire).map_err(|_| Error::Failed)?;
        Ok(Self {
            crew,
            queue,
            dummy: Arc::new(dummy),
        })
    }

    /// Passwords that wait for their turn.
    pub fn waiting(&self) -> usize {
        locked(&self.queue).len()
    }

    /// Hashes a new password that has been judged.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Error> {
        self.submit(Share::OWN, move |memory| hash(&password, memory))
            .await?
    }

    /// Judges a new password and hashes it, if it will do. `about` is what is known of whose it will be.
    ///
    /// # Errors
    /// See [`Error`]; within it [`Unusable::Guessable`].
    pub async fn hash_proposed(
        &self,
        proposed: Proposed,
        about: Vec<String>,
        share: Share,
    ) -> Result<Result<PasswordHash, Unusable>, Error> {
        let judge = move |memory: &mut Memory| {
            let about: Vec<&str> = about.iter().map(String::as_str).collect();
            match proposed.judged(&about) {
                Ok(password) => hash(&password, memory).map(Ok),
                Err(why) => Ok(Err(why)),
            }
        };
        self.submit(share, judge).await?
    }

    /// Is it the password? Without a stored hash the answer is no, after the same work.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
        share: Share,
    ) -> Result<Option<Match>, Error> {
        let stored = stored.unwrap_or_else(|| (*self.dummy).clone());
        self.submit(share, move |memory| verify(&password, &stored, memory))
            .await?
    }

    async fn submit<T: Send + 'static>(
        &self,
        share: Share,
        task: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Whoever asked may have gone: then nobody pays for the answer.
            if !reply.is_closed() {
                let _ = reply.send(memory.map(task).ok_or(Error::Busy));
            }
        });
        let put = locked(&self.queue).put(share, job);
        match put {
            // As many calls as entries: there is a place for it.
            Put::Queued => self.crew.submit(()).map_err(|Full| Error::Busy)?,
            Put::InPlaceOf(displaced) => displaced(None),
            Put::Full(_) => return Err(Error::Busy),
        }
        // A closed reply is a job that costs nothing any more.
        timeout(DEADLINE, answer)
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Failed)?
    }
}

fn locked(queue: &Mutex<FairQueue<Job>>) -> MutexGuard<'_, FairQueue<Job>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hands {
    fn new(queue: Arc<Mutex<FairQueue<Job>>>) -> Self {
        give_way();
        Self {
            queue,
            memory: Memory::new(),
        }
    }
}

impl Worker<()> for Hands {
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

/// Whatever else this thread's machine has to do comes first: on Linux, where a priority is a thread's own.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        log::warn!("passwords are checked at full priority: {error}");
    }
}

fn current_params() -> Result<Params, Error> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|_| Error::Failed)
}

fn hash(password: &Password, memory: &mut Memory) -> Result<PasswordHash, Error> {
    let mut salt = [0; SALT_BYTES];
    SysRng.try_fill_bytes(&mut salt).map_err(|_| Error::Failed)?;
    let params = current_params()?;
    let output = digest(
        password,
        &salt,
        Algorithm::Argon2id,
        Version::V0x13,
        &params,
        memory,
    )?;
    let phc = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| Error::Failed)?,
        salt: Some(Salt::new(&salt).map_err(|_| Error::Failed)?),
        hash: Some(output),
    };
    Ok(PasswordHash(phc.to_string()))
}

fn verify(password: &Password, stored: &PasswordHash, memory: &mut Memory) -> Result<Option<Match>, Error> {
    let Some(parsed) = Parsed::of(stored) else {
        // As slow as any other wrong password: a broken account must not stand out.
        log::error!("a stored password hash cannot be read; its user cannot sign in");
        hash(password, memory)?;
        return Ok(None);
    };
    let Parsed {
        algorithm,
        version,
        params,
        salt,
        expected,
    } = parsed;
    // Compared in constant time by `Output`.
    let is_right = digest(password, &salt, algorithm, version, &params, memory)? == expected;
    let is_current = algorithm == Algorithm::Argon2id
        && version == Version::V0x13
        && params.m_cost() >= MEMORY_KIB
        && params.t_cost() >= PASSES;
    // For a right password the hash to store, for a wrong one the time that it would have taken.
    let stronger = if is_current {
        None
    } else {
        Some(hash(password, memory)?)
    };
    Ok(is_right.then_some(Match { stronger }))
}

/// A PHC string, taken apart.
struct Parsed {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    expected: Output,
}

impl Parsed {
    fn of(stored: &PasswordHash) -> Option<Self> {
        let phc = phc::PasswordHash::new(stored.as_str()).ok()?;
        Some(Self {
            algorithm: Algorithm::try_from(phc.algorithm.as_str()).ok()?,
            version: phc
                .version
                .map_or(Ok(Version::default()), Version::try_from)
                .ok()?,
            params: Params::try_from(&phc).ok()?,
            salt: phc.salt?,
            expected: phc.hash?,
        })
    }
}

fn digest(
    password: &Password,
    salt: &[u8],
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    memory: &mut Memory,
) -> Result<Output, Error> {
    if memory.len() < params.block_count() {
        memory.reserve(ROOM.saturating_sub(memory.len()));
        memory.resize(params.block_count(), Block::default());
    }
    let mut out = [0; Output::MAX_LENGTH];
    let out = &mut out[..params.output_len().unwrap_or(HASH_BYTES)];
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory[..])
        .map_err(|_| Error::Failed)?;
    Output::new(out).map_err(|_| Error::Failed)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    fn password(text: &str) -> Password {
        Password::typed(text).unwrap()
    }

    #[test]
    fn a_hash_is_argon2id_with_the_recommended_parameters() {
        let hash = hash(&password("right"), &mut Memory::new()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[test]
    fn only_the_same_password_matches() {
        let memory = &mut Memory::new();
        let hash = hash(&password("right"), memory).unwrap();
        let right = verify(&password("right"), &hash, memory).unwrap();
        assert!(right.is_some_and(|right| right.stronger.is_none()));
        assert!(verify(&password("Right"), &hash, memory).unwrap().is_none());
    }

    #[test]
    fn passwords_that_differ_at_byte_73_differ() {
        let memory = &mut Memory::new();
        let start = "x".repeat(72);
        let hash = hash(&password(&format!("{start}a")), memory).unwrap();
        assert!(
            verify(&password(&format!("{start}b")), &hash, memory)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_weaker_hash_is_made_anew_when_the_password_is_right() {
        // argon2id, m=8, t=1, p=1, of "password" and "somesalt".
        let params = Params::new(8, 1, 1, Some(HASH_BYTES)).unwrap();
        let memory = &mut Memory::new();
        let version = Version::V0x13;
        let output = digest(
            &password("right"),
            b"somesalt",
            Algorithm::Argon2id,
            version,
            &params,
            memory,
        );
        let weak = phc::PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(version.into()),
            params: ParamsString::try_from(&params).unwrap(),
            salt: Some(Salt::new(b"somesalt").unwrap()),
            hash: Some(output.unwrap()),
        };
        let weak = PasswordHash(weak.to_string());
        let right = verify(&password("right"), &weak, memory).unwrap().unwrap();
        assert!(right.stronger.unwrap().as_str().contains("m=19456,t=2,p=1"));
        assert!(verify(&password("wrong"), &weak, memory).unwrap().is_none());
    }

    #[test]
    fn a_stored_hash_that_makes_no_sense_matches_nothing() {
        let nonsense = PasswordHash("correct horse".to_owned());
        assert!(
            verify(&password("x"), &nonsense, &mut Memory::new())
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_new_password_is_judged_in_its_turn_on_a_hashing_thread_and_nowhere_else() {
        let hasher = Hasher::start(1).unwrap();
        let (go_on, permission) = mpsc::channel();
        let mut held = Box::pin(hasher.submit(Share::OWN, move |_| permission.recv()));
        assert!(held.as_mut().now_or_never().is_none());
        let guessable = || Proposed::new("passwordpassword1").unwrap();
        let mut judged = Box::pin(hasher.hash_proposed(guessable(), Vec::new(), Share::OWN));
        assert!(judged.as_mut().now_or_never().is_none());
        assert!(hasher.waiting() > 0);
        go_on.send(()).unwrap();
        assert_eq!(held.await, Ok(Ok(())));
        assert!(matches!(judged.await, Ok(Err(Unusable::Guessable(_)))));

        let nobody = Hasher::start(0).unwrap();
        let judged = nobody.hash_proposed(guessable(), Vec::new(), Share::OWN);
        assert_eq!(judged.await.unwrap_err(), Error::Busy);
    }
}
