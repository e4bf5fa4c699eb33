//! A body that ends with an error before a secret in it has left.
//!
//! A service may answer before it has got the whole body, and with that answer a guest may end its call. So what the guest
//! has handed over is looked at once more at the end of the call, however much of it has left by then.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

use crate::leak::{Following, LeakPlace, LeakWatch, Leaving};

/// `body`, until a secret ends in it. What may be the beginning of one waits for what follows.
pub(super) struct Watched<B>(Arc<Mutex<State<B>>>);

struct State<B> {
    body: Pin<Box<B>>,
    watch: Arc<LeakWatch>,
    following: Following,
    /// What was looked at and has not left; the last of it may be the beginning of a secret.
    held: BytesMut,
    trailers: Option<HeaderMap>,
    /// Why the body breaks off.
    broken: Option<Error>,
    ended: bool,
    /// Who sends the body, while they wait for more of it.
    sender: Option<Waker>,
    /// Told of a secret. The service may have answered by then.
    found: Box<dyn Fn() + Send>,
}

impl<B: Body<Data = Bytes, Error = Error> + Send + 'static> Watched<B> {
    /// `None` where there is nothing to look for: gives the body back.
    pub(super) fn new(
        body: B,
        watch: &Arc<LeakWatch>,
        found: impl Fn() + Send + 'static,
    ) -> Result<Self, B> {
        let Some(following) = watch.follow(LeakPlace::RequestBody) else {
            return Err(body);
        };
        let state = Arc::new(Mutex::new(State {
            body: Box::pin(body),
            watch: Arc::clone(watch),
            following,
            held: BytesMut::new(),
            trailers: None,
            broken: None,
            ended: false,
            sender: None,
            found: Box::new(found),
        }));
        let leaving: Arc<dyn Leaving> = Arc::<Mutex<State<B>>>::clone(&state);
        watch.will_leave(&leaving);
        Ok(Self(state))
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Body<Data = Bytes, Error = Error> + Send> Leaving for Mutex<State<B>> {
    fn look_at_the_rest(&self) {
        let mut state = lock(self);
        let sender = state.sender.take();
        // Whoever waits for the body goes on waiting for it.
        let waker = sender.unwrap_or_else(|| Waker::noop().clone());
        let mut context = Context::from_waker(&waker);
        while !state.ended && state.look_on(&mut context).is_ready() {}
        drop(state);
        waker.wake();
    }
}

impl<B: Body<Data = Bytes, Error = Error>> State<B> {
    /// Looks at the next frame, and keeps it.
    fn look_on(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => self.ended = true,
            Some(Err(error)) => self.break_off(error),
            Some(Ok(Ok(data))) => self.look_at(&data),
            Some(Ok(Err(other))) => {
                self.ended = true;
                if let Ok(trailers) = other.into_trailers() {
                    self.admit(trailers);
                }
            }
        }
        Poll::Ready(())
    }

    fn look_at(&mut self, data: &Bytes) {
        if self.following.finds(data) {
            self.withhold();
        } else {
            self.held.extend_from_slice(data);
        }
    }

    fn admit(&mut self, trailers: HeaderMap) {
        if holds_secret(&trailers, &self.watch) {
            self.withhold();
        } else {
            self.trailers = Some(trailers);
        }
    }

    fn withhold(&mut self) {
        (self.found)();
        self.break_off(Error::HttpRequestDenied);
    }

    fn break_off(&mut self, error: Error) {
        self.ended = true;
        self.held.clear();
        self.broken = Some(error);
    }

    /// What may leave by now, or why nothing does.
    fn next(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        if let Some(error) = self.broken.take() {
            return Some(Err(error));
        }
        let undecided = if self.ended {
            0
        } else {
            self.following.undecided()
        };
        let decided = self.held.len().saturating_sub(undecided);
        let frame = if decided > 0 {
            Frame::data(self.held.split_to(decided).freeze())
        } else if self.ended {
            Frame::trailers(self.trailers.take()?)
        } else {
            return None;
        };
        Some(Ok(frame))
    }
}

