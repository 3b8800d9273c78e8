//! Remembers which mail the server took last. A relay may refuse every mail with a reply that refuses a recipient.
//! Only if the server takes mail to others is its reply about the recipient.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::moment::Moment;

/// The last mail that the server took since this instance started. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct LastTaken(Arc<Mutex<Option<Taken>>>);

#[derive(Debug)]
struct Taken {
    at: Moment,
    /// The digest of its recipient.
    to: String,
}

impl LastTaken {
    /// Notes that the server took a mail to the address with this digest.
    pub(super) fn note(&self, to: String) {
        let at = Moment::now();
        *self.taken() = Some(Taken { at, to });
    }

    /// How long ago the server took its last mail. `None` if it was to the address with this digest, or there was none.
    pub(super) fn by_another(&self, to: &str) -> Option<Duration> {
        let taken = self.taken();
        let taken = taken.as_ref().filter(|taken| taken.to != to)?;
        Some(Moment::now().since(taken.at))
    }

    fn taken(&self) -> MutexGuard<'_, Option<Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mail_to_another_address_says_that_the_server_takes_mail() {
        let last = LastTaken::default();
        assert_eq!(last.by_another("ada"), None);
        last.clone().note("bob".to_owned());
        assert!(last.by_another("ada").is_some());
        assert_eq!(last.by_another("bob"), None);
    }
}
