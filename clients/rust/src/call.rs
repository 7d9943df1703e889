//! One call: its deadline, what is tried again, and the stream it may answer with.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::{Client, Error, Result, v1::ErrorReason};

const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

type Answer<T> = std::result::Result<T, Status>;

/// A message of a stream, and what callers want of it: nothing of one with an arm nobody here knows.
pub trait Part: Unpin {
    type Event;

    fn event(self) -> Option<Self::Event>;
}

/// What a call tells as it goes on, but for what only a newer client knows. Dropping it cancels the
/// call.
pub struct Events<M> {
    first: Option<M>,
    rest: Option<Streaming<M>>, // none once it is over
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M: Part> Stream for Events<M> {
    type Item = Result<M::Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.first.take().and_then(M::event) {
            return Poll::Ready(Some(Ok(event)));
        }
        while let Some(rest) = &mut self.rest {
            let end = match Pin::new(rest).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => match message.event() {
                    Some(event) => return Poll::Ready(Some(Ok(event))),
                    None => continue,
                },
                Poll::Ready(end) => end.and_then(Answer::err),
                Poll::Pending => {
                    let Some(deadline) = &mut self.deadline else { return Poll::Pending };
                    ready!(deadline.as_mut().poll(context));
                    Some(too_late())
                }
            };
            self.rest = None;
            return Poll::Ready(end.map(|status| Err(status.into())));
        }
        Poll::Ready(None)
    }
}

impl Client {
    pub(crate) async fn unary<Q: Clone, A, F: Future<Output = Answer<Response<A>>>>(
        &self,
        message: Q,
        call: impl Fn(Request<Q>) -> F,
    ) -> Result<A> {
        Ok(self.retried(message, call).await?.0.into_inner())
    }

    /// Returns with the first message: once that came, nothing is tried again.
    pub(crate) async fn stream<Q: Clone, M, F: Future<Output = Answer<Response<Streaming<M>>>>>(
        &self,
        message: Q,
        call: impl Fn(Request<Q>) -> F,
    ) -> Result<Events<M>> {
        let begin = |request| {
            let answer = call(request);
            async {
                let mut rest = answer.await?.into_inner();
                Ok((rest.message().await?, rest))
            }
        };
        let ((first, rest), deadline) = self.retried(message, begin).await?;
        let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
        Ok(Events { first, rest: Some(rest), deadline })
    }

    /// Calls until it succeeds, fails for good, or has failed four times.
    async fn retried<Q: Clone, T, F: Future<Output = Answer<T>>>(
        &self,
        message: Q,
        call: impl Fn(Request<Q>) -> F,
    ) -> Result<(T, Option<Instant>)> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut attempt = 1;
        loop {
            let request = self.request(message.clone(), deadline);
            let error: Box<Error> = match before(deadline, call(request)).await {
                Ok(answer) => return Ok((answer, deadline)),
                Err(status) => status.into(),
            };
            // The Hub may be unavailable for longer, and maybe because it was asked too often.
            let is_hub = error.kind() == ErrorReason::HubUnavailable;
            let pause = error.retry_after.unwrap_or(FIRST_PAUSE * 2u32.pow(attempt - 1));
            let is_late = deadline.is_some_and(|deadline| Instant::now() + pause >= deadline);
            if error.code != Code::Unavailable || is_hub || is_late || attempt == ATTEMPTS {
                return Err(error);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }
}

/// What `call` comes to, or that the deadline passed. The channel knows the deadline as well, and
/// calls it a cancellation: so ours is looked at first.
async fn before<T>(deadline: Option<Instant>, call: impl Future<Output = Answer<T>>) -> Answer<T> {
    let Some(deadline) = deadline else { return call.await };
    tokio::select! {
        biased;
        () = sleep_until(deadline) => Err(too_late()),
        outcome = call => outcome,
    }
}

fn too_late() -> Status {
    Status::deadline_exceeded("the call's timeout passed")
}