/// Whether a name or a value among these fields is a secret, or holds one.
pub(super) fn holds_secret(fields: &HeaderMap, watch: &LeakWatch) -> bool {
    fields.iter().any(|(name, value)| {
        [name.as_str().as_bytes(), value.as_bytes()]
            .iter()
            .any(|text| watch.finds(text, LeakPlace::RequestHeader))
    })
}

impl<B: Body<Data = Bytes, Error = Error>> Body for Watched<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = lock(&self.0);
        loop {
            let next = state.next();
            if next.is_some() || state.ended {
                return Poll::Ready(next);
            }
            if state.look_on(context).is_pending() {
                state.sender = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.0);
        state.held.is_empty()
            && state.trailers.is_none()
            && state.broken.is_none()
            && (state.ended || state.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.0);
        let inner = state.body.size_hint();
        let held = state.held.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::leak::tests::watch;

    /// A body of these frames, through a watch for `planted-secret`.
    fn watched(frames: Vec<Frame<Bytes>>) -> Watched<Frames> {
        let body = Watched::new(Frames(frames.into()), &watch("planted-secret"), || {});
        body.ok().expect("there is something to look for")
    }

    fn pieces(pieces: &[&[u8]]) -> Vec<Frame<Bytes>> {
        let data = pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
        data.map(Frame::data).collect()
    }

    /// A body of these frames.
    pub(crate) struct Frames(pub(crate) VecDeque<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    #[tokio::test]
    async fn nothing_of_a_secret_that_came_in_pieces_leaves() {
        let mut body = watched(pieces(&[b"before plant", b"ed", b"-sec", b"ret after"]));
        let mut left = Vec::new();
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => left.extend_from_slice(&frame.into_data().unwrap()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::HttpRequestDenied));
        assert!(
            !String::from_utf8_lossy(&left).contains("plant"),
            "{left:?}"
        );
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_without_a_secret_arrives_as_it_is() {
        for sent in [
            &[&b"planted-secre"[..], b"cy is none, planted"][..],
            &[b"planted-", b"planted-secre"],
            &[b"a", b"", b"b"],
            &[],
        ] {
            let body = watched(pieces(sent)).collect().await.unwrap().to_bytes();
            assert_eq!(body, sent.concat());
        }
    }

    #[tokio::test]
    async fn what_has_not_left_at_the_end_of_the_call_is_looked_at_then() {
        let watch = watch("planted-secret");
        let frames = Frames(pieces(&[b"before planted", b"-secret"]).into());
        let mut body = Watched::new(frames, &watch, || {}).ok().unwrap();
        watch.look_at_the_rest();
        assert_eq!(watch.found().unwrap().place, LeakPlace::RequestBody);
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
    }

    /// A body whose frames come later.
    struct Later(mpsc::UnboundedReceiver<Frame<Bytes>>);

    impl Body for Later {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            self.0.poll_recv(context).map(|frame| frame.map(Ok))
        }
    }

    #[tokio::test]
    async fn what_was_looked_at_before_it_left_arrives_as_it_is_and_so_does_what_follows() {
        let watch = watch("planted-secret");
        let (sender, later) = mpsc::unbounded_channel();
        let send = |piece: &'static [u8]| sender.send(Frame::data(Bytes::from_static(piece)));
        let body = Watched::new(Later(later), &watch, || {}).ok().unwrap();
        let arriving = tokio::spawn(body.collect());
        tokio::task::yield_now().await;
        send(b"a plan").unwrap();
        watch.look_at_the_rest();
        send(b"t, and more").unwrap();
        tokio::task::yield_now().await;
        drop(sender);
        let arrived = tokio::time::timeout(Duration::from_secs(30), arriving).await;
        let arrived = arrived.expect("whoever sends it is woken");
        assert_eq!(arrived.unwrap().unwrap().to_bytes(), "a plant, and more");
    }

    #[tokio::test]
    async fn a_secret_in_the_trailers_does_not_leave() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "planted-secret".parse().unwrap());
        let body = watched(vec![Frame::trailers(trailers)]);
        assert!(body.collect().await.is_err());
    }
}
