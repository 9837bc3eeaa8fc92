// The auth API: registers users, issues tokens, publishes what the gate needs in order to judge them without asking.

import { createServer } from 'node:http'

import { internalRoutes } from './internal.mjs'
import { publicRoutes } from './routes.mjs'
import { openStore } from './store.mjs'
import { openTokens } from './tokens.mjs'

const host = process.env.HOST ?? '127.0.0.1'
const port = Number(process.env.PORT ?? 3001)
const internalPort = Number(process.env.INTERNAL_PORT ?? 3011)

// The port comes first: who holds it is the only process that opens the file.
const internal = createServer()
await listen(internal, internalPort, '127.0.0.1')
const store = openStore(process.env.DATABASE ?? 'auth.db')
const tokens = await openTokens(store, {
  issuer: process.env.ISSUER ?? 'http://auth-api.example',
  audience: process.env.AUDIENCE ?? 'shop',
})
internal.on('request', internalRoutes(store, tokens, { testTokens: process.env.ALLOW_TEST_TOKENS === '1' }))

const server = createServer(publicRoutes(store, tokens))
await listen(server, port, host)
console.log(`auth-api listens on ${host}:${port}, its internal routes on 127.0.0.1:${internalPort}`)

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    internal.close()
    server.close(() => {
      store.close()
      process.exit(0)
    })
  })
}

function listen(server, port, host) {
  // The gateway keeps connections and closes idle ones. Were the service to close first, a request could meet that.
  server.keepAliveTimeout = 0
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}
