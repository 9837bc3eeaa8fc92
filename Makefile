# The one door: every way to build, run and test the project. CI calls these targets and nothing else.

MODULE := target/jwt_gate.wasm
# The same with expressions (`authorize.cel`).
CEL_MODULE := target/jwt_gate_cel.wasm
# What the compiler makes of it, before it is made smaller.
BUILT := target/wasm32-wasip1/release
# What is built for the host of the tests has them, so that nothing is built twice.
TEST := cargo test --locked --features cel
EXAMPLE := examples/microservices
INTEROP := tests/interop
DEMO := node $(EXAMPLE)/scenario/demo.mjs

# What the tests in a real Envoy run: `process` (.tools/envoy/envoy) or `docker`.
ENVOY ?= process
export ENVOY
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
# Sets ENVOY_IMAGE where a container is asked for.
IMAGE = if [ "$$ENVOY" = docker ]; then ENVOY_IMAGE=$$(.ci/envoy-image) || exit 1; fi
# The module in wasmtime. The host library says a newer Rust than it needs.
SECOND_HOST := --ignore-rust-version --manifest-path second-host/Cargo.toml
# The tests under full load. They take the whole machine, so they come after all others, one by one.
SOAK := $(TEST) --test envoy -- --ignored --nocapture --test-threads=1
# An Envoy of your own in place of the pinned one: ENVOY_BIN=/path/to/envoy make demo. Likewise OPA_BIN=/path/to/opa make test.

.PHONY: help
help: # Print this list (the default)
	@sed -n 's/^\([a-z-]*\):[^#]*# \(.*\)/make \1#\2/p' $(MAKEFILE_LIST) | awk -F'#' '{ printf "%-18s  %s\n", $$1, $$2 }'

.PHONY: demo
demo: ready # Start the whole example, play the scenario against it, stop it
	@$(IMAGE) && export ENVOY_IMAGE && $(DEMO)

.PHONY: up
up: ready # Start the whole example and leave it running
	@$(IMAGE) && export ENVOY_IMAGE && $(DEMO) --up

.PHONY: down
down: $(EXAMPLE)/node_modules/.package-lock.json # Stop what `make up` started
	@$(DEMO) --down

.PHONY: test
test: module ready signatures interop # Run every test, those in a real Envoy included; ENVOY=docker runs that in a container
	@$(IMAGE) && export ENVOY_IMAGE && $(TEST) && SOAK_SECONDS=60 $(SOAK) && $(DEMO) --free-ports
	cargo test --locked $(SECOND_HOST)

.PHONY: differential
differential: plain-module envoy # Compare the module with Envoy's own filter, request by request; SEED=1 repeats a run
	SEED=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')} CONFIGURATIONS=$${CONFIGURATIONS:-330} REQUESTS=$${REQUESTS:-160} \
	  $(TEST) --test differential the_gate -- --nocapture

.PHONY: soak
soak: plain-module envoy # Full load for an hour (SOAK_SECONDS), while keys are rotated and everything is reloaded; then 1,000 reloads
	$(SOAK)

.PHONY: bench
bench: plain-module envoy # Measure what a request costs in Envoy, beside Envoy's own filter; BENCH=quick shows soon whether it works, BENCH=bars repeats what is noisy
	cargo build --locked --release --target wasm32-wasip1 --example floor --example bare_floor
	@.ci/wasm-opt/run $(BUILT)/examples/floor.wasm target/floor.wasm
	@.ci/wasm-opt/run $(BUILT)/examples/bare_floor.wasm target/bare_floor.wasm
	cargo bench --locked --bench envoy

.PHONY: bench-core
bench-core: rust-tools node-tools # Measure what the functions of the core cost natively, and signature checks in V8
	cargo bench --locked --features cel --bench core
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1
	cargo build --locked --release --target wasm32-wasip1 --example portable
	@node --no-warnings tests/bench/portable.mjs target/wasm32-wasip1/release/examples/portable.wasm

.PHONY: bench-publish
bench-publish: rust-tools # Show the last whole run of `make bench` in the README
	cargo bench --locked --bench envoy -- publish

