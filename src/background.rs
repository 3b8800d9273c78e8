//! The background actor: calls one step again and again, and does nothing itself.

use std::future::Future;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, WrapFuture};

/// Calls `step` at start and then at every `interval`; a step that is still running when its time comes again is not
/// called twice.
pub struct Background<F> {
    interval: Duration,
    step: F,
}

impl<F> Background<F> {
    /// `step` is one whole piece of work; it logs its own failures.
    pub fn new(interval: Duration, step: F) -> Self {
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
        ctx.wait((self.step)().into_actor(self));
        ctx.run_interval(self.interval, |this, ctx| {
            ctx.wait((this.step)().into_actor(this));
        });
    }
}

/// Begin no step any more. Answered as soon as none is running.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl<F, Fut> Handler<Stop> for Background<F>
where
    F: Fn() -> Fut + Unpin + 'static,
    Fut: Future<Output = ()> + 'static,
{
    type Result = ();

    // No message is looked at while a step is waited for.
    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
