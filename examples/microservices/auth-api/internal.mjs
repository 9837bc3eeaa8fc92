// What the operator can reach, on a port of its own that only this machine sees and that the gateway does not know.

import express from 'express'

import { lastResort, problem } from './problem.mjs'
import { isRole } from './roles.mjs'

export function internalRoutes(store, tokens, { testTokens }) {
  const app = express()
  app.disable('x-powered-by')
  app.use(express.json({ limit: '4kb' }))

  app.get('/internal/health', (req, res) => res.json({ status: 'ok' }))
  app.post('/internal/rotate', async (req, res) => res.json({ kid: await tokens.rotate() }))
  app.post('/internal/withdraw', (req, res) => res.json({ withdrawn: tokens.withdraw() }))

  app.put('/internal/users/:username/role', (req, res) => {
    const role = req.body?.role
    if (!isRole(role)) throw problem(400, 'There is no such role.')
    if (!store.setRole(req.params.username, role)) throw problem(404, 'There is no such user.')
    res.status(204).end()
  })

  // Well-signed tokens with wrong claims, which no honest login yields: the scenario shows that the gate refuses them.
  if (testTokens) {
    app.post('/internal/test-token', async (req, res) => {
      const { scope = '', ...overrides } = req.body ?? {}
      res.json({ access_token: await tokens.issue({ id: 'test' }, scope, overrides) })
    })
  }

  app.use(() => {
    throw problem(404, 'There is nothing here.')
  })
  app.use(lastResort)
  return app
}
