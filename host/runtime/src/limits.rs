//! What one call may use.
//!
//! One set of defaults serves every language. A limit that is crossed ends the call it belongs to, with an error
//! that names the limit, and costs the host nothing else.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// The limits of one call. The defaults fit a Python guest, which needs the most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Wall time, host I/O included, but not the time for which a person is asked. Default 30 s, ceiling 10 min.
    pub time: Duration,
    /// Linear memory in bytes, over all memories of the instance. Default 128 MiB, ceiling 512 MiB.
    pub memory_bytes: u64,
    /// Elements over all tables of the instance. Default 64 Ki, ceiling 256 Ki.
    pub table_elements: u64,
    /// Bytes of the whole answer. Default 8 MiB, ceiling 64 MiB.
    pub output_bytes: u64,
    /// Outgoing HTTP requests. Default 64, ceiling 4,096.
    pub requests: u32,
    /// Bytes of the bodies of all outgoing requests. Default 8 MiB, ceiling 256 MiB.
    pub request_bytes: u64,
    /// Bytes of the bodies of all answers to them. Default 32 MiB, ceiling 256 MiB.
    pub response_bytes: u64,
    /// Bytes of standard output and error that reach the log, and as many again of messages for the client; the rest is
    /// dropped. Default 64 KiB, ceiling 1 MiB.
    pub log_bytes: u64,
    /// Bytes that are written into the folders of the policy, or by which files there become longer; each file and folder
    /// that is made counts 4 KiB. Default 64 MiB, ceiling 4 GiB.
    pub file_bytes: u64,
    /// Calls of the `auth` interface. Default 10,000, ceiling 1,000,000.
    pub host_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            memory_bytes: 128 * MIB,
            table_elements: 64 << 10,
            output_bytes: 8 * MIB,
            requests: 64,
            request_bytes: 8 * MIB,
            response_bytes: 32 * MIB,
            log_bytes: 64 << 10,
            file_bytes: 64 * MIB,
            host_calls: 10_000,
        }
    }
}

/// A limit outside its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{name}` is {value}; it must be between 1 and {ceiling}")]
pub struct LimitError {
    name: &'static str,
    value: u64,
    ceiling: u64,
}

impl Limits {
    /// The most that any policy may allow. The engine reserves address space for this.
    pub const CEILING: Limits = Limits {
        time: Duration::from_mins(10),
        memory_bytes: 512 * MIB,
        table_elements: 256 << 10,
        output_bytes: 64 * MIB,
        requests: 4096,
        request_bytes: 256 * MIB,
        response_bytes: 256 * MIB,
        log_bytes: MIB,
        file_bytes: 4096 * MIB,
        host_calls: 1_000_000,
    };

    /// What `list-tools` may use: a component that needs more is not served.
    pub const DISCOVERY: Limits = Limits {
        time: Duration::from_secs(5),
        memory_bytes: 128 * MIB,
        table_elements: 64 << 10,
        output_bytes: 4 * MIB,
        requests: 0,
        request_bytes: 0,
        response_bytes: 0,
        log_bytes: 64 << 10,
        file_bytes: 0,
        host_calls: 0,
    };

    /// Of each limit the lower one.
    #[must_use]
    pub fn at_most(self, other: &Self) -> Self {
        Self {
            time: self.time.min(other.time),
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            table_elements: self.table_elements.min(other.table_elements),
            output_bytes: self.output_bytes.min(other.output_bytes),
            requests: self.requests.min(other.requests),
            request_bytes: self.request_bytes.min(other.request_bytes),
            response_bytes: self.response_bytes.min(other.response_bytes),
            log_bytes: self.log_bytes.min(other.log_bytes),
            file_bytes: self.file_bytes.min(other.file_bytes),
            host_calls: self.host_calls.min(other.host_calls),
        }
    }

    /// Checks every limit against its ceiling.
    pub fn checked(self) -> Result<Self, LimitError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let most = Self::CEILING;
        for (name, value, ceiling) in [
            ("time_ms", millis(self.time), millis(most.time)),
            ("memory_bytes", self.memory_bytes, most.memory_bytes),
            ("table_elements", self.table_elements, most.table_elements),
            ("output_bytes", self.output_bytes, most.output_bytes),
            ("requests", self.requests.into(), most.requests.into()),
            ("request_bytes", self.request_bytes, most.request_bytes),
            ("response_bytes", self.response_bytes, most.response_bytes),
            ("log_bytes", self.log_bytes, most.log_bytes),
            ("file_bytes", self.file_bytes, most.file_bytes),
            ("host_calls", self.host_calls.into(), most.host_calls.into()),
        ] {
            if !(1..=ceiling).contains(&value) {
                return Err(LimitError {
                    name,
                    value,
                    ceiling,
                });
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_and_the_ceilings_keep_their_own_bounds() {
        assert_eq!(Limits::default().checked(), Ok(Limits::default()));
        assert_eq!(Limits::CEILING.checked(), Ok(Limits::CEILING));
    }

    #[test]
    fn a_limit_outside_its_bounds_is_refused_by_name() {
        let limits = Limits {
            memory_bytes: 1 << 40,
            ..Limits::default()
        };
        let error = limits.checked().unwrap_err().to_string();
        assert_eq!(
            error,
            "the limit `memory_bytes` is 1099511627776; it must be between 1 and 536870912"
        );
        assert!(
            Limits {
                requests: 0,
                ..Limits::default()
            }
            .checked()
            .is_err()
        );
    }
}
