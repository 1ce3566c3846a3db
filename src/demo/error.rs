//! What can go wrong with the sample site.

use std::net::SocketAddr;

use crate::fault::{Class, Code, Fault, Scope};

/// Why the sample site could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The address can't be listened on.
    #[error("the sample site can't listen on {addr}")]
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// No conversation has this id.
    #[error("the sample site has no conversation {0:?}")]
    UnknownConversation(String),
    /// No message has this id.
    #[error("the sample site has no message {0:?}")]
    UnknownMessage(String),
}

impl Fault for DemoError {
    fn class(&self) -> Class {
        match self {
            Self::Bind { .. } | Self::UnknownConversation(_) | Self::UnknownMessage(_) => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Bind { .. } => Scope::Process,
            Self::UnknownConversation(_) | Self::UnknownMessage(_) => Scope::Event,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Bind { .. } => Code::HttpAddressUnusable,
            Self::UnknownConversation(_) | Self::UnknownMessage(_) => Code::Internal,
        }
    }
}
