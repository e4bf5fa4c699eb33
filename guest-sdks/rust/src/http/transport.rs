//! The way through `wasi:http`: send, wait, read.

use super::{Error, Request, Response};
use crate::bindings::wasi::http::outgoing_handler::{RequestOptions, handle};
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use std::time::Duration;

/// The most that one `blocking-write-and-flush` takes, by the documentation of `wasi:io`.
const WRITE_SIZE: usize = 4096;
const READ_SIZE: u64 = 64 << 10;

pub(super) fn send(request: &Request) -> Result<Response, Error> {
    let host = request.url.authority.as_str();
    if !crate::host_is_there() {
        return Err(Error::Unreachable {
            host: host.to_owned(),
            why: crate::NO_HOST.to_owned(),
        });
    }
    let outgoing = outgoing(request)?;
    let body = if request.body.is_empty() {
        None
    } else {
        outgoing.body().ok()
    };
    let future = handle(outgoing, options(request.timeout)).map_err(|code| error(host, &code))?;
    if let Some(body) = body {
        write(host, body, &request.body)?;
    }
    let response = wait(host, &future)?;
    let status = response.status();
    let headers = response.headers().entries();
    let body = read(host, &response, request.body_limit)?;
    Ok(Response {
        host: host.to_owned(),
        status,
        headers,
        body,
    })
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, Error> {
    let headers = Fields::new();
    let length = (!request.body.is_empty())
        .then(|| ("content-length".to_owned(), request.body.len().to_string()));
    for (name, value) in request.headers.iter().chain(&length) {
        headers
            .append(name, value.as_bytes())
            .map_err(|_| Error::InvalidHeader { name: name.clone() })?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if request.url.secure {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let accepted = outgoing.set_method(&method(&request.method)).is_ok()
        && outgoing.set_scheme(Some(&scheme)).is_ok()
        && outgoing.set_authority(Some(&request.url.authority)).is_ok()
        && outgoing
            .set_path_with_query(Some(&request.url.path_with_query()))
            .is_ok();
    if accepted {
        Ok(outgoing)
    } else {
        let why = "its host, path or method has a character that is not allowed there";
        Err(Error::InvalidUrl {
            url: request.url.authority.clone(),
            why,
        })
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

fn options(timeout: Option<Duration>) -> Option<RequestOptions> {
    let nanoseconds = u64::try_from(timeout?.as_nanos()).unwrap_or(u64::MAX);
    let options = RequestOptions::new();
    // A host that has no such timeout still has the deadline of the call.
    let _ = options.set_connect_timeout(Some(nanoseconds));
    let _ = options.set_first_byte_timeout(Some(nanoseconds));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds));
    Some(options)
}

fn write(host: &str, body: OutgoingBody, bytes: &[u8]) -> Result<(), Error> {
    let gone = || Error::Unreachable {
        host: host.to_owned(),
        why: "the request could not be sent whole".to_owned(),
    };
    {
        let stream = body.write().map_err(|()| gone())?;
        for chunk in bytes.chunks(WRITE_SIZE) {
            match stream.blocking_write_and_flush(chunk) {
                Ok(()) => {}
                // The server may answer before it has read everything; the answer then says why.
                Err(StreamError::Closed) => return Ok(()),
                Err(StreamError::LastOperationFailed(_)) => return Err(gone()),
            }
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| error(host, &code))
}

fn wait(host: &str, future: &FutureIncomingResponse) -> Result<IncomingResponse, Error> {
    loop {
        match future.get() {
            Some(Ok(Ok(response))) => return Ok(response),
            Some(Ok(Err(code))) => return Err(error(host, &code)),
            Some(Err(())) => {
                return Err(Error::Unreachable {
                    host: host.to_owned(),
                    why: "the answer was lost".to_owned(),
                });
            }
            None => future.subscribe().block(),
        }
    }
}

fn read(host: &str, response: &IncomingResponse, limit: usize) -> Result<Vec<u8>, Error> {
    let gone = |why: String| Error::Unreachable {
        host: host.to_owned(),
        why,
    };
    let body: IncomingBody = response
        .consume()
        .map_err(|()| gone("the answer has no body".to_owned()))?;
    let stream = body
        .stream()
        .map_err(|()| gone("the answer has no body".to_owned()))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_SIZE) {
            Ok(chunk) if bytes.len() + chunk.len() > limit => {
                return Err(Error::TooLarge {
                    host: host.to_owned(),
                    limit,
                });
            }
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(gone(format!(
                    "the answer broke off ({})",
                    error.to_debug_string()
                )));
            }
        }
    }
}

fn error(host: &str, code: &ErrorCode) -> Error {
    let host = host.to_owned();
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            Error::Refused { host }
        }
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => Error::Timeout { host },
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => {
            Error::InvalidUrl {
                url: host,
                why: "the host does not accept it",
            }
        }
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => Error::Unreachable {
            host,
            why: "its name is not known".to_owned(),
        },
        ErrorCode::ConnectionRefused => Error::Unreachable {
            host,
            why: "it refuses connections".to_owned(),
        },
        ErrorCode::InternalError(Some(why)) => Error::Unreachable {
            host,
            why: why.clone(),
        },
        other => Error::Unreachable {
            host,
            why: format!("{other:?}"),
        },
    }
}
