//! Whether somebody sends what was put into the outbox. A command has other settings than the servers, and cannot know
//! whether one of them sends mail: it looks on for a moment.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::auth::Auth;
use crate::cli::progress::told_after_a_while;
use crate::users::Email;

/// Servers look into the outbox once a second.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What is said where nobody sends them.
pub(super) const NOBODY_SENDS: &str =
    "no server takes it, so it waits until a `oneseat serve` runs that sends mail (--smtp-url)";

/// How many invitations wait, of all or of those to this address, if no server takes one meanwhile. None: one does, or there are none.
/// What cannot be found out is no reason to worry.
pub(super) async fn left_waiting(auth: &Auth, to: Option<&Email>) -> Option<i64> {
    let count = async || auth.untouched_invitations(to.cloned()).await.ok();
    let looking = async {
        let (began, waiting) = (Instant::now(), count().await?);
        let mut left = waiting;
        while left > 0 && left >= waiting {
            if began.elapsed() > PATIENCE {
                return Some(left);
            }
            sleep(PAUSE).await;
            left = count().await?;
        }
        None
    };
    told_after_a_while("waiting for a server that sends mail", looking).await
}
