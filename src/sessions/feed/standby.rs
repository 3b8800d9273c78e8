//! A server that has crashed, or was stopped, while a commit waited for a synchronous standby shows what that commit
//! did when it runs again, although the standby may not have it. So nothing that the feed says of a server
//! counts before the standby has received all that this server began with.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use crate::db::{PgConnection, Unavailable, connect};

/// A commit that waits for the standby. Standbys receive in order: then this one has everything from before, too.
const LAST_WORD: &str =
    "select pg_logical_emit_message(true, 'oneseat', 'a standby that has this has what came before')";

/// How long to wait for it at a time.
const PATIENCE: Duration = Duration::from_secs(3);

type Answer = Result<Option<String>, Unavailable>;

/// What is known of the standby of the servers that answered.
pub(super) struct Standby {
    url: Arc<str>,
    /// The server whose standby has everything that this server began with, or that waits for none.
    received: Option<Arc<str>>,
    /// A commit that waits, at which server.
    waiting: Option<(Arc<str>, Receiver<Answer>)>,
}

impl Standby {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            received: None,
            waiting: None,
        }
    }

    /// Is nothing more to be done for this server?
    pub(super) fn has_what_began(&self, server: &Arc<str>) -> bool {
        self.received.as_ref() == Some(server)
    }

    /// This server waits for no standby.
    pub(super) fn is_not_wanted(&mut self, server: &Arc<str>) {
        self.received = Some(server.clone());
    }

    /// Waits for a while until the standby has everything that this server began with. One commit at a time
    /// waits, on a thread and a connection of its own: without a standby it does so for ever.
    ///
    /// # Errors
    /// Not yet.
    pub(super) fn wait_out(&mut self, server: &Arc<str>) -> Result<(), Unavailable> {
        let (at, answer) = match self.waiting.take() {
            Some((at, answer)) if at == *server => (at, answer),
            _ => (server.clone(), self.begin()?),
        };
        match answer.recv_timeout(PATIENCE) {
            Ok(Ok(Some(committed))) if *committed == **server => {
                self.received = Some(at);
                Ok(())
            }
            Ok(Ok(_)) => Err(Unavailable::new(&"the server has changed")),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.waiting = Some((at, answer));
                Err(Unavailable::new(
                    &"its synchronous standby has not received everything",
                ))
            }
        }
    }

    fn begin(&self) -> Result<Receiver<Answer>, Unavailable> {
        let (tell, told) = bounded(1);
        let url = self.url.clone();
        thread::Builder::new()
            .name("standby".to_owned())
            .spawn(move || {
                let _ = tell.send(committed(&url));
            })
            .map_err(|error| Unavailable::new(&error))?;
        Ok(told)
    }
}

/// Does a server have its commits wait for a standby, and which? Behind a pooler it need not be the one that answered before.
pub(super) fn is_waited_for(conn: &mut PgConnection) -> QueryResult<(bool, Option<String>)> {
    let is_waited_for = "current_setting('synchronous_standby_names') <> ''
         and current_setting('synchronous_commit') not in ('off', 'local')";
    diesel::select((sql::<Bool>(is_waited_for), sql::<Nullable<Text>>("feed_server()"))).get_result(conn)
}

/// Commits, and names the server that did: in that transaction, or a pooler might ask another one.
fn committed(url: &str) -> Answer {
    let mut connection = connect(url)?;
    let server = connection.transaction(|connection| {
        diesel::sql_query(LAST_WORD).execute(connection)?;
        diesel::select(sql::<Nullable<Text>>("feed_server()")).get_result(connection)
    });
    Ok(server?)
}
