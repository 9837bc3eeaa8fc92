// What everyone can reach: the users' routes through the gateway, the two documents by the gate itself.

import { randomUUID } from 'node:crypto'

import { hash, verify } from '@node-rs/argon2'
import express from 'express'

import { credentials, requestedScopes } from './input.mjs'
import { lastResort, problem } from './problem.mjs'
import { scopesOf } from './roles.mjs'
import { LIFETIME, seconds } from './tokens.mjs'

// The gate accepts a token for a while after its expiry, for clocks that differ: 60 s by default, an hour at most.
const CLOCK_SKEW = 60 * 60

// A login with an unknown name takes as long as one with a wrong password.
const NOBODY = { password: await hash(randomUUID()) }

export function publicRoutes(store, tokens) {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', 'strong')
  app.use(express.json({ limit: '4kb' }))

  app.post('/auth/register', async (req, res) => {
    const { username, password } = credentials(req.body)
    const user = { id: randomUUID(), username, password: await hash(password), role: 'customer' }
    if (!store.addUser(user)) throw problem(409, 'This username is taken.')
    res.status(201).json({ id: user.id, username })
  })

  app.post('/auth/login', async (req, res) => {
    const { username, password } = credentials(req.body)
    const user = store.user(username)
    const matches = await verify((user ?? NOBODY).password, password)
    if (!user || !matches) throw problem(401, 'The username or the password is wrong.')
    const scope = requestedScopes(req.body, scopesOf(user.role)).join(' ')
    const token = await tokens.issue(user, scope)
    res.set('cache-control', 'no-store')
    res.json({ access_token: token, token_type: 'Bearer', expires_in: LIFETIME, scope })
  })

  // No token is read here: the gate has checked it, and says in headers which one it was.
  app.post('/auth/logout', (req, res) => {
    const id = req.get('x-token-id')
    const expires = Number(req.get('x-token-expires'))
    if (!id || !Number.isFinite(expires)) throw problem(403, 'This route is reached through the gateway.')
    store.revoke(id, Math.ceil(expires) + CLOCK_SKEW)
    res.status(204).end()
  })

  // Express answers 304 where `If-None-Match` names the ETag of what it would send.
  app.get('/.well-known/jwks.json', (req, res) => res.json(tokens.publicKeys()))
  app.get('/revocations.json', (req, res) => res.json({ revoked: store.revocations(seconds()) }))

  app.use(() => {
    throw problem(404, 'There is nothing here.')
  })
  app.use(lastResort)
  return app
}
