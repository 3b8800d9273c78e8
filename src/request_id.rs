//! The id of a request, with which each log line and each problem about it can be found.

use std::fmt;
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The longest id accepted from another program, in bytes.
const LONGEST: usize = 128;

/// The id of a request: 1 to 128 letters, digits and `-._~+/=`, so that it fits into a header and a line of a log as
/// it is. It allocates no memory, because every request has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    bytes: [u8; LONGEST],
    length: usize,
}

impl RequestId {
    /// A new, unique id: the first half is random per process, the second is a counter.
    pub fn new() -> Self {
        static PROCESS: LazyLock<u32> = LazyLock::new(rand::random);
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; LONGEST];
        let mut rest = &mut bytes[..];
        // The text fits.
        let _ = write!(rest, "{:08x}-{count:08x}", *PROCESS);
        let length = LONGEST - rest.len();
        Self { bytes, length }
    }

    /// An id from another program; `None` when it has another shape.
    pub fn given(bytes: &[u8]) -> Option<Self> {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        let is_one = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(fits);
        is_one.then(|| {
            let (mut own, length) = ([0; LONGEST], bytes.len());
            own[..length].copy_from_slice(bytes);
            Self { bytes: own, length }
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// The id of the current request, if there is one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `answering` with this id.
    pub fn scope<F: Future>(self, answering: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, answering)
    }

    /// Carries the current id along to the thread that does the work.
    pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let current = Self::current();
        move || match current {
            Some(id) => CURRENT.sync_scope(id, work),
            None => work(),
        }
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same_and_each_could_be_given() {
        let (one, other) = (RequestId::new(), RequestId::new());
        assert_ne!(one, other);
        assert_eq!(RequestId::given(one.as_str().as_bytes()), Some(one));
    }

    #[test]
    fn what_would_not_fit_into_a_line_is_not_taken_over() {
        let longest = "x".repeat(LONGEST);
        assert!(RequestId::given(longest.as_bytes()).is_some());
        for bad in [
            &b""[..],
            b"two words",
            b"a\nline",
            b"quote\"",
            b"\xff",
            format!("{longest}x").as_bytes(),
        ] {
            assert_eq!(RequestId::given(bad), None);
        }
    }

    #[tokio::test]
    async fn it_follows_the_work_to_another_thread() {
        let id = RequestId::new();
        let seen = id.clone().scope(async {
            tokio::task::spawn_blocking(RequestId::carried(RequestId::current))
                .await
                .unwrap()
        });
        assert_eq!(seen.await, Some(id));
        assert_eq!(RequestId::current(), None);
    }
}
