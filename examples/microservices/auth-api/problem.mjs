// Errors as answers (RFC 9457).

import { STATUS_CODES } from 'node:http'

/** An error to throw in a route. */
export const problem = (status, detail) => Object.assign(new Error(detail), { status, expose: true })

/** The last handler of an app. Express' own errors (a body that is too long, or no JSON) have a status too. */
export function lastResort(error, req, res, next) {
  const status = error.status ?? 500
  if (status === 500) console.error(error)
  if (res.headersSent) return next(error)
  const detail = error.expose ? error.message : 'Something went wrong.'
  const body = { type: 'about:blank', title: STATUS_CODES[status], status, detail }
  res.status(status).type('application/problem+json').send(JSON.stringify(body))
}
