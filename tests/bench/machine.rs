//! The machine: which CPU runs what, and what the kernel says that a process used.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// One CPU for Envoy, another one for everything else.
#[derive(Clone, Copy)]
pub struct Cpus {
    pub envoy: usize,
    pub load: usize,
}

impl Cpus {
    /// Two of those that this process may use.
    pub fn choose() -> Result<Self, String> {
        let status =
            fs::read_to_string("/proc/self/status").map_err(|_| "this benchmark needs Linux: it reads /proc")?;
        let list = field(&status, "Cpus_allowed_list:").unwrap_or_default();
        let cpus = parse_list(list);
        match (cpus.first(), cpus.last()) {
            (Some(&envoy), Some(&load)) if envoy != load => Ok(Self { envoy, load }),
            _ => Err(format!("this benchmark needs two CPUs, one of them for Envoy alone; it may use {list:?}")),
        }
    }

    /// Binds all threads of this process, and those that they start, to the CPU that is not Envoy's.
    pub fn bind_self(self) -> Result<(), String> {
        let mut command = Command::new("taskset");
        command.args(["--all-tasks", "--pid", "--cpu-list", &self.load.to_string(), &std::process::id().to_string()]);
        let output = command.output().map_err(|error| format!("taskset, of util-linux, is needed: {error}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr)))
        }
    }
}

/// What the threads of a process have used.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Time on a CPU.
    pub ran: Duration,
    /// Time that they could have run and had no CPU: what else runs on it disturbs the measurement.
    pub waited: Duration,
}

impl Usage {
    /// Of the process of that number, so far.
    pub fn of(pid: u32) -> Self {
        let mut usage = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs").flatten() {
            let line = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap_or_default());
            usage.ran += Duration::from_nanos(numbers.next().unwrap_or_default());
            usage.waited += Duration::from_nanos(numbers.next().unwrap_or_default());
        }
        usage
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Its share of all pages in memory (`Pss`).
    pub resident: u64,
    /// The linear memories of its wasm VMs: for each, how far it has grown. A VM never gives back any of it.
    pub heaps: u64,
    /// How many such VMs there are.
    pub vms: u64,
}

impl Memory {
    /// Of the process of that number, now.
    pub fn of(pid: u32) -> Self {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kib = field(&rollup, "Pss:").and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let (heaps, vms) = linear_memories(&maps);
        Self { resident: kib.unwrap_or_default() * 1024, heaps, vms }
    }
}

/// V8 reserves more than 4 GiB of addresses for each linear memory and makes its beginning writable, as far as it has grown.
fn linear_memories(maps: &str) -> (u64, u64) {
    const RESERVED: u64 = 1 << 32;
    let mut found = (0, 0);
    let mut before: Option<(u64, u64)> = None;
    for line in maps.lines() {
        let mut parts = line.split_whitespace();
        let (Some(range), Some(rights)) = (parts.next(), parts.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let number = |text| u64::from_str_radix(text, 16).unwrap_or_default();
        let (start, end) = (number(start), number(end));
        match before {
            Some((first, last)) if last == start && rights.starts_with("---") && end - first >= RESERVED => {
                found = (found.0 + (last - first), found.1 + 1);
            }
            _ => {}
        }
        before = rights.starts_with("rw-").then_some((start, end));
    }
    found
}

/// What stands beside a name in one of the kernel's files.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn parse_list(list: &str) -> BTreeSet<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The name of the processor, for the record.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// How many processes wanted to run at the same time in the last minute.
pub fn load_average() -> f64 {
    let line = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
