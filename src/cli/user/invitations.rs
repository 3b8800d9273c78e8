//! Finds out whether a server sends the mails in the outbox. A command has other settings than the servers, and cannot
//! know whether one of them sends mail. On a terminal it watches the outbox for a moment; another program does not
//! have to wait for that.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::auth::Auth;
use crate::cli::progress::told_after_a_while;
use crate::mail::outbox::Waiting;
use crate::users::Email;

/// How long a command watches the outbox. Servers look into it once a second.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether invitations are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// A server sends mails, or has sent these.
    UnderWay,
    /// This many wait, and no server took any mail meanwhile.
    Left(i64),
    /// It could not be found out.
    Unknown,
}

/// Whether the invitation to this address is sent, in words.
pub(super) async fn of_one(auth: &Auth, to: &Email) -> &'static str {
    let sending = match stdout().is_terminal() {
        true => looked_on(auth, Some(to), PATIENCE).await,
        false => Sending::Unknown,
    };
    match sending {
        Sending::UnderWay => "the mail is on its way",
        Sending::Left(_) => {
            "no server has taken the mail yet: it waits until a `oneseat serve` runs that sends mail (--smtp-url)"
        }
        Sending::Unknown => "a `oneseat serve` that sends mail (--smtp-url) sends it",
    }
}

/// A sentence about all invitations, if some wait.
pub(super) async fn of_all(auth: &Auth) -> Option<String> {
    let patience = match stdout().is_terminal() {
        true => PATIENCE,
        false => Duration::ZERO,
    };
    let in_all = match looked_on(auth, None, patience).await {
        Sending::Left(1) => "1 invitation waits in all".to_owned(),
        Sending::Left(left) => format!("{left} invitations wait in all"),
        Sending::UnderWay => return None,
        Sending::Unknown => "invitations may wait".to_owned(),
    };
    Some(format!(
        "{in_all}, until a `oneseat serve` that sends mail (--smtp-url) takes them"
    ))
}

async fn looked_on(auth: &Auth, to: Option<&Email>, patience: Duration) -> Sending {
    let count = async || auth.waiting_mails(to.cloned()).await.ok();
    told_after_a_while("waiting for a server that sends mail", watch(count, patience)).await
}

/// Counts what waits until a server has taken a mail, or `patience` is over. Any mail will do, because a server may
/// still be busy with earlier ones.
async fn watch(mut count: impl AsyncFnMut() -> Option<Waiting>, patience: Duration) -> Sending {
    let began = Instant::now();
    let mut before: Option<Waiting> = None;
    loop {
        let Some(now) = count().await else {
            return Sending::Unknown;
        };
        let is_taken = before.is_some_and(|before| {
            now.invitations < before.invitations
                || now.untouched < before.untouched
                || now.attempts > before.attempts
        });
        if now.invitations == 0 || is_taken {
            return Sending::UnderWay;
        }
        if began.elapsed() >= patience {
            return Sending::Left(now.invitations);
        }
        before = Some(now);
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn watched(counts: &[Option<[i64; 3]>], patience: Duration) -> Sending {
        let mut counts = counts.iter();
        let count = async || {
            let [invitations, untouched, attempts] = (*counts.next().expect("nobody looks any more"))?;
            Some(Waiting {
                invitations,
                untouched,
                attempts,
            })
        };
        watch(count, patience).await
    }

    #[tokio::test]
    async fn a_server_that_works_through_a_long_queue_sends_the_mail() {
        let long = Duration::from_secs(600);
        for counts in [
            &[Some([0, 9, 0])][..],
            &[Some([1, 9, 0]), Some([1, 9, 0]), Some([0, 9, 0])],
            &[Some([1, 9, 0]), Some([1, 8, 0])],
            &[Some([1, 9, 0]), Some([1, 11, 1])],
        ] {
            assert_eq!(watched(counts, long).await, Sending::UnderWay, "{counts:?}");
        }
        assert_eq!(watched(&[Some([1, 9, 0]), None], long).await, Sending::Unknown);
        let unchanged = [Some([1, 9, 0]), Some([1, 9, 0])];
        assert_eq!(
            watched(&unchanged, Duration::from_millis(1)).await,
            Sending::Left(1)
        );
        assert_eq!(
            watched(&[Some([2, 9, 5])], Duration::ZERO).await,
            Sending::Left(2)
        );
    }
}
