//! What this instance knows of pages whose sessions end with them: when each was heard last, its event stream
//! here, and the streams that the other side has closed.
//!
//! Kept in memory, because it changes with each request. [`super::page_marks`] writes down what other
//! instances have to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::moment::Moment;

/// A page that has no stream here is forgotten after this time of silence: longer than any question looks
/// back. So is a lost stream whose proxy was not heard again for so long.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// The pages of one instance. Cheap to clone.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    /// Whether a task reads what is known, and forgets it in time. Otherwise nothing is kept.
    is_watching: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The pages, by session.
    pages: HashMap<Uuid, Page>,
    lost: Vec<LostStream>,
    is_stopping: bool,
}

struct Page {
    heard: Moment,
    /// Its newest stream at this instance.
    stream: Option<Uuid>,
    /// When the page said that it may be about to go, unless it has opened a stream since.
    leaving: Option<Moment>,
}

/// What is known of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The time since its last request.
    pub silent_for: Duration,
    /// Its newest stream at this instance, if that is open.
    pub stream: Option<Uuid>,
}

/// A stream that the other side has closed.
#[derive(Clone, Debug)]
pub struct LostStream {
    /// The session.
    pub session: Uuid,
    /// The stream.
    pub stream: Uuid,
    /// How long the page had been silent.
    pub silent_for: Duration,
    at: Moment,
    proxy: Option<LastHeard>,
}

/// When a proxy was heard last. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LastHeard(Arc<Mutex<Moment>>);

/// The open stream of a page. If it is dropped without a call of [`PageStream::close`], the other side has
/// closed it.
pub struct PageStream {
    pages: Pages,
    session: Uuid,
    stream: Uuid,
    proxy: Option<LastHeard>,
    is_over: bool,
}

impl LastHeard {
    /// A proxy that is heard now for the first time.
    pub fn now() -> Self {
        Self(Arc::new(Mutex::new(Moment::now())))
    }

    /// Notes that the proxy is heard now.
    pub fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Moment::now();
    }

    fn is_after(&self, moment: Moment) -> bool {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard != moment && heard.is_from(moment)
    }
}

impl Pages {
    /// Without `is_watching`, nothing is kept.
    pub fn new(is_watching: bool) -> Self {
        Self(Arc::new(Inner {
            is_watching,
            known: Mutex::default(),
        }))
    }

    /// Notes that the page of this session sent a request at this moment.
    pub fn heard(&self, session: Uuid, at: Moment) {
        if !self.0.is_watching {
            return;
        }
        let mut known = self.known();
        let page = known.page(session, at);
        if at.is_from(page.heard) {
            page.heard = at;
        }
    }

    /// Registers a stream that the page of this session has opened, and the proxy that it came through, if
    /// any.
    pub fn open_stream(&self, session: Uuid, proxy: Option<LastHeard>) -> PageStream {
        let stream = Uuid::new_v4();
        if self.0.is_watching {
            let mut known = self.known();
            let page = known.page(session, Moment::now());
            page.stream = Some(stream);
            page.leaving = None;
        }
        PageStream {
            pages: self.clone(),
            session,
            stream,
            proxy,
            is_over: false,
        }
    }

    /// Notes that the page of this session may be about to go.
    pub fn leaving(&self, session: Uuid) {
        if !self.0.is_watching {
            return;
        }
        let now = Moment::now();
        self.known().page(session, now).leaving = Some(now);
    }

    /// The sessions whose pages said that they may be about to go, and have no stream here, with the time
    /// since they said so.
    pub fn left(&self) -> Vec<(Uuid, Duration)> {
        let now = Moment::now();
        let known = self.known();
        let left = known.pages.iter().filter(|(_, page)| page.stream.is_none());
        left.filter_map(|(session, page)| Some((*session, now.since(page.leaving?))))
            .collect()
    }

    /// What is known of the page of this session.
    pub fn of(&self, session: Uuid) -> Option<Heard> {
        let now = Moment::now();
        self.known().pages.get(&session).map(|page| Heard {
            silent_for: now.since(page.heard),
            stream: page.stream,
        })
    }

    /// Takes the streams that were lost. A proxy that is restarted closes the streams of all pages at once,
    /// and none of them can come back before the proxy does: such a stream is kept until its proxy was heard
    /// again.
    pub fn take_lost(&self) -> Vec<LostStream> {
        self.known().lost.extract_if(.., |lost| lost.is_due()).collect()
    }

    /// Puts these streams back, because they could not be written to the database.
    pub fn give_back(&self, lost: Vec<LostStream>) {
        self.known().lost.extend(lost);
    }

    /// Forgets pages that were not heard for long, and lost streams whose proxies were not.
    pub fn forget_silent(&self) {
        self.known().forget_silent(Moment::now(), KEPT);
    }

