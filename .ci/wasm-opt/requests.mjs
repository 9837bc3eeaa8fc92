// What most requests ask of the gate, in a host that knows just enough for it.

import { createHmac } from 'node:crypto';

/**
 * Runs a module that tells where it comes to: the places of the functions that requests run through, in the order in which they are
 * reached, and how each branch ended, by the place of its function and its number there.
 */
export function watch(bytes) {
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
  let reached = [];
  let ends = new Map();
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
    reach: (place) => reached.push(place),
    end: (place, number, holds) => {
      const branch = `${place} ${number}`;
      ends.set(branch, (ends.get(branch) ?? new Set()).add(Boolean(holds)));
      return holds;
    },
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
  const ask = (method, path, headers, action) => {
    fields = [
      [':authority', 'api.example'], [':path', path], [':method', method], [':scheme', 'https'],
      ['user-agent', 'curl/8.5.0'], ['accept', '*/*'], ['x-forwarded-proto', 'https'],
      ['x-request-id', '6f8a7c0e-2f0b-4d8e-9a57-1c1f6a0f4d21'], ...headers,
    ];
    context += 1;
    gate.proxy_on_context_create(context, 1);
    if (gate.proxy_on_request_headers(context, fields.length, 1) !== action) {
      throw new Error(`a request was decided otherwise than it is to be: ${said.join('\n')}`);
    }
    gate.proxy_on_delete(context);
  };
  const [CONTINUE, PAUSE] = [0, 1];
  const good = [['authorization', `Bearer ${token}`]];
  // The first time the token is checked; what comes after that is most of what comes.
  ask('GET', '/', good, CONTINUE);
  [reached, ends] = [[], new Map()];
  ask('GET', '/orders/17', good, CONTINUE);
  ask('POST', '/orders?draft=1', [['content-type', 'application/json'], ['content-length', '2'], ...good], CONTINUE);
  ask('GET', '/orders/17', [], PAUSE);
  if (reached.length === 0) throw new Error('nothing was reached');
  return { reached: [...new Set(reached)], ends };
}
