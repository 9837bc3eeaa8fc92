// What the operator can reach, on a port of its own that only this machine sees and that the gateway does not know.

import express from 'express'

import { isRole } from './roles.mjs'

export function internalRoutes(store) {
  const app = express()
  app.disable('x-powered-by')

  const assignment = '/internal/users/:user/roles/:role'
  app.put(assignment, (req, res) => {
    const { user, role } = req.params
    if (!isRole(role)) return res.status(400).type('text').send('There is no such role.')
    store.grant(user, role)
    res.status(204).end()
  })
  app.delete(assignment, (req, res) => res.status(store.take(req.params.user, req.params.role) ? 204 : 404).end())

  app.use((req, res) => res.status(404).end())
  return app
}
