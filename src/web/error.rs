//! What can go wrong in the HTTP face itself, and how a dependency's silence is named.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::PartName;
use crate::fault::{Class, Code, Fault, Scope};

/// A failure of the HTTP face.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Another program listens there.
    #[error("the HTTP address {addr} is taken by another program")]
    AddressInUse {
        /// Where we wanted to listen.
        addr: SocketAddr,
    },
    /// No network card of this machine has the address.
    #[error("the HTTP address {addr} does not belong to this machine")]
    AddressNotOurs {
        /// Where we wanted to listen.
        addr: SocketAddr,
    },
    /// The operating system keeps the port for the administrator.
    #[error("this user may not open the HTTP address {addr}")]
    AddressForbidden {
        /// Where we wanted to listen.
        addr: SocketAddr,
    },
    /// Any other refusal.
    #[error("the HTTP address {addr} could not be opened")]
    Listen {
        /// Where we wanted to listen.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The listener broke while serving.
    #[error("the HTTP server stopped")]
    Serve {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The control socket can't be opened.
    #[error("the control socket in {} can't be opened", path.display())]
    Control {
        /// The data directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The check of the data directory panicked: a defect of ours.
    #[error("the check of the data directory broke off")]
    CheckBroken,
    /// The broker has an alarm.
    #[error("the bus takes no events for the time being: {reason}")]
    Blocked {
        /// Its words.
        reason: String,
    },
    /// A dependency did not answer in time.
    #[error("no answer came within {} s", waited.as_secs())]
    NoAnswer {
        /// Which one.
        part: PartName,
        /// How long we waited.
        waited: Duration,
    },
}

impl WebError {
    /// Names what the operating system said about listening at `addr`.
    pub(super) fn listening(addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { addr },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotOurs { addr },
            io::ErrorKind::PermissionDenied => Self::AddressForbidden { addr },
            _ => Self::Listen { addr, source },
        }
    }
}

impl Fault for WebError {
    fn class(&self) -> Class {
        match self {
            Self::AddressInUse { .. }
            | Self::AddressNotOurs { .. }
            | Self::AddressForbidden { .. }
            | Self::Listen { .. }
            | Self::Serve { .. }
            | Self::Control { .. } => Class::Permanent,
            Self::CheckBroken | Self::Blocked { .. } | Self::NoAnswer { .. } => Class::RETRY,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::AddressInUse { .. }
            | Self::AddressNotOurs { .. }
            | Self::AddressForbidden { .. }
            | Self::Listen { .. }
            | Self::Serve { .. }
            | Self::Control { .. } => Scope::Process,
            Self::CheckBroken | Self::Blocked { .. } | Self::NoAnswer { .. } => Scope::Event,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::AddressInUse { .. }
            | Self::AddressNotOurs { .. }
            | Self::AddressForbidden { .. }
            | Self::Listen { .. } => Code::HttpAddressUnusable,
            Self::Control { .. } => Code::DataDirUnusable,
            Self::Serve { .. } | Self::CheckBroken => Code::Internal,
            Self::Blocked { .. } => Code::BrokerBlocked,
            Self::NoAnswer { part, .. } => match part {
                PartName::Store | PartName::Spool => Code::DatabaseFailed,
                PartName::Bus => Code::BusUnavailable,
                PartName::DataDir => Code::DataDirUnusable,
            },
        }
    }

    fn action(&self) -> String {
        match self {
            Self::AddressInUse { .. }
            | Self::Listen { .. }
            | Self::Serve { .. }
            | Self::Control { .. }
            | Self::CheckBroken
            | Self::Blocked { .. } => self.code().action().to_owned(),
            Self::AddressNotOurs { addr } => {
                format!(
                    "Set CHATFERRY_HTTP_ADDR (or CHATFERRY_METRICS_ADDR) to an address of this machine, such as 127.0.0.1:{}.",
                    addr.port()
                )
            }
            Self::AddressForbidden { addr } => {
                let host = host(addr);
                format!(
                    "Set CHATFERRY_HTTP_ADDR (or CHATFERRY_METRICS_ADDR) to a port of 1024 or above, such as {host}:8787."
                )
            }
            Self::NoAnswer { part, .. } => match part {
                PartName::Store => "Check the database, and how busy this machine and its disk are.".to_owned(),
                PartName::Spool | PartName::DataDir => {
                    "Check the disk that holds the data directory, and how busy this machine is.".to_owned()
                }
                PartName::Bus => self.code().action().to_owned(),
            },
        }
    }
}

/// The host as an address is written: IPv6 in brackets.
fn host(addr: &SocketAddr) -> String {
    match addr {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_the_address_and_what_to_do() {
        let addr: SocketAddr = "[::1]:80".parse().unwrap();
        for kind in [
            io::ErrorKind::AddrInUse,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::Other,
        ] {
            let error = WebError::listening(addr, io::Error::from(kind));
            assert!(error.to_string().contains("[::1]:80"), "{error}");
            assert!(error.action().contains("CHATFERRY_HTTP_ADDR"), "{}", error.action());
            assert_eq!((error.code(), error.class()), (Code::HttpAddressUnusable, Class::Permanent));
        }
        let forbidden = WebError::listening(addr, io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(forbidden.action().contains("[::1]:8787"), "{}", forbidden.action());
    }
}
