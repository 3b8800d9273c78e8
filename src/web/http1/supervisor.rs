//! Watches a running server: whether it answers, and whether it still can.
//!
//! The server crate restarts a thread that died. If that fails, it goes on with the threads that are left, or
//! with none. This module counts them, and tells when the server cannot go on.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::rt::task::{JoinError, JoinHandle};
use actix_web::rt::time::sleep;
use tokio::sync::watch;
use tokio::time::timeout;

use super::self_check::SelfCheck;

/// How long a thread that died may be missing.
const REPLACEMENT: Duration = Duration::from_secs(10);
/// Pause between two looks for a first answer.
const LOOK: Duration = Duration::from_millis(50);

/// The threads that serve. Each holds a [`Presence`].
#[derive(Clone)]
pub(crate) struct Workers {
    all: usize,
    present: watch::Sender<usize>,
    /// Whether one of the threads has answered a request.
    has_answered: Arc<AtomicBool>,
}

impl Workers {
    /// Expects this many threads.
    pub(crate) fn new(all: usize) -> Self {
        Self {
            all,
            present: watch::Sender::new(0),
            has_answered: Arc::default(),
        }
    }

    /// Completes when a thread has answered a request.
    async fn first_answer(&self) {
        while !self.has_answered.load(Ordering::Relaxed) {
            sleep(LOOK).await;
        }
    }

    /// Counts a thread that has started.
    pub(crate) fn arrive(&self) -> Presence {
        self.present.send_modify(|present| *present += 1);
        Presence(self.clone())
    }

    fn is_complete(&self) -> bool {
        *self.present.borrow() >= self.all
    }

    /// Completes when fewer threads are there than should be.
    async fn lost_one(&self) {
        let mut present = self.present.subscribe();
        // The sender is ours, so this cannot fail.
        let _ = present.wait_for(|present| *present < self.all).await;
    }
}

/// A thread that serves holds this, and drops it when it ends.
pub(crate) struct Presence(Workers);

impl Presence {
    /// Notes that the thread has answered. Called for each request.
    pub(in crate::web) fn answered(&self) {
        let has_answered = &self.0.has_answered;
        if !has_answered.load(Ordering::Relaxed) {
            has_answered.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.present.send_modify(|present| *present -= 1);
    }
}

/// A server that runs until it is stopped. Dropping it cuts off what is under way.
pub(crate) struct Running {
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
    workers: Workers,
    check: SelfCheck,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent at once; nothing waits for the end.
        drop(self.handle.stop(false));
    }
}

impl Running {
    /// Starts the server, and waits until it has answered the check or a client. After a restart clients may
    /// take every place before the check comes, and keep it.
    ///
    /// # Errors
    /// When it cannot start, or does not answer in time.
    pub(crate) async fn start(server: Server, workers: Workers, check: SelfCheck) -> io::Result<Self> {
        let mut this = Self {
            handle: server.handle(),
            task: actix_web::rt::spawn(server),
            workers,
            check,
        };
        tokio::select! {
            ended = &mut this.task => Err(why(ended)),
            answered = this.check.answered() => answered.map(|()| this),
            () = this.workers.first_answer() => Ok(this),
        }
    }

    /// Completes with the reason when the server cannot go on.
    pub(crate) async fn failed(&mut self) -> io::Error {
        loop {
            tokio::select! {
                ended = &mut self.task => return why(ended),
                () = self.workers.lost_one() => log::error!("a thread that serves has died"),
            }
            // The server misses the thread, and starts another, only when that thread is to take a
            // connection.
            let replaced = async {
                while !self.workers.is_complete() {
                    self.check.knock().await;
                }
            };
            match timeout(REPLACEMENT, replaced).await {
                Ok(()) => log::warn!("another thread serves in its place"),
                Err(_) => {
                    return io::Error::other(
                        "a thread that serves has died, and no other one could be started",
                    );
                }
            }
        }
    }

