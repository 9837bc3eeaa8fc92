// The orders of each user. There is no JWT code in here, no key and no secret: the gate has judged the token before the
// request came, and says in headers whose it was. So this service must be reachable through the gateway alone.

import { createServer } from 'node:http'

import express from 'express'

const host = process.env.HOST ?? '127.0.0.1'
const port = Number(process.env.PORT ?? 3002)

const MAX_ORDERS = 100
const orders = new Map()

const app = express()
app.disable('x-powered-by')
app.use(express.json({ limit: '4kb' }))

// The gateway has no route to this one.
app.get('/health', (req, res) => res.json({ status: 'ok' }))

app.use((req, res, next) => {
  const id = req.get('x-user-id')
  if (!id) return refuse(res, 403, 'This service is reached through the gateway.')
  req.caller = { id, scope: req.get('x-user-scope') ?? '' }
  next()
})

app.get('/orders', (req, res) => {
  res.json({ caller: req.caller, identity_headers: identityHeaders(req), orders: ordersOf(req.caller) })
})

app.post('/orders', (req, res) => {
  const { item, quantity } = req.body ?? {}
  const isItem = typeof item === 'string' && item.length >= 1 && item.length <= 64
  const isQuantity = Number.isInteger(quantity) && quantity >= 1 && quantity <= 1000
  if (!isItem || !isQuantity) return refuse(res, 400, 'item is a short string, quantity a number from 1 to 1000.')
  const own = ordersOf(req.caller)
  if (own.length >= MAX_ORDERS) return refuse(res, 409, 'There are too many open orders.')
  const order = { number: own.length + 1, item, quantity }
  orders.set(req.caller.id, [...own, order])
  res.status(201).json({ caller: req.caller, order })
})

// The orders of one user. That the caller is this user the gate has seen to, before the request came: its rule compares both.
app.get('/users/:id/orders', (req, res) => {
  res.json({ caller: req.caller, orders: orders.get(req.params.id) ?? [] })
})

// What all users together have ordered. Who may read that the authorization service decides, before the request comes.
app.get('/orders/report', (req, res) => {
  const all = [...orders.values()].flat()
  res.json({ caller: req.caller, orders: all.length, items: all.reduce((sum, { quantity }) => sum + quantity, 0) })
})

app.use((req, res) => refuse(res, 404, 'There is nothing here.'))
app.use((error, req, res, next) => {
  if (res.headersSent) return next(error)
  refuse(res, error.status ?? 500, error.expose ? error.message : 'Something went wrong.')
})

function ordersOf(caller) {
  return orders.get(caller.id) ?? []
}

/** For the scenario: every header that could pass for an identity, as it arrived. */
function identityHeaders(req) {
  const isIdentity = name => /^(x-(user|token)-|authorization$)/.test(name.replaceAll('_', '-'))
  return Object.fromEntries(Object.entries(req.headers).filter(([name]) => isIdentity(name)))
}

function refuse(res, status, detail) {
  const body = { type: 'about:blank', status, detail }
  res.status(status).type('application/problem+json').send(JSON.stringify(body))
}

const server = createServer(app)
// The gateway keeps connections and closes idle ones. Were the service to close first, a request could meet that.
server.keepAliveTimeout = 0
server.listen(port, host, () => console.log(`orders-api listens on ${host}:${port}`))
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close(() => process.exit(0)))
