//! Hears what every instance ends: one thread and one connection, with PostgreSQL's LISTEN.
//!
//! A notification sent while the connection is lost is lost with it. So whenever the listener has connected, it looks at
//! every watched session once: what ended in between is told then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use serde::Deserialize;
use uuid::Uuid;

use super::history::{CHANGED, ENDED};
use super::store::{Look, look};
use super::watchers::Watchers;
use super::{EndReason, Ending};
use crate::db::{Unavailable, connect};

/// How often what has arrived is read: well within the second that a notice may take.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the connection is tried, since a peer that vanished says nothing.
const TRIAL: Duration = Duration::from_secs(5);
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
    /// Starts to listen at this database for these watchers.
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
                    if let Err(error) = listen(&url, &watchers, &until) {
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

/// Listens until told to stop or the connection is lost.
fn listen(url: &str, watchers: &Watchers, stopping: &AtomicBool) -> Result<(), Unavailable> {
    let mut conn = connect(url)?;
    conn.batch_execute(&format!("listen {ENDED}; listen {CHANGED}"))?;
    catch_up(&mut conn, watchers)?;
    let mut tried = Instant::now();
    while !stopping.load(Ordering::Relaxed) {
        let mut has_changed = false;
        for notification in conn.notifications_iter() {
            let notification = notification?;
            has_changed = true;
            if notification.channel == ENDED {
                match read(&notification.payload) {
                    Some(ending) => watchers.tell(ending),
                    None => log::error!("a notice that makes no sense: {:?}", notification.payload),
                }
            }
        }
        if has_changed {
            watchers.tell_change();
        }
        if tried.elapsed() > TRIAL {
            conn.batch_execute("select 1")?;
            tried = Instant::now();
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn catch_up(conn: &mut PgConnection, watchers: &Watchers) -> Result<(), Unavailable> {
    for look in look(conn, &watchers.watched())?.into_values() {
        if let Look::Ended(ending) = look {
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
