// Signing keys and the access tokens that they sign (RFC 9068). No other process has the private keys.

import { randomUUID } from 'node:crypto'

import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose'

export const LIFETIME = 15 * 60

/** `now` in whole seconds, as JWTs count. */
export const seconds = () => Math.floor(Date.now() / 1000)

export async function openTokens(store, { issuer, audience }) {
  if (store.keys().length === 0) store.addKey(await newKey())

  return {
    /** The public halves of all keys: what everyone may know. */
    publicKeys() {
      return { keys: store.keys().map(({ kty, n, e, kid }) => ({ kty, n, e, kid, use: 'sig', alg: 'RS256' })) }
    },

    /** An access token, signed with the newest key. `overrides` are for internal use. */
    async issue(user, scope, overrides = {}) {
      const jwk = store.keys().at(-1)
      const iat = seconds()
      const claims = { iss: issuer, sub: user.id, aud: audience, iat, exp: iat + LIFETIME, jti: randomUUID() }
      return new SignJWT({ ...claims, client_id: 'shop-web', scope, ...overrides })
        .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: jwk.kid })
        .sign(await importJWK(jwk, 'RS256'))
    },

    /** A new key signs from now on. The old ones stay published, for the tokens that they signed. */
    async rotate() {
      const jwk = await newKey()
      store.addKey(jwk)
      return jwk.kid
    },

    /** Every key but the newest goes, and with it every token that it signed. */
    withdraw() {
      const old = store.keys().slice(0, -1).map(jwk => jwk.kid)
      old.forEach(store.removeKey)
      return old
    },
  }
}

async function newKey() {
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, kid: await calculateJwkThumbprint(jwk) }
}
