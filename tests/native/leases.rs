//! Whose outcome counts and what becomes of it, step by step: a VM can stop between any two of its steps, and go on when its lease
//! is long over.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use jwt_gate::config::Config;
use jwt_gate::keys::KeySet;
use jwt_gate::remote::{Answer, Document, Input, Outcome, Output};
use jwt_gate::time::UnixTime;
use serde_json::{json, Value};

use crate::mint::{key_set, Key, NOW};
use crate::world::remote;

const START: UnixTime = UnixTime::from_secs(NOW);

/// What the VMs share, with versions.
#[derive(Default)]
struct Shared {
    record: Option<(Vec<u8>, u32)>,
    body: Option<Vec<u8>>,
    /// How many of the next writes of the record are lost to someone else.
    lost_writes: usize,
    steps: usize,
    /// What was counted, and how long it took.
    counted: Vec<(Outcome, Duration)>,
}

impl Shared {
    /// Does what one VM asks for, and returns what it asks for next.
    fn step(&mut self, vm: &mut Document<KeySet>, output: Output, now: UnixTime) -> Vec<Output> {
        self.steps += 1;
        assert!(self.steps < 1000, "one callback has no end");
        match output {
            Output::Read => {
                let (bytes, cas) = self.record.clone().unzip();
                vm.handle(Input::Record(bytes.as_deref(), cas), now)
            }
            Output::Write(bytes, cas) => {
                let version = self.record.as_ref().map(|(_, version)| *version);
                let won = version == cas && self.lost_writes == 0;
                self.lost_writes = self.lost_writes.saturating_sub(1);
                if won {
                    self.record = Some((bytes, version.unwrap_or(0) + 1));
                }
                vm.handle(Input::Written(won), now)
            }
            Output::Load => vm.handle(Input::Entry(self.body.as_deref()), now),
            Output::Store(bytes) => {
                self.body = Some(bytes);
                Vec::new()
            }
            Output::Fetched(outcome, took) => {
                self.counted.push((outcome, took));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The same until nothing is left; the number of the call that was made, if one was.
    fn run(&mut self, vm: &mut Document<KeySet>, outputs: Vec<Output>, now: UnixTime) -> Option<u64> {
        let mut outputs = VecDeque::from(outputs);
        let mut called = None;
        while let Some(output) = outputs.pop_front() {
            if let Output::Call(number, _) = &output {
                called = Some(*number);
            }
            for next in self.step(vm, output, now).into_iter().rev() {
                outputs.push_front(next);
            }
        }
        called
    }

    /// Ticks, and has a call that is made answered with these keys.
    fn tick(&mut self, vm: &mut Document<KeySet>, keys: &[&Key], now: UnixTime) -> bool {
        let tick = vm.handle(Input::Tick, now);
        let call = self.run(vm, tick, now);
        if let Some(number) = call {
            let outputs = vm.handle(Input::Answer(number, Some(answer(keys))), now);
            self.run(vm, outputs, now);
        }
        call.is_some()
    }
}

fn answer(keys: &[&Key]) -> Answer {
    let body = key_set(keys.iter().map(|key| key.jwk())).into_bytes();
    Answer { status: Some(200), body, ..Answer::default() }
}

fn vm(seed: u64) -> Document<KeySet> {
    vm_with(json!({}), seed)
}

fn vm_with(more: Value, seed: u64) -> Document<KeySet> {
    let config = json!({"providers": {"main": remote(json!({"remote_jwks": more}))}}).to_string();
    let config = Config::parse(config.as_bytes()).expect("a configuration");
    config.documents(seed).key_sets.remove(0)
}

fn names(vm: &Document<KeySet>, now: UnixTime) -> Vec<&str> {
    let keys = vm.content(now).map(|set| set.keys()).unwrap_or_default();
    keys.iter().filter_map(|key| key.kid().map(String::as_str)).collect()
}

#[test]
fn an_old_body_that_is_stored_late_is_not_taken_for_the_newer_one() {
    let (old, new) = (Key::ed25519(1).named("old"), Key::ed25519(2).named("new"));
    let (mut slow, mut quick, mut third) = (vm(1), vm(2), vm(3));
    let mut shared = Shared::default();

    // The slow one has its answer and reads the record once more: it holds the lease still. There it stops.
    let tick = slow.handle(Input::Tick, START);
    let number = shared.run(&mut slow, tick, START).expect("it fetches");
    let mut held = Vec::new();
    for output in slow.handle(Input::Answer(number, Some(answer(&[&old]))), START) {
        held.extend(shared.step(&mut slow, output, START));
    }
    assert!(matches!(held[..], [Output::Store(_), Output::Write(..), ..]), "{held:?}");

    let later = START.plus(Duration::from_secs(4));
    assert!(!shared.tick(&mut quick, &[&new], later), "its lease is over, and is ended");
    assert!(shared.tick(&mut quick, &[&new], later), "the next one is claimed");
    shared.run(&mut slow, held, later);

    for round in 0..5 {
        let now = later.plus(Duration::from_millis(100 * round));
        for vm in [&mut third, &mut slow, &mut quick] {
            shared.tick(vm, &[&new], now);
            assert!(!names(vm, now).contains(&"old"), "round {round}");
        }
    }
    let now = later.plus(Duration::from_secs(1));
    for (which, vm) in [&slow, &quick, &third].into_iter().enumerate() {
        assert_eq!(names(vm, now), ["new"], "VM {which}");
    }
}

#[test]
fn a_key_that_stays_when_its_set_changes_keeps_what_was_prepared_for_it() {
    let (first, second) = (Key::p256(1).named("one"), Key::p256(2).named("two"));
    let (mut fetching, mut loading) = (vm(1), vm(2));
    let mut shared = Shared::default();
    let key = |vm: &Document<KeySet>, now| vm.content(now).map(|set| Rc::clone(&set.keys()[0])).expect("keys");

    assert!(shared.tick(&mut fetching, &[&first], START));
    shared.tick(&mut loading, &[], START);
    let before = [&fetching, &loading].map(|vm| key(vm, START));

    let later = START.plus(Duration::from_secs(600));
    assert!(shared.tick(&mut fetching, &[&first, &second], later));
    shared.tick(&mut loading, &[], later);
    for (vm, before) in [&fetching, &loading].into_iter().zip(before) {
        assert_eq!(names(vm, later), ["one", "two"]);
        assert!(Rc::ptr_eq(&before, &key(vm, later)), "it is another one");
    }
}

#[test]
fn a_fetch_of_which_nothing_came_has_failed_also_if_it_is_ended_by_a_vm_to_which_none_was_due() {
    let (mut hasty, mut other) = (vm_with(json!({"cache_duration": "10s"}), 1), vm(2));
    let mut shared = Shared::default();
    let key = Key::ed25519(1).named("one");
    assert!(shared.tick(&mut other, &[&key], START));
    shared.tick(&mut hasty, &[], START);
    let mut claims = |shared: &mut Shared, now| {
        let tick = hasty.handle(Input::Tick, now);
        shared.run(&mut hasty, tick, now).is_some()
    };
    let mut now = START.plus(Duration::from_secs(10));
    assert!(claims(&mut shared, now), "it has the keys, which are old");
    // The first time the next fetch follows at once, and then with a pause.
    for is_next_at_once in [true, false] {
        now = now.plus(Duration::from_secs(4));
        assert!(!shared.tick(&mut other, &[&key], now), "none is due to this one: it ends the lease");
        assert_eq!(claims(&mut shared, now), is_next_at_once);
    }
}

#[test]
fn every_fetch_is_counted_once_by_what_came_of_it_in_its_time() {
    let (old, new) = (Key::ed25519(1).named("old"), Key::ed25519(2).named("new"));
    let (mut slow, mut quick) = (vm(1), vm(2));
    let mut shared = Shared::default();
    let tick = slow.handle(Input::Tick, START);
    let number = shared.run(&mut slow, tick, START).expect("it fetches");

    let later = START.plus(Duration::from_secs(4));
    assert!(!shared.tick(&mut quick, &[&new], later), "the lease is over, and is ended");
    let lease = Duration::from_secs(3);
    assert_eq!(shared.counted, [(Outcome::Failed, lease)]);

    let late = slow.handle(Input::Answer(number, Some(answer(&[&old]))), later);
    shared.run(&mut slow, late, later);
    assert_eq!(shared.counted.len(), 1, "it is counted already: {:?}", shared.counted);

    // The next one is published at the second attempt, which is no second fetch.
    let tick = quick.handle(Input::Tick, later);
    let number = shared.run(&mut quick, tick, later).expect("it fetches");
    shared.lost_writes = 1;
    let answered = later.plus(Duration::from_secs(1));
    let outputs = quick.handle(Input::Answer(number, Some(answer(&[&new]))), answered);
    shared.run(&mut quick, outputs, answered);
    assert_eq!(shared.counted.len(), 1, "it is not published yet: {:?}", shared.counted);
    let published = answered.plus(Duration::from_millis(100));
    assert!(!shared.tick(&mut quick, &[], published));
    assert_eq!(shared.counted[1..], [(Outcome::Ok, Duration::from_secs(1))]);
    assert_eq!(names(&quick, published), ["new"]);
}

#[test]
fn a_fetch_is_counted_too_that_is_over_because_the_clock_was_set_back() {
    let (old, new) = (Key::ed25519(1).named("old"), Key::ed25519(2).named("new"));
    let (mut slow, mut quick) = (vm(1), vm(2));
    let mut shared = Shared::default();
    let tick = slow.handle(Input::Tick, START);
    let number = shared.run(&mut slow, tick, START).expect("it fetches");

    let before = UnixTime::from_secs(NOW - 3600);
    assert!((0..2).any(|_| shared.tick(&mut quick, &[&new], before)));
    let late = slow.handle(Input::Answer(number, Some(answer(&[&old]))), before);
    shared.run(&mut slow, late, before);
    let outcomes: Vec<Outcome> = shared.counted.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Ok]);
}

#[test]
fn a_clock_that_is_set_back_during_a_fetch_after_a_failure_brings_the_next_one_at_once() {
    let (mut slow, mut quick) = (vm(1), vm(2));
    let mut shared = Shared::default();
    let claims = |vm: &mut Document<KeySet>, shared: &mut Shared, now| {
        let tick = vm.handle(Input::Tick, now);
        shared.run(vm, tick, now)
    };
    let number = claims(&mut slow, &mut shared, START).expect("it fetches");
    let failed = slow.handle(Input::Answer(number, Some(Answer { status: Some(500), ..Answer::default() })), START);
    shared.run(&mut slow, failed, START);
    let later = START.plus(Duration::from_secs(2));
    assert!(claims(&mut slow, &mut shared, later).is_some(), "the pause is over");

    let before = UnixTime::from_secs(NOW - 60);
    let key = Key::ed25519(1).named("one");
    assert!((0..2).any(|_| shared.tick(&mut quick, &[&key], before)), "nobody knows how that ends");
    assert_eq!(names(&quick, before), ["one"]);
}

#[test]
fn a_host_that_takes_no_write_is_not_asked_for_ever_to_take_a_lease_back() {
    for input in [|_| Input::Stop, Input::Abandoned as fn(u64) -> Input<'static>] {
        let (mut leaving, mut next) = (vm(1), vm(2));
        let mut shared = Shared::default();
        let tick = leaving.handle(Input::Tick, START);
        let call = shared.run(&mut leaving, tick, START).expect("it fetches");
        shared.lost_writes = usize::MAX;
        let left = leaving.handle(input(call), START);
        shared.run(&mut leaving, left, START);

        shared.lost_writes = 0;
        let later = START.plus(Duration::from_secs(4));
        let key = Key::ed25519(1).named("one");
        let fetched = (0..3).any(|_| shared.tick(&mut next, &[&key], later));
        assert!(fetched, "the lease ran out");
    }
}

#[test]
fn what_came_before_the_configuration_was_over_is_published_though_a_write_was_lost() {
    let key = Key::ed25519(1).named("one");
    let (mut leaving, mut other) = (vm(1), vm(2));
    let mut shared = Shared::default();
    let tick = leaving.handle(Input::Tick, START);
    let call = shared.run(&mut leaving, tick, START).expect("it fetches");
    shared.lost_writes = 1;
    let answered = leaving.handle(Input::Answer(call, Some(answer(&[&key]))), START);
    shared.run(&mut leaving, answered, START);
    let stopped = leaving.handle(Input::Stop, START);
    shared.run(&mut leaving, stopped, START);

    let soon = START.plus(Duration::from_millis(100));
    assert!(!shared.tick(&mut other, &[], soon), "there is nothing to fetch");
    assert_eq!(names(&other, soon), ["one"]);
}
