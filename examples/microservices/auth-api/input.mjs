// What a request may hold.

import { problem } from './problem.mjs'

export function credentials(body) {
  const { username, password } = body ?? {}
  if (typeof username !== 'string' || !/^[a-z0-9][a-z0-9._-]{2,63}$/.test(username)) {
    throw problem(400, 'A username has 3 to 64 characters: lower-case letters, digits, dot, underscore, hyphen.')
  }
  // An upper limit, because hashing costs.
  if (typeof password !== 'string' || password.length < 12 || password.length > 128) {
    throw problem(400, 'A password has 12 to 128 characters.')
  }
  return { username, password }
}

/** The scopes that a login asks for, as in RFC 6749 section 3.3; all of `allowed` if it asks for none. */
export function requestedScopes(body, allowed) {
  const { scope } = body
  if (scope === undefined) return allowed
  if (typeof scope !== 'string') throw problem(400, 'scope is a string of names with spaces between them.')
  const names = [...new Set(scope.split(' ').filter(Boolean))]
  if (!names.every(name => allowed.includes(name))) throw problem(400, 'This user cannot have all of these scopes.')
  return names
}
