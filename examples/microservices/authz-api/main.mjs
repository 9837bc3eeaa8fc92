// The authorization API: who has which role, and what a role may do. The gate asks it about requests whose tokens are good, in the
// words of the OpenID AuthZEN Authorization API 1.0. What is changed here holds with the next request, whatever a token says.

import { createServer } from 'node:http'

import { evaluation } from './evaluation.mjs'
import { internalRoutes } from './internal.mjs'
import { openStore } from './store.mjs'

const host = process.env.HOST ?? '127.0.0.1'
const port = Number(process.env.PORT ?? 3004)
const internalPort = Number(process.env.INTERNAL_PORT ?? 3014)

// The port comes first: who holds it is the only process that opens the file.
const internal = createServer()
await listen(internal, internalPort, '127.0.0.1')
const store = openStore(process.env.DATABASE ?? 'authz.db')
internal.on('request', internalRoutes(store))

const server = createServer(evaluation(store))
await listen(server, port, host)
console.log(`authz-api listens on ${host}:${port}, its internal routes on 127.0.0.1:${internalPort}`)

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
