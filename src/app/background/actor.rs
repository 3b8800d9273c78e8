//! The background actor: it calls one step again and again.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, WrapFuture};
use futures_util::FutureExt;

/// Calls `step` at start and then at every `interval`. A step that is still running when its time comes is
/// not called again; after one that panics, the next one runs.
pub(in crate::app) struct Background<F> {
    interval: Duration,
    step: F,
}

impl<F> Background<F> {
    /// `step` is one whole piece of work; it logs its own failures.
    pub(in crate::app) fn new(interval: Duration, step: F) -> Self {
        Self { interval, step }
    }
}

impl<F, Fut> Actor for Background<F>
where
    F: Fn() -> Fut + Unpin + 'static,
    Fut: Future<Output = ()> + 'static,
{
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.take(ctx);
        ctx.run_interval(self.interval, Self::take);
    }
}

impl<F, Fut> Background<F>
where
    F: Fn() -> Fut + Unpin + 'static,
    Fut: Future<Output = ()> + 'static,
{
    fn take(&mut self, ctx: &mut Context<Self>) {
        let step = catch_unwind(AssertUnwindSafe(|| (self.step)()));
        let outlived = async {
            let done = match step {
                Ok(step) => AssertUnwindSafe(step).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            if done.is_err() {
                // The message and place of the panic are in the log already.
                log::error!("a step of the background work was lost to a panic; the next one runs as usual");
            }
        };
        ctx.wait(outlived.into_actor(self));
    }
}

/// Asks the actor to begin no further step. Answered as soon as none is running.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::app) struct Stop;

impl<F, Fut> Handler<Stop> for Background<F>
where
    F: Fn() -> Fut + Unpin + 'static,
    Fut: Future<Output = ()> + 'static,
{
    type Result = ();

    // The actor handles no message while it waits for a step.
    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_step_that_panics_is_not_the_last() {
        let (sender, steps) = channel();
        std::thread::spawn(move || {
            let system = actix::System::new();
            system.block_on(async {
                let count = std::cell::Cell::new(0);
                let step = move || {
                    count.set(count.get() + 1);
                    let _ = sender.send(count.get());
                    // Once before there is a future, and once inside of it.
                    assert_ne!(count.get(), 1, "on purpose");
                    let fails = count.get() == 2;
                    async move { assert!(!fails, "on purpose") }
                };
                Background::new(Duration::from_millis(1), step).start();
            });
            let _ = system.run();
        });
        for step in 1..=4 {
            assert_eq!(steps.recv_timeout(Duration::from_secs(90)), Ok(step));
        }
    }
}