    /// Takes no new connections, lets what is under way finish, and ends.
    pub(crate) async fn stop(self) {
        self.handle.stop(true).await;
    }

    /// Ends at once, and cuts off what is under way.
    pub(crate) async fn cut_off(self) {
        self.handle.stop(false).await;
    }
}

/// Why a server has ended without having been told to.
fn why(ended: Result<io::Result<()>, JoinError>) -> io::Error {
    match ended {
        Ok(Ok(())) => io::Error::other("the server has ended"),
        Ok(Err(error)) => io::Error::new(error.kind(), format!("the server cannot serve: {error}")),
        Err(error) => {
            let words = error.try_into_panic().map(words);
            let words = words.unwrap_or_else(|error| error.to_string());
            io::Error::other(format!(
                "the server cannot serve: a thread did not start: {words}"
            ))
        }
    }
}

fn words(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic
            .downcast::<&str>()
            .map_or_else(|_| "a panic".to_owned(), |words| (*words).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use actix_server::Server;
    use actix_service::fn_service;
    use actix_web::rt::net::TcpStream;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What happens to the only thread that serves.
    #[derive(Clone, Default)]
    struct Fate {
        dies: Arc<AtomicBool>,
        stays_dead: Arc<AtomicBool>,
    }

    async fn server(fate: &Fate) -> (Running, SelfCheck) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let workers = Workers::new(1);
        let (fate, arriving) = (fate.clone(), workers.clone());
        let server = Server::build().workers(1).disable_signals();
        let server = server.listen("test", listener, move || {
            assert!(
                !fate.stays_dead.load(Ordering::SeqCst),
                "on purpose: no other thread"
            );
            let (presence, fate) = (Arc::new(arriving.arrive()), fate.clone());
            fn_service(move |mut tcp: TcpStream| {
                // Held for as long as the thread serves.
                let _ = &presence;
                assert!(
                    !fate.dies.swap(false, Ordering::SeqCst),
                    "on purpose: the thread dies"
                );
                async move { tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await }
            })
        });
        let running = Running::start(server.unwrap().run(), workers, SelfCheck::http(address)).await;
        (running.unwrap(), SelfCheck::http(address))
    }

    #[actix_web::test]
    async fn a_thread_that_dies_is_replaced_without_a_client_that_notices() {
        let fate = Fate::default();
        let (mut server, check) = server(&fate).await;
        fate.dies.store(true, Ordering::SeqCst);
        check.knock().await;
        let dead = server.workers.lost_one();
        timeout(Duration::from_secs(60), dead).await.unwrap();
        let mut present = server.workers.present.subscribe();
        tokio::select! {
            error = server.failed() => panic!("{error}"),
            present = present.wait_for(|present| *present == 1) => drop(present.unwrap()),
        }
        check.answered().await.unwrap();
        server.stop().await;
    }

    #[actix_web::test]
    async fn a_server_whose_threads_have_died_for_good_has_failed() {
        let fate = Fate::default();
        let (mut server, check) = server(&fate).await;
        fate.stays_dead.store(true, Ordering::SeqCst);
        fate.dies.store(true, Ordering::SeqCst);
        check.knock().await;
        let failed = timeout(Duration::from_secs(60), server.failed()).await.unwrap();
        assert!(failed.to_string().contains("has died"), "{failed}");
    }

    #[actix_web::test]
    async fn a_server_whose_threads_cannot_start_has_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let check = SelfCheck::http(listener.local_addr().unwrap());
        let server = Server::build().workers(2).disable_signals();
        let server = server.listen("test", listener, || {
            assert!(std::thread::current().name().is_none(), "on purpose: no thread");
            fn_service(async |_: TcpStream| Ok::<_, ()>(()))
        });
        let started = Running::start(server.unwrap().run(), Workers::new(2), check);
        let failed = timeout(Duration::from_secs(60), started)
            .await
            .unwrap()
            .err()
            .unwrap();
        assert!(failed.to_string().contains("the server cannot serve"), "{failed}");
    }
}
