//! A bounded queue and a few threads that serve it.
//!
//! For work that would block the async threads. Work cannot pile up: a full queue refuses at once. A panic
//! loses one batch of work at most, and its thread goes on.

use std::fmt;
use std::io;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// The work of one thread.
pub trait Worker<T> {
    /// The most pieces of work taken at a time; it never waits for more.
    const BATCH: usize;

    /// After this time without work a thread rests.
    const IDLE: Duration = Duration::from_secs(10);

    /// Does the work. The batch is not empty.
    fn work(&mut self, batch: Vec<T>);

    /// Called after [`IDLE`](Self::IDLE): releases what is not needed meanwhile.
    fn rest(&mut self) {}
}

/// The sending end of the queue. Cheap to clone; the threads end with the last clone.
pub struct WorkerPool<T>(Sender<T>);

/// The queue is full, or no thread serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T: Send + 'static> WorkerPool<T> {
    /// Starts `threads` threads behind a queue of `bound` places. Each makes its worker with `make_worker`,
    /// and another one for the next batch if that panics.
    ///
    /// # Errors
    /// When the operating system provides no thread.
    pub fn start<W: Worker<T>>(
        name: &str,
        threads: usize,
        bound: usize,
        make_worker: impl Fn() -> W + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, work) = bounded(bound);
        for _ in 0..threads {
            let (work, make_worker) = (work.clone(), make_worker.clone());
            let serve = move || serve(&work, make_worker);
            thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        }
        Ok(Self(queue))
    }

    /// Pieces of work that no thread has begun.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }

    /// Puts a piece of work into the queue.
    ///
    /// # Errors
    /// [`Full`]; it never waits.
    pub fn submit(&self, work: T) -> Result<(), Full> {
        self.0.try_send(work).map_err(|_| Full)
    }
}

fn serve<T, W: Worker<T>>(queue: &Receiver<T>, make_worker: impl Fn() -> W) {
    let mut worker = None;
    survive(|| _ = worker.insert(make_worker()));
    loop {
        let batch: Vec<T> = match queue.recv_timeout(W::IDLE) {
            Ok(first) => iter::once(first)
                .chain(queue.try_iter().take(W::BATCH - 1))
                .collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        survive(|| {
            let worker = worker.get_or_insert_with(&make_worker);
            match batch.is_empty() {
                true => worker.rest(),
                false => worker.work(batch),
            }
        });
    }
}

/// Runs a step of a thread. A panic is logged and goes no further: the callers of lost work learn it from the
/// reply that never comes.
fn survive(step: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        log::error!(
            "a thread named {} had a panic; what it worked on is lost",
            thread::current().name().unwrap_or_default()
        );
    }
}

impl<T> Clone for WorkerPool<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for WorkerPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("waiting", &self.0.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Panics at zero, and sends every other batch on.
    struct Picky(Sender<Vec<u32>>);

    impl Worker<u32> for Picky {
        const BATCH: usize = 1;

        fn work(&mut self, batch: Vec<u32>) {
            assert!(!batch.contains(&0), "a panic on purpose");
            self.0.send(batch).unwrap();
        }
    }

    /// A worker that sends each batch on and waits for permission to continue.
    struct Held(Receiver<()>, Sender<Vec<u32>>);

    impl Worker<u32> for Held {
        const BATCH: usize = 3;

        fn work(&mut self, batch: Vec<u32>) {
            self.1.send(batch).unwrap();
            self.0.recv().unwrap();
        }
    }

    #[test]
    fn a_panic_costs_one_piece_of_work_and_no_thread() {
        let (done, seen) = channel();
        let pool = WorkerPool::start("picky", 1, 8, move || Picky(done.clone())).unwrap();
        for piece in [0, 0, 7] {
            pool.submit(piece).unwrap();
        }
        assert_eq!(seen.recv().unwrap(), [7]);
    }

    /// Panics when it rests, and when it is the first that was made.
    struct Restless(Sender<Vec<u32>>);

    impl Restless {
        fn made(made: &AtomicU64, done: &Sender<Vec<u32>>) -> Self {
            assert!(made.fetch_add(1, Ordering::Relaxed) > 0, "a panic on purpose");
            Self(done.clone())
        }
    }

    impl Worker<u32> for Restless {
        const BATCH: usize = 1;
        const IDLE: Duration = Duration::from_millis(1);

        fn work(&mut self, batch: Vec<u32>) {
            self.0.send(batch).unwrap();
        }

        fn rest(&mut self) {
            self.0.send(Vec::new()).unwrap();
            panic!("a panic on purpose");
        }
    }

    #[test]
    fn a_panic_between_two_batches_costs_nothing() {
        let ((done, seen), made) = (channel(), Arc::new(AtomicU64::new(0)));
        let make_worker = move || Restless::made(&made, &done);
        let pool = WorkerPool::start("restless", 1, 8, make_worker).unwrap();
        for piece in [7, 8] {
            while !seen.recv().unwrap().is_empty() {}
            pool.submit(piece).unwrap();
            let mut worked = seen.iter().filter(|batch| !batch.is_empty());
            assert_eq!(worked.next().unwrap(), [piece]);
        }
    }

    #[test]
    fn what_waits_is_taken_together_and_what_is_too_much_is_refused() {
        let (done, seen) = channel();
        let (go_on, permission) = bounded(8);
        let pool = WorkerPool::start("held", 1, 4, move || Held(permission.clone(), done.clone())).unwrap();
        pool.submit(0).unwrap();
        assert_eq!(seen.recv().unwrap(), [0]);
        for piece in 1..=4 {
            pool.submit(piece).unwrap();
        }
        assert_eq!(pool.submit(5), Err(Full));
        for _ in 0..3 {
            go_on.send(()).unwrap();
        }
        assert_eq!(seen.recv().unwrap(), [1, 2, 3]);
        assert_eq!(seen.recv().unwrap(), [4]);
    }

    #[test]
    fn without_threads_everything_is_too_much() {
        let pool = WorkerPool::start("nobody", 0, 8, || Picky(channel().0)).unwrap();
        assert_eq!(pool.submit(1), Err(Full));
    }
}