    /// Notes that the instance stops: from now on it closes the streams itself, and none is lost.
    pub fn stop(&self) {
        self.known().is_stopping = true;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn page(&mut self, session: Uuid, heard: Moment) -> &mut Page {
        let unknown = || Page {
            heard,
            stream: None,
            leaving: None,
        };
        self.pages.entry(session).or_insert_with(unknown)
    }

    fn forget_silent(&mut self, now: Moment, kept: Duration) {
        self.pages
            .retain(|_, page| page.stream.is_some() || now.since(page.heard) < kept);
        self.lost
            .retain(|lost| lost.is_due() || now.since(lost.at) < kept);
    }
}

impl LostStream {
    fn is_due(&self) -> bool {
        self.proxy.as_ref().is_none_or(|proxy| proxy.is_after(self.at))
    }
}

impl PageStream {
    /// The id of the stream.
    pub fn id(&self) -> Uuid {
        self.stream
    }

    /// Notes that the instance itself ends the stream, so that it is not lost.
    pub fn close(&mut self) {
        self.is_over = true;
    }
}

impl Drop for PageStream {
    fn drop(&mut self) {
        if !self.pages.0.is_watching {
            return;
        }
        let (session, stream) = (self.session, self.stream);
        let mut known = self.pages.known();
        let at = Moment::now();
        let page = known.page(session, at);
        let silent_for = at.since(page.heard);
        // A newer one may be open.
        let is_newest = page.stream == Some(stream);
        if is_newest {
            page.stream = None;
        }
        if is_newest && !self.is_over && !known.is_stopping {
            known.lost.push(LostStream {
                session,
                stream,
                silent_for,
                at,
                proxy: self.proxy.take(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(lost: &[LostStream]) -> Vec<Uuid> {
        lost.iter().map(|lost| lost.session).collect()
    }

    #[test]
    fn a_stream_that_the_other_side_closes_is_lost_and_one_that_the_instance_ends_is_not() {
        let (pages, page, other) = (Pages::new(true), Uuid::new_v4(), Uuid::new_v4());
        drop(pages.open_stream(page, None));
        let mut ended = pages.open_stream(other, None);
        ended.close();
        drop(ended);
        assert_eq!(sessions(&pages.take_lost()), [page]);
        assert!(pages.take_lost().is_empty());
        let left = pages.open_stream(page, None);
        pages.stop();
        drop(left);
        assert!(pages.take_lost().is_empty());
    }

    #[test]
    fn an_older_stream_is_of_no_interest() {
        let (pages, page) = (Pages::new(true), Uuid::new_v4());
        let older = pages.open_stream(page, None);
        let newer = pages.open_stream(page, None);
        drop(older);
        assert_eq!(pages.of(page).and_then(|page| page.stream), Some(newer.id()));
        assert!(pages.take_lost().is_empty());
    }

    #[test]
    fn a_stream_by_a_proxy_is_lost_when_the_proxy_was_heard_again() {
        let (pages, page, proxy) = (Pages::new(true), Uuid::new_v4(), LastHeard::now());
        drop(pages.open_stream(page, Some(proxy.clone())));
        assert!(pages.take_lost().is_empty());
        proxy.note();
        assert_eq!(sessions(&pages.take_lost()), [page]);
    }

    #[test]
    fn a_page_that_was_about_to_go_has_not_left_while_it_has_a_stream() {
        let (pages, page) = (Pages::new(true), Uuid::new_v4());
        let stream = pages.open_stream(page, None);
        pages.leaving(page);
        assert!(pages.left().is_empty());
        drop(stream);
        assert_eq!(pages.left().first().map(|(session, _)| *session), Some(page));
        drop(pages.open_stream(page, None));
        assert!(pages.left().is_empty(), "it has stayed");
    }

    #[test]
    fn a_page_is_known_by_its_last_request() {
        let (pages, page) = (Pages::new(true), Uuid::new_v4());
        assert_eq!(pages.of(page), None);
        let early = Moment::now();
        pages.heard(page, Moment::now());
        pages.heard(page, early);
        assert!(pages.of(page).is_some_and(|page| page.stream.is_none()));
        pages.forget_silent();
        assert!(pages.of(page).is_some());
    }

    #[test]
    fn nothing_is_kept_where_nobody_watches() {
        let (pages, page) = (Pages::new(false), Uuid::new_v4());
        pages.heard(page, Moment::now());
        let stream = pages.open_stream(page, None);
        pages.leaving(page);
        assert_eq!(pages.of(page), None);
        drop(stream);
        assert_eq!(pages.of(page), None);
        assert!(pages.take_lost().is_empty());
    }

    #[test]
    fn a_lost_stream_is_not_kept_for_a_proxy_that_never_comes_back() {
        let (pages, page, proxy) = (Pages::new(true), Uuid::new_v4(), LastHeard::now());
        drop(pages.open_stream(page, Some(proxy)));
        drop(pages.open_stream(page, None));
        pages.known().forget_silent(Moment::now(), Duration::ZERO);
        let kept = pages.known().lost.len();
        assert_eq!(kept, 1, "what can be written down is kept");
        assert_eq!(sessions(&pages.take_lost()), [page]);
    }
}
