// What the gate asks: POST /access/v1/evaluation (AuthZEN Authorization API 1.0, section 6).

import express from 'express'

import { mayDo } from './roles.mjs'

export function evaluation(store) {
  const app = express()
  app.disable('x-powered-by')
  app.use(express.json({ limit: '64kb' }))

  app.post('/access/v1/evaluation', (req, res) => {
    const { subject, action, resource } = req.body ?? {}
    const isAsked = [subject?.id, action?.name, resource?.id].every(part => typeof part === 'string')
    if (!isAsked || subject.type !== 'user') return res.status(400).type('text').send('no evaluation request')
    const roles = store.roles(subject.id)
    res.json({ decision: roles.some(role => mayDo(role, action.name, resource.id)) })
  })

  app.get('/health', (req, res) => res.json({ status: 'ok' }))
  app.use((req, res) => res.status(404).end())
  app.use((error, req, res, next) => (res.headersSent ? next(error) : res.status(error.status ?? 500).end()))
  return app
}
