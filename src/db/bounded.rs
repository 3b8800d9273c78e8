//! A connection whose every answer has a deadline, whatever the server or the network does.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use diesel::QueryResult;

use super::{PgConnection, Unavailable, connect};

type Job = Box<dyn FnOnce(&mut PgConnection) + Send>;

/// One connection outside the pool, on a thread of its own. libpq waits for an answer for as long as the peer
/// answers its keepalives, even if PostgreSQL is frozen: here the caller gives up in time, and the thread is
/// left behind with the connection. The next piece of work gets a new one.
pub struct BoundedConnection {
    url: Arc<str>,
    name: &'static str,
    worker: Option<Sender<Job>>,
}

impl BoundedConnection {
    /// Connects when it is first used. `name` is the name of the thread.
    pub fn new(url: &str, name: &'static str) -> Self {
        Self {
            url: url.into(),
            name,
            worker: None,
        }
    }

    /// Whether there is a connection: `false` before the first use and after a failure.
    pub fn is_open(&self) -> bool {
        self.worker.is_some()
    }

    /// Closes the connection as soon as it has nothing to do. The next piece of work gets a new one.
    pub fn close(&mut self) {
        self.worker = None;
    }

    /// Runs `work` and waits for the answer until `deadline` is over. After a failure the connection is not
    /// used again.
    ///
    /// # Errors
    /// PostgreSQL's own words, or that there was no answer in time.
    pub fn run<T: Send + 'static>(
        &mut self,
        deadline: Duration,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (done, answer) = bounded(1);
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.start(done.clone())?,
        };
        let job: Job = Box::new(move |conn| {
            // The caller may have given up.
            let _ = done.send(work(conn).map_err(Unavailable::from));
        });
        if worker.send(job).is_err() {
            return answer.try_recv().unwrap_or_else(|_| Err(lost()));
        }
        let answer = answer.recv_timeout(deadline).map_err(|error| match error {
            crossbeam_channel::RecvTimeoutError::Timeout => Unavailable::new(&"no answer in time"),
            crossbeam_channel::RecvTimeoutError::Disconnected => lost(),
        })?;
        if answer.is_ok() {
            self.worker = Some(worker);
        }
        answer
    }

    /// Starts a thread that connects and then works until its channel is closed.
    fn start<T: Send + 'static>(
        &self,
        failed: Sender<Result<T, Unavailable>>,
    ) -> Result<Sender<Job>, Unavailable> {
        let (worker, jobs) = bounded::<Job>(1);
        let url = self.url.clone();
        thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || {
                let mut connection = match connect(&url) {
                    Ok(connection) => connection,
                    Err(error) => {
                        let _ = failed.send(Err(error));
                        return;
                    }
                };
                drop(failed);
                for job in jobs {
                    job(&mut connection);
                }
            })
            .map_err(|error| Unavailable::new(&error))?;
        Ok(worker)
    }
}

fn lost() -> Unavailable {
    Unavailable::new(&"the connection was lost")
}
