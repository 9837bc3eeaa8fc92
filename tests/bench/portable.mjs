// What the portable signature checks cost in V8: microseconds each, the median of several rounds, once V8 has compiled them well.
//
//     node tests/bench/portable.mjs target/wasm32-wasip1/release/examples/portable.wasm

import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const ROUNDS = 10;
const TIMES = 500;

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
// An instance of its own for each: what one has prepared takes no other's place.
function start() {
  const wasi = new WASI({ version: "preview1" });
  // Nobody calls the host here.
  const imports = wasi.getImportObject();
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] ??= () => 0;
  }
  const instance = new WebAssembly.Instance(module, imports);
  wasi.initialize(instance);
  return instance;
}
for (const [which, name, bar] of [
  [0, "RS256, 2048 bits", 100],
  [1, "ES256", 250],
  [2, "ES256, 100 keys", 250],
]) {
  const instance = start();
  const measured = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const held = instance.exports.check(which, TIMES);
    if (held !== TIMES) throw new Error(`${name}: only ${held} of ${TIMES} signatures held`);
    measured.push(process.cpuUsage(before).user / TIMES);
  }
  const median = measured.sort((one, other) => one - other)[ROUNDS / 2];
  const verdict = median <= bar ? "met" : "missed";
  if (verdict === "missed") process.exitCode = 1;
  console.log(`portable ${name.padEnd(16)} ${median.toFixed(1).padStart(7)} us in V8, at most ${bar}: ${verdict}`);
}
