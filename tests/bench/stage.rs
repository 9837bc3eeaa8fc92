//! One Envoy with a listener for each row of a table, and the measuring of them in turn.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::envoy::{self, address, cluster, Envoy, Settings, PATIENCE};
use crate::filters::{self, Filters};
use crate::load::{Load, Traffic};
use crate::machine::{Cpus, Usage};
use crate::servers::{Behaviour, Issuer};

/// Requests in flight.
const CONNECTIONS: usize = 8;

/// A round takes each row that many times, so that a machine which slows down for a while does so for all rows alike.
const SLICES: usize = 10;

/// What is measured: one filter under one kind of traffic.
pub struct Row {
    pub name: String,
    pub filters: Filters,
    pub traffic: Traffic,
    /// The status that every answer must have.
    pub status: u16,
    /// How many requests in each round.
    pub requests: usize,
    /// How many before the first round.
    pub warm_up: usize,
    /// The row without a filter that gets the same requests.
    pub base: usize,
    /// The row of Envoy's own filter that gets the same requests.
    pub native: Option<usize>,
}

impl Row {
    /// Sends that many requests in each round, and a quarter of it before the first.
    pub fn send(&mut self, requests: usize) {
        (self.requests, self.warm_up) = (requests, requests / 4);
    }
}

/// An Envoy that is being measured.
pub struct Stage {
    pub envoy: Envoy,
    rows: Vec<Row>,
    loads: Vec<Option<Load>>,
    disturbed: Usage,
}

impl Stage {
    /// Starts Envoy with these rows and warms it up.
    pub fn start(rows: Vec<Row>, concurrency: usize, cpus: Cpus) -> Result<Self, String> {
        let issuer = Issuer::start();
        issuer.set("/jwks.json", Behaviour::json(&serde_json::from_str(&filters::published()).expect("it is JSON")));
        issuer.set("/revocations.json", Behaviour::json(&filters::revocations()));
        let listeners = rows.iter().enumerate().filter_map(|(index, row)| {
            let filters = row.filters.clone().ok()?;
            Some(envoy::listener(&index.to_string(), filters, &json!({"direct_response": {"status": 200}})))
        });
        let listeners: Vec<Value> = listeners.map(evenly).collect();
        let count = listeners.len();
        let bootstrap = json!({
            "node": {"id": "bench", "cluster": "bench"},
            "admin": {"address": address(0)},
            "static_resources": {"listeners": listeners, "clusters": [cluster("issuer", issuer.port)]},
        });
        let settings = Settings { concurrency, cpu: Some(cpus.envoy), logs: "wasm:warning" };
        let envoy = Envoy::start(envoy::new_folder(), &bootstrap, count, settings)?;
        let ports = envoy.ports();
        let loads = (0..rows.len()).map(|index| Some(Load::open(*ports.get(&index.to_string())?, CONNECTIONS)));
        let loads = loads.collect();
        let mut stage = Self { envoy, rows, loads, disturbed: Usage::default() };
        stage.warm_up()?;
        Ok(stage)
    }

    fn warm_up(&mut self) -> Result<(), String> {
        for (row, load) in self.rows.iter_mut().zip(&mut self.loads) {
            let Some(load) = load else { continue };
            // The first keys may still be on their way.
            let started = Instant::now();
            while let Err(problem) = load.run(&mut row.traffic.clone(), 1, row.status) {
                if started.elapsed() > PATIENCE / 3 {
                    return Err(format!("{}: {problem}\n{}", row.name, self.envoy.log()));
                }
                thread::sleep(Duration::from_millis(50));
            }
            load.run(&mut row.traffic, row.warm_up, row.status)
                .map_err(|problem| format!("{}: {problem}", row.name))?;
        }
        Ok(())
    }

    /// Measures the CPU time per request of every row, in microseconds, slice by slice, in an order that differs from one slice to the
    /// next. `None` for a row that cannot be had.
    pub fn round(&mut self, number: usize) -> Result<Vec<Option<f64>>, String> {
        let count = self.rows.len();
        let mut ran = vec![Duration::ZERO; count];
        for slice in 0..SLICES {
            for step in 0..count {
                let index = if (number + slice).is_multiple_of(2) { step } else { count - 1 - step };
                ran[index] += self.measure(index, slice)?;
            }
        }
        let cost = |(index, ran): (usize, Duration)| {
            self.loads[index].as_ref().map(|_| ran.as_secs_f64() * 1e6 / self.rows[index].requests as f64)
        };
        Ok(ran.into_iter().enumerate().map(cost).collect())
    }

    fn measure(&mut self, index: usize, slice: usize) -> Result<Duration, String> {
        let (row, load) = (&mut self.rows[index], &mut self.loads[index]);
        let Some(load) = load else { return Ok(Duration::ZERO) };
        let requests = row.requests * (slice + 1) / SLICES - row.requests * slice / SLICES;
        let settle = Duration::from_millis(5);
        thread::sleep(settle);
        let before = Usage::of(self.envoy.pid());
        load.run(&mut row.traffic, requests, row.status).map_err(|problem| format!("{}: {problem}", row.name))?;
        // The kernel counts a thread's time when it stops running.
        thread::sleep(settle);
        let used = Usage::of(self.envoy.pid()).since(before);
        self.disturbed.ran += used.ran;
        self.disturbed.waited += used.waited;
        Ok(used.ran)
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How much of a CPU it takes while there are no requests: clocks tick in every VM.
    pub fn idle(&self) -> f64 {
        let before = Usage::of(self.envoy.pid());
        thread::sleep(Duration::from_secs(1));
        Usage::of(self.envoy.pid()).since(before).ran.as_secs_f64()
    }

    /// How long Envoy waited for its CPU while it was measured, as a share of the time that it ran.
    pub fn disturbance(&self) -> f64 {
        self.disturbed.waited.as_secs_f64() / self.disturbed.ran.as_secs_f64().max(1e-9)
    }
}

/// Spreads connections evenly over the workers.
fn evenly(mut listener: Value) -> Value {
    listener["connection_balance_config"] = json!({"exact_balance": {}});
    listener
}
