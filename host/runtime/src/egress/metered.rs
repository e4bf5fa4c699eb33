//! A body that draws on an allowance shared by all bodies of a call.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

use super::take;

/// `body`, until the allowance is used up; then an error.
pub(super) struct Metered<B> {
    body: Pin<Box<B>>,
    left: Arc<AtomicU64>,
    too_large: fn() -> Error,
}

impl<B> Metered<B> {
    pub(super) fn new(body: B, left: Arc<AtomicU64>, too_large: fn() -> Error) -> Self {
        Self {
            body: Box::pin(body),
            left,
            too_large,
        }
    }
}

impl<B: Body<Data = Bytes, Error = Error>> Body for Metered<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = std::task::ready!(self.body.as_mut().poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, Bytes::len) as u64;
                Some(if take(&self.left, size) {
                    Ok(frame)
                } else {
                    Err((self.too_large)())
                })
            }
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
