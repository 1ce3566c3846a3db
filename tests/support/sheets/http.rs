//! Just enough HTTP/1.1 to answer one client, and to fail it in ways that no web framework offers: a reset, half an
//! answer, none.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A request.
pub struct Request {
    pub method: String,
    target: Url,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn path(&self) -> &str {
        self.target.path()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn query(&self) -> Vec<(String, String)> {
        self.target.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Sent,
    /// The connection is reset in its place.
    Reset,
    /// Half of its body is sent under the length of the whole, then the connection ends.
    Cut,
    /// The connection stays open and nothing comes.
    Silence,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub fate: Fate,
}

impl Reply {
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json; charset=UTF-8".to_owned())];
        Self { status, headers, body: body.to_string(), fate: Fate::Sent }
    }

    pub fn page(status: u16) -> Self {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        Self { status, headers, body: "<html>That's an error.</html>".to_owned(), fate: Fate::Sent }
    }

    pub fn fated(fate: Fate) -> Self {
        Self { status: 200, headers: Vec::new(), body: String::new(), fate }
    }
}

/// Answers every connection until the listener is dropped with its task.
pub async fn serve(listener: TcpListener, answer: impl Fn(Request) -> Reply + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    while let Ok((stream, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            // A client that goes away is no fault of the test.
            let _ = talk(stream, &*answer).await;
        });
    }
}

async fn talk(mut stream: TcpStream, answer: &(dyn Fn(Request) -> Reply + Send + Sync)) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        let reply = answer(request);
        match reply.fate {
            Fate::Reset => {
                // Without lingering the close is a reset.
                stream.set_zero_linger()?;
                return Ok(());
            }
            Fate::Silence => std::future::pending::<()>().await,
            Fate::Sent | Fate::Cut => {}
        }
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let is_cut = reply.fate == Fate::Cut;
        let body = if is_cut { &reply.body.as_bytes()[..reply.body.len() / 2] } else { reply.body.as_bytes() };
        stream.write_all(body).await?;
        if is_cut {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap());
    let target = Url::parse("http://fake").unwrap().join(target).unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).unwrap();
    buffer.drain(..end + 4 + length);
    Ok(Some(Request { method, target, headers, body }))
}
