//! Tests whose passwords wait, and what the threads keep.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use futures_util::FutureExt;

use super::*;

/// A hasher whose only thread is busy until the sender is used or dropped.
async fn busy() -> (Hasher, mpsc::Sender<()>) {
    let hasher = Hasher::start(1, None).unwrap();
    let ((go_on, permission), (begun, has_begun)) = (mpsc::channel::<()>(), oneshot::channel());
    let mut held = Box::pin(hasher.submit(Networks::OWN, move |_| {
        let _ = begun.send(());
        permission.recv()
    }));
    assert!(held.as_mut().now_or_never().is_none());
    has_begun.await.unwrap();
    drop(held);
    (hasher, go_on)
}

/// The nth of many networks that have nothing in common.
fn network(n: usize) -> Networks {
    let n = u32::try_from(n).unwrap();
    Networks::of(IpAddr::V4(Ipv4Addr::from_bits(n << 16)))
}

#[tokio::test]
async fn a_new_password_is_judged_in_its_turn_on_a_hashing_thread_and_nowhere_else() {
    let hasher = Hasher::start(1, None).unwrap();
    let (go_on, permission) = mpsc::channel();
    let mut held = Box::pin(hasher.submit(Networks::OWN, move |_| permission.recv()));
    assert!(held.as_mut().now_or_never().is_none());
    let guessable = || Proposed::new("passwordpassword1").unwrap();
    let mut judged = Box::pin(hasher.hash_proposed(guessable(), Vec::new(), Networks::OWN));
    assert!(judged.as_mut().now_or_never().is_none());
    assert!(hasher.waiting() > 0);
    go_on.send(()).unwrap();
    assert_eq!(held.await, Ok(Ok(())));
    assert!(matches!(judged.await, Ok(Err(Unusable::Guessable(_)))));

    let nobody = Hasher::start(0, None).unwrap();
    let judged = nobody.hash_proposed(guessable(), Vec::new(), Networks::OWN);
    assert_eq!(judged.await.unwrap_err(), Error::Busy);
}

#[tokio::test]
async fn as_many_as_there_are_places_wait_and_the_next_is_refused_at_once() {
    let (hasher, go_on) = busy().await;
    let ask = |n: usize| Box::pin(hasher.submit(network(n), move |_| n));
    let mut waiting: Vec<_> = (0..QUEUE).map(ask).collect();
    for asking in &mut waiting {
        assert!(asking.as_mut().now_or_never().is_none());
    }
    assert_eq!(hasher.waiting(), 256);
    assert_eq!(ask(QUEUE).now_or_never(), Some(Err(Error::Busy)));
    drop(go_on);
    for (n, asking) in waiting.into_iter().enumerate() {
        assert_eq!(asking.await, Ok(n));
    }
}

#[tokio::test]
async fn who_gives_a_place_up_for_another_network_is_refused_at_once() {
    let (hasher, go_on) = busy().await;
    let ask = |n: usize| Box::pin(hasher.submit(network(n), |_| ()));
    let mut many: Vec<_> = (0..QUEUE).map(|_| ask(1)).collect();
    for asking in &mut many {
        assert!(asking.as_mut().now_or_never().is_none());
    }
    let mut other = ask(2);
    assert!(other.as_mut().now_or_never().is_none());
    let last = many.pop().unwrap();
    assert_eq!(last.now_or_never(), Some(Err(Error::Busy)));
    assert!(
        many.iter_mut()
            .all(|asking| asking.as_mut().now_or_never().is_none())
    );
    assert_eq!(hasher.waiting(), QUEUE);
    drop(go_on);
    assert_eq!(other.await, Ok(()));
}

#[tokio::test]
async fn nothing_is_hashed_for_a_caller_that_has_gone() {
    let (hasher, go_on) = busy().await;
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    let mut gone = Box::pin(hasher.submit(Networks::OWN, move |_| done.store(true, Ordering::SeqCst)));
    assert!(gone.as_mut().now_or_never().is_none());
    drop(gone);
    drop(go_on);
    assert_eq!(hasher.submit(Networks::OWN, |_| ()).await, Ok(()));
    assert!(!is_done.load(Ordering::SeqCst));
}

#[test]
fn a_thread_that_rests_gives_its_memory_back() {
    let queue = Arc::new(Mutex::new(FairQueue::new(1)));
    let mut worker = HashWorker {
        queue: queue.clone(),
        memory: Memory::new(),
    };
    let job: Job = Box::new(|memory| {
        hash(&Password::generate().unwrap(), memory.unwrap()).unwrap();
    });
    assert!(matches!(locked(&queue).put(Networks::OWN, job), Put::Queued));
    worker.work(vec![()]);
    assert!(worker.memory.capacity() > 0, "the next one is hashed in it, too");
    worker.rest();
    assert_eq!(worker.memory.capacity(), 0);
}
