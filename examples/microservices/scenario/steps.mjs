// The scenario, step by step.

import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

import { Client, exchange, outcome } from './client.mjs'
import * as forgery from './forgery.mjs'
import { section, step } from './table.mjs'

const PASSWORD = 'correct horse battery'
// What a poll may take beyond its interval: the fetch, the way to the other worker, and a slow machine.
const MARGIN = 2

/** `services.stop(name)` and `services.start(name)` act on the processes of the example; `accessLog()` yields its lines. */
export async function play({ ports, provider, services, accessLog }) {
  const gateway = new Client(ports.gateway)
  const internal = (method, path, body) => exchange(ports.internal, method, path, { body })
  const testToken = async claims => (await internal('POST', '/internal/test-token', claims)).body.access_token
  const login = (username, scope, password = PASSWORD) => gateway.post('/auth/login', { username, password, scope })
  const tokenOf = async (username, scope) => (await login(username, scope)).body.access_token

  // People by the ids that the services know them by.
  const people = new Map()
  const register = async username => {
    const response = await gateway.post('/auth/register', { username, password: PASSWORD })
    if (response.body?.id) people.set(response.body.id, username)
    return response
  }
  const caller = ({ body }) => (body?.caller ? (people.get(body.caller.id) ?? body.caller.id) : 'nobody')
  const seen = response =>
    response.status < 300 ? `${response.status}, caller ${caller(response)}` : outcome(response)
  // The headers that a service took for an identity, or for a credential.
  const arrived = ({ body }, token) => {
    const { sub, scope, jti, exp } = token ? forgery.claimsOf(token) : {}
    const own = { 'x-user-id': sub, 'x-user-scope': scope, 'x-token-id': jti, 'x-token-expires': String(exp) }
    const got = body.identity_headers
    if (token && isDeepStrictEqual(got, own)) return "the gate's four"
    return Object.entries(got).map(([name, value]) => `${name}: ${value}`).join(', ') || 'none'
  }
  const orders = async (token, headers) => seen(await gateway.get('/orders', { token, headers }))

  section('Closed by default')
  await step('GET /orders', '401 token_missing', async () => outcome(await gateway.get('/orders')))
  await step('GET /no-rule-names-this', '401 token_missing', async () =>
    outcome(await gateway.get('/no-rule-names-this')))
  await step('GET /inventory/catalog, a public route', '200, caller nobody', async () =>
    seen(await gateway.get('/inventory/catalog')))

  section('A client that does not know where tokens come from')
  let metadata
  await step('GET /orders: resource_metadata in the challenge', 'at http://shop.example', async () => {
    const challenge = (await gateway.get('/orders')).headers['www-authenticate']
    metadata = new URL(/resource_metadata="([^"]*)"/.exec(challenge)?.[1] ?? 'none:')
    return `at ${metadata.origin}`
  })
  await step(`GET ${metadata.pathname}`, '200, auth-api.example issues', async () => {
    const response = await gateway.get(metadata.pathname)
    const servers = response.body.authorization_servers.map(server => new URL(server).host)
    return `${outcome(response)}, ${servers.join(', ')} issues`
  })

  section('Register and login, through public routes')
  await step('POST /auth/register as ada', '201', async () => outcome(await register('ada')))
  await step('POST /auth/register as ada, again', '409', async () => outcome(await register('ada')))
  await step('POST /auth/login with a wrong password', '401', async () =>
    outcome(await login('ada', undefined, 'x'.repeat(12))))
  let ada
  await step('POST /auth/login as ada', '200, a Bearer token', async () => {
    const response = await login('ada')
    ada = response.body?.access_token
    return `${outcome(response)}, ${ada ? `a ${response.body.token_type} token` : 'no token'}`
  })

  section('With the token')
  await step('GET /orders', '200, caller ada', () => orders(ada))
  await step('POST /orders', '201, caller ada', async () =>
    seen(await gateway.post('/orders', { item: 'lamp', quantity: 2 }, { token: ada })))
  await step('GET /inventory/items, served by Python', '200, caller ada', async () =>
    seen(await gateway.get('/inventory/items', { token: ada })))
  await step('  what arrives of identity and credentials', "the gate's four", async () =>
    arrived(await gateway.get('/orders', { token: ada }), ada))

  section('Scopes')
  const needs = response => {
    const scope = /scope="([^"]*)"/.exec(response.headers['www-authenticate'])?.[1]
    return outcome(response) === '403 scope_insufficient' ? `403, needs ${scope}` : outcome(response)
  }
  const reader = await tokenOf('ada', 'orders:read')
  await step('GET /orders, a token for orders:read alone', '200, caller ada', () => orders(reader))
  await step('POST /orders, the same token', '403, needs orders:write', async () =>
    needs(await gateway.post('/orders', { item: 'lamp', quantity: 2 }, { token: reader })))
  await step('DELETE /orders, the same token', '403, needs orders:write', async () =>
    needs(await gateway.send('DELETE', '/orders', { token: reader })))
  const setStock = token => gateway.send('PUT', '/inventory/items/lamp', { token, body: { quantity: 7 } })
  await step('PUT /inventory/items/lamp as ada, a customer', '403, needs inventory:write', async () =>
    needs(await setStock(ada)))
  await register('cleo')
  await internal('PUT', '/internal/users/cleo/role', { role: 'clerk' })
  const cleo = await tokenOf('cleo')
  await step('PUT /inventory/items/lamp as cleo, a clerk', '200, caller cleo', async () => seen(await setStock(cleo)))

  section("One's own and what is another's")
  const idOf = token => forgery.claimsOf(token).sub
  const ordersOf = async owner => seen(await gateway.get(`/users/${owner}/orders`, { token: ada }))
  await step("GET /users/(ada's id)/orders as ada", '200, caller ada', () => ordersOf(idOf(ada)))
  await step("GET /users/(cleo's id)/orders as ada", '403 claim_insufficient', () => ordersOf(idOf(cleo)))
  await step("GET /users/(cleo's)/../(ada's)/orders as ada", '403 claim_insufficient', () =>
    ordersOf(`${idOf(cleo)}/../${idOf(ada)}`))

  section('A right that another service grants')
  const report = async () => seen(await gateway.get('/orders/report', { token: ada }))
  const assign = method =>
    exchange(ports['authz-internal'], method, `/internal/users/${idOf(ada)}/roles/auditor`)
  await step('GET /orders/report as ada', '403 authorization_denied', report)
  await step('authz-api makes her an auditor', '204', async () => outcome(await assign('PUT')))
  await step('GET /orders/report, the same token', '200, caller ada', report)
  await step('authz-api takes the role from her', '204', async () => outcome(await assign('DELETE')))
  await step('GET /orders/report, the same token', '403 authorization_denied', report)
  await services.stop('authz-api')
  await step('GET /orders/report, authz-api stopped', '503 authorization_unavailable', report)
  await step('GET /orders', '200, caller ada', () => orders(ada))
  await services.start('authz-api')

  section('GET /orders with tokens that are not good')
  const [publicKey] = (await exchange(ports['auth-api'], 'GET', '/.well-known/jwks.json')).body.keys
  const [pem, jwk] = [forgery.pem(publicKey), JSON.stringify(publicKey)]
  const now = Math.floor(Date.now() / 1000)
  const aged = age => testToken({ sub: 'test', scope: 'orders:read', iat: now - age - 60, exp: now - age })
  const bad = [
    ['payload changed', 'signature_invalid', forgery.withClaims(ada, { sub: 'someone-else' })],
    ['signature changed by one bit', 'signature_invalid', forgery.withFlippedBit(ada)],
    ['signed with another key, same kid', 'signature_invalid', forgery.signedWithOwnKey(ada)],
    ['expired 90 s ago', 'token_expired', await aged(90)],
    ['another audience', 'audience_not_allowed', await testToken({ scope: 'orders:read', aud: 'another-shop' })],
    ['another issuer', 'issuer_not_allowed', await testToken({ scope: 'orders:read', iss: 'http://other.example' })],
    ['alg: none, without a signature', 'token_malformed', forgery.withAlgNone(ada, { signed: false })],
    ['alg: none, with a signature', 'algorithm_not_allowed', forgery.withAlgNone(ada, { signed: true })],
    ['alg: HS256, secret: the public key as PEM', 'algorithm_not_allowed', forgery.signedWithText(ada, pem)],
    ['alg: HS256, secret: the public key as JWK', 'algorithm_not_allowed', forgery.signedWithText(ada, jwk)],
  ]
  for (const [what, code, token] of bad) await step(what, `401 ${code}`, () => orders(token))
  const late = await aged(30)
  await step('expired 30 s ago: clocks may differ by 60 s', '200, caller test', () => orders(late))

  section('A client that says who it is')
  const claims = { 'x-user-id': 'mallory', X_User_Id: 'mallory', 'x-user-scope': 'orders:write', 'x-token-id': '0' }
  await step('GET /orders with a token, x-user-id, X_User_Id, ...', '200, caller ada', () => orders(ada, claims))
  await step('  what arrives of identity and credentials', "the gate's four", async () =>
    arrived(await gateway.get('/orders', { token: ada, headers: claims }), ada))
  await step('GET /inventory/catalog, public, the same headers', '200, caller nobody', async () =>
    seen(await gateway.get('/inventory/catalog', { headers: claims })))
  await step('  what arrives of identity and credentials', 'none', async () =>
    arrived(await gateway.get('/inventory/catalog', { headers: claims })))

  section('Closed paths spelt as if they were open, without a token')
  for (const [path, expected] of [
    ['/inventory/catalog/../items', '401 token_missing'],
    ['/inventory/catalog%2f..%2fitems', '401 token_missing'],
    ['/inventory/items/../catalog', '400 path_ambiguous'],
    ['/auth/login/../../orders', '400 path_ambiguous'],
    ['//orders', '400 path_ambiguous'],
    ['/Inventory/Catalog', '400 path_ambiguous'],
  ]) {
    await step(`GET ${path}`, expected, async () => outcome(await gateway.get(path)))
  }

  // Repeats a request, on connections that reach both workers, until all of them get `expected`.
  const until = async (expected, limit, send) => {
    const began = performance.now()
    for (;;) {
      const got = await Promise.all(Array.from({ length: 8 }, send))
      const elapsed = (performance.now() - began) / 1000
      const all = got.every(one => one === expected)
      if (all || elapsed > limit) {
        const shown = got.find(one => one !== expected) ?? expected
        return { got: `${shown} after ${elapsed.toFixed(1)} s`, ok: all && elapsed <= limit }
      }
      await sleep(50)
    }
  }
  const seconds = duration => Number.parseFloat(duration)
  const cacheDuration = seconds(provider.remote_jwks.cache_duration)
  const refreshInterval = seconds(provider.revocation.refresh_interval)

  section('The signing key is rotated')
  await internal('POST', '/internal/rotate')
  const fresh = await tokenOf('ada')
  await step('8 × GET /orders, a token of the new key, at once', '200, caller ada', async () => {
    const got = await Promise.all(Array.from({ length: 8 }, () => orders(fresh)))
    return got.find(one => one !== '200, caller ada') ?? '200, caller ada'
  })
  await step('GET /orders, a token of the old key, still published', '200, caller ada', () => orders(ada))
  await internal('POST', '/internal/withdraw')
  const withdrawn = cacheDuration + MARGIN
  await step('GET /orders, the same, the old key withdrawn', `401 key_unknown within ${withdrawn} s`, () =>
    until('401 key_unknown', withdrawn, () => orders(ada)))
  await step('GET /orders, a token of the new key', '200, caller ada', () => orders(fresh))

  section('Logout')
  const other = await tokenOf('ada')
  await step('POST /auth/logout', '204', async () =>
    outcome(await gateway.post('/auth/logout', undefined, { token: other })))
  const revoked = refreshInterval + MARGIN
  await step('GET /orders, the same token', `401 token_revoked within ${revoked} s`, () =>
    until('401 token_revoked', revoked, () => orders(other)))
  await step('GET /orders, another token of ada', '200, caller ada', () => orders(fresh))

  section('auth-api is stopped')
  await services.stop('auth-api')
  await step('POST /auth/login', '503', async () => outcome(await login('ada')))
  await step('GET /orders', '200, caller ada', () => orders(fresh))
  const outage = cacheDuration + 1
  await sleep(outage * 1000)
  await step(`GET /orders, ${outage} s later: no refresh succeeded since`, '200, caller ada', () => orders(fresh))
  await step('GET /orders, the token of the logout', '401 token_revoked', () => orders(other))
  await services.start('auth-api')
  await step('POST /auth/login, auth-api started again', '200', async () => outcome(await login('ada')))
  await step('GET /orders, the token of the logout', '401 token_revoked', () => orders(other))

  section("Envoy's access log")
  // The last line of the requests that were answered so; Envoy writes it a little later.
  const logged = async status => {
    const matches = line => line.request === 'GET /orders' && line.status === status
    for (let waited = 0; waited < 2000 && !accessLog().some(matches); waited += 50) await sleep(50)
    return accessLog().findLast(matches)
  }
  const keyOf = async kid => {
    const { body } = await exchange(ports['auth-api'], 'GET', '/.well-known/jwks.json')
    return body.keys.some(key => key.kid === kid) ? "the issuer's" : String(kid)
  }
  await step('GET /orders: outcome, provider, sub', 'allowed, auth-api, ada', async () => {
    const { outcome, provider, sub } = (await logged(200)) ?? {}
    return `${outcome}, ${provider}, ${people.get(sub) ?? sub}`
  })
  await step('  refused: outcome, code, sub', 'denied, token_revoked, ada', async () => {
    const { outcome, code, sub } = (await logged(401)) ?? {}
    return `${outcome}, ${code}, ${people.get(sub) ?? sub}`
  })
  await step('  the key of the token: kid', "the issuer's", async () => keyOf((await logged(200))?.kid))
  await step("the caller, from the token's claims", 'ada', async () => {
    const { sub } = JSON.parse((await logged(200))?.caller ?? '{}')
    return people.get(sub) ?? String(sub)
  })
  await step('  the key of that token, from its header', "the issuer's", async () => {
    const { kid } = JSON.parse((await logged(200))?.token_header ?? '{}')
    return keyOf(kid)
  })
  await step('the reason of a refusal', 'token_revoked', async () =>
    JSON.parse((await logged(401))?.refusal ?? '{}').code ?? 'none')
  await step('  the same, from %RESPONSE_CODE_DETAILS%', 'token_revoked', async () =>
    /^jwt_gate_denied\{(.*)\}$/.exec((await logged(401))?.details)?.[1] ?? 'none')

  section("Envoy's /stats, against what this client counted")
  // The gate tells Envoy ten times a second what it counted.
  await sleep(500)
  const counters = await statistics(ports.admin)
  const fetches = [
    ...['jwks_fetch_ok', 'jwks_fetch_failed'],
    ...['revocation_fetch_ok', 'revocation_fetch_not_modified', 'revocation_fetch_failed'],
    ...['authorization_ok', 'authorization_failed'],
  ]
  const expected = new Map([...gateway.tally].sort())
  for (const name of fetches) expected.set(`jwt_gate_${name}`, 'at least 1')
  for (const [name, count] of expected) {
    const got = counters.get(name) ?? 0
    const ok = count === 'at least 1' ? got >= 1 : got === count
    await step(name, String(count), async () => ({ got: String(got), ok }))
  }
  const ofProvider = byProvider(gateway.tally, counters)
  await step('the same of the one provider', 'the same', async () => {
    const differs = [...ofProvider].filter(([name, count]) => (counters.get(name) ?? 0) !== count)
    return differs.map(([name, count]) => `${name} ${counters.get(name)}, not ${count}`).join(', ') || 'the same'
  })
  const entries = ['jwt_gate_jwks_keys_auth_api', 'jwt_gate_revocation_entries_auth_api']
  for (const name of entries) await step(name, '1', async () => String(counters.get(name)))
  await step('all other counters', 'none above 0', async () => {
    const isAge = name => name.includes('_age_seconds_')
    const isFree = name => name === 'jwt_gate_jwks_fetch_not_modified' || isAge(name)
    const free = name => expected.has(name) || ofProvider.has(name) || entries.includes(name) || isFree(name)
    const others = [...counters].filter(([name, count]) => count > 0 && !free(name))
    return others.map(([name, count]) => `${name} ${count}`).join(', ') || 'none above 0'
  })
}

/**
 * What passed with a token and what was refused for one: of a path that can be read in two ways nobody was asked. And every fetch,
 * since there is one provider.
 */
function byProvider(tally, counters) {
  const names = new Map()
  for (const document of ['jwks', 'revocation']) {
    for (const how of ['ok', 'not_modified', 'failed']) {
      const all = counters.get(`jwt_gate_${document}_fetch_${how}`) ?? 0
      names.set(`jwt_gate_provider_${document}_fetch_${how}_auth_api`, all)
    }
  }
  for (const [name, count] of tally) {
    const code = /^jwt_gate_denied_(.*)$/.exec(name)?.[1]
    if (name === 'jwt_gate_allowed') names.set('jwt_gate_provider_allowed_auth_api', count)
    if (code && code !== 'path_ambiguous') names.set(`jwt_gate_provider_denied_auth_api.${code}`, count)
  }
  return names
}

async function statistics(port) {
  const { text } = await exchange(port, 'GET', '/stats?filter=jwt_gate_')
  const lines = text.trim().split('\n').map(line => line.replace('wasmcustom.', '').split(': '))
  return new Map(lines.map(([name, count]) => [name, Number(count)]))
}
