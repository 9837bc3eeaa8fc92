//! The requests that are on their way through the proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_wasm_host::abi::v0_2_1::types::{MapType, Status, StreamType};
use proxy_wasm_host::abi::v0_2_1::{Access, ForeignCall, Invocation, LocalResponse, StreamState};
use proxy_wasm_host::{HeaderMap, VecHeaderMap};

use crate::faults::{Call, Faults};

/// The functions that the host brings: name and argument to answer; `None` where there is none of that name.
pub type Foreign = fn(&[u8], &[u8]) -> Option<Vec<u8>>;

/// One request.
pub struct Stream {
    pub headers: VecHeaderMap,
    pub reply: Option<LocalResponse<'static>>,
    pub resumed: bool,
}

/// All of them, by the numbers of their contexts.
pub struct Streams {
    faults: Arc<Faults>,
    foreign: Foreign,
    pub requests: BTreeMap<u32, Stream>,
    /// The request in effect, whatever the library says.
    pub in_effect: Option<u32>,
    /// What a proxy could not do: a second end of one request.
    pub contradictions: Vec<String>,
}

impl Streams {
    pub fn new(faults: Arc<Faults>, foreign: Foreign) -> Self {
        Self { faults, foreign, requests: BTreeMap::new(), in_effect: None, contradictions: Vec::new() }
    }

    /// The request of the context that is in effect, unless it has ended.
    fn open(&mut self, call: Invocation, what: &str) -> Result<&mut Stream, Status> {
        let id = self.in_effect.unwrap_or(call.context.get());
        let request = self.requests.get_mut(&id).ok_or(Status::BadArgument)?;
        if request.resumed || request.reply.is_some() {
            self.contradictions.push(format!("{what} after the end of {id}"));
        }
        Ok(request)
    }
}

impl StreamState for Streams {
    fn header_map(&mut self, call: Invocation, access: Access, map: MapType) -> Result<&mut dyn HeaderMap, Status> {
        self.faults.ask(if access == Access::Read { Call::ReadHeaders } else { Call::EditHeaders })?;
        match map {
            MapType::HttpRequestHeaders => Ok(&mut self.open(call, "headers")?.headers),
            _ => Err(Status::BadArgument),
        }
    }

    fn continue_stream(&mut self, call: Invocation, stream: StreamType) -> Result<(), Status> {
        self.faults.ask(Call::Resume)?;
        if stream != StreamType::HttpRequest {
            return Err(Status::BadArgument);
        }
        self.open(call, "resumed")?.resumed = true;
        Ok(())
    }

    fn send_local_response(&mut self, call: Invocation, response: LocalResponse<'_>) -> Result<(), Status> {
        self.faults.ask(Call::Answer)?;
        self.open(call, "answered")?.reply = Some(response.into_owned());
        Ok(())
    }

    fn property(&mut self, _: Invocation, _: &[&[u8]], _: &mut Vec<u8>) -> Result<(), Status> {
        self.faults.ask(Call::Property)?;
        Err(Status::NotFound)
    }

    fn set_property(&mut self, _: Invocation, _: &[&[u8]], _: &[u8]) -> Result<(), Status> {
        self.faults.ask(Call::Property)
    }

    fn call_foreign_function(
        &mut self,
        _: Invocation,
        request: ForeignCall<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Status> {
        self.faults.ask(Call::Foreign)?;
        *out = (self.foreign)(&request.name, &request.arguments).ok_or(Status::NotFound)?;
        Ok(())
    }
}
