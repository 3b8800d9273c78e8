//! A bounded queue and the few threads that serve it.
//!
//! For work that would hold the async threads up. It cannot pile up: past its bound the queue refuses at once. It cannot
//! stop: a thread whose work panics loses that piece of work and goes on.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// After this long without work a thread is told to rest.
const IDLE: Duration = Duration::from_secs(10);

/// What one thread does.
pub trait Worker<T> {
    /// Takes up to this many pieces of work at a time: what waits already, never waiting for more.
    const BATCH: usize;

    /// Does them. There is at least one.
    fn work(&mut self, batch: Vec<T>);

    /// Nothing has come for a while: gives back what is not needed meanwhile.
    fn rest(&mut self) {}
}

/// The queue's end that takes work. Cheap to clone; the threads end with the last clone.
pub struct WorkerPool<T> {
    queue: Sender<T>,
}

/// The queue is full, or nobody serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T: Send + 'static> WorkerPool<T> {
    /// Starts `threads` threads, each with a worker that `make_worker` makes on it, behind a queue of `bound` places.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn start<W: Worker<T>>(
        name: &str,
        threads: usize,
        bound: usize,
        make_worker: impl Fn() -> W + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, work) = bounded(bound);
        for _ in 0..threads {
            let (work, make_worker) = (work.clone(), make_worker.clone());
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || serve(&work, make_worker()))?;
        }
        Ok(Self { queue })
    }

    /// Pieces of work that nobody has begun.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Puts a piece of work into the queue.
    ///
    /// # Errors
    /// [`Full`], at once.
    pub fn submit(&self, work: T) -> Result<(), Full> {
        self.queue.try_send(work).map_err(|_| Full)
    }
}

fn serve<T, W: Worker<T>>(queue: &Receiver<T>, mut worker: W) {
    loop {
        let first = match queue.recv_timeout(IDLE) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                worker.rest();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = Vec::with_capacity(W::BATCH);
        batch.push(first);
        batch.extend(queue.try_iter().take(W::BATCH - 1));
        // Whoever waits for a lost piece of work learns it from the reply that never comes.
        if catch_unwind(AssertUnwindSafe(|| worker.work(batch))).is_err() {
            log::error!(
                "a thread named {} lost a piece of work to a panic",
                thread::current().name().unwrap_or_default()
            );
        }
    }
}

impl<T> Clone for WorkerPool<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<T> fmt::Debug for WorkerPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("waiting", &self.queue.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Panics at zero, and hands every batch on.
    struct Picky(Sender<Vec<u32>>);

    impl Worker<u32> for Picky {
        const BATCH: usize = 1;

        fn work(&mut self, batch: Vec<u32>) {
            assert!(!batch.contains(&0), "a panic on purpose");
            self.0.send(batch).unwrap();
        }
    }

    /// A worker that has taken one piece and waits for its permission to go on.
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
