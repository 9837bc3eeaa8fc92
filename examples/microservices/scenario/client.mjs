// A client of the gateway. It counts what it got, so that the counts can be held against the gate's own.

import { request } from 'node:http'

const PUBLIC = ['/auth/register', '/auth/login', '/inventory/catalog']
// The gate's own answer.
const METADATA = '/.well-known/oauth-protected-resource'

export class Client {
  /** What the gate's counters must show, by their names. */
  tally = new Map()

  constructor(port) {
    this.port = port
  }

  /** One request on a connection of its own, so that both of Envoy's workers get some; the path goes out as written. */
  async send(method, path, { token, headers = {}, body } = {}) {
    const response = await exchange(this.port, method, path, { token, headers, body })
    // Only the gate's answers have a `code`.
    const code = response.body?.code
    const passed = path === METADATA ? 'answered_metadata' : PUBLIC.includes(path) ? 'allowed_public' : 'allowed'
    const outcome = code ? `denied_${code}` : passed
    this.tally.set(`jwt_gate_${outcome}`, (this.tally.get(`jwt_gate_${outcome}`) ?? 0) + 1)
    return response
  }

  get = (path, options) => this.send('GET', path, options)
  post = (path, body, options) => this.send('POST', path, { ...options, body })
}

export function exchange(port, method, path, { token, headers = {}, body } = {}) {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const all = { ...headers }
  if (token) all.authorization = `Bearer ${token}`
  if (text !== undefined) {
    all['content-type'] = 'application/json'
    all['content-length'] = Buffer.byteLength(text)
  }
  const options = { host: '127.0.0.1', port, method, path, headers: all, agent: false, timeout: 10_000 }
  return new Promise((resolve, reject) => {
    const sent = request(options, answer => {
      let received = ''
      answer.setEncoding('utf8')
      answer.on('data', part => (received += part))
      answer.on('error', reject)
      answer.on('end', () => {
        resolve({ status: answer.statusCode, headers: answer.headers, text: received, body: parsed(received) })
      })
    })
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer within 10 s`)))
    sent.on('error', reject)
    sent.end(text)
  })
}

/** Status and, if the gate refused, its code; and what is wrong with the form of the refusal. */
export function outcome({ status, headers, body }) {
  if (!body?.code) return String(status)
  const faults = []
  if (headers['content-type'] !== 'application/problem+json') faults.push('no problem+json')
  if (body.status !== status) faults.push(`status ${body.status} in the body`)
  if ([401, 403].includes(status) && !/^Bearer\b/.test(headers['www-authenticate'] ?? '')) faults.push('no challenge')
  return [`${status} ${body.code}`, ...faults].join(', ')
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
