//! The two servers behind the proxy: an issuer that does what the test says, and a service that tells what it got.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::wire::Message;

/// What the issuer does with a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers with this status, these fields and this body; with 304 where the request names the `ETag` among the fields.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Reads the request and never answers.
    Hang,
    /// Closes the connection.
    Close,
    /// Answers after a while.
    After(Duration, Box<Behaviour>),
    /// Answers when this is set.
    Held(Arc<AtomicBool>, Box<Behaviour>),
    /// Answers byte by byte, two hundred in a second.
    Drip(Box<Behaviour>),
}

impl Behaviour {
    pub fn json(value: &Value) -> Self {
        Self::Answer(200, vec![("content-type", "application/json".into())], value.to_string().into_bytes())
    }

    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), b"no".to_vec())
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer(_, fields, _) = &mut self {
            fields.push((name, value.to_owned()));
        }
        self
    }
}

/// An issuer: its key sets and revocation lists by path.
#[derive(Clone)]
pub struct Issuer {
    pub port: u16,
    state: Arc<Mutex<IssuerState>>,
}

#[derive(Default)]
struct IssuerState {
    behaviours: HashMap<String, Behaviour>,
    /// With the time of their arrival.
    requests: Vec<(Instant, Message)>,
}

impl Issuer {
    pub fn start() -> Self {
        let state = Arc::<Mutex<IssuerState>>::default();
        let shared = Arc::clone(&state);
        let port = serve(move |request| {
            let mut state = shared.lock().expect("no test panics while it holds the issuer");
            let path = request.start.split(' ').nth(1).unwrap_or_default().to_owned();
            let behaviour = state.behaviours.get(&path).cloned().unwrap_or_else(|| Behaviour::status(404));
            state.requests.push((Instant::now(), request.clone()));
            drop(state);
            behaviour
        });
        Self { port, state }
    }

    /// From now on, `path` does this.
    pub fn set(&self, path: &str, behaviour: Behaviour) {
        self.state.lock().expect("the issuer serves").behaviours.insert(path.to_owned(), behaviour);
    }

    /// Every request for `path` so far.
    pub fn requests(&self, path: &str) -> Vec<Message> {
        self.log(path).into_iter().map(|(_, request)| request).collect()
    }

    /// When each of them came.
    pub fn arrivals(&self, path: &str) -> Vec<Instant> {
        self.log(path).into_iter().map(|(arrival, _)| arrival).collect()
    }

    fn log(&self, path: &str) -> Vec<(Instant, Message)> {
        let state = self.state.lock().expect("the issuer serves");
        state.requests.iter().filter(|(_, request)| request.start.split(' ').nth(1) == Some(path)).cloned().collect()
    }
}

/// Starts the service; its answers are JSON: what it got, each byte as one character.
pub fn start_service() -> u16 {
    serve(|request| {
        let mut parts = request.start.split(' ');
        let seen = json!({
            "method": parts.next(),
            "target": parts.next(),
            "fields": request.fields,
            "body": request.body.iter().map(|&byte| char::from(byte)).collect::<String>(),
        });
        Behaviour::json(&seen)
    })
}

/// What the service got, from its answer.
pub struct Seen(Value);

impl Seen {
    pub fn of(response: &Message) -> Self {
        assert_eq!(response.status(), 200, "{}", response.text());
        Self(serde_json::from_slice(&response.body).expect("the service answers JSON"))
    }

    pub fn target(&self) -> &str {
        self.0["target"].as_str().expect("a request has a target")
    }

    pub fn body(&self) -> &str {
        self.0["body"].as_str().expect("a request has a body")
    }

    /// Every value of a header field.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.0["fields"].as_array().expect("a request has fields");
        fields.iter().filter(|field| field[0] == name).filter_map(|field| field[1].as_str()).collect()
    }

    /// The names of all header fields.
    pub fn names(&self) -> Vec<&str> {
        let fields = self.0["fields"].as_array().expect("a request has fields");
        fields.iter().filter_map(|field| field[0].as_str()).collect()
    }
}

/// A server on a free port of the loopback.
pub fn serve(answer: impl Fn(&Message) -> Behaviour + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a listener has an address").port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || converse(stream, &*answer));
        }
    });
    port
}

fn converse(stream: TcpStream, answer: &dyn Fn(&Message) -> Behaviour) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = Message::read(&mut reader) {
        let mut behaviour = answer(&request);
        let mut is_slow = false;
        let bytes = loop {
            behaviour = match behaviour {
                Behaviour::After(time, then) => {
                    thread::sleep(time);
                    *then
                }
                Behaviour::Held(open, then) => {
                    while !open.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(10));
                    }
                    *then
                }
                Behaviour::Drip(then) => {
                    is_slow = true;
                    *then
                }
                Behaviour::Answer(status, fields, body) => break response(&request, status, &fields, &body),
                Behaviour::Hang => {
                    thread::sleep(Duration::from_secs(60));
                    return;
                }
                Behaviour::Close => return,
            };
        };
        for part in bytes.chunks(if is_slow { 1 } else { bytes.len() }) {
            if writer.write_all(part).is_err() {
                return;
            }
            if is_slow {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn response(request: &Message, status: u16, fields: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let etag = fields.iter().find(|(name, _)| *name == "etag").map(|(_, value)| value.as_str());
    let known = etag.is_some() && request.value("if-none-match") == etag;
    let (status, body) = if known { (304, &[][..]) } else { (status, body) };
    let mut bytes = format!("HTTP/1.1 {status} -\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}
