//! The contexts of one VM: root contexts, one per configuration, and requests, each under one of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use jwt_gate_abi::{Action, Module};

use super::configure::configure;
use super::driver::{Course, Driver};
use super::hostcalls;
use super::metrics::Metrics;
use crate::gate::{Event, RequestId};
use crate::hashed::ByNumber;
use crate::verdict::{Denial, Reason};

/// All of them, by the host's numbers. Nothing is borrowed while a driver is at work, since the host may call back from there.
#[derive(Default)]
pub struct Contexts {
    roots: RefCell<BTreeMap<u32, Root>>,
    requests: RefCell<HashMap<RequestId, Request, ByNumber>>,
    metrics: Rc<Metrics>,
}

/// A root context.
#[derive(Default)]
struct Root {
    /// The configuration that is in force, once there is one.
    driver: Option<Rc<Driver>>,
    /// Those before it in the same context, as some hosts have it, while there are requests that came under them.
    before: Vec<Rc<Driver>>,
}

struct Request {
    /// Of the configuration that was in force when it came.
    driver: Option<Rc<Driver>>,
    /// Whether it ever was held: of no other one the gate knows anything.
    was_parked: bool,
}

impl Contexts {
    fn root(&self, root: u32) -> Option<Rc<Driver>> {
        self.roots.borrow().get(&root)?.driver.clone()
    }

    /// All configurations of a root context, the one in force at the end.
    fn drivers(&self, root: u32) -> Vec<Rc<Driver>> {
        let roots = self.roots.borrow();
        roots.get(&root).map(|root| root.before.iter().chain(&root.driver).cloned().collect()).unwrap_or_default()
    }

    fn request(&self, request: RequestId) -> Option<Rc<Driver>> {
        self.requests.borrow().get(&request)?.driver.clone()
    }

    fn note(&self, request: RequestId, course: Course) {
        if let Some(request) = self.requests.borrow_mut().get_mut(&request) {
            request.was_parked |= course == Course::Parked;
        }
    }
}

impl Module for Contexts {
    fn create_root(&self, root: u32) {
        self.roots.borrow_mut().entry(root).or_default();
    }

    fn configure(&self, root: u32) -> bool {
        let Some(driver) = configure(root, &self.metrics) else {
            return false;
        };
        let before = self.roots.borrow_mut().entry(root).or_default().take_over(driver);
        before.into_iter().for_each(|before| before.stop());
        true
    }

    fn tick(&self, root: u32) {
        let in_force = self.root(root);
        for driver in self.drivers(root) {
            // Of an older one nothing is to come but what requests wait for: a long answer is no reason to go on fetching.
            let is_in_force = in_force.as_ref().is_some_and(|in_force| Rc::ptr_eq(in_force, &driver));
            if !is_in_force && !driver.is_awaited() {
                continue;
            }
            driver.on_event(Event::Tick);
            driver.flush_counters();
        }
        drop(in_force);
        let over = self.roots.borrow_mut().get_mut(&root).map(Root::over).unwrap_or_default();
        over.into_iter().for_each(|before| before.stop());
    }

    fn create_request(&self, request: RequestId, root: u32) {
        let driver = self.root(root);
        self.requests.borrow_mut().insert(request, Request { driver, was_parked: false });
    }

    fn request_headers(&self, request: RequestId) -> Action {
        let Some(driver) = self.request(request) else {
            // A host that sends requests before, or in spite of, a refused configuration.
            let is_grpc = hostcalls::request_head().is_some_and(|head| head.is_grpc());
            hostcalls::deny(&Denial::from(Reason::KeysUnavailable), is_grpc);
            return Action::Pause;
        };
        let course = driver.on_request(request);
        if course == Course::Parked {
            self.note(request, course);
        }
        course.action()
    }

    fn request_trailers(&self, request: RequestId) -> Action {
        self.request(request).map_or(Action::Pause, |driver| driver.on_trailers().action())
    }

    fn call_response(&self, context: u32, token: u32, headers: usize, body: usize) {
        let drivers = self.drivers(context);
        let caller = drivers.iter().find(|driver| driver.has_call(token));
        if let Some(driver) = caller.or(drivers.last()) {
            driver.on_answer(token, headers, body, None);
        } else if let Some(driver) = self.request(context) {
            // In hosts that cannot resume a request from the root context, it makes its own call.
            let course = driver.on_answer(token, headers, body, Some(context));
            self.note(context, course);
            if course == Course::Passed {
                hostcalls::resume();
            }
        }
    }

    fn delete(&self, context: u32) {
        let request = self.requests.borrow_mut().remove(&context);
        if let Some(request) = request {
            if let Some(driver) = request.driver.filter(|_| request.was_parked) {
                driver.on_gone(context);
            }
            return;
        }
        let drivers = self.drivers(context);
        drivers.iter().for_each(|driver| driver.stop());
        self.roots.borrow_mut().remove(&context);
        // Envoy goes on waking for a root context that is gone; nginx takes its period once and traps.
        if drivers.iter().any(|driver| driver.can_wait()) {
            hostcalls::tick_no_more();
        }
    }
}

/// Whether requests came under a configuration that is out of its root context's hands: each of them holds it.
fn has_requests(driver: &Rc<Driver>) -> bool {
    Rc::strong_count(driver) > 1
}

impl Root {
    /// Puts a configuration in force. The one before it stays while there are requests under it; otherwise it is over.
    fn take_over(&mut self, driver: Rc<Driver>) -> Option<Rc<Driver>> {
        let before = self.driver.replace(driver)?;
        if has_requests(&before) {
            self.before.push(before);
            return None;
        }
        Some(before)
    }

    /// Takes those out under which there is no request any more.
    fn over(&mut self) -> Vec<Rc<Driver>> {
        let (awaited, over) = std::mem::take(&mut self.before).into_iter().partition(has_requests);
        self.before = awaited;
        over
    }
}
