//! A body that ends with an error before a secret in it has left.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

use crate::leak::{Following, LeakPlace, LeakWatch};

/// `body`, until a secret ends in it. What may be the beginning of one waits for what follows.
pub(super) struct Watched<B> {
    body: Pin<Box<B>>,
    watch: Arc<LeakWatch>,
    following: Following,
    waiting: Bytes,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Told of a secret. The service may have answered by then.
    found: Box<dyn Fn() + Send>,
}

impl<B> Watched<B> {
    /// `None` where there is nothing to look for: gives the body back.
    pub(super) fn new(
        body: B,
        watch: &Arc<LeakWatch>,
        found: impl Fn() + Send + 'static,
    ) -> Result<Self, B> {
        match watch.follow(LeakPlace::RequestBody) {
            None => Err(body),
            Some(following) => Ok(Self {
                body: Box::pin(body),
                watch: Arc::clone(watch),
                following,
                waiting: Bytes::new(),
                trailers: None,
                ended: false,
                found: Box::new(found),
            }),
        }
    }

    /// What may leave of what waited and what came; the rest waits.
    fn pass(&mut self, data: Bytes) -> Result<Bytes, Error> {
        if self.following.finds(&data) {
            return Err(self.broken_off());
        }
        let mut all = joined(&std::mem::take(&mut self.waiting), data);
        let undecided = self.following.undecided().min(all.len());
        self.waiting = all.split_off(all.len() - undecided);
        Ok(all)
    }

    fn admit(&mut self, trailers: HeaderMap) -> Result<(), Error> {
        if holds_secret(&trailers, &self.watch) {
            return Err(self.broken_off());
        }
        self.trailers = Some(trailers);
        Ok(())
    }

    fn broken_off(&mut self) -> Error {
        (self.found)();
        self.ended = true;
        self.waiting = Bytes::new();
        Error::HttpRequestDenied
    }

    /// What is left once the body has ended.
    fn rest(&mut self) -> Option<Frame<Bytes>> {
        if self.waiting.is_empty() {
            self.trailers.take().map(Frame::trailers)
        } else {
            Some(Frame::data(std::mem::take(&mut self.waiting)))
        }
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

fn joined(first: &Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(first);
    both.extend_from_slice(&second);
    both.freeze()
}

impl<B: Body<Data = Bytes, Error = Error>> Body for Watched<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while !self.ended {
            let Some(frame) = ready!(self.body.as_mut().poll_frame(context)) else {
                self.ended = true;
                break;
            };
            match frame?.into_data() {
                Ok(data) => {
                    let free = self.pass(data)?;
                    if !free.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(free))));
                    }
                }
                Err(other) => {
                    self.ended = true;
                    if let Ok(trailers) = other.into_trailers() {
                        self.admit(trailers)?;
                    }
                }
            }
        }
        Poll::Ready(self.rest().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty()
            && self.trailers.is_none()
            && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, waiting) = (self.body.size_hint(), self.waiting.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + waiting);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + waiting);
        }
        hint
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt as _;

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
    async fn a_secret_in_the_trailers_does_not_leave() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "planted-secret".parse().unwrap());
        let body = watched(vec![Frame::trailers(trailers)]);
        assert!(body.collect().await.is_err());
    }
}
