//! Where the broker is, and how a connection to it is made.
//!
//! The socket is opened here and not by lapin, so that it can be cut: a broker that accepts and then says
//! nothing (frozen, or a dead peer behind a proxy) would otherwise hold one thread for every attempt.
//! Credentials stay inside; what is shown is `host:port/virtual host`.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind, Event};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::bus::BusError;

/// Seconds between two signs of life, unless the address names others; a dead peer is noticed after two.
const HEARTBEAT: u16 = 10;

/// Where the broker is, with credentials.
pub(super) struct Address {
    uri: AMQPUri,
    /// `host:port/virtual host`.
    pub shown: String,
    tls: OwnedTLSConfig,
    /// Longest wait for an answer, and for a connection from the first packet until it can be used.
    pub patience: Duration,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.shown)
    }
}

impl Address {
    /// Reads `amqp[s]://…`, and the certificate authorities in a PEM file.
    pub fn parse(url: &SecretString, ca_file: Option<&PathBuf>, patience: Duration) -> Result<Self, BusError> {
        let wrong = |what: &str| BusError::Address(what.to_owned());
        // The parser's own complaint would quote the address, with its password.
        let parsed = url::Url::parse(url.expose_secret()).map_err(|_| wrong("it is no URL"))?;
        if !matches!(parsed.scheme(), "amqp" | "amqps") {
            return Err(wrong("it begins with neither amqp:// nor amqps://"));
        }
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
        let mut uri: AMQPUri =
            url.expose_secret().parse().map_err(|_| wrong("a part of it is not what RabbitMQ expects"))?;
        // The parser takes an IPv6 address for no host at all.
        host.trim_matches(['[', ']']).clone_into(&mut uri.authority.host);
        if matches!(parsed.path(), "" | "/") {
            // RabbitMQ's own tools take a missing virtual host for `/`; nobody has one without a name.
            "/".clone_into(&mut uri.vhost);
        }
        // None at all would leave a dead peer unnoticed for as long as nothing is sent.
        uri.query.heartbeat = uri.query.heartbeat.filter(|seconds| *seconds > 0).or(Some(HEARTBEAT));
        let shown = format!("{host}:{}/{}", uri.authority.port, uri.vhost.trim_start_matches('/'));
        let cert_chain = match ca_file {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                BusError::Address(format!(
                    "the certificate authority in {} can't be read ({})",
                    path.display(),
                    error.kind()
                ))
            })?),
            None => None,
        };
        Ok(Self { uri, shown, tls: OwnedTLSConfig { identity: None, cert_chain }, patience })
    }

    /// A connection under this name, within a deadline.
    ///
    /// Without lapin's own recovery, on purpose: it can hang for ever in two ways (facts, trap 14), and
    /// afterwards old delivery tags would name new deliveries. Who uses a connection makes a new one.
    pub async fn connect(&self, name: &str) -> Result<Live, BusError> {
        let plug = Plug::default();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.unavailable(&error.to_string()))?;
        let (held, tls, patience) = (plug.clone(), self.tls.clone(), self.patience);
        let connecting = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri: AMQPUri, runtime| {
                let opening = async {
                    let found = tokio::net::lookup_host((uri.authority.host.as_str(), uri.authority.port)).await?;
                    let stream = AsyncTcpStream::connect(&runtime, found.collect::<Vec<_>>()).await?;
                    if let AsyncTcpStream::Plain(socket) = &stream {
                        held.hold(socket.get_ref().as_fd().try_clone_to_owned()?.into())?;
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await,
                    }
                };
                let late = |_| io::Error::from(io::ErrorKind::TimedOut);
                Ok(timeout(patience, opening).await.map_err(late).flatten()?)
            },
            properties,
        );
        match timeout(patience, connecting).await {
            Ok(Ok(connection)) => {
                let events = Box::pin(connection.events_listener());
                Ok(Live { connection, plug, events: Mutex::new((events, None)) })
            }
            Ok(Err(error)) => {
                plug.cut();
                Err(self.not_connected(&error))
            }
            Err(_) => {
                plug.cut();
                Err(self.silent())
            }
        }
    }

    fn not_connected(&self, error: &lapin::Error) -> BusError {
        let broker = self.shown.clone();
        match error.kind() {
            // The broker's words name user and virtual host only. Whatever else it closes a connection for
            // (CONNECTION_FORCED by one that is just stopping, INTERNAL_ERROR) passes without a human.
            ErrorKind::ProtocolError(refusal) => {
                let reason = refusal.get_message().to_string();
                match refusal.kind() {
                    AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                    | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH) => {
                        BusError::Refused { broker, reason, known: false }
                    }
                    _ => self.unavailable(&reason),
                }
            }
            // What rustls says about a certificate.
            ErrorKind::IOError(error) if error.kind() == io::ErrorKind::InvalidData => {
                BusError::Refused { broker, reason: format!("TLS: {error}"), known: false }
            }
            _ => self.unavailable(&error.to_string()),
        }
    }

    /// The fault of a broker that has not answered in time.
    pub fn silent(&self) -> BusError {
        self.unavailable(&format!("no answer within {} s", self.patience.as_secs_f32()))
    }

    /// The fault of a broker that can't be used.
    pub fn unavailable(&self, reason: &str) -> BusError {
        BusError::Unavailable { broker: self.shown.clone(), reason: reason.to_owned() }
    }
}

