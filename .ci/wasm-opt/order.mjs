// Puts the functions that a request runs through at the beginning of a module, in the order in which it comes to them:
//
//     node order.mjs IN OUT TOOLS [flags of the tools]
//
// An engine lays code out as the module does. A request comes to a proxy when its caches hold everything but the filter, so what
// lies together is fetched together. The order is recorded, not written down: the module itself runs here, in a host that knows
// just enough for it, and is asked what most requests ask.

import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [input, output, tools, ...flags] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'order-'));
const tool = (name, ...files) =>
  execFileSync(join(tools, name), [...flags, ...files], { encoding: 'utf8', maxBuffer: 2 ** 30 });

try {
  const traced = join(folder, 'traced.wasm');
  tool('wasm-opt', input, '--log-execution', '-o', traced);
  const ran = record(readFileSync(traced), places(tool('wasm-dis', traced)));
  const text = join(folder, 'ordered.wat');
  writeFileSync(text, ordered(tool('wasm-dis', input), ran));
  tool('wasm-as', text, '-o', output);
  console.log(`the ${ran.length} functions of a request come first`);
} finally {
  rmSync(folder, { recursive: true });
}

/** The forms of a module in text: each begins behind one space and ends with its line. */
function forms(text) {
  return text.replace(/^\(module\n/, '').replace(/\n\)\s*$/, '').split(/\n(?= \()/);
}

/** Whether a form is a function with a body. */
function isFunction(form) {
  return form.startsWith(' (func ') && !/^ \(func \S+ \(import /.test(form);
}

/** The place of each function by the number that a trace shows where it begins. */
function places(text) {
  const first = (body) => Number(body.match(/\(call \$\S+\s+\(i32\.const (\d+)\)\s+\)/)[1]);
  return new Map(forms(text).filter(isFunction).map((body, place) => [first(body), place]));
}

/** The module in text with the functions at these places before all others. */
function ordered(text, ran) {
  const all = forms(text);
  const functions = all.filter(isFunction);
  const before = new Set(ran);
  const order = [...ran, ...[...functions.keys()].filter((place) => !before.has(place))];
  let next = 0;
  return `(module\n${all.map((form) => (isFunction(form) ? functions[order[next++]] : form)).join('\n')}\n)\n`;
}

/** The places of the functions that requests run through, in the order in which they come to them. */
function record(bytes, places) {
  const now = 1_800_000_000;
  const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const secret = Buffer.alloc(32, 7);
  const signed = `${base64url({ alg: 'HS256', kid: 'k', typ: 'JWT' })}.${base64url({
    iss: 'https://issuer.example', aud: 'api', sub: 'alice', iat: now - 60, exp: now + 3600, scope: 'read write',
  })}`;
  const token = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  const keys = { keys: [{ kty: 'oct', alg: 'HS256', kid: 'k', k: secret.toString('base64url') }] };
  const provider = {
    issuer: 'https://issuer.example',
    audiences: ['api'],
    algorithms: ['HS256'],
    local_jwks: { inline_string: JSON.stringify(keys) },
  };
  const rules = [{ match: { prefix: '/' }, requires: { provider_name: 'main' } }];
  const configuration = Buffer.from(JSON.stringify({ providers: { main: provider }, rules }));

  const OK = 0;
  const NOT_FOUND = 1;
  const BAD_ARGUMENT = 2;
  const said = [];
  const trace = [];
  let fields = [];
  let gate;
  const memory = () => Buffer.from(gate.memory.buffer);
  const give = (bytes, pointer, size) => {
    const place = gate.proxy_on_memory_allocate(bytes.length);
    bytes.copy(memory(), place);
    memory().writeUInt32LE(place, pointer);
    memory().writeUInt32LE(bytes.length, size);
    return OK;
  };
  const map = () => {
    const numbers = [fields.length, ...fields.flat().map((text) => text.length)];
    return Buffer.concat([
      ...numbers.map((number) => Buffer.from(Uint32Array.of(number).buffer)),
      Buffer.from(fields.flat().map((text) => `${text}\0`).join('')),
    ]);
  };
  const calls = {
    proxy_log: (_, place, size) => (said.push(memory().toString('utf8', place, place + size)), OK),
    proxy_get_buffer_bytes: (_, __, ___, pointer, size) => give(configuration, pointer, size),
    proxy_get_header_map_pairs: (_, pointer, size) => give(map(), pointer, size),
    proxy_get_current_time_nanoseconds: (pointer) => (memory().writeBigUInt64LE(BigInt(now) * 10n ** 9n, pointer), OK),
    proxy_define_metric: (_, __, ___, pointer) => (memory().writeUInt32LE(1, pointer), OK),
    proxy_set_effective_context: () => BAD_ARGUMENT,
    proxy_get_shared_data: () => NOT_FOUND,
    proxy_get_property: () => NOT_FOUND,
    proxy_call_foreign_function: () => NOT_FOUND,
    environ_sizes_get: (...pointers) => (pointers.forEach((pointer) => memory().writeUInt32LE(0, pointer)), OK),
    log_execution: (number) => trace.push(number),
  };
  const module = new WebAssembly.Module(bytes);
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] = { ...imports[from], [name]: calls[name] ?? (() => OK) };
  }
  gate = new WebAssembly.Instance(module, imports).exports;
  gate._initialize();
  gate.proxy_on_context_create(1, 0);
  if (!gate.proxy_on_vm_start(1, 0) || !gate.proxy_on_configure(1, configuration.length)) {
    throw new Error(`the module does not start: ${said.join('\n')}`);
  }

  let context = 1;
  const ask = (headers, action) => {
    fields = [[':method', 'GET'], [':scheme', 'https'], [':authority', 'api.example'], [':path', '/orders/17'], ...headers];
    trace.length = 0;
    context += 1;
    gate.proxy_on_context_create(context, 1);
    if (gate.proxy_on_request_headers(context, fields.length, 1) !== action) {
      throw new Error(`a request was decided otherwise than it is to be: ${said.join('\n')}`);
    }
    gate.proxy_on_delete(context);
    return trace.filter((number) => places.has(number)).map((number) => places.get(number));
  };
  const [CONTINUE, PAUSE] = [0, 1];
  const good = [['authorization', `Bearer ${token}`]];
  // The first time the token is checked; what comes after that is most of what comes.
  ask(good, CONTINUE);
  const ran = [...new Set([...ask(good, CONTINUE), ...ask([], PAUSE)])];
  if (ran.length === 0) throw new Error('nothing was recorded');
  return ran;
}
