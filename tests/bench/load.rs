//! The load generator: one thread, several connections that are kept alive, one request in flight on each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// Connections to one listener.
pub struct Load {
    connections: Vec<Connection>,
}

/// The requests of one kind: they differ in their token alone.
#[derive(Clone)]
pub struct Traffic {
    path: String,
    tokens: Arc<[String]>,
    next: usize,
    once: bool,
}

impl Traffic {
    /// `tokens` in rotation; none at all where there are none.
    pub fn rotating(tokens: Arc<[String]>) -> Self {
        Self { path: "/orders/42".into(), tokens, next: 0, once: false }
    }

    /// Each of `tokens` once.
    pub fn once(tokens: Arc<[String]>) -> Self {
        Self { once: true, ..Self::rotating(tokens) }
    }

    /// One token again and again.
    pub fn repeating(token: &str) -> Self {
        Self::rotating(Arc::new([token.to_owned()]))
    }

    /// No token.
    pub fn bare() -> Self {
        Self::rotating(Arc::new([]))
    }

    /// The next request.
    fn write(&mut self, into: &mut Vec<u8>) {
        into.clear();
        for part in ["GET ", &self.path, " HTTP/1.1\r\nhost: gateway\r\nuser-agent: bench\r\naccept: */*\r\n"] {
            into.extend_from_slice(part.as_bytes());
        }
        if !self.tokens.is_empty() {
            assert!(self.next < self.tokens.len() || !self.once, "there are too few tokens for as many requests");
            into.extend_from_slice(b"authorization: Bearer ");
            into.extend_from_slice(self.tokens[self.next % self.tokens.len()].as_bytes());
            into.extend_from_slice(b"\r\n");
            self.next += 1;
        }
        into.extend_from_slice(b"\r\n");
    }
}

impl Load {
    pub fn open(port: u16, connections: usize) -> Self {
        Self { connections: (0..connections).map(|_| Connection::open(port)).collect() }
    }

    /// Sends that many requests and waits for their answers, all of which must have this status.
    pub fn run(&mut self, traffic: &mut Traffic, requests: usize, status: u16) -> Result<(), String> {
        let mut bytes = Vec::new();
        let width = self.connections.len();
        for number in 0..requests {
            let connection = &mut self.connections[number % width];
            if connection.busy {
                connection.receive(status)?;
            }
            traffic.write(&mut bytes);
            connection.send(&bytes)?;
        }
        self.connections.iter_mut().filter(|connection| connection.busy).try_for_each(|busy| busy.receive(status))
    }

    /// The same requests on every connection, one connection after the other.
    pub fn run_on_each(&mut self, traffic: &Traffic, requests: usize, status: u16) -> Result<(), String> {
        let mut bytes = Vec::new();
        for connection in &mut self.connections {
            let mut traffic = traffic.clone();
            for _ in 0..requests {
                traffic.write(&mut bytes);
                connection.send(&bytes)?;
                connection.receive(status)?;
            }
        }
        Ok(())
    }
}

/// One connection, and what it has received.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    busy: bool,
}

impl Connection {
    fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("Envoy listens");
        stream.set_nodelay(true).expect("packets can leave at once");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        Self { stream, buffer: vec![0; 16 * 1024], busy: false }
    }

    fn send(&mut self, request: &[u8]) -> Result<(), String> {
        self.busy = true;
        self.stream.write_all(request).map_err(|error| format!("Envoy does not read: {error}"))
    }

    fn receive(&mut self, status: u16) -> Result<(), String> {
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[length..]).map_err(|error| format!("no answer: {error}"))?;
            if read == 0 {
                return Err("Envoy closed the connection".into());
            }
            length += read;
            if is_whole(&self.buffer[..length]) {
                break;
            }
        }
        self.busy = false;
        let answer = &self.buffer[..length];
        if answer.get(9..12) == Some(status.to_string().as_bytes()) {
            Ok(())
        } else {
            Err(format!("expected {status}, got:\n{}", String::from_utf8_lossy(answer)))
        }
    }
}

/// Whether all of an answer is there: its head, and as much of a body as that says.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = find(answer, b"\r\n\r\n") else { return false };
    let name = b"\r\ncontent-length: ";
    let Some(at) = find(&answer[..end], name) else { return true };
    let digits = answer[at + name.len()..end].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    answer.len() >= end + 4 + length
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
