//! HTTP/1.1 in bytes, as hostile as a test wants it: what a well-behaved library would not send.

#![allow(dead_code)] // Each binary uses its part.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A message head with its body: a request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The request line or the status line.
    pub start: String,
    /// Fields in order; names in lower case, each byte of a value as one character.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// Reads one message; `None` where the peer closed the connection instead.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut message = Self::read_head(reader)?;
        message.read_body(reader)?;
        Some(message)
    }

    /// The same for a message that has no body, whatever its fields say: an answer to `HEAD`.
    pub fn read_head(reader: &mut impl BufRead) -> Option<Self> {
        let start = line(reader)?;
        let mut fields = Vec::new();
        loop {
            let line = line(reader)?;
            if line.is_empty() {
                break;
            }
            fields.push(field(&line));
        }
        Some(Self { start, fields, body: Vec::new() })
    }

    fn read_body(&mut self, reader: &mut impl BufRead) -> Option<()> {
        if self.value("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(line(reader)?.split(';').next()?, 16).expect("a chunk has a size");
                if size == 0 {
                    break;
                }
                let mut chunk = vec![0; size];
                reader.read_exact(&mut chunk).ok()?;
                line(reader)?;
                self.body.extend(chunk);
            }
            // As careless servers do: what stands behind the body is taken for more of the head.
            while let Some(trailer) = line(reader).filter(|line| !line.is_empty()) {
                self.fields.push(field(&trailer));
            }
        } else if let Some(length) = self.value("content-length") {
            self.body = vec![0; length.parse().expect("content-length is a number")];
            reader.read_exact(&mut self.body).ok()?;
        }
        Some(())
    }

    /// The value of a field that occurs at most once.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} occurs twice");
        value
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line has a status")
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a field line has a colon");
    (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    if reader.read_until(b'\n', &mut bytes).ok()? == 0 {
        return None;
    }
    let end = bytes.strip_suffix(b"\r\n").or(bytes.strip_suffix(b"\n"))?;
    Some(end.iter().map(|&byte| char::from(byte)).collect())
}

/// One connection of a client.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        stream.set_nodelay(true).expect("packets can leave at once");
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("the gateway reads");
    }

    pub fn receive(&mut self) -> Message {
        Message::read(&mut self.0).expect("the gateway answers")
    }

    /// Sends; whether all of it was taken.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    /// The answer, without a body if it is one to `HEAD`; `None` where the connection was closed instead.
    pub fn try_receive(&mut self, to_head: bool) -> Option<Message> {
        if to_head {
            Message::read_head(&mut self.0)
        } else {
            Message::read(&mut self.0)
        }
    }

    /// Whether something has come already.
    pub fn has_answer(&self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).expect("a socket can be asked");
        let has_answer = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).expect("a socket can be waited for");
        has_answer
    }

    /// Whether nothing comes for a while.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.0.get_ref().set_read_timeout(Some(time)).expect("a timeout can be set");
        let silent = matches!(self.0.fill_buf(), Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        self.0.get_ref().set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        silent
    }
}

/// A request of a test.
#[derive(Clone, Debug)]
pub struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// `GET`.
pub fn get(target: &str) -> Request {
    request("GET", target)
}

pub fn request(method: &str, target: &str) -> Request {
    Request { head: format!("{method} {target} HTTP/1.1\r\nhost: gateway\r\n").into_bytes(), body: Vec::new() }
}

impl Request {
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    pub fn bearing(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    pub fn carrying(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.with("content-length", body.len().to_string())
    }

    pub fn bytes(&self) -> Vec<u8> {
        [&self.head[..], b"\r\n", &self.body].concat()
    }
}
