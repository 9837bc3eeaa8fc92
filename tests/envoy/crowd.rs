//! Many clients at once, each of whom knows what it may be told: what is wrong and what is lost is counted.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::wire::{get, Connection, Message, Request};

/// Threads that send. A request that waits in the gate holds up those that its thread has still to look after.
const THREADS: usize = 4;

/// Requests of one kind, and what the answer to one may be.
#[derive(Clone)]
pub struct Kind {
    name: String,
    bytes: Vec<u8>,
    expected: Vec<String>,
}

impl Kind {
    /// `expected` are outcomes: a status, and then the caller or the code of the refusal, if the answer says so.
    pub fn new(name: impl Into<String>, request: &Request, expected: &[&str]) -> Self {
        Self {
            name: name.into(),
            bytes: request.bytes(),
            expected: expected.iter().map(|&outcome| outcome.to_owned()).collect(),
        }
    }

    /// `GET` with this token.
    pub fn bearing(name: impl Into<String>, target: &str, token: &str, expected: &[&str]) -> Self {
        Self::new(name, &get(target).bearing(token), expected)
    }

    /// The same requests, of which something else is expected.
    pub fn expecting(&self, expected: &[&str]) -> Self {
        Self { expected: expected.iter().map(|&outcome| outcome.to_owned()).collect(), ..self.clone() }
    }
}

/// What came of the requests of a while.
#[derive(Default)]
pub struct Tally {
    outcomes: BTreeMap<(String, String), u64>,
    wrong: BTreeMap<(String, String), u64>,
    lost: u64,
}

impl Tally {
    fn take(&mut self, kind: &Kind, answer: Option<&Message>) {
        let Some(answer) = answer else {
            self.lost += 1;
            return;
        };
        let outcome = outcome(answer);
        let is_right = kind.expected.contains(&outcome);
        let key = (kind.name.clone(), outcome);
        if !is_right {
            *self.wrong.entry(key.clone()).or_default() += 1;
        }
        *self.outcomes.entry(key).or_default() += 1;
    }

    /// With those of another while, or thread.
    pub fn and(mut self, other: Self) -> Self {
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for (outcome, count) in other.wrong {
            *self.wrong.entry(outcome).or_default() += count;
        }
        self.lost += other.lost;
        self
    }

    /// How many were answered, rightly or not.
    pub fn answered(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// How many of a kind came to this.
    pub fn count(&self, kind: &str, outcome: &str) -> u64 {
        self.outcomes.get(&(kind.to_owned(), outcome.to_owned())).copied().unwrap_or_default()
    }

    /// What was answered wrongly, and how often.
    pub fn wrong(&self) -> u64 {
        self.wrong.values().sum()
    }

    /// What was not answered at all.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Fails the test unless there was load, and every request of it got an answer that it may get.
    pub fn assert_right(&self, what: &str) {
        assert!(self.wrong.is_empty(), "{what}: wrong decisions: {:?}", self.wrong);
        assert_eq!(self.lost, 0, "{what}: lost requests");
        assert!(self.answered() > 100, "{what}: there was load");
    }
}

/// The status; behind it, who passed, or why not.
pub fn outcome(answer: &Message) -> String {
    let status = answer.status();
    let body = answer.text();
    let code = body.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next());
    match answer.value("x-caller").or(code) {
        Some(more) => format!("{status} {more}"),
        None => status.to_string(),
    }
}

/// Clients whose connections are kept alive, with one request in flight on each.
pub struct Crowd {
    port: u16,
    clients: Vec<Vec<Connection>>,
}

impl Crowd {
    pub fn open(port: u16, connections: usize) -> Self {
        let share = |thread| (thread..connections).step_by(THREADS).map(|_| Connection::open(port)).collect();
        Self { port, clients: (0..THREADS).map(share).collect() }
    }

    /// Sends requests of these kinds, in turn, while `act` runs; then waits for what is in flight.
    pub fn during<T>(&mut self, kinds: &[Kind], act: impl FnOnce() -> T) -> (Tally, T) {
        let (stop, port) = (AtomicBool::new(false), self.port);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (offset, clients) in self.clients.iter_mut().enumerate() {
                let stop = &stop;
                threads.push(scope.spawn(move || send(port, clients, kinds, offset, stop)));
            }
            // Also where `act` fails: the threads are waited for.
            let guard = Stop(&stop);
            let result = act();
            drop(guard);
            let tallies = threads.into_iter().map(|thread| thread.join().expect("a thread that sends"));
            (tallies.fold(Tally::default(), Tally::and), result)
        })
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn send(port: u16, clients: &mut [Connection], kinds: &[Kind], offset: usize, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut asked: Vec<Option<&Kind>> = vec![None; clients.len()];
    let mut next = kinds.iter().cycle().skip(offset % kinds.len());
    loop {
        for (client, asked) in clients.iter_mut().zip(&mut asked) {
            if let Some(kind) = asked.take() {
                let answer = client.try_receive(false);
                tally.take(kind, answer.as_ref());
                let is_over = answer.is_none_or(|answer| answer.value("connection") == Some("close"));
                if is_over {
                    *client = Connection::open(port);
                }
            }
            if !stop.load(Ordering::Relaxed) {
                let kind = next.next().expect("a cycle has no end");
                // Where it was not taken, no answer comes, which is counted.
                client.try_send(&kind.bytes);
                *asked = Some(kind);
            }
        }
        if asked.iter().all(Option::is_none) {
            return tally;
        }
    }
}

/// Lets this process, and the Envoy that it starts, open so many files, and keeps other crowds of this process out while the
/// guard lives: all of them share the limit, and the processors.
#[must_use = "the next crowd comes when this is dropped"]
pub fn alone_with(files: u64) -> MutexGuard<'static, ()> {
    static CROWD: Mutex<()> = Mutex::new(());
    // A test that failed has left nothing behind that the next one would mind.
    let guard = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let (now, most) = open_files();
    if now < files {
        let most = most.max(files);
        let own = std::process::id().to_string();
        let _ = Command::new("prlimit").args(["--pid", &own, &format!("--nofile={most}:{most}")]).status();
        let (now, most) = open_files();
        assert!(
            now >= files,
            "this test opens {files} files, of which `ulimit -n` allows {now} and `ulimit -Hn` {most}"
        );
    }
    guard
}

/// How many files this process may open, and how far it may raise that itself.
fn open_files() -> (u64, u64) {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the kernel tells the limits of a process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("there is a limit of files");
    let mut limits = line.split_whitespace().map(|limit| limit.parse().unwrap_or(u64::MAX));
    (limits.next().expect("the limit"), limits.next().expect("the most it can be"))
}
