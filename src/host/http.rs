//! The HTTP context: one per request.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::driver::{Course, Driver};
use super::hostcalls;
use crate::gate::Event;
use crate::verdict::{Denial, Reason};

/// One request.
pub struct Http {
    id: u32,
    driver: Option<Rc<Driver>>,
    is_parked: bool,
}

impl Http {
    /// A request under the configuration that `driver` has in force.
    pub fn new(id: u32, driver: Option<Rc<Driver>>) -> Self {
        Self { id, driver, is_parked: false }
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match &self.driver {
            Some(driver) => {
                let course = driver.on_request(self.id);
                self.is_parked = course == Course::Parked;
                course.action()
            }
            // A host that sends requests before, or in spite of, a refused configuration.
            None => {
                hostcalls::deny(&Denial::from(Reason::KeysUnavailable), hostcalls::request_head().is_grpc());
                Action::Pause
            }
        }
    }
}

impl Context for Http {
    // In hosts that cannot resume a request from the root context, it makes its own call.
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        if let Some(driver) = &self.driver {
            let course = driver.on_answer(token, headers, body, Some(self.id));
            self.is_parked = course == Course::Parked;
            if course == Course::Passed {
                hostcalls::resume();
            }
        }
    }

    fn on_done(&mut self) -> bool {
        // The gate knows nothing of the others any more.
        if let Some(driver) = self.driver.as_ref().filter(|_| self.is_parked) {
            driver.on_event(Event::Gone(self.id));
        }
        true
    }
}