/// The socket of a connection, to be cut when nothing else ends it.
#[derive(Debug, Clone, Default)]
struct Plug(Arc<Mutex<(bool, Option<std::net::TcpStream>)>>);

impl Plug {
    fn hold(&self, socket: std::net::TcpStream) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        state.1 = Some(socket);
        Ok(())
    }

    /// Both directions, at once. lapin sees the end of the stream and lets go.
    fn cut(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        if let Some(socket) = state.1.take() {
            // It may be gone already.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

type Events = std::pin::Pin<Box<dyn Stream<Item = Event> + Send>>;

/// One connection.
pub(super) struct Live {
    /// lapin's side of it.
    pub connection: Connection,
    plug: Plug,
    /// What happened to it, and why it is blocked, if it is.
    events: Mutex<(Events, Option<String>)>,
}

impl Live {
    /// False as soon as it has ended in any way.
    pub fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// The reason while the broker takes nothing from it.
    pub fn blocked(&self) -> Option<String> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Some(event)) = events.0.next().now_or_never() {
            match event {
                Event::ConnectionBlocked(reason) => events.1 = Some(reason),
                Event::ConnectionUnblocked => events.1 = None,
                _ => (),
            }
        }
        let reason = || events.1.clone().unwrap_or_else(|| "an alarm".to_owned());
        self.connection.status().blocked().then(reason)
    }

    /// Ends it at once, whatever the broker does. Everything that waits on it fails.
    pub fn cut(&self) {
        self.plug.cut();
    }

    /// Ends it in the way of the protocol, and by force after `patience`.
    pub async fn close(&self, patience: Duration) {
        // Fails if it has ended already.
        let _ = timeout(patience, self.connection.close(200, "OK".into())).await;
        self.cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, BusError> {
        Address::parse(&SecretString::from(url), None, Duration::from_secs(1))
    }

    #[test]
    fn what_is_shown_holds_no_credentials() {
        for (url, shown) in [
            ("amqp://ann:s3cret@broker:5673/team", "broker:5673/team"),
            ("amqps://ann:s3cret@10.0.0.1", "10.0.0.1:5671/"),
            ("amqp://ann:s3cret@[::1]/%2f", "[::1]:5672/"),
        ] {
            let address = parse(url).unwrap();
            assert_eq!(address.shown, shown);
            assert!(!format!("{address:?}").contains("s3cret"));
        }
        assert_eq!(parse("amqp://[::1]/").unwrap().uri.authority.host, "::1");
        assert_eq!(parse("amqp://broker").unwrap().uri.vhost, "/");
        assert_eq!(parse("amqp://broker/%2f?heartbeat=3").unwrap().uri.query.heartbeat, Some(3));
        assert_eq!(parse("amqp://broker/%2f?heartbeat=0").unwrap().uri.query.heartbeat, Some(HEARTBEAT));
    }

    #[test]
    fn a_broker_that_is_stopping_refuses_nobody() {
        let address = parse("amqp://broker").unwrap();
        let met = |kind| {
            let closed = lapin::protocol::AMQPError::new(kind, "words".into());
            address.not_connected(&lapin::Error::from(ErrorKind::ProtocolError(closed)))
        };
        for hard in [AMQPHardError::CONNECTIONFORCED, AMQPHardError::INTERNALERROR, AMQPHardError::RESOURCEERROR] {
            let fault = met(AMQPErrorKind::Hard(hard.clone()));
            assert!(matches!(fault, BusError::Unavailable { .. }), "{hard:?}: {fault}");
        }
        for kind in [AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED), AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)]
        {
            assert!(matches!(met(kind.clone()), BusError::Refused { .. }), "{kind:?}");
        }
    }

    #[test]
    fn a_refused_address_is_not_quoted() {
        for url in
            ["http://ann:s3cret@broker", "ann:s3cret@broker", "amqp:s3cret", "amqp://a:s3cret@b/?heartbeat=s3cret"]
        {
            let refusal = parse(url).unwrap_err();
            assert!(matches!(refusal, BusError::Address(_)), "{url}");
            assert!(!format!("{refusal} {refusal:?}").contains("s3cret"), "{refusal}");
        }
    }
}
