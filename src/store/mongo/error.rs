//! What can go wrong with MongoDB, classified once, at the wall where the driver's error comes in.
//!
//! The driver's own messages may quote documents, and documents hold chat text; its errors of
//! connecting may quote the URI, which holds a password. Only what is known to hold neither is kept
//! ([`Cause`]): codes and their names, kinds of I/O errors, and words of our own.

use std::fmt;

use mongodb::error::{Error, ErrorKind, RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, WriteFailure};

use crate::fault::{Class, Code, Fault, Scope};

/// What MongoDB or the driver said, without any document, key or credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Why MongoDB could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MongoError {
    /// `MONGODB_URI` is no connection string, or lacks a part.
    #[error("MONGODB_URI can't be used: {0}")]
    BadUri(&'static str),
    /// No server answers, none is primary, or the connection was lost; or the server wants us to come
    /// again.
    #[error("MongoDB can't be reached")]
    Unreachable(#[source] Cause),
    /// A call or an attempt at it took longer than its deadline.
    #[error("MongoDB did not answer in time")]
    TooSlow,
    /// Others changed the same documents faster than we could.
    #[error("others keep changing the same documents")]
    Contended,
    /// The login was refused, or a right is missing.
    #[error("MongoDB refuses the user of MONGODB_URI")]
    Refused(#[source] Cause),
    /// The server is too old for the driver.
    #[error("this MongoDB is too old: version 6.0 or later is needed")]
    TooOld,
    /// A later version of chatferry has used this database.
    #[error("the database was used by a newer chatferry (it has schema version {found}, this one knows {known})")]
    NewerSchema {
        /// The version in the database.
        found: i64,
        /// The newest version that we know.
        known: i64,
    },
    /// The server's disk is full.
    #[error("MongoDB's disk is full")]
    Full(#[source] Cause),
    /// A stored value is none of ours.
    #[error("MongoDB holds a {0} that can't be read")]
    Unreadable(&'static str),
    /// A document was refused: by a validator or for its size.
    #[error("MongoDB refuses a document")]
    Document(#[source] Cause),
    /// Everything else: a defect of ours, or a server that is not as we think.
    #[error("MongoDB refused a command")]
    Failed(#[source] Cause),
}

/// The server is in the middle of something: a step-down, a shutdown, an election, a lost member, a
/// conflict. The numbers are MongoDB's (src/mongo/base/error_codes.yml).
const PASSING: [i32; 27] = [
    6, 7, 24, 43, 46, 50, 64, 89, 91, 100, 112, 117, 133, 134, 175, 189, 202, 262, 358, 462, 9001, 10107, 11600, 11602,
    12587, 13435, 13436,
];
/// `Unauthorized`, `UserNotFound`, `AuthenticationFailed`, and Atlas' own.
const REFUSALS: [i32; 4] = [13, 11, 18, 8000];
const OUT_OF_DISK_SPACE: i32 = 14031;
/// `DocumentValidationFailure`, `BSONObjectTooLarge`.
const DOCUMENT: [i32; 2] = [121, 10334];
/// `DuplicateKey`.
pub(super) const DUPLICATE_KEY: i32 = 11000;

impl MongoError {
    /// By the number that the server gives; the name is one of a closed list of the server's.
    pub(super) fn of_code(code: i32, name: &str) -> Self {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        let cause = Cause(if name.is_empty() { format!("error {code}") } else { format!("{name}, error {code}") });
        match code {
            code if PASSING.contains(&code) => Self::Unreachable(cause),
            code if REFUSALS.contains(&code) => Self::Refused(cause),
            code if DOCUMENT.contains(&code) => Self::Document(cause),
            OUT_OF_DISK_SPACE => Self::Full(cause),
            // Two first writes at once, where nobody has looked for it: the second attempt finds the other's.
            DUPLICATE_KEY => Self::Contended,
            _ => Self::Failed(cause),
        }
    }
}

impl From<Error> for MongoError {
    fn from(error: Error) -> Self {
        let told = match error.kind.as_ref() {
            ErrorKind::Authentication { .. } => Self::Refused(Cause::from("the login failed")),
            ErrorKind::ServerSelection { message, .. } => Self::Unreachable(hint(message)),
            ErrorKind::Io(io) => Self::Unreachable(Cause(io.kind().to_string())),
            ErrorKind::ConnectionPoolCleared { .. } => Self::Unreachable(Cause::from("another connection was lost")),
            ErrorKind::DnsResolve { .. } => Self::Unreachable(Cause::from("the host name can't be resolved")),
            ErrorKind::SessionsNotSupported | ErrorKind::Shutdown => {
                Self::Unreachable(Cause::from("the connection is not ready"))
            }
            ErrorKind::InvalidTlsConfig { .. } => Self::BadUri("its TLS options contradict each other or name no file"),
            ErrorKind::IncompatibleServer { .. } => Self::TooOld,
            ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } => Self::Unreadable("document"),
            ErrorKind::Command(command) => Self::of_code(command.code, &command.code_name),
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                Self::of_code(write.code, write.code_name.as_deref().unwrap_or_default())
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
                Self::of_code(concern.code, &concern.code_name)
            }
            ErrorKind::InsertMany(many) => match (&many.write_concern_error, &many.write_errors) {
                (Some(concern), _) => Self::of_code(concern.code, &concern.code_name),
                (None, Some(errors)) => {
                    // The duplicates among them are nobody's fault.
                    let first = errors.iter().find(|error| error.code != DUPLICATE_KEY).or_else(|| errors.first());
                    first.map_or(Self::Failed(Cause::from("a write failed")), |first| {
                        Self::of_code(first.code, first.code_name.as_deref().unwrap_or_default())
                    })
                }
                (None, None) => Self::Failed(Cause::from("a write failed")),
            },
            _ => Self::Failed(Cause::from("the driver refused the call")),
        };
        let again = error.contains_label(RETRYABLE_WRITE_ERROR) || error.contains_label(RETRYABLE_ERROR);
        match told {
            Self::Failed(cause) if again => Self::Unreachable(cause),
            told => told,
        }
    }
}

/// Why no server could be chosen. The message describes every server and may quote what it answered;
/// only what it is about is told, in words of our own, and nothing is decided by it.
fn hint(message: &str) -> Cause {
    let known = [
        ("onnection refused", "the connection is refused"),
        ("ertificate", "the server's certificate is not accepted"),
        ("failed to lookup address", "the host name can't be resolved"),
        ("No route to host", "there is no way to the host"),
        ("etwork is unreachable", "there is no way to the host"),
        ("Authentication", "the login failed"),
        ("timed out", "the server does not answer"),
        ("Type: RsSecondary", "there is no primary"),
        ("Type: RsGhost", "the replica set is not initiated"),
        ("Type: RsOther", "there is no primary"),
    ];
    let found = known.iter().find(|(part, _)| message.contains(part));
    Cause::from(found.map_or("no server can be chosen", |(_, words)| words))
}

impl Fault for MongoError {
    fn class(&self) -> Class {
        match self {
            Self::Unreachable(_) | Self::TooSlow | Self::Contended | Self::Full(_) => Class::RETRY,
            // Events must stay with the broker until the login works again.
            Self::Refused(_) => Class::Critical,
            Self::BadUri(_) | Self::TooOld | Self::NewerSchema { .. } => Class::Permanent,
            Self::Unreadable(_) | Self::Document(_) | Self::Failed(_) => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Unreachable(_) | Self::TooSlow | Self::Full(_) | Self::Refused(_) => Scope::Process,
            Self::BadUri(_) | Self::TooOld | Self::NewerSchema { .. } => Scope::Process,
            Self::Contended | Self::Unreadable(_) | Self::Document(_) | Self::Failed(_) => Scope::Event,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::BadUri(_) => Code::ConfigInvalid,
            Self::Unreachable(_) | Self::TooSlow | Self::Contended => Code::StoreUnavailable,
            Self::Refused(_) => Code::StoreRefused,
            Self::Full(_) => Code::DiskFull,
            Self::TooOld | Self::NewerSchema { .. } | Self::Unreadable(_) | Self::Document(_) | Self::Failed(_) => {
                Code::DatabaseFailed
            }
        }
    }

    fn action(&self) -> String {
        match self {
            Self::BadUri(_) => {
                "Write MONGODB_URI as mongodb://user:password@host:27017/database (or mongodb+srv://…), \
                 special characters in user and password percent-encoded."
                    .to_owned()
            }
            Self::TooOld => "Run MongoDB 6.0 or later.".to_owned(),
            Self::NewerSchema { .. } => {
                "Run the newer chatferry again, or name another database in MONGODB_URI.".to_owned()
            }
            Self::Full(_) => "Free space on MongoDB's disk; work goes on by itself.".to_owned(),
            _ => self.code().action().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_the_middle_of_something_is_tried_again_and_a_refused_login_stops_everything() {
        for code in PASSING {
            assert!(MongoError::of_code(code, "X").class().is_retryable(), "{code}");
        }
        let refused = MongoError::of_code(18, "AuthenticationFailed");
        assert_eq!(
            (refused.class(), refused.scope(), refused.code()),
            (Class::Critical, Scope::Process, Code::StoreRefused)
        );
        assert_eq!(MongoError::of_code(DUPLICATE_KEY, "DuplicateKey"), MongoError::Contended);
        assert_eq!(MongoError::of_code(121, "DocumentValidationFailure").class(), Class::Permanent);
        assert_eq!(MongoError::of_code(OUT_OF_DISK_SPACE, "OutOfDiskSpace").code(), Code::DiskFull);
    }

    #[test]
    fn nothing_of_a_server_s_message_is_kept() {
        let message = "Server: { Address: db.test, Error: Connection refused, user anna, hunter2 }";
        assert_eq!(hint(message), Cause::from("the connection is refused"));
        assert_eq!(hint("anna hunter2"), Cause::from("no server can be chosen"));
        let cause =
            MongoError::of_code(1, "a \"quoted\" text, and a very long one that goes on and on and on and on and on");
        assert!(!format!("{cause:?}").contains("quoted\\\""), "{cause:?}");
    }
}