# What to fuzz: one file, one target. FUZZ_SECONDS=3600 FUZZ_SEED=0 FUZZ_RUNS=-1 make fuzz-smoke fuzzes in earnest.
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ_SECONDS ?= 30
# What CI tries: from one seed, and so many inputs at most, so that it tries the same twice. FUZZ_SEED=0 is another seed each time,
# FUZZ_RUNS=-1 any number.
FUZZ_SEED ?= 1
FUZZ_RUNS ?= 1000000
# To count what a run reaches takes compiler flags that a stable toolchain has, but owns up to only if it is told to take itself
# for a nightly one. So what is fuzzed is built by the compiler of everything else, and a nightly one is welcome, but not needed.
#
# No address sanitizer: the gate has no unsafe code. No record of every comparison either: each run of long arithmetic would take
# several times as long.
FUZZ = RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ)
FUZZ_FLAGS = --release --sanitizer none --no-trace-compares

.PHONY: fuzz-smoke
fuzz-smoke: $(CARGO_FUZZ) # Fuzz each target for 30 seconds
	$(FUZZ) build $(FUZZ_FLAGS)
	@$(MAKE) --no-print-directory -j$$(getconf _NPROCESSORS_ONLN) $(FUZZ_TARGETS:%=fuzz-%)

# One target alone: FUZZ_SECONDS=3600 make fuzz-gate. What it finds goes to fuzz/artifacts, what it learns to .run/fuzz.
.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(CARGO_FUZZ)
	@mkdir -p .run/fuzz/$*
	@$(FUZZ) run $(FUZZ_FLAGS) $* .run/fuzz/$* fuzz/corpus/$* -- -max_total_time=$(FUZZ_SECONDS) -seed=$(FUZZ_SEED) -runs=$(FUZZ_RUNS) -dict=fuzz/words.dict \
	  >.run/fuzz/$*.log 2>&1 || { tail -n 50 .run/fuzz/$*.log; exit 1; }
	@echo "$*: $$(grep '^Done' .run/fuzz/$*.log)"

.PHONY: envoy-image
envoy-image: # Build a container image of Envoy from the pinned binary, where the official one cannot be had
	.ci/envoy-image build

# What the targets above need.

.PHONY: ready
ready: plain-module envoy $(EXAMPLE)/node_modules/.package-lock.json

.PHONY: module
module: $(CEL_MODULE) # Build both modules, the one with expressions beside the other
	@$(MAKE) --no-print-directory plain-module

# What needs one module does without the other.
.PHONY: plain-module
plain-module: wasm-target node-tools
	cargo build --locked --release --target wasm32-wasip1
	@.ci/wasm-opt/run $(BUILT)/jwt_gate.wasm $(MODULE) arranged

# Cargo has one name for both, so the one with expressions is built first, and only where something changed: each takes the place of
# the other.
$(CEL_MODULE): Cargo.toml Cargo.lock $(wildcard .ci/wasm-opt/*) $(shell find src abi -name '*.rs' -o -name Cargo.toml) | wasm-target node-tools
	cargo build --locked --release --target wasm32-wasip1 --features cel
	@.ci/wasm-opt/run $(BUILT)/jwt_gate.wasm $@ arranged

.PHONY: wasm-target
wasm-target: rust-tools
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1

# Through this the tests ask Envoy's cryptography.
.PHONY: signatures
signatures: rust-tools
	cargo build --locked --release --target wasm32-wasip1 --example signatures

.PHONY: envoy
envoy: python-tools
	@test -n "$$ENVOY_BIN" || .ci/install-envoy

# What others wrote, for the tests of the gate with it.
.PHONY: interop
interop: $(INTEROP)/node_modules/.package-lock.json .tools/interop/installed

.tools/interop/installed: $(addprefix $(INTEROP)/,install requirements.txt opa.txt) | python-tools
	@$(INTEROP)/install

# npm writes this file last; older than the lockfile, it is stale.
%/node_modules/.package-lock.json: %/package-lock.json | node-tools
	cd $* && npm ci
	@touch $@

$(CARGO_FUZZ): | rust-tools
	cargo install --locked --root $(patsubst %/bin,%,$(@D)) --version $(CARGO_FUZZ_VERSION) cargo-fuzz

.PHONY: rust-tools
rust-tools:
	@command -v rustup >/dev/null && command -v cargo >/dev/null || \
	  { echo 'rustup is missing: https://rustup.rs has it, and it brings cargo.' >&2; exit 1; }

.PHONY: python-tools
python-tools:
	@command -v python3 >/dev/null || { echo 'python3 is missing.' >&2; exit 1; }

.PHONY: node-tools
node-tools:
	@command -v node >/dev/null && command -v npm >/dev/null || \
	  { echo 'node (20 or later) or its npm is missing.' >&2; exit 1; }
	@node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' || \
	  { echo "node is too old: 20 or later is needed, this is $$(node --version)." >&2; exit 1; }
