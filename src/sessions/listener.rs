//! Listens for ends of all instances: one thread and one connection, with PostgreSQL's LISTEN.
//!
//! A notification sent while the connection is lost is lost with it. So after each connect the listener looks
//! at every watched session once, and reports those that ended in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use serde::Deserialize;
use uuid::Uuid;

use super::history::{CHANGED, ENDED};
use super::store::{SessionStatus, look};
use super::watchers::Watchers;
use super::{EndReason, Ending};
use crate::config::SessionPolicy;
use crate::db::{Unavailable, connect};
use crate::redaction::cleaned;

/// How often notifications are read: well within the second that a notice may take.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the connection is tested, since a vanished peer says nothing.
const TRIAL: Duration = Duration::from_secs(2);
/// A connection that fails its tests for this long is given up.
const SILENCE: Duration = Duration::from_secs(8);
/// Pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);

/// A running listener; stops when dropped.
pub struct Listener {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Deserialize)]
struct Notice {
    session: Uuid,
    reason: String,
    at: DateTime<Utc>,
}

impl Listener {
    /// Starts a listener at this database for these watchers.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(url: String, watchers: Watchers) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let until = stopping.clone();
        let thread = std::thread::Builder::new()
            .name("listener".to_owned())
            .spawn(move || {
                while !until.load(Ordering::Relaxed) {
                    if let Err(error) = supervise(&url, &watchers, &until) {
                        log::warn!("not listening for endings: {error}");
                        std::thread::sleep(RETRY);
                    }
                }
            })?;
        Ok(Self {
            stopping,
            thread: Some(thread),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One connection, and the thread that reads from it.
#[derive(Clone)]
struct Subscription {
    /// The thread is to stop.
    given_up: Arc<AtomicBool>,
    /// The last time the connection worked.
    heard: Arc<Mutex<Instant>>,
}

/// Listens with one connection until stopped or until the connection fails. libpq waits for an answer without
/// a limit, so a thread that can be abandoned does the waiting.
fn supervise(url: &str, watchers: &Watchers, stopping: &AtomicBool) -> Result<(), Unavailable> {
    let subscription = Subscription {
        given_up: Arc::default(),
        heard: Arc::new(Mutex::new(Instant::now())),
    };
    let thread = {
        let (url, watchers, subscription) = (url.to_owned(), watchers.clone(), subscription.clone());
        std::thread::Builder::new()
            .name("listener".to_owned())
            .spawn(move || subscription.listen(&url, &watchers))
    };
    let thread = thread.map_err(|error| Unavailable::new(&error))?;
    loop {
        if thread.is_finished() {
            return thread
                .join()
                .unwrap_or_else(|_| Err(Unavailable::new(&"the thread died")));
        }
        if stopping.load(Ordering::Relaxed) {
            subscription.given_up.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if subscription.heard().elapsed() > SILENCE {
            subscription.given_up.store(true, Ordering::Relaxed);
            return Err(Unavailable::new(&"the connection is silent"));
        }
        std::thread::sleep(PAUSE);
    }
}

impl Subscription {
    fn heard(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn works(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn listen(&self, url: &str, watchers: &Watchers) -> Result<(), Unavailable> {
        let mut conn = connect(url)?;
        conn.batch_execute(&format!("listen {ENDED}; listen {CHANGED}"))?;
        catch_up(&mut conn, watchers)?;
        self.works();
        while !self.given_up.load(Ordering::Relaxed) {
            let mut has_changed = false;
            for notification in conn.notifications_iter() {
                let notification = notification?;
                has_changed = true;
                if notification.channel == ENDED {
                    match read(&notification.payload) {
                        Some(ending) => watchers.tell(ending),
                        None => {
                            log::error!("a notice that makes no sense: {}", cleaned(&notification.payload))
                        }
                    }
                }
            }
            if has_changed {
                watchers.tell_change();
            }
            if self.heard().elapsed() > TRIAL {
                conn.batch_execute("select 1")?;
                self.works();
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

fn catch_up(conn: &mut PgConnection, watchers: &Watchers) -> Result<(), Unavailable> {
    // Expiry is reported by the stream itself, which knows the time.
    for look in look(conn, &watchers.watched(), &SessionPolicy::AS_STORED)?.into_values() {
        if let SessionStatus::Ended(ending) = look {
            watchers.tell(ending);
        }
    }
    watchers.tell_change();
    Ok(())
}

fn read(payload: &str) -> Option<Ending> {
    let notice: Notice = serde_json::from_str(payload).ok()?;
    let reason: EndReason = notice.reason.parse().ok()?;
    Some(Ending {
        session: notice.session,
        reason,
        at: notice.at,
    })
}
