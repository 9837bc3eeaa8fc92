// Arranges a module by what a request comes to:
//
//     node arrange.mjs IN OUT TOOLS [flags of the tools]
//
// The functions that requests run through come first, in the order in which they are reached, and each of their branches that went
// one way alone has a hint that it does (the custom section `metadata.code.branch_hint`). An engine that reads hints puts what is not
// reached behind the rest, and one that does not passes them over. A request comes to a proxy when its caches hold everything but the
// filter: what lies together is fetched together.
//
// Nothing of this is written down: the module itself runs here, in a host that knows just enough for it, and is asked what most
// requests ask.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { watch } from './requests.mjs';
import { branches, callsOf, forms, isFunction, moduleOf, nameOf, withLines } from './text.mjs';

const [input, output, tools, ...flags] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'arrange-'));
const tool = (name, ...files) =>
  execFileSync(join(tools, name), [...flags, ...files], { encoding: 'utf8', maxBuffer: 2 ** 30 });

try {
  const text = join(folder, 'module.wat');
  const assemble = (module, output) => {
    writeFileSync(text, module);
    tool('wasm-as', text, '-o', output);
  };
  const all = forms(tool('wasm-dis', input));
  const watched = join(folder, 'watched.wasm');
  assemble(watchable(all), watched);
  const { reached, ends } = watch(readFileSync(watched));
  const functions = all.filter(isFunction);
  const hints = reached.map((place) => hinted(functions, place, ends)).reduce((sum, count) => sum + count);
  assemble(ordered(all, functions, reached), output);
  console.log(`the ${reached.length} functions of a request come first, with hints at ${hints} of their branches`);
} finally {
  rmSync(folder, { recursive: true });
}

/** The module in text, telling which functions it comes to and how each branch ends. */
function watchable(all) {
  const imports = [
    ' (import "watch" "reach" (func $watch_reach (param i32)))',
    ' (import "watch" "end" (func $watch_end (param i32 i32 i32) (result i32)))',
  ];
  let place = -1;
  const telling = all.map((form) => {
    if (!isFunction(form)) return form;
    place += 1;
    const lines = form.split('\n');
    const body = lines.findIndex((line, at) => at > 0 && !line.startsWith('  (local '));
    const before = new Map([[body, [`(call $watch_reach (i32.const ${place}))`]]]);
    const behind = new Map();
    branches(lines).forEach(({ condition: { from, to } }, number) => {
      before.set(from, [...(before.get(from) ?? []), `(call $watch_end (i32.const ${place}) (i32.const ${number})`]);
      behind.set(to, [')']);
    });
    return withLines(lines, before, behind);
  });
  const first = all.findIndex((form) => form.startsWith(' (import '));
  return moduleOf([...telling.slice(0, first), ...imports, ...telling.slice(first)]);
}

/** Puts a hint at each branch of a function that ended in one way alone; how many there are. */
function hinted(functions, place, ends) {
  const lines = functions[place].split('\n');
  const hints = new Map();
  branches(lines).forEach(({ at }, number) => {
    const seen = ends.get(`${place} ${number}`);
    if (seen?.size === 1) hints.set(at, [`(@metadata.code.branch_hint "\\0${Number(seen.has(true))}")`]);
  });
  functions[place] = withLines(lines, hints, new Map());
  return hints.size;
}

/** The module in text: the functions that were reached, then the others by how often they are called, since low numbers take less room. */
function ordered(all, functions, reached) {
  const calls = callsOf(all);
  const often = (place) => calls.get(nameOf(functions[place])) ?? 0;
  const isReached = new Set(reached);
  const others = [...functions.keys()].filter((place) => !isReached.has(place));
  const order = [...reached, ...others.sort((one, other) => often(other) - often(one))];
  let next = 0;
  return moduleOf(all.map((form) => (isFunction(form) ? functions[order[next++]] : form)));
}
